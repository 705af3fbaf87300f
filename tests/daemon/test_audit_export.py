"""Ends of the audit trail that leave the machine: where they go, what they prove, and what holds up nothing."""

# pyright: reportPrivateUsage=false

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, update

from tests.posix import unix_datagrams
from vitale_protocol.errors import ConfigurationInvalid, ResolverRefused
from vitale_reader.daemon import audit_export
from vitale_reader.daemon.audit_export import (
    DESTINATIONS,
    Compared,
    Destination,
    Exporter,
    Missed,
    compare,
    destinations,
    line_of,
    same_disk,
)
from vitale_reader.daemon.composition import station
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.lifecycle import Ending
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.audit_trail.retention import purge
from vitale_reader.daemon.store.local_anchor import Anchor
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import audit, audit_heads
from vitale_reader.home import Home
from vitale_reader.resolvers import registry

VAULT = Vault.of_site(b"k" * 32)
STATION = "10000000-0000-4000-8000-000000000000"
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last end has all the time of a busy machine; what hangs is let go by its test."""
    monkeypatch.setattr(audit_export, "LAST", PATIENCE)


class Kept:
    """A destination that keeps lines, and may refuse or hang."""

    def __init__(self, options: Mapping[str, object] | None = None) -> None:
        self.options = options or {}
        self.lines: list[str] = []
        self.taken = threading.Semaphore(0)
        self.fault: Exception | None = None
        self.free = threading.Event()
        self.free.set()

    def export(self, line: str) -> None:
        """Keeps a line, once it is free to."""
        self.free.wait(PATIENCE)
        try:
            if self.fault is not None:
                raise self.fault
            self.lines.append(line)
        finally:
            self.taken.release()

    @property
    def numbers(self) -> list[int]:
        return [json.loads(line)["number"] for line in self.lines]


def end(number: int) -> Anchor:
    return Anchor(number=number, mac=f"{number:064x}")


def exporter(*places: tuple[str, Destination]) -> Exporter:
    made = Exporter(VAULT, STATION, places)
    made.open()
    return made


# ── exporting ──


def test_each_end_is_exported_once_and_the_last_one_before_the_stop() -> None:
    kept = Kept()
    made = exporter(("kept", kept))
    for number in (1, 1, 2):
        made.export(end(number))
        made.export(end(number))
    made.close()
    assert 2 == kept.numbers[-1]
    assert len(set(kept.lines)) == len(kept.lines)


def test_a_destination_that_hangs_holds_up_nothing_and_gets_the_latest_end() -> None:
    kept = Kept()
    kept.free.clear()
    made = exporter(("kept", kept))
    for number in range(1, 1_000):
        made.export(end(number))
    kept.free.set()
    made.close()
    assert 999 == kept.numbers[-1]
    assert len(kept.numbers) <= 2, "those that waited meanwhile are one"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (ResolverRefused("secret words"), ResolverRefused.reason),
        (KeyError("secret words"), "KeyError"),
    ],
)
def test_a_destination_that_fails_is_told_once_and_costs_no_other(
    fault: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bad, good = Kept(), Kept()
    bad.fault = fault
    made = exporter(("bad", bad), ("good", good))
    for number in (1, 2):
        made.export(end(number))
        assert bad.taken.acquire(timeout=PATIENCE)
        assert good.taken.acquire(timeout=PATIENCE)
    bad.fault = None
    made.export(end(3))
    made.close()
    assert ([3], [1, 2, 3]) == (bad.numbers, good.numbers)
    assert 1 == caplog.text.count(f"could not be exported to bad: {said}")
    assert 1 == caplog.text.count("exported to bad again")
    assert "secret" not in caplog.text


def test_without_a_destination_there_is_no_thread() -> None:
    before = {*threading.enumerate()}  # of which some may end by and by
    made = exporter()
    made.export(end(1))
    assert set() == {*threading.enumerate()} - before
    made.close()


# ── destinations ──


def test_a_file_grows_by_a_line_and_is_private(tmp_path: Path) -> None:
    ((_, place),) = destinations([str(tmp_path / "heads")], {})
    place.export("one")
    place.export("two")
    assert "one\ntwo\n" == (tmp_path / "heads").read_text()
    assert same_disk(tmp_path / "heads", tmp_path)
    assert not same_disk(tmp_path / "none" / "heads", tmp_path)


@pytest.mark.posix
def test_a_file_is_private_and_no_link(tmp_path: Path) -> None:
    ((_, place),) = destinations([str(tmp_path / "heads")], {})
    place.export("one")
    assert 0o600 == (tmp_path / "heads").stat().st_mode & 0o777
    (tmp_path / "link").symlink_to(tmp_path / "other")
    ((_, place),) = destinations([str(tmp_path / "link")], {})
    with pytest.raises(OSError, match=r"symbolic links"):
        place.export("one")


def test_syslog_of_another_machine_takes_a_line() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        ((_, place),) = destinations([f"syslog:127.0.0.1:{server.getsockname()[1]}"], {})
        line = line_of(VAULT, STATION, end(1))
        place.export(line)
        received = server.recv(4_096).decode().rstrip("\0")
    assert f"<86>vitale-reader: audit head {line}" == received


@pytest.mark.posix
def test_syslog_of_this_machine_takes_a_line_and_its_absence_is_an_error(tmp_path: Path) -> None:
    place = tmp_path / "log"
    ((_, syslog),) = destinations([f"syslog:{place}"], {})
    with pytest.raises(OSError, match="No such file"):
        syslog.export("{}")
    with unix_datagrams(str(place)) as server:
        server.settimeout(PATIENCE)
        syslog.export("{}")
        assert b"audit head {}" in server.recv(4_096)


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> str:
    def entry_points(*, group: str, name: str = "kept") -> list[EntryPoint]:
        return [EntryPoint(name, f"{__name__}:Kept", group)] if (group, name) == (DESTINATIONS, "kept") else []

    monkeypatch.setattr(registry, "entry_points", entry_points)
    return "kept"


def test_a_plug_in_is_made_with_its_options(plug_in: str) -> None:
    ((name, made),) = destinations([plug_in], {plug_in: {"url": "x"}})
    assert "kept" == name
    assert {"url": "x"} == getattr(made, "options", None)


@pytest.mark.parametrize(
    ("names", "options"),
    [(["none"], {}), (["relative/file"], {}), (["syslog:host:port"], {}), ([], {"kept": {}})],
    ids=str,
)
def test_what_is_no_destination_is_refused_with_its_place(
    plug_in: str, names: list[str], options: dict[str, dict[str, object]]
) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        destinations(names, options)
    assert str(caught.value.data["path"]).startswith("audit.")


# ── comparing ──


@pytest.fixture
def lines() -> list[str]:
    """The lines of the test's chain, as they were exported."""
    return []


Change = Callable[[Connection, Chain], None]
Work = Callable[[Change], Compared]


@pytest.fixture
def work(tmp_path: Path, lines: list[str]) -> Work:
    """Runs something on a store with a chain of six rows, each end of which was exported."""

    async def main(change: Change) -> Compared:
        store = Store(tmp_path / "store.db")
        await store.open()
        chain = Chain(VAULT, STATION)
        for number in range(6):
            entry = AuditEntry(at=float(number), action="session.open", outcome="ok")
            await store.run(lambda connection, entry=entry: chain.append(connection, entry))  # type: ignore[misc]
            last = await store.run(chain.anchor)
            assert last is not None
            lines.append(line_of(VAULT, STATION, last))
        await store.run(lambda connection: change(connection, chain))
        found = await store.run(lambda connection: compare(connection, VAULT, lines))
        await store.close()
        return found

    return lambda change: asyncio.run(main(change))


def nothing(_: Connection, _chain: Chain) -> None:
    pass


def cut(connection: Connection, _: Chain) -> None:
    connection.execute(delete(audit).where(audit.c.number > 4))


def written_anew(connection: Connection, chain: Chain) -> None:
    """What somebody does who has every key of the desk."""
    connection.execute(delete(audit))
    connection.execute(delete(audit_heads))
    for number in range(6):
        chain.append(connection, AuditEntry(at=float(number), action="session.open", outcome="denied"))


def retained(connection: Connection, chain: Chain) -> None:
    purge(connection, VAULT, 3.0)


def explained(connection: Connection, chain: Chain) -> None:
    cut(connection, chain)
    assert chain.resume(connection, at=9.0, reason="a test", client_id="local") is not None


def explained_by_nobody(connection: Connection, chain: Chain) -> None:
    cut(connection, chain)
    chain.append(connection, AuditEntry(at=9.0, action="session.open", outcome="ok"))
    connection.execute(update(audit).where(audit.c.number > 6).values(action="audit.resumed", outcome="ok"))


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        (nothing, []),
        (cut, [5, 6]),
        (written_anew, [1, 2, 3, 4, 5, 6]),
        (retained, []),
        (explained, []),
        (explained_by_nobody, [5, 6]),
    ],
)
def test_ends_that_left_the_machine_tell_what_was_done_to_the_trail(
    work: Work, lines: list[str], change: Change, missed: list[int]
) -> None:
    found = work(change)
    assert Compared(heads=6, foreign=0, missed=tuple(Missed(station=STATION, number=number) for number in missed)) == (
        found
    )
    assert 6 == len(lines)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Nov 29 12:00:00 desk vitale-reader: audit head " + line_of(VAULT, STATION, end(9)),
        line_of(VAULT, STATION, end(9)).replace("9", "8"),
        line_of(Vault.of_site(b"j" * 32), STATION, end(9)),
        "{}",
        "{" * 5_000,
        "no JSON",
        "\udcff{",
    ],
    ids=["empty", "syslog", "changed", "of another key", "{}", "long", "words", "bytes"],
)
def test_a_line_of_somebody_else_is_no_evidence(
    work: Work, lines: list[str], line: str, request: pytest.FixtureRequest
) -> None:
    lines.append(line)
    found = work(nothing)
    if "syslog" in str(request.node.name):
        assert (7, 0, (Missed(station=STATION, number=9),)) == (found.heads, found.foreign, found.missed)
    else:
        assert (6, 0 if not line else 1, ()) == (found.heads, found.foreign, found.missed)


@pytest.mark.parametrize("same", [True, False])
def test_ends_that_stay_on_the_disk_of_the_trail_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, same: bool
) -> None:
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            config = parse(f"[audit]\nexport = ['{tmp_path / 'ends'}']")
            ending = Ending(bounded=False)
            stack.push_async_callback(ending.finish)
            station._open_exporter(stack, Home.under(tmp_path), config, VAULT, STATION, ending)

    def on_one_disk(*_: object) -> bool:
        return same

    monkeypatch.setattr(station, "same_disk", on_one_disk)
    asyncio.run(main())
    told = [line for line in caplog.messages if "on the disk of the trail itself" in line]
    assert int(same) == len(told)
