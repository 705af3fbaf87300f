"""A lease in either shape of the SDK: its holder has a reader's card for its own commands."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from vitale_protocol.errors import DaemonUnreachable, LeaseConflict, LocalMisuse, ReaderBusy, ShuttingDown, VitaleError
from vitale_protocol.events import Event, LeaseEnded, LeaseWhy
from vitale_protocol.methods import (
    LONGEST_LEASE_MS,
    SHORTEST_LEASE_MS,
    CardTransmit,
    CardTransmitted,
    LeaseAcquire,
    LeaseAcquired,
    LeaseRelease,
    LeaseReleased,
    LeaseRenew,
    LeaseRenewed,
)
from vitale_reader.client.reconnecting import SERVICE_TIMEOUT, ReconnectingTransport, Settings
from vitale_reader.client.sync_wrappers import Twin, blocking
from vitale_reader.client.watching import Watch, Watchers

__all__ = ["BlockingLease", "Lease", "LeaseFacts", "LeaseState", "Leases"]

# Seconds after which a lease is asked for again where no change of the reader was heard of.
RETRY = 0.5

T = TypeVar("T")


@dataclass
class LeaseState:
    """The facts of a lease, as far as the daemon has told them."""

    id: str
    reader: str
    atr: bytes
    expires_at: float
    ended: LeaseWhy | None = None


class LeaseFacts:
    """The attributes of a lease, in both shapes of the SDK."""

    def __init__(self, state: LeaseState) -> None:
        self.state = state

    @property
    def id(self) -> str:
        """The name of the lease."""
        return self.state.id

    @property
    def reader(self) -> str:
        """Id of the reader that holds the card."""
        return self.state.reader

    @property
    def atr(self) -> bytes:
        """The answer to reset of the card."""
        return self.state.atr

    @property
    def expires_at(self) -> float:
        """The end unless it is renewed, in seconds since the epoch, by the daemon's clock."""
        return self.state.expires_at

    @property
    def ended(self) -> LeaseWhy | None:
        """The reason why it ended, once the daemon has told; None while it is believed to be held."""
        return self.state.ended


class Lease(LeaseFacts):
    """A card that is held."""

    def __init__(self, transport: ReconnectingTransport, state: LeaseState) -> None:
        super().__init__(state)
        self._transport = transport

    async def transmit(self, *apdus: bytes) -> tuple[bytes, ...]:
        """Exchanges command APDUs one after the other; returns the responses with their status words.

        ``61xx`` and ``6Cxx`` are for the caller to handle.

        Raises:
            CardError: the card answered one of them with an error, at which the series stopped. ``data["sw"]`` is the
                status word, ``data["index"]`` the number of the command.
            LeaseExpired: the lease has ended; ``data["why"]`` says how.
            DaemonUnreachable: the connection was lost, and the lease with it.
        """
        request = CardTransmit(lease=self.id, apdus=tuple(apdu.hex() for apdu in apdus))
        done = await self._transport.ask_service("card.transmit", request, CardTransmitted)
        return tuple(bytes.fromhex(response) for response in done.responses)

    async def renew(self, ttl: float) -> float:
        """It lasts ``ttl`` seconds from now on; returns when it ends, as ``expires_at``.

        Raises:
            LeaseExpired: the lease has ended.
        """
        request = LeaseRenew(lease=self.id, ttl_ms=_milliseconds(ttl))
        renewed = await self._transport.ask_once("lease.renew", request, LeaseRenewed)
        self.state.expires_at = renewed.expires_at
        return renewed.expires_at

    async def release(self) -> None:
        """Gives the card back; harmless to repeat, and where there is nothing to give back any more."""
        if not self._transport.closed and not self._transport.lost:
            with contextlib.suppress(DaemonUnreachable, LocalMisuse, ShuttingDown, VitaleError):
                await self._transport.ask_once("lease.release", LeaseRelease(lease=self.id), LeaseReleased)
        self.end("released")

    def end(self, why: LeaseWhy) -> None:
        """Notes why it ended; the first reason counts."""
        self.state.ended = self.state.ended or why


class BlockingLease(LeaseFacts, Twin[Lease]):
    """A card that is held, for a blocking program."""

    def __init__(self, inner: Lease, run: Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]) -> None:
        super().__init__(inner.state)
        self._inner = inner
        self._run = run

    transmit = blocking(Lease.transmit)
    renew = blocking(Lease.renew)

    def _awaited(self, work: Callable[[Lease], Coroutine[Any, Any, T]]) -> T:
        result: T = self._run(lambda: work(self._inner))
        return result


class Leases:
    """The leases of a connection."""

    def __init__(self, transport: ReconnectingTransport, watchers: Watchers, settings: Settings) -> None:
        self._transport = transport
        self._watchers = watchers
        self._settings = settings
        self._held: dict[str, Lease] = {}

    def hear(self, event: Event | None) -> None:
        """The end of a lease, or None for the loss of the session, which ends them all."""
        if event is None:
            for lease in self._held.values():
                lease.end("client")
        elif isinstance(event, LeaseEnded) and (ended := self._held.get(event.lease)):
            ended.end(event.why)

    @contextlib.asynccontextmanager
    async def held(self, reader: str, ttl: float, previous: str | None, wait: float) -> AsyncGenerator[Lease, None]:
        """A lease for as long as the context lasts, asked for again during ``wait`` seconds while others have it."""
        with self._settings.spoken():
            async with contextlib.AsyncExitStack() as stack:
                watch = await stack.enter_async_context(self._watchers.join()) if wait > 0 else None
                lease = await self._obtain(watch, reader, ttl, previous, time.monotonic() + wait)
        try:
            yield lease
        finally:
            self._held.pop(lease.id, None)
            await lease.release()

    async def _obtain(
        self, watch: Watch | None, reader: str, ttl: float, previous: str | None, deadline: float
    ) -> Lease:
        while True:
            if watch is not None:
                # Asked for before each try, so that a change between the try and the wait is heard of.
                await self._watchers.look(watch)
            try:
                return await self._acquire(reader, ttl, previous)
            except (LeaseConflict, ReaderBusy):
                left = deadline - time.monotonic()
                if watch is None or left <= 0:
                    raise
                with contextlib.suppress(TimeoutError):
                    # Whether another program lets go of a card is not always told.
                    await asyncio.wait_for(watch.next(), min(left, RETRY))

    async def _acquire(self, reader: str, ttl: float, previous: str | None) -> Lease:
        request = LeaseAcquire(reader=reader, previous=previous, ttl_ms=_milliseconds(ttl))

        def lease_of(acquired: LeaseAcquired) -> Lease:
            atr = bytes.fromhex(acquired.atr)
            return Lease(self._transport, LeaseState(acquired.lease, reader, atr, acquired.expires_at))

        async def let_go(acquired: LeaseAcquired) -> None:
            await lease_of(acquired).release()

        lease = lease_of(
            await self._transport.ask_held("lease.acquire", request, LeaseAcquired, SERVICE_TIMEOUT, let_go)
        )
        self._held[lease.id] = lease
        return lease


def _milliseconds(ttl: float) -> int:
    if not SHORTEST_LEASE_MS <= 1_000 * ttl <= LONGEST_LEASE_MS:
        raise LocalMisuse("a lease is for 0.1 to 60 seconds at a time")
    return round(1_000 * ttl)
