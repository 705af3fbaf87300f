"""Connections of pages at a server whose core is the test: limits, parting words, and frames both ways."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from websockets.frames import Close, Frame, Opcode

from tests.posix import unix_streams
from tests.web.test_http_rules import CHROMIUM
from vitale_drivers.host.handover import channel_pair, hand_over, line_pair, take_over
from vitale_protocol.web.admission import DATAGRAM_BYTES, Admitted, read_question, write
from vitale_protocol.web.channels import Preamble, close_frame
from vitale_reader.web import core_line, page_connection, serving
from vitale_reader.web.core_line import CoreLine
from vitale_reader.web.http_rules import MALFORMED, REFUSED
from vitale_reader.web.inherited import hosts_of
from vitale_reader.web.page_connection import PageConnection, PageLimits
from vitale_reader.web.serving import PageServer

pytestmark = pytest.mark.posix

PATIENCE = 40.0
#: Long enough for never, in a test.
PATIENT = PageLimits(head=600.0, message=600.0, ping=600.0, silence=600.0, farewell=600.0)
REQUEST = b"GET /v1 HTTP/1.1\r\n" + b"".join(name + b": " + value + b"\r\n" for name, value in CHROMIUM) + b"\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def soon(awaitable: Awaitable[Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await awaitable


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


class Core:
    """The other end of the line."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.yes = True
        self.answers = True
        self.asked: list[str] = []
        self.channels: asyncio.Queue[Streams] = asyncio.Queue()
        self.opening: list[asyncio.Task[None]] = []
        asyncio.get_running_loop().add_reader(end, self._read)

    def _read(self) -> None:
        question = read_question(take_over(self.end, DATAGRAM_BYTES)[0])
        self.asked.append(question.site)
        if not self.answers:
            return
        if not self.yes:
            hand_over(self.end, write(Admitted(number=question.number, yes=False)))
            return
        ours, theirs = channel_pair()
        with theirs:
            hand_over(self.end, write(Admitted(number=question.number, yes=True)), theirs)
        self.opening.append(asyncio.get_running_loop().create_task(self._open(ours)))

    async def _open(self, ours: socket.socket) -> None:
        self.channels.put_nowait(await unix_streams(ours))


class Bench:
    """A server, its core, and clients."""

    def __init__(self, port: int, core: Core, server: PageServer) -> None:
        self.port, self.core, self.server = port, core, server

    @asynccontextmanager
    async def connected(self, said: bytes = b"") -> AsyncGenerator[Streams]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=4_000_000)
        writer.write(said.replace(b":7817", b":%d" % self.port))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[tuple[Streams, Streams]]:
        """A page that was let in, and its channel at the core, behind the preamble."""
        async with self.connected(REQUEST) as page:
            await soon(page[0].readuntil(b"\r\n\r\n"))
            channel = await soon(self.core.channels.get())
            preamble = msgspec.json.decode(await taken(channel[0]), type=Preamble)
            assert ("websocket", f"127.0.0.1:{self.port}") == (preamble.via, preamble.host)
            try:
                yield page, channel
            finally:
                channel[1].transport.abort()

    async def answer(self, said: bytes) -> bytes:
        async with self.connected(said) as (reader, _):
            return bytes(await soon(all_of(reader)))


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """What comes until the end, however that comes."""
    told = b""
    try:
        while data := await reader.read(65_536):
            told += data
    except ConnectionError:
        pass
    return told


async def taken(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await soon(reader.readexactly(4)), "big")
    return bytes(await soon(reader.readexactly(length)))


async def heard(reader: asyncio.StreamReader) -> tuple[Opcode, bytes]:
    """One short frame of the gateway."""
    first, length = await soon(reader.readexactly(2))
    assert length < 126
    return Opcode(first & 15), await soon(reader.readexactly(length))


async def closed_with(reader: asyncio.StreamReader) -> int:
    opcode, data = await heard(reader)
    assert opcode is Opcode.CLOSE
    return Close.parse(data).code


def at_the_server(work: Callable[[Bench], Awaitable[None]], limits: PageLimits = PATIENT) -> None:
    async def main() -> None:
        ours, theirs = line_pair()
        with ours:
            core = Core(ours)
            line = CoreLine(theirs)
            listener = socket.create_server(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            server = PageServer(line, hosts_of(port), limits)
            listening = await asyncio.get_running_loop().create_server(lambda: PageConnection(server), sock=listener)
            try:
                await work(Bench(port, core, server))
            finally:
                listening.close()
                await server.close(PATIENCE)
                line.close()
                asyncio.get_running_loop().remove_reader(ours)
                while not core.channels.empty():
                    core.channels.get_nowait()[1].transport.abort()

    asyncio.run(main())


# ── in ──


def test_frames_go_both_ways_as_one_text_of_their_value() -> None:
    async def work(bench: Bench) -> None:
        async with bench.opened() as (page, channel):
            page[1].write(frame(Opcode.TEXT, b'{ "a" : [ 1, "\\u00e9" ] }'))
            assert '{"a":[1,"é"]}'.encode() == await taken(channel[0])
            channel[1].write(b"\x00\x00\x00\x07" + b'{"b":2}')
            assert (Opcode.TEXT, b'{"b":2}') == await heard(page[0])

    at_the_server(work)


def test_a_message_with_a_line_feed_is_one_frame() -> None:
    async def work(bench: Bench) -> None:
        async with bench.opened() as (page, channel):
            page[1].write(frame(Opcode.TEXT, b'[{"a":1}\n,\n{"b":2}]'))
            assert b'[{"a":1},{"b":2}]' == await taken(channel[0])

    at_the_server(work)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"", 4002),
        (b"{", 4002),
        (b"{}{}", 4002),
        (b'{"a":1,"a":2}', 4002),
        (b"\xef\xbb\xbf{}", 4002),
        (b"[" * 40 + b"]" * 40, 4002),
        (b'{"a":"\xff"}', 1007),
    ],
)
def test_what_is_not_one_value_ends_the_page_and_reaches_nobody(said: bytes, code: int) -> None:
    async def work(bench: Bench) -> None:
        async with bench.opened() as (page, channel):
            page[1].write(frame(Opcode.TEXT, said) + frame(Opcode.TEXT, b"{}"))
            assert code == await closed_with(page[0])
            assert b"" == await soon(all_of(channel[0]))

    at_the_server(work)


@pytest.mark.parametrize("code", [1008, 4001, 4002])
def test_the_core_says_why_it_ends(code: int) -> None:
    async def work(bench: Bench) -> None:
        async with bench.opened() as (page, channel):
            channel[1].write(close_frame(code))
            assert code == await closed_with(page[0])
            assert b"" == await soon(all_of(channel[0]))

    at_the_server(work)


def test_a_channel_that_is_cut_has_the_page_come_later() -> None:
    async def work(bench: Bench) -> None:
        async with bench.opened() as (page, channel):
            channel[1].transport.abort()
            assert 1013 == await closed_with(page[0])

    at_the_server(work)


def test_a_page_that_leaves_ends_its_channel() -> None:
    async def work(bench: Bench) -> None:
        for is_rude in (True, False):
            async with bench.opened() as (page, channel):
                if is_rude:
                    page[1].transport.abort()
                else:
                    page[1].write_eof()
                assert b"" == await soon(all_of(channel[0]))

    at_the_server(work)


def test_what_a_page_does_not_read_is_left_with_the_core() -> None:
    async def work(bench: Bench) -> None:
        async with bench.opened() as (page, channel):
            page[0]._transport.pause_reading()  # type: ignore[attr-defined]
            long = json.dumps("x" * 500_000).encode()
            sent = 0
            # The kernel and the gateway take some of it, and then no more.
            while channel[1].transport.get_write_buffer_size() == 0:
                channel[1].write(len(long).to_bytes(4, "big") + long)
                sent += 1
                assert sent < 200
                await asyncio.sleep(0)
            page[0]._transport.resume_reading()  # type: ignore[attr-defined]
            for _ in range(sent):
                head = await soon(page[0].readexactly(10))
                assert len(long) == int.from_bytes(head[2:], "big")
                assert long == await soon(page[0].readexactly(len(long)))

    at_the_server(work)


def test_what_the_core_does_not_read_is_left_with_the_page() -> None:
    async def work(bench: Bench) -> None:
        async with bench.opened() as (page, channel):
            channel[0]._transport.pause_reading()  # type: ignore[attr-defined]
            long = json.dumps("x" * 500_000).encode()
            sent = 0
            while page[1].transport.get_write_buffer_size() == 0:
                page[1].write(frame(Opcode.TEXT, long))
                sent += 1
                assert sent < 200
                await asyncio.sleep(0)
            channel[0]._transport.resume_reading()  # type: ignore[attr-defined]
            for _ in range(sent):
                assert long == await taken(channel[0])

    at_the_server(work)


# ── not in ──


def test_the_core_is_asked_about_nobody_but_those_whose_form_is_right() -> None:
    async def work(bench: Bench) -> None:
        bench.core.yes = False
        assert REFUSED == await bench.answer(REQUEST.replace(b"GET", b"POST"))
        assert MALFORMED == await bench.answer(b"nonsense\r\n\r\n")
        assert [] == bench.core.asked
        assert REFUSED == await bench.answer(REQUEST)
        assert ["https://facturation.example.fr"] == bench.core.asked

    at_the_server(work)


def test_a_core_that_does_not_answer_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_line, "PATIENCE", 0.05)

    async def work(bench: Bench) -> None:
        bench.core.answers = False
        assert REFUSED == await bench.answer(REQUEST)
        bench.core.answers = True
        monkeypatch.setattr(core_line, "PATIENCE", PATIENCE)
        async with bench.opened():
            pass

    at_the_server(work)


def test_who_speaks_before_the_answer_is_no_browser() -> None:
    async def work(bench: Bench) -> None:
        bench.core.answers = False
        async with bench.connected(REQUEST) as (reader, writer):
            async with asyncio.timeout(PATIENCE):
                while not bench.core.asked:  # noqa: ASYNC110  what is awaited has no event
                    await asyncio.sleep(0.01)
            writer.write(frame(Opcode.TEXT, b"{}"))
            assert b"" == await soon(all_of(reader))

    at_the_server(work)


def test_a_long_body_sees_the_refusal_all_the_same() -> None:
    async def work(bench: Bench) -> None:
        body = b"x" * 20_000
        head = REQUEST.replace(b"GET", b"POST")[:-2] + b"Content-Length: 20000\r\n\r\n"
        assert REFUSED == await bench.answer(head + body)
        assert (await bench.answer(head + b"x" * 1_000_000)) in {REFUSED, b""}

    at_the_server(work)


def test_there_are_so_many_places_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_CONNECTIONS", 3)

    async def work(bench: Bench) -> None:
        async with (
            bench.connected(b"G"),
            bench.connected(b"G"),
            bench.connected(b"G"),
            bench.connected() as (reader, _),
        ):
            assert b"" == await soon(all_of(reader))
        async with asyncio.timeout(PATIENCE):  # those who left are heard of a moment later
            while not await bench.answer(b"nonsense\r\n\r\n"):  # noqa: ASYNC110  what is awaited has no event
                await asyncio.sleep(0.01)

    at_the_server(work)


def test_a_stranger_is_gone_before_a_byte_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def anybody(_uid: int | None) -> bool:
        return True

    monkeypatch.setattr(page_connection, "is_other_user", anybody)

    async def work(bench: Bench) -> None:
        assert b"" == await bench.answer(REQUEST)
        assert [] == bench.core.asked

    at_the_server(work)


# ── time ──


@pytest.mark.parametrize("said", [b"", b"GET", REQUEST[:-2]])
def test_a_head_has_its_time(said: bytes) -> None:
    async def work(bench: Bench) -> None:
        assert b"" == await bench.answer(said)

    at_the_server(work, msgspec.structs.replace(PATIENT, head=0.05))


@pytest.mark.parametrize(
    "said",
    [
        frame(Opcode.TEXT, b"{", fin=False),
        frame(Opcode.TEXT, b"{}") + frame(Opcode.TEXT, b"{", fin=False),
        frame(Opcode.TEXT, b"{}")[:-1],
    ],
    ids=["part", "part after another message", "frame cut short"],
)
def test_a_message_has_its_time(said: bytes) -> None:
    async def work(bench: Bench) -> None:
        async with bench.opened() as (page, _):
            page[1].write(said)
            assert 4002 == await closed_with(page[0])

    at_the_server(work, msgspec.structs.replace(PATIENT, message=0.05))


def test_a_page_that_is_at_rest_lives_on() -> None:
    async def work(bench: Bench) -> None:
        async with bench.opened() as (page, channel):
            for _ in range(3):
                page[1].write(frame(Opcode.TEXT, b"{}"))
                await taken(channel[0])
                opcode, data = await heard(page[0])
                assert Opcode.PING is opcode
                page[1].write(frame(Opcode.PONG, data))

    at_the_server(work, msgspec.structs.replace(PATIENT, message=PATIENCE, ping=0.05))


def test_a_page_that_is_silent_is_not() -> None:
    async def work(bench: Bench) -> None:
        async with bench.opened() as (page, channel):
            assert 1013 == await closed_with(page[0])
            assert b"" == await soon(all_of(channel[0]))

    at_the_server(work, msgspec.structs.replace(PATIENT, silence=0.05))


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.CONT])
def test_frames_past_the_rate_wait_whatever_they_are(opcode: Opcode) -> None:
    """Pings that are answered; and parts of a message that has long had too many, of a page that does not go."""

    async def work(bench: Bench) -> None:
        first = frame(Opcode.TEXT, b"[", fin=False) if opcode is Opcode.CONT else b""
        async with bench.opened() as (page, _channel):
            began = asyncio.get_running_loop().time()
            page[1].write(first + frame(opcode, b"", fin=opcode is Opcode.PING) * 2_000 + frame(Opcode.CLOSE, b""))
            told = await soon(all_of(page[0]))
            assert (2_000 if opcode is Opcode.PING else 0) == told.count(bytes((0x80 | Opcode.PONG, 0)))
            # At least so long, however slow the machine is: of the last piece alone nothing has to wait.
            assert asyncio.get_running_loop().time() - began >= 0.25

    at_the_server(work, msgspec.structs.replace(PATIENT, frames=256, pace=1 / 4_000))


def test_parting_words_have_their_time_whatever_is_said_meanwhile() -> None:
    async def work(bench: Bench) -> None:
        async with bench.opened() as (page, channel):
            channel[1].write(close_frame(4001))
            assert 4001 == await closed_with(page[0])
            # It does not answer, and goes on as if nothing were.
            ended = asyncio.ensure_future(all_of(page[0]))
            async with asyncio.timeout(PATIENCE):
                while not ended.done():
                    page[1].write(frame(Opcode.PING, b""))
                    await asyncio.sleep(0.01)

    at_the_server(work, msgspec.structs.replace(PATIENT, farewell=0.1))


def test_a_gateway_that_ends_tells_its_pages() -> None:
    async def work(bench: Bench) -> None:
        async with bench.opened() as (page, _):
            closing = asyncio.ensure_future(bench.server.close(PATIENCE))
            assert 1013 == await closed_with(page[0])
            page[1].write(frame(Opcode.CLOSE, Close(1013, "").serialize()))
            page[1].close()
            await soon(closing)

    at_the_server(work)


# ── floods ──


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and whether it is read."""

    def __init__(self) -> None:
        super().__init__({"socket": None})
        self.written: list[bytes] = []
        self.is_read = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def write_eof(self) -> None:
        self.written.append(b"")

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def bring(self, said: bytes, connection: PageConnection) -> None:
        while said and self.is_read:
            room = connection.get_buffer(len(said))
            piece, said = said[: len(room)], said[len(room) :]
            room[: len(piece)] = piece
            connection.buffer_updated(len(piece))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (REQUEST.replace(b"/v1", b"/v2"), REFUSED),
        (REQUEST.replace(b"GET", b"POST") + b"x" * 200_000, REFUSED),
        (b"GET /v1 HTTP/1.1\r\n" + b"X: x\r\n" * 3_000, MALFORMED),
    ],
)
def test_a_refusal_comes_when_it_is_time_whatever_was_wrong(
    monkeypatch: pytest.MonkeyPatch, said: bytes, answer: bytes
) -> None:
    def nobody(_connection: object) -> int:
        return 0

    timers: list[tuple[float, Callable[[], None]]] = []

    def later(seconds: float, act: Callable[[], None]) -> asyncio.TimerHandle:
        timers.append((seconds, act))
        return asyncio.get_running_loop().call_later(600, act)

    async def work(bench: Bench) -> None:
        monkeypatch.setattr(page_connection, "_later", later)
        monkeypatch.setattr(page_connection, "is_other_user", bool)
        monkeypatch.setattr(page_connection, "peer_uid", nobody)
        connection, wire = PageConnection(bench.server), Wire()
        connection.connection_made(wire)
        wire.bring(said, connection)
        assert ([], False) == (wire.written, wire.is_read)
        seconds, act = timers[-1]
        assert 0 <= seconds <= PATIENT.refusal
        act()
        assert ([answer, b""], True) == (wire.written, wire.is_read)
        connection.connection_lost(None)

    at_the_server(work)


def test_the_core_is_asked_now_and_then_however_many_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "BETWEEN_QUESTIONS", 600.0)

    async def work(bench: Bench) -> None:
        bench.core.yes = False
        assert REFUSED == await bench.answer(REQUEST)
        others = [REQUEST.replace(b"https://", b"https://%d." % number) for number in range(2)]
        async with bench.connected(others[0]), bench.connected(others[1]):
            async with asyncio.timeout(PATIENCE):
                while not bench.server.is_taking_turns:  # noqa: ASYNC110  what is awaited has no event
                    await asyncio.sleep(0.01)
            assert 1 == len(bench.core.asked)

    at_the_server(work)


def test_a_site_that_comes_again_and_again_waits_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "BETWEEN_CHANNELS", 600.0)

    async def work(bench: Bench) -> None:
        async with bench.opened(), bench.connected(REQUEST):
            # Those who come behind it are asked for meanwhile.
            bench.core.yes = False
            for number in range(2):
                assert REFUSED == await bench.answer(REQUEST.replace(b"https://", b"https://%d." % number))
            assert 3 == len(bench.core.asked) == len({*bench.core.asked})

    at_the_server(work)
