"""What a station reads of its own: settings, files, rows that others may have written, reports of workers."""

# A worker without a process is given its reports by hand.
# pyright: reportPrivateUsage=false

import asyncio
import base64
import json
import logging
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidTag

from tests.fuzz.target import NEEDLE_NAME, NEEDLE_NIR, Target, cut, only
from vitale_drivers.base import (
    Failed,
    Health,
    Log,
    OutOfReach,
    Pong,
    Presented,
    PreviewPicture,
    Progress,
    ReaderAdded,
    Report,
    Started,
    Transmitted,
    WhoHolds,
)
from vitale_drivers.host.pipe import MAX_MESSAGE, Decoder, StreamError, encode
from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ConfigurationInvalid, ParseError, ReaderUnavailable, StoreUnavailable, VitaleError
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem
from vitale_protocol.session.jsonrpc import member_names
from vitale_protocol.session.wire_errors import to_wire
from vitale_reader.daemon import config
from vitale_reader.daemon.issuing.contexts import Kept
from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.log_output import LineFormatter
from vitale_reader.daemon.site.outgoing_requests import Answer
from vitale_reader.daemon.site.remote_readers import DeskTold, SiteReaders, named
from vitale_reader.daemon.site.rows.messages import StepTold, Wanted
from vitale_reader.daemon.site.station_encryption import open_box
from vitale_reader.daemon.site.stations import Told
from vitale_reader.daemon.store.local_anchor import Anchor
from vitale_reader.daemon.workers import worker_log
from vitale_reader.daemon.workers.reports import reader_of, told
from vitale_reader.daemon.workers.worker import Worker

__all__ = ["TARGETS"]

# ── workers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def reports(data: bytes) -> None:
    """A worker that says anything: its stream ends by a documented error, its reports are dealt with."""
    if not data:
        return
    # What came before a fault in the same piece is lost with it: the fault ends the worker.
    whole = _heard([data[1:]])
    parts = _heard([*cut(data[1:], 1 + data[0] % 64)])
    # As bytes: a number in the data of a problem may be none, and then not even itself.
    assert [*map(encode, parts[: len(whole)])] == [*map(encode, whole)]
    asyncio.run(_take(whole))


def _heard(pieces: list[bytes]) -> list[Report]:
    decoder: Decoder[Report] = Decoder(Report)
    heard: list[Report] = []
    with only(StreamError):
        for piece in pieces:
            heard += decoder.receive(piece)
            assert len(decoder._buffer) <= MAX_MESSAGE + 4
    return heard


async def _take(heard: list[Report]) -> None:
    worker = Worker("a", {}, on_report=lambda _name, report: _note(report), on_end=lambda _name, _problem: None)
    before = len(logging.root.manager.loggerDict)
    journal = worker_log.logger
    journal.addFilter(_one_line)
    try:
        for report in heard:
            worker._take(report)
            assert msgspec.json.encode(worker.health)
    finally:
        journal.removeFilter(_one_line)
    assert len(logging.root.manager.loggerDict) == before, "a logger of a worker's choice is kept for ever"


def _one_line(record: logging.LogRecord) -> bool:
    """Lets nothing through, once it was formatted as the daemon's log would."""
    line = LineFormatter().format(record)
    assert line.isprintable()
    return False


def _note(report: Report) -> None:
    assert len(told(report)) >= 3
    problem: Problem | None = getattr(report, "problem", None)
    if problem is not None:
        assert msgspec.json.encode(to_wire(problem.error(ReaderUnavailable), "fr"))
    assert reader_of(report) is None or isinstance(reader_of(report), str)


def _reports() -> Iterable[bytes]:
    reader = Reader(id="r", name=NEEDLE_NAME, driver="d", media=("vitale-card",), state="empty")
    problem = Problem("no_reader", "", "detail", {"a": [1, None]})
    every: list[Report] = [
        Started(driver="d", media=("vitale-card",), version="1"),
        ReaderAdded(reader=reader),
        Progress(reader="r", step="reading"),
        Presented(id="1", medium="vitale-card", reader="r", at=1.0, evidence={"identity": b"x"}, simulated=False),
        Failed(reader="r", problem=problem),
        Transmitted(id=1, responses=(b"\x90\x00",)),
        PreviewPicture(reader="r", at=1.0, jpeg=b"\xff\xd8"),
        Health(state="degraded", problem=problem),
        Pong(id=1),
        WhoHolds(id=1, device="/dev/null"),
        OutOfReach(),
        Log(level=20, logger="vitale_drivers.nfc", text="said"),
    ]
    for report in every:
        yield b"\x07" + encode(report)
    yield b"\x1f" + b"".join(map(encode, every))
    yield b"\x00\xff\xff\xff\xff"
    yield b"\x3f" + b"".join(encode(Log(level=20, logger=f"a.{number}", text="")) for number in range(70))


REPORT_WORDS = tuple(
    bytes((0xA0 | len(word),)) + word.encode()
    for word in (
        *("type", "started", "reader_added", "reader_changed", "reader_removed", "progress", "presented", "failed"),
        *("transmitted", "leased", "unleased", "preview_frame", "health", "pong", "log", "problem", "reason", "level"),
    )
)

# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────


def settings(data: bytes) -> None:
    """``config.toml``: refused with a place, or shown without the password of the database."""
    text = data.decode("utf-8", "replace")
    # The file is the site's own: what it says may be told, the password of its database may not.
    written = f'store = "postgresql://desk:{NEEDLE_NAME}@' in text
    with only(ConfigurationInvalid) if written else suppress(ConfigurationInvalid):
        _check_shown(config.parse(text))


def _check_shown(parsed: config.Config) -> None:
    shown = json.dumps(config.shown(parsed), default=str)
    assert f":{NEEDLE_NAME}@" not in shown
    assert f":{NEEDLE_NAME}@" not in repr(parsed)
    assert config.shown(parsed) == config.shown(parsed)


def _settings() -> Iterable[bytes]:
    yield f'store = "postgresql://desk:{NEEDLE_NAME}@db/site?sslmode=verify-full&password={NEEDLE_NAME}"\n'.encode()
    yield b'audit_days = 30\n[station]\nname = "a"\nmode = "simulated"\ngroups = ["b"]\n[tls]\nport = 0\nlan = true\n'
    yield b'[drivers]\nenabled = ["pcsc"]\n[drivers.options.pcsc]\na = 1\n[apcv]\nresolver = "none"\ntimeout = 1.5\n'
    yield b'[log]\nlevel = "loud"\n[tokens]\nlifetime = 1e3\n[limts]\na = 1979-05-27T07:32:00Z\n'
    yield f'store = "mysql://desk:{NEEDLE_NAME}@db/site"\n'.encode()
    yield f'[station]\nname = 1\nstore = "postgresql://desk:{NEEDLE_NAME}@db/site"\n'.encode()


TOML_WORDS = (
    *(f"[{name}]\n".encode() for name in config.Config.__struct_fields__),
    *(b" = ", b'"""', b"'''", b"inf", b"nan", b"0x", b"[[", b"1979-05-27T07:32:00Z", b"\\u0000", b"postgresql://"),
)

# ── files and rows ───────────────────────────────────────────────────────────────────────────────────────────────

VECTORS = Path(__file__).parents[2] / "daemon" / "store" / "vectors"


def _vectors(name: str) -> dict[str, Any]:
    return tomllib.loads((VECTORS / f"{name}.toml").read_text("utf-8"))


class File:
    """The file of the secrets, with this content, and nothing written."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read_bytes(self) -> bytes:
        """The content."""
        return self._content

    def __str__(self) -> str:
        return "station.json"


class UnwrittenKeys(Keys):
    """The secrets of a file that stays as it is."""

    def _replace(self, secrets_: Any) -> None:
        self._use(secrets_)


def station_file(data: bytes) -> None:
    """``station.json`` and the anchor: opened or damaged, and no secret in the error."""
    with only(StoreUnavailable, read=data):
        clock = DeskClock(lambda: 1_800_000_000.0)
        keys = UnwrittenKeys(File(data), overlap=600, clock=clock)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        keys.open()
        assert keys.signing[0]
        assert msgspec.json.encode(keys.jwks)
        assert keys.fingerprint({"a": b""})
        assert keys.agreement
        keys.rotate()
    with only(ParseError, read=data):
        anchor = decode_document(data, Anchor)
        assert decode_document(msgspec.json.encode(anchor), Anchor) == anchor


def _station_files() -> Iterable[bytes]:
    yield str(_vectors("keys")["keys"]["station_json"]).encode()
    yield str(_vectors("rows")["audit"]["anchor"]["file"]).encode()
    yield b'{"station":"a","outbox":"","evidence":"","replay":"","signing":[]}'
    yield b'{"sealed":"AAAA"}'


ROW_KINDS: tuple[type[msgspec.Struct], ...] = (DeskTold, StepTold, Wanted, Told, Kept, Answer)
VAULT = Vault.of_site(bytes(32))
STATION = "10000000-0000-4000-8000-000000000000"


def rows(data: bytes) -> None:
    """Rows of a site: what somebody without the key wrote is not opened; what was opened is a row or is refused."""
    if not data:
        return
    with pytest.raises(InvalidTag):
        VAULT.unseal(data, "desk:1")
    with pytest.raises(InvalidTag):
        open_box(bytes(32), data, vault=VAULT, bound_to="a")
    kind = ROW_KINDS[data[0] % len(ROW_KINDS)]
    sealed = VAULT.seal(data[1:], "row")
    assert VAULT.unseal(sealed, "row") == data[1:]
    with only(ParseError, read=data):
        row = decode_document(data[1:], kind)
        assert msgspec.json.encode(decode_document(msgspec.json.encode(row), kind)) == msgspec.json.encode(row)
        _use(row)


def _use(row: msgspec.Struct) -> None:
    match row:
        case DeskTold():
            readers = SiteReaders(STATION, "test")
            assert all(isinstance(what, str) for what, _ in readers.hear({"20000000-0000-4000-8000-000000000000": row}))
            readers.hear({})
            assert readers.readers == ()
        case Wanted():
            names = [*(f"{reader}@{station}" for station, reader in row.names.readers), *row.names.groups]
            assert len(named(names, STATION).readers) <= len(names)
        case Answer():
            assert isinstance(row.error, VitaleError)
        case _:
            pass


def _rows() -> Iterable[bytes]:
    reader = {"id": "r", "name": NEEDLE_NAME, "driver": "d", "media": ["vitale-card"], "state": "empty"}
    desk = {"name": "a", "mode": "test", "groups": ["g"], "readers": [reader, reader]}
    wanted = {
        "station": STATION,
        "mode": "test",
        "client_id": "c",
        "nonce": "n",
        "scopes": ["nir"],
        "purpose": None,
        "media": ["vitale-card"],
        "names": {"readers": [[STATION, "r"]], "groups": []},
        "timeout": 1.0,
    }
    contents: tuple[dict[str, Any], ...] = (
        desk,
        {"step": "reading", "reader": "r", "problem": {"reason": "no_reader", "data": {NEEDLE_NIR: 1}}},
        wanted,
        {"keys": [{"kty": "EC"}], "authority": "PEM", "agreement": base64.b64encode(b"x").decode()},
        {"identifiant": NEEDLE_NIR, "token": NEEDLE_NAME, "date_fin_validite": 1.0, "record": {}},
        {"result": None, "problem": {"reason": "unheard_of", "variant": "v"}},
    )
    for number, content in enumerate(contents):
        yield bytes((number,)) + json.dumps(content).encode()


ROW_WORDS = tuple(f'"{name}"'.encode() for kind in ROW_KINDS for name in sorted(member_names(kind)))

TARGETS = (
    Target(name="worker-pipe", run=reports, seeds=_reports, words=REPORT_WORDS),
    Target(name="config", run=settings, seeds=_settings, words=TOML_WORDS),
    Target(name="station-file", run=station_file, seeds=_station_files, words=(b'"signing"', b'"jwk"', b'"P-256"')),
    Target(name="sealed-rows", run=rows, seeds=_rows, words=ROW_WORDS),
)
