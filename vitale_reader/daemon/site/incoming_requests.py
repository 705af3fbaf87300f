"""Requests of other desks for the readers here.

Each visits this desk's hub like one of its own sessions would. A request visits while it is open at the site and means
readers of this desk. At least one of these must be able to read for it. To the hub it is one request more, in the order
of its coming. Before anything is read for it, one statement of the database takes it. Of two desks that could read for
it, only one does. Its token, the line in the audit trail and its answer are written in one transaction. That fails if
the request is over.

The asking desk is trusted within the site. Its row is sealed with the key of the site, and its client is one of the
registry. The scopes were checked by the asking desk. A desk that cannot serve the request (no reader, stopping) does
not answer: another one may.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy.exc import IntegrityError

from vitale_protocol.errors import (
    Cancelled,
    NoReader,
    PresentationTimeout,
    ReaderGone,
    ShuttingDown,
    StoreUnavailable,
    VitaleError,
)
from vitale_protocol.events import Step
from vitale_protocol.methods import PresentationResult, StationMode
from vitale_protocol.problems import Problem
from vitale_reader.daemon.clients.callers import LOCAL_CLIENT
from vitale_reader.daemon.database.combined_writes import Write
from vitale_reader.daemon.desk.coordinator import Coordinator
from vitale_reader.daemon.issuing.issuer import Grant
from vitale_reader.daemon.observation.incidents import BackgroundTasks
from vitale_reader.daemon.observation.told_once import ToldOnce
from vitale_reader.daemon.site.outgoing_requests import Answer
from vitale_reader.daemon.site.remote_readers import site_name
from vitale_reader.daemon.site.rows.messages import RequestRow, SeenRows, StepTold, Wanted
from vitale_reader.daemon.site.rows.requests import RequestRows

__all__ = ["Answering"]

logger = logging.getLogger(__name__)

#: What says of a request only that this desk does nothing for it.
QUIET = frozenset({error.reason for error in (NoReader, ReaderGone, PresentationTimeout, Cancelled, ShuttingDown)})

#: Seconds for which a step waits for what follows it.
TOGETHER = 0.1

#: Seconds by which the row of a request may end later than it says itself: that it was written took as long.
LATE = 15.0

#: Seconds for which a request that does not say so is remembered.
OF_BEFORE = 600.0

RequestId = int | str


class Visitor(msgspec.Struct, eq=False):
    """A request of another desk, seen here as a client, with what its delivery needs."""

    number: int
    id: str
    wanted: Wanted
    host: "Answering"
    taken: bool = False

    # ── delivery.DeliveryClient ──

    @property
    def owner(self) -> str:
        """The client, whichever desk it asks at; of programs of a desk's own user, all of that desk together."""
        wanted = self.wanted
        return f"{LOCAL_CLIENT} of {wanted.station}" if wanted.client_id == LOCAL_CLIENT else wanted.client_id

    @property
    def group(self) -> None:
        """No user of this machine asks."""
        return None

    def reply(self, request: RequestId, result: PresentationResult) -> None:
        """Its answer was written with its token."""
        self.host.answered(self)

    def fail(self, request: RequestId, error: VitaleError) -> None:
        """It ended without a token."""
        self.host.failed(self, error)

    def progress(
        self, request: RequestId, step: Step, reader: str | None, problem: Problem | None, medium: str
    ) -> None:
        """Reports the progress to the asking desk."""
        self.host.progress(self, step, reader, problem, medium)

    # ── delivery.Claim ──

    async def take(self) -> None:
        """Something was presented for it: no other desk shall read for it."""
        await self.host.take(self)

    def answer(self, result: PresentationResult) -> Sequence[Write]:
        """Returns the writes of its answer beside its token."""
        return self.host.write_of(self, result)


class Answering:
    """The requests of other desks that visit this one.

    Args:
        rows: the rows of the site.
        desk: where they wait.
        station: this station.
        mode: its mode; desks in another one are not served.
        groups: those of this desk.
        known: whether a client may speak at this site.
        seal_for: seals an answer for a station.
        tell_keys: makes sure that the other desks know this one's keys.
        audience: the stations at which a request waits.
        now: the time of the site, epoch seconds.
    """

    def __init__(
        self,
        rows: RequestRows,
        desk: Coordinator,
        *,
        station: str,
        mode: StationMode,
        groups: tuple[str, ...],
        known: Callable[[str], bool],
        seal_for: Callable[[str, bytes, str], bytes],
        tell_keys: Callable[[], Coroutine[Any, Any, None]],
        audience: Callable[[Wanted], Collection[str]],
        now: Callable[[], float],
    ) -> None:
        self._rows = rows
        self._now = now
        self._ended: dict[str, float] = {}
        self._refused = ToldOnce()
        self._desk = desk
        self._station = station
        self._mode: StationMode = mode
        self._groups = groups
        self._known = known
        self._seal_for = seal_for
        self._tell_keys = tell_keys
        self._audience = audience
        self._there: frozenset[str] = frozenset()
        self._doubtful: dict[str, Wanted] = {}
        self._wanted: dict[str, Wanted | None] = {}
        self._visitors: dict[str, Visitor] = {}
        self._owed: dict[str, tuple[Visitor, VitaleError]] = {}
        self._steps: list[tuple[str, str, StepTold]] = []
        self._step_numbers = itertools.count(1)
        self._telling: asyncio.TimerHandle | None = None
        self._numbers = itertools.count(-2, -1)
        self._tasks = BackgroundTasks()

    @property
    def names(self) -> frozenset[str]:
        """The ids of the requests that visit, are owed an answer, or may have been taken."""
        return frozenset(self._visitors) | frozenset(self._owed) | frozenset(self._doubtful)

    @property
    def doubtful(self) -> frozenset[str]:
        """The ids of the requests that may have been taken: the answer to that was not heard."""
        return frozenset(self._doubtful)

    # ── for the rows ──

    async def hear(self, seen: SeenRows, known: frozenset[str], doubtful: frozenset[str]) -> None:
        """Takes over what was seen: who comes, and who goes.

        Args:
            seen: the rows.
            known: the requests that visited before the look.
            doubtful: those that were in doubt before it.

        One that was called while the rows were looked at may have come too late to be among them.
        """
        self._there = frozenset(desk.incarnation for desk in seen.desks.values())
        await self._give_back(seen.requests, doubtful)
        opened = [row for row in seen.requests if self._is_open(row)]
        names = {row.id for row in opened}
        there = {row.id for row in seen.requests}
        for name in known & (self._visitors.keys() - names):
            if name not in there:
                self._note_end(name, self._visitors[name].wanted)
            self._send_away(self._visitors[name])
        for name in self._wanted.keys() - names:
            del self._wanted[name]
        for name in known & (self._owed.keys() - there):
            del self._owed[name]
        for row in opened:
            if row.id not in self._visitors and row.taken_by is None:
                await self._consider(row)
        await self._pay()

    def hear_told(self, request: str, told: str) -> bool:
        """A request was asked, in the words of the call: comes, if this desk can answer it.

        Returns:
            False where the call does not say what is asked for. The row has to be looked at then.
        """
        found = self._rows.heard_request(request, told)
        if found is None:
            return False
        row, wanted = found
        if self._is_open(row) and request not in self._visitors:
            self._wanted[request] = wanted
            self._weigh(row, wanted)
        return True

    async def hear_of(self, request: str) -> None:
        """A request was asked, or given back: comes, if this desk can answer it."""
        row = await self._rows.look_at(request)
        if row is not None and self._is_open(row) and row.id not in self._visitors and row.taken_by is None:
            await self._consider(row)

    def over(self, request: str, *, for_good: bool = False) -> None:
        """A request was ended (``for_good``), or taken by another desk, which may give it back."""
        if for_good and (wanted := self._wanted.get(request)) is not None:
            self._note_end(request, wanted)
        if (visitor := self._visitors.get(request)) is not None and not visitor.taken:
            self._send_away(visitor)
        self._wanted.pop(request, None)

    def _is_open(self, row: RequestRow) -> bool:
        free = row.taken_by in (None, self._rows.incarnation)
        return row.asked_by in self._there and free and not row.answered and row.left > 0

    def _note_end(self, request: str, wanted: Wanted) -> None:
        """Remembers that a request is over, until its own time tells: somebody may put its row back."""
        now = self._now()
        self._ended = {name: until for name, until in self._ended.items() if until > now}
        self._ended[request] = (wanted.until or now + OF_BEFORE) + LATE

    def _has_ended(self, request: str, wanted: Wanted) -> bool:
        if request not in self._ended and not 0 < wanted.until < self._now() - LATE:
            return False
        if self._refused.is_due(request):
            logger.error("a request of station %s that is over was put back: it is refused", wanted.station)
        return True

    async def _give_back(self, rows: Iterable[RequestRow], doubtful: frozenset[str]) -> None:
        """Gives back what this desk took without hearing of it: nobody is at it."""
        by_id = {row.id: row for row in rows}
        for name in doubtful & self._doubtful.keys():
            row = by_id.get(name)
            if row is not None and row.taken_by == self._rows.incarnation and not row.answered:
                await self._rows.give_back(name, self._audience(self._doubtful[name]))
            del self._doubtful[name]

    def away(self) -> None:
        """The rows cannot be seen: nobody can be answered."""
        for visitor in list(self._visitors.values()):
            self._send_away(visitor)
        self._steps.clear()

    async def stop(self) -> None:
        """Lets what is being written be written."""
        self.away()
        await self._tasks.finish()

    async def _consider(self, row: RequestRow) -> None:
        if row.id not in self._wanted:
            self._wanted[row.id] = await self._rows.wanted(row)
        if (wanted := self._wanted[row.id]) is not None:
            self._weigh(row, wanted)

    def _weigh(self, row: RequestRow, wanted: Wanted) -> None:
        if wanted.mode != self._mode or self._has_ended(row.id, wanted):
            return
        if not self._known(wanted.client_id):
            logger.warning("station %s asks for a client that is not known here", wanted.station)
            return
        everywhere = not set(wanted.names.groups).isdisjoint(self._groups)
        named = wanted.names.own(self._station)
        may_read = any(
            reader.state != "unavailable"
            and not wanted.media.isdisjoint(reader.media)
            and (everywhere or reader.id in named)
            for reader in self._desk.readers
        )
        if may_read:
            self._receive(row, wanted, frozenset() if everywhere else named)

    def _receive(self, row: RequestRow, wanted: Wanted, readers: frozenset[str]) -> None:
        visitor = Visitor(next(self._numbers), row.id, wanted, self)
        self._visitors[row.id] = visitor
        self._desk.request(
            visitor,
            row.id,
            Grant(
                client_id=wanted.client_id,
                nonce=wanted.nonce,
                scopes=wanted.scopes,
                purpose=wanted.purpose,
                site=wanted.site,
            ),
            media=wanted.media,
            readers=readers,
            timeout=min(row.left, wanted.timeout),
            claim=visitor,
        )

    def _send_away(self, visitor: Visitor) -> None:
        self.forget(visitor)
        self._desk.withdraw(visitor)

    async def _pay(self) -> None:
        for name, (visitor, error) in list(self._owed.items()):
            with contextlib.suppress(StoreUnavailable):  # still owed
                await self._answer(visitor, error)
                del self._owed[name]

    # ── for visitors ──

    def forget(self, visitor: Visitor) -> None:
        """Its visit is over."""
        if self._visitors.get(visitor.id) is visitor:
            del self._visitors[visitor.id]

    def answered(self, visitor: Visitor) -> None:
        """Its visit is over, and so is its request."""
        self._note_end(visitor.id, visitor.wanted)
        self.forget(visitor)

    def failed(self, visitor: Visitor, error: VitaleError) -> None:
        """It ended here without a token: told, if that says more than that this desk does nothing for it."""
        self.forget(visitor)
        if error.reason not in QUIET and (visitor.taken or error.reason != StoreUnavailable.reason):
            self._tasks.spawn(self._tell_failure(visitor, error))

    def progress(self, visitor: Visitor, step: Step, reader: str | None, problem: Problem | None, medium: str) -> None:
        """Reports the progress to the asking desk."""
        name = None if reader is None else site_name(reader, self._station)
        told = StepTold(
            step=step,
            reader=name,
            problem=problem,
            medium=medium,
            by=self._rows.incarnation,
            number=next(self._step_numbers),
        )
        self._steps.append((visitor.id, visitor.wanted.station, told))
        if self._telling is None:
            # What follows at once goes with it, or with the answer.
            soon = 0.0 if step == "armed" else TOGETHER
            self._telling = asyncio.get_running_loop().call_later(soon, self._tell_soon)

    def _tell_soon(self) -> None:
        self._telling = None
        self._tasks.spawn(self._tell_steps())

    async def take(self, visitor: Visitor) -> None:
        """Takes its request for this desk.

        Raises:
            Cancelled: it is over, or another desk has it.
            StoreUnavailable: the database does not answer.
        """
        await self._tell_keys()
        wanted = visitor.wanted
        try:
            await self._rows.take(visitor.id, wanted.station, self._audience(wanted))
        except StoreUnavailable:
            self._doubtful[visitor.id] = wanted  # it may have been taken all the same
            raise
        visitor.taken = True

    def write_of(self, visitor: Visitor, result: PresentationResult) -> Sequence[Write]:
        """Returns the writes of an answer, with the steps that were not told yet."""
        steps = [step for request, _, step in self._steps if request == visitor.id]
        self._steps = [told for told in self._steps if told[0] != visitor.id]
        sealed = self._sealed(visitor, Answer(result=result))
        return self._rows.answer(visitor.id, visitor.wanted.station, sealed, taken=True, steps=steps)

    # ── inside ──

    def _sealed(self, visitor: Visitor, answer: Answer) -> bytes:
        return self._seal_for(visitor.wanted.station, msgspec.json.encode(answer), f"answer:{visitor.id}")

    async def _tell_failure(self, visitor: Visitor, error: VitaleError) -> None:
        try:
            await self._answer(visitor, error)
        except StoreUnavailable:
            self._owed[visitor.id] = (visitor, error)

    async def _answer(self, visitor: Visitor, error: VitaleError) -> None:
        problem = Problem.of(error)
        answer = Answer(problem=msgspec.structs.replace(problem, data=self._told_elsewhere(problem.data)))
        try:
            await self._rows.answer_alone(
                visitor.id, visitor.wanted.station, self._sealed(visitor, answer), taken=visitor.taken
            )
        except Cancelled:
            logger.debug("a request of another desk was over before it failed here")

    def _told_elsewhere(self, data: dict[str, Any]) -> dict[str, Any]:
        """The choices of ``ambiguous_medium`` are readers here, and are named so that they can be asked for there."""
        if "choices" not in data:
            return data
        return data | {
            "choices": [each | {"reader": site_name(each["reader"], self._station)} for each in data["choices"]]
        }

    async def _tell_steps(self) -> None:
        steps, self._steps = self._steps, []
        if steps:
            try:
                await self._rows.tell_steps(steps)
            except (StoreUnavailable, IntegrityError) as error:
                logger.debug("steps that nobody hears of: %s", type(error).__name__)
