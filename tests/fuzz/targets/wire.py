"""What clients and daemons say to one another: messages, sessions, parameters, and the documents beside them."""

import json
from collections.abc import Iterable
from typing import TypeVar, cast

import msgspec

from tests.fuzz.target import NEEDLE_NAME, NEEDLE_NIR, Target, cut, only
from vitale_protocol.catalogue import LANGUAGES
from vitale_protocol.documents import decode_document
from vitale_protocol.errors import (
    DaemonUntrusted,
    InvalidParams,
    InvalidRequest,
    LimitExceeded,
    LocalMisuse,
    MethodNotFound,
    ParseError,
)
from vitale_protocol.events import EVENTS
from vitale_protocol.methods import METHODS, Empty, Identity, Method, SessionOpen, SessionOpened, Station
from vitale_protocol.methods import Limits as StationLimits
from vitale_protocol.session import jsonrpc
from vitale_protocol.session.framing import LineFraming, NativeFraming
from vitale_protocol.session.session import Called, Ended, Event, Session, State
from vitale_reader.client.address import check_pin, parse, tls_context
from vitale_reader.client.pairing import Pairing
from vitale_reader.home import Endpoints

__all__ = ["TARGETS"]

T = TypeVar("T", bound=msgspec.Struct)

DEPTH = 32
NAMES = tuple(METHODS)
KINDS: tuple[type[msgspec.Struct], ...] = (
    *(method.params for method in METHODS.values()),
    *(method.result for method in METHODS.values()),
    *EVENTS.values(),
)
MEMBERS = tuple(sorted({name for kind in KINDS for name in jsonrpc.member_names(kind)}))
WORDS = tuple(
    f'"{word}"'.encode()
    for word in (*MEMBERS, *NAMES, *EVENTS, *LANGUAGES, "jsonrpc", "2.0", "id", "method", "params", "result", "error")
)

OPENED = SessionOpened(
    protocol=1,
    session="s-1",
    client_id="c-1",
    scopes=("identity",),
    station=Station(id="00000000-0000-4000-8000-000000000000", name="comptoir", version="0.1.0", mode="test"),
    jwks={"keys": []},
    limits=StationLimits(message_bytes=1_048_576, depth=DEPTH, batch=50, sessions=64, requests=64, open_seconds=10),
)
OPEN = SessionOpen(protocol=(1,), client=Identity(name="essai"), language="en")


def _line(method: str, params: object, request: object = 1) -> bytes:
    message = {"jsonrpc": "2.0", "method": method, "params": params}
    return json.dumps(message if request is None else {"id": request, **message}).encode()


OPENING = _line("session.open", msgspec.to_builtins(OPEN), "open") + b"\n"

# ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────────


def read_message(data: bytes) -> None:
    """A message that is read says the same once it is written again."""
    with only(ParseError, LimitExceeded, InvalidRequest, read=data):
        value = jsonrpc.decode(data, DEPTH)
        assert jsonrpc.decode(msgspec.json.encode(value), DEPTH) == value
        message = jsonrpc.parse(value)
        assert isinstance(message, jsonrpc.Call | jsonrpc.Success | jsonrpc.Failure)
        assert message.id is None or jsonrpc.readable_id(value) == message.id


def _messages() -> Iterable[bytes]:
    yield _line("readers.list", {})
    yield _line("presentation.cancel", {"request": 3}, None)
    yield b'{"jsonrpc":"2.0","id":"x","result":{"ok":true,"n":[1,-2.5e3,null,"\\u00e9"]}}'
    yield b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m","data":{"reason":"parse_error"}}}'
    yield b"[" * 33 + b'"\\u0000\\\\"'
    yield f'{{"jsonrpc":"2.0","id":1,"method":"{NEEDLE_NAME}","params":{{"{NEEDLE_NIR}":1}}}}'.encode()


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def serve(data: bytes) -> None:
    """A server never raises, answers in JSON-RPC, and does the same however the bytes are cut."""
    if not data:
        return
    stream = (OPENING if data[0] & 0x80 else b"") + data[1:]
    whole = _served([stream])
    assert _served(list(cut(stream, 1 + (data[0] & 0x7F)))) == whole


def _served(pieces: list[bytes]) -> tuple[list[Event], bytes]:
    session = Session("server", LineFraming(limit=16_384))
    events: list[Event] = []
    sent = b""
    for piece in pieces:
        for event in session.incoming(piece):
            events.append(event)
            _answer(session, event)
        sent += session.data_to_send()
    for line in sent.splitlines():
        _check_answer(line)
    assert sum(isinstance(event, Ended) for event in events) <= 1
    return events, sent


def _answer(session: Session, event: Event) -> None:
    if not isinstance(event, Called) or event.id is None:
        return
    if event.method.opens:
        session.reply(event.id, OPENED)
    else:
        session.fail(event.id, MethodNotFound("nobody is here"))


def _check_answer(line: bytes) -> None:
    value: object = msgspec.json.decode(line)
    for one in cast("list[object]", value) if isinstance(value, list) else [value]:
        message = jsonrpc.parse(one)
        assert isinstance(message, jsonrpc.Success | jsonrpc.Failure)
        assert NEEDLE_NIR.encode() not in line or f'"id":"{NEEDLE_NIR}'.encode() in line


def _streams() -> Iterable[bytes]:
    calls = [_line(name, {}, number) for number, name in enumerate(NAMES)]
    yield b"\x00" + OPENING + b"\n".join(calls) + b"\n"
    yield b"\x87" + b"\r\n".join(calls[3:9]) + b"\r\n"
    yield b"\x83[" + b",".join(calls[1:5]) + b"]\n[]\n{}\n"
    yield b"\xff" + _line("presentation.request", {"nonce": NEEDLE_NIR * 2, "wait": True}) + b"\n"
    yield b"\x81" + _line("session.ping", {}, 7) + b"\n" + _line("session.ping", {}, 7) + b"\nx\n"


def ask(data: bytes) -> None:
    """A client never raises whatever a daemon says, and hears nothing after the end."""
    if not data:
        return
    session = Session("client", LineFraming(limit=16_384))
    session.call("session.open", OPEN)
    if data[0] & 0x80:
        session.receive_data(jsonrpc.encode_success(1, OPENED) + b"\n")
        for name in ("readers.list", "station.info", "outbox.list"):
            params: Method = METHODS[name]
            if session.state is State.OPEN:
                session.call(name, params.params() if params.params is not Empty else Empty())
    ended = False
    for piece in cut(data[1:], 1 + (data[0] & 0x7F)):
        for event in session.receive_data(piece):
            assert not ended
            ended = isinstance(event, Ended)
    assert session.receive_eof() == [] or not ended


def _answers() -> Iterable[bytes]:
    yield b"\x7f" + jsonrpc.encode_success(1, OPENED) + b"\n"
    yield b'\xff{"jsonrpc":"2.0","id":2,"result":{"readers":[]}}\n{"jsonrpc":"2.0","id":4,"result":{"tokens":[]}}\n'
    yield b'\xff{"jsonrpc":"2.0","id":3,"error":{"code":1101,"message":"m","data":{"variant":1,"detail":2}}}\n'
    yield b'\x90{"jsonrpc":"2.0","method":"reader.removed","params":{"reader":{"id":"a"}}}\n[]\n'
    yield b'\x90{"jsonrpc":"2.0","id":null,"error":{"code":99999,"message":"m"}}\n'


def frame(data: bytes) -> None:
    """Framings give the same messages however the bytes are cut, hold a bounded rest, and read what they write."""
    if not data:
        return
    size, limit = 1 + (data[0] & 0x3F), 64
    for kind in (LineFraming, NativeFraming):
        one, other = kind(limit), kind(limit)
        whole = one.receive(data[1:])
        parts: list[bytes] = []
        for piece in cut(data[1:], size):
            parts += other.receive(piece)
            assert other.held <= limit + 4 + size
        assert (parts, other.exceeded) == (whole, one.exceeded)
        assert all(len(message) <= limit for message in whole)
        # A carriage return at the end is white space of JSON, and part of the next line's end.
        again, kept = kind(limit), [message for message in whole if not message.endswith(b"\r")]
        assert again.receive(b"".join(map(again.encode, kept))) == kept


def _frames() -> Iterable[bytes]:
    yield b"\x02{}\n\n{}\r\n[1]\r\r\n"
    yield b"\x00\x02\x00\x00\x00{}\x03\x00\x00\x00[1]\xff\xff\xff\xff"
    yield b"\x07" + b"a" * 64 + b"\r\n" + b"b" * 65 + b"\n"


# ── parameters, results, events ──────────────────────────────────────────────────────────────────────────────────


def convert(data: bytes) -> None:
    """Members of every method and event: refused with a place that we have named, or the same when written again."""
    if not data:
        return
    kind = KINDS[data[0] % len(KINDS)]
    with only(ParseError, LimitExceeded, InvalidParams, read=data):
        value = jsonrpc.decode(data[1:], DEPTH)
        try:
            made = jsonrpc.convert(value, kind)
        except InvalidParams as error:
            words = str(error.data["path"]).removeprefix("$").replace("[...]", "").replace("[", ".").split(".")
            assert all(word.rstrip("]").isdigit() or word in MEMBERS for word in filter(None, words))
            raise
        assert jsonrpc.convert(msgspec.to_builtins(made), kind) == made
        assert msgspec.json.decode(msgspec.json.encode(made), type=kind) == made


def _members() -> Iterable[bytes]:
    wanted = {
        "session.open": OPEN,
        "presentation.request": {"nonce": "n" * 22, "media": ["vitale-card"], "timeout_ms": 5000, "readers": ["a"]},
        "presentation.submit": {"nonce": "n" * 22, "payload": NEEDLE_NAME},
        "outbox.ack": {"jtis": ["a", "b"]},
        "card.transmit": {"lease": "l", "apdus": ["00A40000023F00"]},
        "clients.add": {"name": NEEDLE_NAME, "scopes": ["identity", NEEDLE_NIR]},
    }
    for number, name in enumerate(NAMES):
        yield bytes((number,)) + msgspec.json.encode(wanted.get(name, {}))
        yield bytes((number + len(NAMES),)) + b'{"%s":[1]}' % NEEDLE_NAME.encode()
    yield bytes((NAMES.index("session.open") + len(NAMES),)) + msgspec.json.encode(OPENED)


# ── documents ────────────────────────────────────────────────────────────────────────────────────────────────────


def pair(data: bytes) -> None:
    """A pairing file: what it leads a client to is refused as misuse, and never quoted."""
    with only(ParseError, read=data):
        pairing = decode_document(data, Pairing)
        assert decode_document(msgspec.json.encode(pairing), Pairing) == pairing
        assert repr(pairing) == repr(msgspec.structs.replace(pairing, private_key=None, credential=None))
        with only(LocalMisuse):
            address = parse(pairing.address or "")
            assert parse(str(address)) == address
        with only(DaemonUntrusted):
            check_pin(pairing, b"a certificate")
        with only(LocalMisuse):
            tls_context(pairing)


def _pairings() -> Iterable[bytes]:
    whole = {
        "client_id": "c-1",
        "address": "tls://[::1]:7816",
        "certificate": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        "private_key": "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
        "daemon_certificate_sha256": "ab" * 32,
        "credential": "secret-secret",
    }
    yield json.dumps(whole).encode()
    yield b'{"client_id":"c","address":"unix:///run/daemon.sock","daemon_certificate":"\\u00e9"}'
    yield b'{"client_id":"c","address":"tls://localhost:65536"}'


def find(data: bytes) -> None:
    """``endpoints.json``."""
    with only(ParseError, read=data):
        endpoints = decode_document(data, Endpoints)
        assert decode_document(msgspec.json.encode(endpoints), Endpoints) == endpoints


def _endpoints() -> Iterable[bytes]:
    yield b'{"pid":1,"version":"0.1.0","unix":"/run/daemon.sock"}'
    yield b'{"pid":1,"version":"0.1.0","tls":{"host":"::1","port":7816,"sha256":"ab"}}'


TARGETS = (
    Target(name="jsonrpc", run=read_message, seeds=_messages, words=WORDS),
    Target(name="session-server", run=serve, seeds=_streams, words=WORDS),
    Target(name="session-client", run=ask, seeds=_answers, words=WORDS),
    Target(name="framing", run=frame, seeds=_frames, words=(b"\r\n", b"\x40\x00\x00\x00", b"\x41\x00\x00\x00")),
    Target(name="rpc-params", run=convert, seeds=_members, words=WORDS),
    Target(name="pairing", run=pair, seeds=_pairings, words=(b'"tls://', b'"unix:///', *WORDS)),
    Target(name="endpoints", run=find, seeds=_endpoints, words=(b'"pid"', b'"unix"', b'"tls"', b'"sha256"')),
)
