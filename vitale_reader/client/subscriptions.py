"""Subscriptions: to presentations, each token once also across losses of the connection, and to codes."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial

from vitale_protocol.claims import Claims
from vitale_protocol.errors import Cancelled, DaemonUnreachable, LocalMisuse, ShuttingDown, TokenInvalid
from vitale_protocol.events import CodeRead, Event, PresentationFailed, PresentationProgress, PresentationToken
from vitale_protocol.methods import (
    CodesSubscribe,
    CodesSubscribed,
    CodesUnsubscribe,
    Done,
    Params,
    PresentationsSubscribe,
    PresentationsSubscribed,
    PresentationsUnsubscribe,
)
from vitale_reader.client.pending_requests import PendingRequests
from vitale_reader.client.reconnecting import FIRST_DELAY, LONGEST_DELAY, ReconnectingTransport

__all__ = ["OnFailure", "Subscriptions"]

OnFailure = Callable[[PresentationFailed], None]
OnProgress = Callable[[PresentationProgress], None]
Heard = PresentationToken | PresentationFailed | PresentationProgress | CodeRead


class Subscriptions:
    """The subscriptions of a connection."""

    def __init__(self, transport: ReconnectingTransport, requests: PendingRequests) -> None:
        self._transport = transport
        self._requests = requests
        # What comes for a name may come before the answer that tells the name.
        self._heard: dict[str, asyncio.Queue[Heard | None]] = {}
        self._over: set[str] = set()

    def hear(self, event: Event | None) -> None:
        """An event for a subscription, or None for the loss of the session."""
        if event is None:
            for queue in self._heard.values():
                queue.put_nowait(None)
            self._over.clear()
            return
        if isinstance(event, Heard) and event.subscription is not None and event.subscription not in self._over:
            self._heard.setdefault(event.subscription, asyncio.Queue()).put_nowait(event)

    def close(self) -> None:
        """Ends every subscription of the connection."""
        self.hear(None)

    async def tokens(
        self, request: PresentationsSubscribe, on_progress: OnProgress | None, on_failure: OnFailure | None
    ) -> AsyncGenerator[tuple[str, Claims], None]:
        """The tokens of a subscription and what they say, until the connection is closed.

        After a loss it subscribes anew, with the same nonce: what was issued meanwhile is in the outbox.

        Raises:
            TokenInvalid: a token does not verify.
            DaemonUnreachable: the daemon went away and did not come back.
            VitaleError: the daemon refused the subscription.
        """
        async with contextlib.aclosing(self._outcomes(request)) as outcomes:
            async for outcome in outcomes:
                # The callbacks are called out here: nobody takes what they raise for the loss of the connection.
                match outcome:
                    case PresentationFailed() if on_failure is not None:
                        on_failure(outcome)
                    case PresentationProgress() if on_progress is not None:
                        on_progress(outcome)
                    case tuple():
                        yield outcome
                    case _:
                        pass  # nobody listens, or a code

    async def _outcomes(self, request: PresentationsSubscribe) -> AsyncGenerator[Heard | tuple[str, Claims], None]:
        """Events of a subscription, with each token verified."""
        async with contextlib.aclosing(self._renewed(partial(self._subscribe, request), self._unsubscribe)) as renewed:
            async for queue, again in renewed:
                # A loss meanwhile: it is subscribed anew.
                with contextlib.suppress(Cancelled, DaemonUnreachable, ShuttingDown):
                    if again:
                        for recovered in await self._requests.recover_all(request.nonce):
                            yield recovered
                    while (event := await queue.get()) is not None:
                        if not isinstance(event, PresentationToken):
                            yield event
                            continue
                        with contextlib.suppress(AlreadyGiven):
                            yield await self._verified(event.token, request.nonce)

    async def codes(self, request: CodesSubscribe) -> AsyncGenerator[CodeRead, None]:
        """The codes of a subscription, until the connection is closed; what is scanned during a loss is lost.

        Raises:
            DaemonUnreachable: the daemon went away and did not come back.
            VitaleError: the daemon refused the subscription.
        """
        ends = (partial(self._subscribe_codes, request), self._unsubscribe_codes)
        async with contextlib.aclosing(self._renewed(*ends)) as renewed:
            async for queue, _ in renewed:
                while (event := await queue.get()) is not None:
                    if isinstance(event, CodeRead):
                        yield event

    async def _renewed(
        self, subscribe: Callable[[], Awaitable[str]], unsubscribe: Callable[[str], Awaitable[None]]
    ) -> AsyncGenerator[tuple["asyncio.Queue[Heard | None]", bool], None]:
        """A subscription, and after each loss the next one: what is heard, and whether one was lost before."""
        lost, delay = False, FIRST_DELAY
        while not self._transport.closed:
            try:
                name = await subscribe()
            except Cancelled:
                return
            except (DaemonUnreachable, ShuttingDown):
                if not lost:
                    raise
                # Whether it comes back is for the opening of the connection to say, which has its own time limit.
                await asyncio.sleep(delay)
                delay = min(2 * delay, LONGEST_DELAY)
                await self._transport.open()
                continue
            queue = self._heard.setdefault(name, asyncio.Queue())
            if self._transport.lost:
                queue.put_nowait(None)
            try:
                yield queue, lost
            finally:
                await unsubscribe(name)
            lost, delay = True, FIRST_DELAY

    async def _verified(self, token: str, nonce: str) -> tuple[str, Claims]:
        try:
            return token, await self._requests.verify(token, nonce)
        except TokenInvalid as error:
            if error.data.get("check") == "replayed":
                raise AlreadyGiven from error
            raise

    async def _subscribe(self, request: PresentationsSubscribe) -> str:
        async def let_go(subscribed: PresentationsSubscribed) -> None:
            await self._unsubscribe(subscribed.subscription)

        within = self._transport.call_timeout
        subscribed = await self._transport.ask_held(
            "presentations.subscribe", request, PresentationsSubscribed, within, let_go
        )
        return subscribed.subscription

    async def _subscribe_codes(self, request: CodesSubscribe) -> str:
        async def let_go(subscribed: CodesSubscribed) -> None:
            await self._unsubscribe_codes(subscribed.subscription)

        within = self._transport.call_timeout
        return (
            await self._transport.ask_held("codes.subscribe", request, CodesSubscribed, within, let_go)
        ).subscription

    async def _unsubscribe(self, name: str) -> None:
        await self._end(name, "presentations.unsubscribe", PresentationsUnsubscribe(subscription=name))

    async def _unsubscribe_codes(self, name: str) -> None:
        await self._end(name, "codes.unsubscribe", CodesUnsubscribe(subscription=name))

    async def _end(self, name: str, method: str, params: Params) -> None:
        self._heard.pop(name, None)
        if self._transport.closed or self._transport.lost:
            return
        self._over.add(name)
        with contextlib.suppress(Cancelled, DaemonUnreachable, LocalMisuse, ShuttingDown):
            await self._transport.ask_once(method, params, Done)


class AlreadyGiven(Exception):
    """A token that was yielded already."""
