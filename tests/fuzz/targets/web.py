"""What web pages, and whoever reaches the gateway's port, say: requests, frames, channels, handshakes, sites."""

import json
from collections.abc import Iterable
from itertools import pairwise

import msgspec
from websockets.frames import Frame, Opcode

from tests.fuzz.target import NEEDLE_NAME, NEEDLE_NIR, Target, cut, only
from tests.protocol.web.independent import VECTORS, private
from vitale_protocol.errors import DaemonUntrusted, LocalMisuse, NotAuthenticated, ParseError
from vitale_protocol.methods import Identity, KeyProof, SessionChallenge, SessionChallenged, StationMode
from vitale_protocol.session import jsonrpc
from vitale_protocol.session.framing import NetworkFraming
from vitale_protocol.signing import public_jwk
from vitale_protocol.web import admission
from vitale_protocol.web.channels import FRAME_BYTES, OPENED, Preamble, close_code, closing, read_frame, rewrite
from vitale_protocol.web.channels import write_frame as written
from vitale_protocol.web.extensions import caller
from vitale_protocol.web.framing import ChannelFraming
from vitale_protocol.web.handshake import ClientHandshake, Offer, Opening, PinnedStation, RegisteredKey, admit, offer
from vitale_protocol.web.lookalikes import warnings_of
from vitale_protocol.web.own_names import distinct
from vitale_protocol.web.registration import register, unicode_form
from vitale_protocol.web.sealed_frames import Sealer, SessionKeys
from vitale_protocol.web.sites import SITE_CHARACTERS, parse_site
from vitale_reader.web.http_rules import PATH, Admission, RequestHead, judge
from vitale_reader.web.request_head import HEAD_BYTES, HeadReader
from vitale_reader.web.websocket import PageSocket

__all__ = ["TARGETS"]

HOST, SITE = b"127.0.0.1:7817", VECTORS["site"].encode()
BODY_BYTES = 512
MODES: tuple[StationMode, ...] = ("production", "test", "simulated")

# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────

HANDSHAKE = (
    b"GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:7817\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Origin: " + SITE + b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: vitale-reader.1\r\n\r\n"
)
REQUEST_WORDS = (
    *(line + b"\r\n" for line in HANDSHAKE.split(b"\r\n")),
    *(
        b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n",
        b"Sec-Purpose: prefetch\r\n",
        b"Expect: 100-continue\r\n",
    ),
    *(b"Sec-Fetch-Mode: websocket\r\n", b"Sec-Fetch-Site: none\r\n", b"POST /", b"HTTP/1.0", b"HTTP/2.0", b"null"),
    *(b"\r\n\r\n", b"\n ", b"\r\n\t", b"0\r\n\r\n", b"5\r\n", b"http://", b"*"),
)


def request(data: bytes) -> None:
    """A request is the same however its bytes are cut, and one that is let in says what it has to, once."""
    if not data:
        return
    size, stream = 1 + (data[0] & 0x3F), data[1:]
    whole, parts = _head(stream), None
    reader = HeadReader()
    for piece in cut(stream, size):
        if (parts := reader.receive(piece)) is not None:
            break
    assert _same_head(whole) == _same_head(parts)
    if isinstance(whole, RequestHead):
        _let_in(whole, stream)
    _with_body(stream, size)


def _head(stream: bytes) -> object:
    return HeadReader().receive(stream) if stream else None


def _same_head(found: object) -> object:
    """What was found, but for whether more had come by then."""
    return msgspec.structs.replace(found, more=False) if isinstance(found, RequestHead) else found


def _let_in(head: RequestHead, stream: bytes) -> None:
    assert len(head.method) <= HEAD_BYTES
    verdict = judge(head, {HOST})
    if not isinstance(verdict, Admission):
        assert verdict in {"refused", "malformed"}
        return
    assert head.target == PATH
    assert verdict.host.encode() == HOST
    assert verdict.site.encode() in stream
    assert stream.lower().count(b"\norigin:") == 1
    socket = PageSocket()
    # A list with a member that is no word is refused there.
    is_accepted = socket.accept(head)
    assert b"".join(socket.to_send()).startswith(b"HTTP/1.1 101 ") == is_accepted


def _with_body(stream: bytes, size: int) -> None:
    reader = HeadReader(BODY_BYTES)
    for piece in cut(stream, size):
        found = reader.receive(piece)
        if isinstance(found, RequestHead):
            assert len(found.body) <= BODY_BYTES
        if found is not None:
            return


def _requests() -> Iterable[bytes]:
    yield b"\x07" + HANDSHAKE
    yield b"\x3f" + HANDSHAKE + b"\x81\x00"
    yield (
        b"\x00GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:7817\r\nAuthorization: Bearer "
        + NEEDLE_NIR.encode()
        + b"\r\n\r\n"
    )
    yield b"\x05POST /enter HTTP/1.1\r\nHost: 127.0.0.1:7817\r\nContent-Length: 5\r\n\r\nab=cd"
    yield b"\x05POST /enter HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab=cd\r\n0\r\n\r\n"
    yield b"\x01GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"


# ── WebSockets ───────────────────────────────────────────────────────────────────────────────────────────────────


def socket(data: bytes) -> None:
    """Frames give the same messages, and the same end, however the bytes are cut."""
    if not data:
        return
    size, stream = 1 + (data[0] & 0x3F), data[1:]
    assert _heard(stream, len(stream) or 1) == _heard(stream, size)


def _heard(stream: bytes, size: int) -> tuple[list[bytes], bool]:
    page = PageSocket()
    messages: list[bytes] = []
    for piece in cut(stream, size):
        for message in page.receive(piece):
            assert len(message) <= FRAME_BYTES
            messages.append(message)
        # Which of two reasons to end is told, depends on what came at once.
        b"".join(page.to_send())
    return messages, page.is_open


def _frames() -> Iterable[bytes]:
    def frame(opcode: Opcode, content: bytes, *, fin: bool = True) -> bytes:
        return Frame(opcode, content, fin).serialize(mask=True)

    yield (
        b"\x03" + frame(Opcode.TEXT, b'{"jsonrpc":"2.0"}') + frame(Opcode.PING, b"p") + frame(Opcode.CLOSE, b"\x03\xe8")
    )
    yield b"\x00" + frame(Opcode.TEXT, "é".encode()[:1], fin=False) + frame(Opcode.CONT, "é".encode()[1:])
    yield b"\x20" + frame(Opcode.BINARY, b"b") + frame(Opcode.TEXT, NEEDLE_NAME.encode())
    yield b"\x09" + frame(Opcode.TEXT, b"x" * 200) + frame(Opcode.CLOSE, b"")
    yield b"\x01" + frame(Opcode.CONT, b"") * 3


# ── channels ─────────────────────────────────────────────────────────────────────────────────────────────────────

PREAMBLE = Preamble(via="websocket", site=VECTORS["site"], peer_uid=1000, host="127.0.0.1:7817", opened=1.5)
KEYS = SessionKeys(**{name: bytes.fromhex(key) for name, key in VECTORS["keys"].items()})
SAID = tuple(f'{{"n":{number},"name":"{NEEDLE_NAME}"}}'.encode() for number in range(4))


def _sealed() -> tuple[bytes, ...]:
    sealer = Sealer(KEYS.c2s, PREAMBLE.via)
    return tuple(map(sealer.seal, SAID))


SEALED = _sealed()


def channel(data: bytes) -> None:
    """A value has one text at the core; a channel is the same however it is cut, and sealed it says what was sealed."""
    if not data:
        return
    with only(ParseError, read=data):
        frame = rewrite(data[1:])
        assert written(read_frame(frame)) == frame == rewrite(frame)
        assert jsonrpc.decode(data[1:], 32) == read_frame(frame)
    assert 0 <= close_code(data[1:]) <= 4999
    is_sealed, size = bool(data[0] & 0x80), 1 + (data[0] & 0x3F)
    stream = NetworkFraming(FRAME_BYTES).encode(written(PREAMBLE)) if data[0] & 0x40 or is_sealed else b""
    whole = _messages(stream, data[1:], len(data), is_sealed)
    assert whole == _messages(stream, data[1:], size, is_sealed)
    if is_sealed:
        assert tuple(whole[0]) == SAID[: len(whole[0])]


def _messages(first: bytes, stream: bytes, size: int, is_sealed: bool) -> tuple[list[bytes], str, bool]:
    core = ChannelFraming("test")
    messages = [*core.receive(first)] if first else []
    if is_sealed:
        core.seal(KEYS)
    for piece in cut(stream, size):
        messages += core.receive(piece)
        assert core.held <= len(stream)
    assert NEEDLE_NAME not in core.broken
    # Nothing is read behind what broke it.
    return messages, core.broken, core.exceeded and not core.broken


def _channels() -> Iterable[bytes]:
    framing = NetworkFraming(FRAME_BYTES)
    yield b"\x83" + b"".join(map(framing.encode, SEALED))
    yield b"\xbf" + framing.encode(SEALED[0]) + framing.encode(SEALED[2])
    yield b"\x44" + framing.encode(b'{"jsonrpc":"2.0","id":1,"method":"session.ping","params":{}}')
    yield b"\x02" + framing.encode(written(PREAMBLE)) + framing.encode(b"[1,2.5,null]")
    yield b"\x00" + written(PREAMBLE)
    yield from (
        b"\x00" + text for text in (SEALED[0], closing(1008), OPENED, b' {"a":1,"a":2}', b'"\\u0000"', b"1e400")
    )


# ── handshakes ───────────────────────────────────────────────────────────────────────────────────────────────────

_PAGE, _STATION, _PAGE_POINT, _STATION_POINT = (private(number) for number in VECTORS["private"].values())
_CLIENT = ClientHandshake(
    key=_PAGE,
    station=public_jwk(_STATION),
    site=VECTORS["site"],
    via="websocket",
    nonce=b"n" * 32,
    ephemeral=_PAGE_POINT,
)
_REGISTERED = RegisteredKey(jwk=public_jwk(_PAGE), site=VECTORS["site"])
_OPENING = Opening(protocol=(1,), client=Identity(name="facturation", version="1.0"), language="fr")


class Said(msgspec.Struct, frozen=True):
    """One input: what a page asks and shows, and what a station tells."""

    asked: SessionChallenge
    shown: KeyProof
    told: SessionChallenged


def handshake(data: bytes) -> None:
    """A page is let in with the proof that its key made, and a station believed with that of its own; else neither."""
    try:
        said = msgspec.json.decode(data, type=Said)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    with only(NotAuthenticated, read=data):
        made = _offered(said.asked)
        admit(made, said.shown, _OPENING, _REGISTERED, PREAMBLE)
        assert _claims(said.shown.proof) == _claims(_GOOD.shown.proof)
    with only(DaemonUntrusted, read=data):
        _CLIENT.answer(said.told, _OPENING, jti="1")
        assert _claims(said.told.proof) == _claims(_GOOD.told.proof)


def _offered(asked: SessionChallenge) -> Offer:
    station = PinnedStation(issuer=VECTORS["issuer"], key=_STATION)
    return offer(asked, PREAMBLE, station, challenge=b"c" * 32, ephemeral=_STATION_POINT, now=VECTORS["now"])


def _claims(proof: str) -> str:
    """What was signed: whoever has a signature of ECDSA has another one of the same claims."""
    return proof.rpartition(".")[0]


def _good() -> Said:
    asked = _CLIENT.ask()
    made = _offered(asked)
    shown, _ = _CLIENT.answer(made.answer, _OPENING, jti="1")
    return Said(asked, shown, made.answer)


_GOOD = _good()


def _handshakes() -> Iterable[bytes]:
    yield msgspec.json.encode(_GOOD)
    replace = msgspec.structs.replace
    for one, other in pairwise((_GOOD.shown.proof, _GOOD.told.proof, VECTORS["client_proof"], _GOOD.shown.proof)):
        yield msgspec.json.encode(
            Said(_GOOD.asked, replace(_GOOD.shown, proof=one), replace(_GOOD.told, proof=other, epk="AAAA"))
        )


# ── sites ────────────────────────────────────────────────────────────────────────────────────────────────────────

PAIRED = tuple(parse_site(text, "test") for text in ("https://pharmacie.example", "https://xn--caf-dma.example"))


def site(data: bytes) -> None:
    """A site has one text, which is its own; what a person types becomes that, once; questions are answered or not."""
    text = data.decode("utf-8", "replace")
    for mode in MODES:
        with only(ParseError):
            found = parse_site(text, mode)
            assert str(found) == text
            assert len(text) <= SITE_CHARACTERS
            assert parse_site(text, "test") == found
            warnings_of(found, PAIRED, PAIRED[:1])
            assert unicode_form(found.host)
        with only(ParseError):
            meant = register(text, mode)
            assert register(str(meant.site), mode).changes == ()
            assert parse_site(str(meant.site), mode) == meant.site
    with only(LocalMisuse):
        assert caller(text.split("\n")) in text
    assert distinct(text, "c-1").startswith(text)
    with only(ParseError, read=data):
        question = admission.read_question(data)
        assert admission.read_question(admission.write(question)) == question
        assert question.secret not in repr(question) or not question.secret


def _sites() -> Iterable[bytes]:
    yield SITE
    yield from (text.encode() for text in ("https://Café.example/", "http://localhost:3000", "https://a.example:443/"))
    yield from (b"https://xn--a.example", b"http://[::1]:8080", b"https://1.2.3.4", "vitаle-reader".encode())
    yield b"chrome-extension://idpomiiglclpkmfgnhpahogblkkpgcpi/"
    yield b"/usr/lib/mozilla/native-messaging-hosts/vitale_reader.json\ndesk@vitale-reader"
    yield json.dumps({"number": 1, "site": "https://a.example", "secret": NEEDLE_NIR}).encode()


TARGETS = (
    Target(name="page-request", run=request, seeds=_requests, words=REQUEST_WORDS),
    Target(name="page-socket", run=socket, seeds=_frames, words=(b"\x81\x80", b"\x80\x80", b"\x88\x82", b"\x89\x80")),
    Target(
        name="page-channel",
        run=channel,
        seeds=_channels,
        words=(*SEALED, b'{"n":', b'"c":', b'{"close":', b'"via"', b'"site"', b'"peer_uid"', b"\x00\x00\x00\x02"),
    ),
    Target(name="page-handshake", run=handshake, seeds=_handshakes, words=(b'"kid"', b'"proof"', b'"epk"', b"e30.")),
    Target(
        name="page-site",
        run=site,
        seeds=_sites,
        words=(b"https://", b"xn--", "а".encode(), "．".encode(), b".localhost", b":443", b'"number"', b'"secret"'),
    ),
)
