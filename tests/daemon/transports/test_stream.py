"""One connection of a byte stream, and the doors before TLS: what comes too early, too late or too often."""

# Handshakes go on by themselves: nobody else can wait for them.
# pyright: reportPrivateUsage=false

import asyncio
import itertools
import ssl
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from vitale_protocol.errors import Cancelled
from vitale_protocol.session.session import Called, SessionLimits, State
from vitale_reader.daemon.clients.callers import Peer
from vitale_reader.daemon.fairness.connection_turns import TURN, Turns
from vitale_reader.daemon.fairness.processor_shares import Shares
from vitale_reader.daemon.transports.stream import (
    LINES,
    MOST_EARLY,
    MOST_REJECTED,
    SHARES_UNREAD,
    Room,
    StreamConnection,
    StreamLimits,
    room,
)
from vitale_reader.daemon.transports.tls import Doors

PATIENCE = 60.0
PING = b'{"jsonrpc":"2.0","id":2,"method":"session.ping","params":{}}\n'
LIMITS = StreamLimits(session=SessionLimits(), connections=2)
OPEN = b'{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"protocol":[1],"client":{"name":"x"}}}\n'


class Transport(asyncio.Transport):
    """Remembers what was done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = self.closed = False
        self.ended = asyncio.Event()
        self.written = b""
        self.unread = 0

    def abort(self) -> None:
        self.aborted = self.closed = True

    def close(self) -> None:
        self.closed = True
        self.ended.set()

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.unread


class Service:
    """A service of which only connections and calls are told."""

    def __init__(self) -> None:
        self.there = 0
        self.calls: list[str] = []

    def connected(self, connection: StreamConnection) -> object:
        self.there += 1
        return SimpleNamespace(connection=connection, caller=None, owner="process 1 of user 1")

    def disconnected(self, _conversation: object) -> None:
        self.there -= 1

    def called(self, _conversation: object, event: Called) -> None:
        self.calls.append(event.method.name)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def turns() -> Turns:
    """Turns that last until all is read, however slow the machine is."""
    return Turns(Shares(used=lambda: 0.0))


def two_places() -> Room:
    return room(LIMITS, turns(), each=2)


def connection(service: Service, place: Room, *, vouched: bool = True) -> StreamConnection:
    peer = Peer(transport="tls") if vouched else None
    return StreamConnection(cast("Any", service), LIMITS, place, lambda _: peer)


def test_bytes_that_come_before_the_connection_is_made_are_read_then() -> None:
    async def work() -> None:
        service, transport = Service(), Transport()
        made = connection(service, two_places())
        made.data_received(OPEN[:40])
        made.data_received(OPEN[40:])
        assert service.calls == []
        made.connection_made(transport)
        assert service.calls == ["session.open"]
        made.connection_lost(None)

    run(work)


def test_of_early_bytes_no_more_is_kept_than_an_opening_takes() -> None:
    async def work() -> None:
        service, transport = Service(), Transport()
        made = connection(service, two_places())
        for _ in range(100):
            made.data_received(b" " * 1_000)
        made.data_received(OPEN)
        made.connection_made(transport)
        assert service.calls == [], "what came after the bound is lost"
        assert MOST_EARLY == 65_536
        made.connection_lost(None)

    run(work)


def test_a_connection_that_is_lost_before_it_is_made_is_none() -> None:
    async def work() -> None:
        service, place, transport = Service(), two_places(), Transport()
        made = connection(service, place)
        made.connection_lost(None)
        made.connection_made(transport)
        assert transport.aborted
        assert (service.there, place.places.count) == (0, 0)

    run(work)


def test_one_too_many_is_refused_and_leaves_the_room_as_it_was() -> None:
    async def work() -> None:
        service, place = Service(), two_places()
        transports = [Transport() for _ in range(3)]
        made = [connection(service, place) for _ in transports]
        for one, transport in zip(made, transports, strict=True):
            one.connection_made(transport)
        assert [transport.aborted for transport in transports] == [False, False, True]
        for one in made:
            one.connection_lost(None)
        assert (service.there, place.places.count) == (0, 0)

    run(work)


def test_of_those_that_open_no_session_a_holder_has_fewer_and_leaves_the_room_as_it_was() -> None:
    async def work() -> None:
        service, place = Service(), room(replace(LIMITS, unopened=1), turns(), each=2)
        transports = [Transport(), Transport()]
        made = [connection(service, place) for _ in transports]
        for one, transport in zip(made, transports, strict=True):
            one.connection_made(transport)
        assert [False, True] == [transport.aborted for transport in transports]
        assert (1, 1) == (service.there, place.places.count)
        for one in made:
            one.connection_lost(None)
        assert (0, 0) == (place.places.count, place.unopened.count)

    run(work)


def test_who_opens_nothing_and_talks_nonsense_is_cut_off() -> None:
    async def work() -> None:
        transport = Transport()
        made = connection(Service(), two_places())
        made.connection_made(transport)
        for count in range(MOST_REJECTED + 1):
            assert not transport.closed, count
            made.data_received(b'{"jsonrpc":"2.0","method":"nope"}\n')
        assert transport.closed
        made.connection_lost(None)

    run(work)


def test_what_was_said_before_the_end_is_read_before_the_connection_ends() -> None:
    async def work() -> None:
        service, transport = Service(), Transport()
        ticking = itertools.count(0.0, TURN)  # a turn is over after each piece
        made = connection(service, room(LIMITS, Turns(Shares(used=lambda: next(ticking))), each=2))
        made.connection_made(transport)
        made.data_received(OPEN + PING * 2 * LINES)
        assert made.eof_received(), "it stays open, for there is more to read"
        async with asyncio.timeout(PATIENCE):
            await transport.ended.wait()
        assert ["session.open"] == service.calls
        assert 2 * LINES == transport.written.count(b'"id":2'), "all were answered"
        made.connection_lost(None)

    run(work)


def test_of_a_batch_one_call_is_taken_in_a_turn_and_all_are_answered_together() -> None:
    class Answering(Service):
        def called(self, conversation: Any, event: Called) -> None:
            super().called(conversation, event)
            conversation.connection.session.fail(event.id, Cancelled())

    async def work() -> None:
        service, transport = Answering(), Transport()
        ticking = itertools.count(0.0, TURN)  # a turn is over after each call
        made = connection(service, room(LIMITS, Turns(Shares(used=lambda: next(ticking))), each=2))
        made.connection_made(transport)
        made.session.state = State.OPEN
        pings = [PING.strip().replace(b":2,", b":%d," % number) for number in range(10)]
        made.data_received(b"[" + b",".join(pings) + b"]\n")
        taken: list[int] = []
        async with asyncio.timeout(PATIENCE):
            while not transport.written:
                taken.append(len(service.calls))
                await asyncio.sleep(0)
        assert taken == sorted(taken)
        assert {1, 2, 3, 4, 5, 6, 7, 8, 9, 10} <= set(taken), "none at the same time as the one before"
        assert (1, 10) == (transport.written.count(b"\n"), transport.written.count(b"cancelled"))
        made.connection_lost(None)

    run(work)


def test_a_peer_that_nothing_vouches_for_is_refused_without_a_word() -> None:
    async def work() -> None:
        service, place, transport = Service(), two_places(), Transport()
        made = connection(service, place, vouched=False)
        made.connection_made(transport)
        assert (transport.aborted, transport.written, service.there) == (True, b"", 0)
        made.data_received(OPEN)
        assert service.calls == []
        made.connection_lost(None)
        assert place.places.count == 0

    run(work)


def test_what_is_no_stream_is_a_fault_of_the_program() -> None:
    with pytest.raises(TypeError):
        connection(Service(), two_places()).connection_made(asyncio.BaseTransport())


def test_a_client_that_does_not_read_is_cut_off() -> None:
    async def work() -> None:
        service, transport = Service(), Transport()
        made = connection(service, two_places())
        made.connection_made(transport)
        transport.unread = LIMITS.send_buffer_bytes
        made.data_received(b"{\n")
        assert (transport.aborted, made.has_read_all) == (False, False)
        transport.unread += 1
        made.data_received(b"{\n")
        assert (transport.aborted, made.has_read_all) == (True, False)
        made.connection_lost(None)

    run(work)


def test_who_reads_nothing_on_many_connections_is_cut_off_before_each_has_its_fill() -> None:
    async def work() -> None:
        service = Service()
        several = SHARES_UNREAD + 1
        place = room(replace(LIMITS, connections=several), turns(), each=several)
        transports = [Transport() for _ in range(several)]
        made = [connection(service, place) for _ in transports]
        for one, transport in zip(made, transports, strict=True):
            one.connection_made(transport)
            transport.unread = LIMITS.send_buffer_bytes
            one.data_received(b"{\n")
        assert [False] * SHARES_UNREAD + [True] == [transport.aborted for transport in transports]
        made[-1].connection_lost(None)
        transports[-1].unread = 0
        made[0].data_received(b"{\n")
        assert not transports[0].aborted
        for one in made[:-1]:
            one.connection_lost(None)

    run(work)


def test_a_message_that_is_too_long_ends_the_connection() -> None:
    async def work() -> None:
        service, transport = Service(), Transport()
        made = connection(service, two_places())
        made.connection_made(transport)
        made.data_received(b"x" * (LIMITS.session.message_bytes + 2))
        assert transport.closed
        assert b"limit_exceeded" in transport.written
        assert service.there == 0
        made.connection_lost(None)

    run(work)


def test_no_more_handshakes_at_a_time_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        loop, shaken = asyncio.get_running_loop(), asyncio.Event()

        async def start_tls(*_: object, **__: object) -> None:
            await shaken.wait()
            raise ssl.SSLError("no certificate")

        monkeypatch.setattr(loop, "start_tls", start_tls, raising=False)
        doors = Doors(cast("Any", Service()), LIMITS, ssl.create_default_context(), two_places())
        transports = [Transport() for _ in range(4)]
        for transport in transports:
            doors.knock(transport)
        assert [transport.aborted for transport in transports] == [False, False, True, True]
        shaken.set()
        await doors._tasks.finish()
        assert all(transport.aborted for transport in transports)
        later = Transport()
        doors.knock(later)
        assert not later.aborted, "there is room again"
        await doors._tasks.finish()

    run(work)


def test_a_daemon_that_stops_ends_the_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async def start_tls(*_: object, **__: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(asyncio.get_running_loop(), "start_tls", start_tls, raising=False)
        doors = Doors(cast("Any", Service()), LIMITS, ssl.create_default_context(), two_places())
        transport = Transport()
        doors.knock(transport)
        await asyncio.sleep(0)
        doors._tasks.cancel()
        await doors._tasks.finish()
        assert transport.aborted

    run(work)
