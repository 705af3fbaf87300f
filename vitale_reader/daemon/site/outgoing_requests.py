"""Requests of this desk's sessions for readers of other desks: asked, followed, answered, ended.

Each request is a task of its own. It ends once: with the answer of another desk, or early. It ends early when its
client ends it, its time is over, or nobody is left who could answer. Ending it early takes its row away. Where an
answer was in it already, the token is in the outbox and the answer is given.

A desk that took a request and died has presented something to nobody: ``reader_gone``, at once. A request whose readers
are all gone waits for them as a local one does (``hub.GRACE_NEW``, ``hub.GRACE_LOST``). One that never had a reader
also waits for drivers just started at the desks that are meant. It waits until they have told their readers.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Collection
from math import inf

import msgspec
from cryptography.exceptions import InvalidTag

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import (
    Cancelled,
    InternalError,
    NoReader,
    ParseError,
    PresentationTimeout,
    ReaderGone,
    ShuttingDown,
    StoreUnavailable,
    VitaleError,
)
from vitale_protocol.methods import PresentationResult
from vitale_protocol.privacy import concealed
from vitale_protocol.problems import Problem
from vitale_reader.daemon.arbitration import hub
from vitale_reader.daemon.fairness.processor_shares import Shares
from vitale_reader.daemon.issuing.delivery import DeliveryClient
from vitale_reader.daemon.observation.incidents import BackgroundTasks, incident
from vitale_reader.daemon.site.rows.messages import SeenRows, StepTold, Wanted
from vitale_reader.daemon.site.rows.requests import RequestRows

__all__ = ["Answer", "Asking"]

logger = logging.getLogger(__name__)

RequestId = int | str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of a desk: a result, or the problem."""

    __repr__ = concealed

    result: PresentationResult | None = None
    problem: Problem = Problem(InternalError.reason)

    @property
    def error(self) -> VitaleError:
        """The error that it tells."""
        return self.problem.error(InternalError)


class Open(msgspec.Struct, eq=False, kw_only=True):
    """A request that is asked.

    Attributes:
        id: its name at the site.
        written: whether its row is there.
        taken: whether a desk is at it.
        armed: whether its client was told that it is waited for.
        steps: the number of the last step of each desk.
        over: gets the answer, or the error with which it is to end early.
        ended: gets whether it ended early.
        audience: the stations that were told of it.
        without_reader: until when it waits for a reader, and what it is told then.
    """

    id: str
    client: DeliveryClient
    request: RequestId
    wanted: Wanted
    over: asyncio.Future[bytes | VitaleError]
    ended: asyncio.Future[bool]
    written: bool = False
    taken: bool = False
    armed: bool = False
    steps: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    audience: Collection[str] = ()
    without_reader: tuple[float, type[NoReader | ReaderGone]] = msgspec.field(default=(inf, NoReader))

    def end(self, outcome: "bytes | VitaleError") -> None:
        """Ends it, unless that was done before."""
        if not self.over.done():
            self.over.set_result(outcome)


class Asking:
    """The requests of this desk at others.

    Args:
        rows: the rows of the site.
        hoped_for: whether any reader there is may give what is wanted.
        starting: whether drivers of a desk that is meant start still.
        open_answer: opens what was sealed for this station.
        prove: makes sure that this desk's clients can verify what it hands over.
        note: writes a line in the audit trail: the client, and with what its request ended.
        audience: the stations that can answer what is wanted.
        own: told of a request that this desk itself can answer.
        shares: what is done for a client is charged there.
    """

    def __init__(
        self,
        rows: RequestRows,
        *,
        hoped_for: Callable[[Wanted], bool],
        starting: Callable[[Wanted], bool],
        open_answer: Callable[[bytes, str], bytes],
        prove: Callable[[PresentationResult], Awaitable[None]],
        note: Callable[[str, str], Awaitable[None]],
        audience: Callable[[Wanted], Collection[str]],
        own: Callable[[str, Wanted], None],
        shares: Shares,
    ) -> None:
        self._rows = rows
        self._hoped_for = hoped_for
        self._starting = starting
        self._open_answer = open_answer
        self._prove = prove
        self._note = note
        self._audience = audience
        self._own = own
        self._shares = shares
        self._open: dict[str, Open] = {}
        self._left: set[str] = set()
        self._tasks = BackgroundTasks()
        self._stopping = False

    # ── for sessions ──

    def load(self, *clients: DeliveryClient) -> int:
        """Number of requests of a session, or of several together."""
        return sum(any(each.client is client for client in clients) for each in self._open.values())

    def request(self, client: DeliveryClient, request: RequestId, wanted: Wanted) -> None:
        """A session waits for a presentation at another desk."""
        if self._stopping:
            raise ShuttingDown("the daemon is stopping")
        loop = asyncio.get_running_loop()
        # A reader that is there now may be gone before the next look: it was known.
        without_reader = (inf, ReaderGone) if self._hoped_for(wanted) else (loop.time() + hub.GRACE_NEW, NoReader)
        asked = Open(
            id=str(uuid.uuid4()),
            client=client,
            request=request,
            wanted=wanted,
            over=loop.create_future(),
            ended=loop.create_future(),
            without_reader=without_reader,
        )
        self._open[asked.id] = asked
        self._tasks.spawn(self._shares.charged(client.owner, client.group, self._follow(asked)))

    async def cancel(self, client: DeliveryClient, request: RequestId) -> bool:
        """Cancels a request of a session; whether it was waiting and has no answer."""
        for asked in self._open.values():
            if asked.client is client and asked.request == request:
                asked.end(Cancelled())
                return await asyncio.shield(asked.ended)
        return False

    def leave(self, client: DeliveryClient) -> None:
        """Ends the requests of a session that ended."""
        for asked in self._open.values():
            if asked.client is client:
                asked.end(Cancelled("the session ended"))

    async def stop(self) -> None:
        """Ends all waiting requests."""
        self._stopping = True
        for asked in self._open.values():
            asked.end(ShuttingDown())
        await self._tasks.finish()

    # ── for the rows ──

    @property
    def names(self) -> frozenset[str]:
        """The ids of the requests whose rows are there."""
        return frozenset(name for name, asked in self._open.items() if asked.written)

    def hear(self, seen: SeenRows, written: frozenset[str]) -> None:
        """Takes over what was seen; ``written`` is what was there before."""
        for name, step in seen.steps:
            asked = self._open.get(name)
            if asked is not None:
                self._progress(asked, step)
        rows = {row.id: row for row in seen.requests}
        there = {desk.incarnation for desk in seen.desks.values()}
        for name in written & self._open.keys():
            asked, row = self._open[name], rows.get(name)
            if row is None:
                asked.end(StoreUnavailable("the request is not in the database any more"))
            elif row.answer is not None:
                asked.end(row.answer)
            elif row.taken_by is not None and row.taken_by not in there:
                asked.end(ReaderGone("the desk that was at it is gone"))
            else:
                asked.taken = row.taken_by is not None

    def told(self, word: str, name: str, step: StepTold | None = None) -> None:
        """Takes over what was called about a request of this desk."""
        if (asked := self._open.get(name)) is None or asked.over.done():
            return
        match word:
            case "step" if step is not None:
                self._progress(asked, step)
            case "taken":
                asked.taken = True
            case "answered":
                asked.end(b"")  # fetched as the request is ended
            case _:
                pass  # of a request, nothing else concerns the desk that asked

    def _progress(self, asked: Open, step: StepTold) -> None:
        if step.by:  # heard already, and found once more in its row
            if step.number <= asked.steps.get(step.by, 0):
                return
            asked.steps[step.by] = step.number
        if not asked.over.done() and not (asked.armed and step.step == "armed"):
            asked.armed = asked.armed or step.step == "armed"
            asked.client.progress(asked.request, step.step, step.reader, step.problem, step.medium)

    def watch_readers(self) -> None:
        """Readers have come or gone, or time has passed."""
        now = asyncio.get_running_loop().time()
        for asked in self._open.values():
            until, error = asked.without_reader
            if asked.taken or self._hoped_for(asked.wanted):
                asked.without_reader = (inf, ReaderGone)
            elif until == inf:
                asked.without_reader = (now + hub.GRACE_LOST, ReaderGone)
            elif until <= now and not (error is NoReader and self._starting(asked.wanted)):
                asked.end(error("no desk that is there has such a reader"))

    async def clear(self) -> None:
        """Takes away the rows that could not be taken away when their requests ended."""
        left = frozenset(self._left)
        if left:
            await self._rows.end(left, ())
            self._left -= left

    # ── inside ──

    async def _follow(self, asked: Open) -> None:
        outcome: PresentationResult | VitaleError = InternalError()
        try:
            outcome = await self._outcome(asked)
        except Exception as error:  # noqa: BLE001  an edge: whatever comes of the rows, the client is answered
            outcome = incident(error)
        finally:
            del self._open[asked.id]
            asked.ended.set_result(isinstance(outcome, VitaleError))
        if isinstance(outcome, VitaleError):
            asked.client.fail(asked.request, outcome)
        else:
            asked.client.reply(asked.request, outcome)

    async def _outcome(self, asked: Open) -> PresentationResult | VitaleError:
        asked.audience = self._audience(asked.wanted)
        try:
            await self._rows.ask(asked.id, asked.wanted, asked.audience)
        except StoreUnavailable as error:
            self._left.add(asked.id)  # it may have been written all the same
            return await self._noted(asked, error)
        asked.written = True
        self._own(asked.id, asked.wanted)
        await asyncio.wait((asked.over,), timeout=asked.wanted.timeout)
        asked.end(PresentationTimeout())
        outcome = asked.over.result()
        answer = await self._end(asked)
        if isinstance(outcome, VitaleError) and answer is None:
            return await self._noted(asked, outcome)
        if not (sealed := answer or (outcome if isinstance(outcome, bytes) else b"")):
            gone = StoreUnavailable("the answer could not be fetched; its token is in the outbox")
            return await self._noted(asked, gone)
        return await self._opened(asked, sealed)

    async def _end(self, asked: Open) -> bytes | None:
        try:
            return (await self._rows.end([asked.id], asked.audience)).get(asked.id)
        except StoreUnavailable:
            self._left.add(asked.id)
            return None

    async def _opened(self, asked: Open, sealed: bytes) -> PresentationResult | VitaleError:
        try:
            answer = decode_document(self._open_answer(sealed, f"answer:{asked.id}"), Answer)
        except (InvalidTag, ParseError):
            logger.error("an answer of another desk was changed in the database: %s", asked.id)
            changed = StoreUnavailable("the answer was changed; its token is in the outbox", variant="tampered-answer")
            return await self._noted(asked, changed)
        if answer.result is None:
            return answer.error
        await self._prove(answer.result)
        return answer.result

    async def _noted(self, asked: Open, error: VitaleError) -> VitaleError:
        await self._note(asked.wanted.client_id, error.reason)
        return error
