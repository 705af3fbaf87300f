"""From a presentation to the reply to whoever asked: read, guarded, resolved, signed, kept, handed over.

Whether the hub gave it to the request, or a client submitted it itself, is all the same here.

Each delivery is a task of its own, and waits for nobody else's. The order of its steps is what its promises rest on:

1. A string is reserved before it is sent anywhere, so that it counts once.
2. The release of the client's former contexts is asked for before a new one, without waiting for the answer. A client
   that gets no new one keeps those that the service did not release.
3. While the service is asked, the client may cancel, go away, or run out of time. It is answered at once. The service
   is heard to its end, and a context that comes then is released.
4. A reading that is told once ends here: no token is made, and nothing is kept of it. Its context is released. Those
   that the client holds stay.
5. The token, the mark of the string, the context and the audit line are kept in one transaction. This happens before
   the reply. Where that fails, the context is released.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, Protocol

import msgspec
from sqlalchemy import Connection

from vitale_drivers.base import Presented
from vitale_protocol.errors import (
    InternalError,
    JsonValue,
    MediumExpired,
    Opposed,
    PayloadInvalid,
    PresentationTimeout,
    Replayed,
    ResolverUnavailable,
    StoreUnavailable,
    VitaleError,
)
from vitale_protocol.events import DeskOutcome, Step
from vitale_protocol.methods import PresentationResult, ReadingShown
from vitale_protocol.problems import Problem
from vitale_protocol.records import Reading
from vitale_reader.daemon.database.combined_writes import Write
from vitale_reader.daemon.fairness.audit_queue import Notes
from vitale_reader.daemon.fairness.processor_shares import Owner, alike
from vitale_reader.daemon.issuing.contexts import Contexts, HeldContext
from vitale_reader.daemon.issuing.issuer import Grant, IssuedToken, Issuer
from vitale_reader.daemon.issuing.opposition import Opposition
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.replay import Claimed, ReplayGuard
from vitale_reader.daemon.observation.events import Delivered, Observe, unobserved
from vitale_reader.daemon.observation.incidents import BackgroundTasks, incident
from vitale_reader.daemon.observation.timeline import Timeline
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.resolvers.base import Resolution
from vitale_reader.resolvers.guarded import GuardedResolver

__all__ = ["Claim", "Delivery", "DeliveryClient", "Fate", "RequestContext"]

logger = logging.getLogger(__name__)

RequestId = int | str
Fate = Literal["used", "unused", "declined"]
"""It answered a request; or it may still answer another one; or nothing was done for it, since the request was over."""


class DeliveryClient(Owner, Protocol):
    """A session, as a delivery sees it.

    Each call goes to the other end at once, if that is still there.
    """

    def reply(self, request: RequestId, result: PresentationResult) -> None:
        """The presentation that a request waited for."""

    def fail(self, request: RequestId, error: VitaleError) -> None:
        """The error that a request ended with."""

    def progress(
        self, request: RequestId, step: Step, reader: str | None, problem: Problem | None, medium: str
    ) -> None:
        """Notifies of a request's progress; ``problem`` is the reason, ``medium`` the subject of the step, if any."""


class Claim(Protocol):
    """Additional work of a delivery for a request of another desk of the site."""

    async def take(self) -> None:
        """Makes it this desk's alone, before anything is done for it.

        Raises:
            Cancelled: it is over, or another desk has it.
            StoreUnavailable: that cannot be known.
        """

    def answer(self, result: PresentationResult) -> Sequence[Write]:
        """Returns the writes that answer it, in the transaction that keeps its token."""
        ...


class RequestContext(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Client of a waiting request, and its order.

    Attributes:
        client: the session.
        request: the id of its call.
        grant: what it asked for and may have.
        deadline: when its time is over, of the loop's clock.
        given_up: gets the error with which the request is to end early.
        action: the method, for the audit trail.
        claim: for a request of another desk.
        tell: takes a reading that is to be told once and not kept, in place of a token.
        timeline: the stages of its delivery.
    """

    client: DeliveryClient
    request: RequestId
    grant: Grant
    deadline: float
    given_up: asyncio.Future[VitaleError]
    action: str = "presentation.request"
    claim: Claim | None = None
    tell: Callable[[ReadingShown], None] | None = None
    timeline: Timeline = msgspec.field(default_factory=Timeline)

    def give_up(self, error: VitaleError) -> bool:
        """Ends the request early; whether this was the first word of that."""
        if self.given_up.done():
            return False
        self.given_up.set_result(error)
        return True

    def settle(self) -> None:
        """From here on the request ends with its reply.

        Raises:
            VitaleError: it was given up before.
        """
        if self.given_up.done():
            raise self.given_up.result()
        self.given_up.cancel()


class Resolved(msgspec.Struct, frozen=True):
    """A reading behind which there may be a reserved string and a context.

    ``degraded`` is true where the string was reserved at this desk alone.
    """

    reading: Reading
    claimed: Claimed | None = None
    degraded: bool = False
    resolution: Resolution | None = None
    former: tuple[HeldContext, ...] = ()


class Delivery:
    """Makes replies of presentations.

    Attributes:
        last: the outcome of the request that ended last.
    """

    def __init__(
        self,
        issuer: Issuer,
        outbox: Outbox,
        audit: Notes,
        guard: ReplayGuard,
        resolver: GuardedResolver,
        contexts: Contexts,
        opposition: Opposition,
        *,
        clock: Callable[[], float],
        observe: Observe = unobserved,
    ) -> None:
        self._issuer = issuer
        self._outbox = outbox
        self._audit = audit
        self._guard = guard
        self._resolver = resolver
        self._contexts = contexts
        self._opposition = opposition
        self._clock = clock
        self._observe = observe
        self._tasks = BackgroundTasks()
        self.last: DeskOutcome | None = None

    async def deliver(self, asked: RequestContext, presentation: Presented, driver: str) -> Fate:
        """Answers a request, in whatever way; what has become of what was presented."""
        asked.timeline.was_read(presentation.elapsed)
        begun_at, begun = time.perf_counter(), False
        outcome = "ok"
        try:
            if asked.claim is not None:
                await asked.claim.take()
            begun = True
            answer = await self._answer(asked, presentation, driver)
        except VitaleError as error:
            outcome = error.reason
            asked.client.fail(asked.request, _of_medium(error, presentation.medium))
        except Exception as error:  # noqa: BLE001  an edge: evidence comes from strangers
            outcome = InternalError.reason
            asked.client.fail(asked.request, incident(error))
        else:
            answer()
        self.ended(asked, presentation, None if outcome == "ok" else outcome)
        if begun:
            self._tell(asked.timeline, presentation, driver, outcome, begun_at)
        if outcome == "ok":
            return "used"
        await self.note(asked, outcome)
        if not begun:
            return "declined"
        return "unused" if await self._unused(presentation) else "used"

    def ended(self, asked: RequestContext, presentation: Presented | None = None, reason: str | None = None) -> None:
        """Keeps how a request ended, for those who look on: with a token, or for a reason."""
        self.last = DeskOutcome(
            at=self._clock(),
            client=asked.grant.client_id,
            medium=presentation.medium if presentation is not None else None,
            reader=presentation.reader if presentation is not None else None,
            reason=reason,
        )

    async def note(self, asked: RequestContext, outcome: str) -> None:
        """A line in the audit trail about a request that ended without a token."""
        await self._audit.note(asked.action, outcome, client_id=asked.grant.client_id)

    def _tell(self, timeline: Timeline, presentation: Presented, driver: str, outcome: str, began: float) -> None:
        self._observe(
            Delivered(
                medium=presentation.medium,
                driver=driver,
                outcome=outcome,
                simulated=presentation.simulated,
                began=began,
                ended=time.perf_counter(),
                stages=tuple(timeline.stages),
            )
        )

    async def stop(self) -> None:
        """Finishes what goes on behind the replies."""
        await self._tasks.finish()

    async def _answer(self, asked: RequestContext, presentation: Presented, driver: str) -> Callable[[], None]:
        """Gives the answer that is to be sent."""
        resolved = await self._resolve(asked, presentation, self._issuer.interpret(presentation))
        try:
            self._refuse_opposed(resolved.reading)
            asked.settle()
            if asked.tell is not None:
                return partial(asked.tell, await self._told_once(presentation, asked, resolved))
            issued = await self._issue_and_keep(presentation, asked, driver, resolved)
        except BaseException:
            if resolved.resolution is not None:
                self._tasks.spawn(self._contexts.let_go(resolved.resolution.identifiant))
            elif resolved.claimed is not None and "code" in presentation.evidence:
                self._tasks.spawn(self._release_claim(resolved.claimed.digest))  # paper was sent nowhere
            raise
        return partial(asked.client.reply, asked.request, _result_of(presentation, issued))

    async def _told_once(self, presentation: Presented, asked: RequestContext, resolved: Resolved) -> ReadingShown:
        """Content of the token that is not made. The trail has that something was read, and nothing of what."""
        shown = self._issuer.tell(presentation, resolved.reading, asked.grant.scopes, resolved.resolution)
        if resolved.resolution is not None:
            self._tasks.spawn(self._contexts.let_go(resolved.resolution.identifiant))
        elif resolved.claimed is not None:
            self._tasks.spawn(self._release_claim(resolved.claimed.digest))  # it was sent nowhere
        await self._audit.note(
            asked.action,
            "ok",
            client_id=asked.grant.client_id,
            medium=presentation.medium,
            reader=presentation.reader,
        )
        return shown

    async def _issue_and_keep(
        self, presentation: Presented, asked: RequestContext, driver: str, resolved: Resolved
    ) -> IssuedToken:
        degraded = resolved.degraded or self._outbox.degraded
        warnings = resolved.reading.warnings + (("store_degraded",) if degraded else ())
        reading = msgspec.structs.replace(resolved.reading, warnings=warnings)
        with asked.timeline.stage("sign"):
            issued = self._issuer.issue(presentation, reading, driver, asked.grant, resolved.resolution)
        # If the answer of the database is lost, the spool keeps the same token: the site may have it already.
        with asked.timeline.stage("keep"):
            await self._keep(presentation, asked, issued, resolved)
        return issued

    async def _keep(
        self, presentation: Presented, asked: RequestContext, issued: IssuedToken, resolved: Resolved
    ) -> None:
        """Kept before it is handed over: whatever dies from here on, the token is in the outbox."""
        grant = asked.grant
        writes: list[Write] = []
        also: list[Callable[[Connection], object]] = []
        held: HeldContext | None = None
        if resolved.claimed is not None:
            writes.append(self._guard.settle(resolved.claimed))
        if resolved.resolution is not None and "context" in grant.scopes:
            held, write = self._contexts.hold(resolved.resolution, grant.client_id)
            also.append(write)
        if asked.claim is not None:
            writes.extend(asked.claim.answer(_result_of(presentation, issued)))
        entry = AuditEntry(
            at=self._clock(),
            action=asked.action,
            outcome="ok",
            client_id=grant.client_id,
            medium=presentation.medium,
            reader=presentation.reader,
            jti=issued.claims.jti,
        )
        await self._outbox.put(
            issued.token,
            client_id=grant.client_id,
            presentation=presentation.id,
            entry=entry,
            writes=writes,
            also=also,
        )
        replaced = self._contexts.take(each for each in resolved.former if held is None or each.digest != held.digest)
        if replaced:
            self._tasks.spawn(self._contexts.release_taken(replaced))
        if held is not None:
            if not self._contexts.held(held):
                self._tasks.spawn(self._contexts.release_taken((held,)))
        elif resolved.resolution is not None:
            # Its client does not learn its name, so nobody could ever use it.
            self._tasks.spawn(self._contexts.let_go(resolved.resolution.identifiant))

    def _refuse_opposed(self, reading: Reading) -> None:
        record = reading.record
        if self._opposition.lists(record.assure.numero_serie if record.assure else None):
            raise Opposed("the card is on the site's opposition list")

    # ── apCV ──

    async def _resolve(self, asked: RequestContext, presentation: Presented, reading: Reading) -> Resolved:
        string = presentation.evidence.get("string")
        digest = self._guard.digest(presentation.evidence)
        if string is not None:
            await self._guard.require_open()
        claimed, degraded = None, False
        if digest is not None:
            with asked.timeline.stage("guard"):
                claimed = await self._guard.claim(digest)
            degraded = self._outbox.degraded
            await self._require_wanted(asked, digest)
        # What is told once takes the place of no context.
        former = () if asked.tell is not None else self._contexts.of_client(asked.grant.client_id)
        if string is None or digest is None or not self._resolver.resolves:
            return Resolved(reading, claimed, degraded, former=former)
        asked.client.progress(asked.request, "resolving", presentation.reader, None, "")
        asking = asyncio.create_task(alike(self._ask(asked, string, digest, former)))
        with asked.timeline.stage("resolve"):
            resolution = await self._unless_given_up(asking, asked)
        try:
            if resolution.date_fin_validite.timestamp() <= self._clock():
                raise MediumExpired("the service gave a context that has ended")
            return Resolved(self._issuer.resolved(reading, resolution), claimed, degraded, resolution, former)
        except BaseException:
            self._tasks.spawn(self._contexts.let_go(resolution.identifiant))
            raise

    async def _require_wanted(self, asked: RequestContext, digest: str) -> None:
        """A string that nobody waits for any more is not sent, and not used up."""
        if asked.given_up.done():
            await self._release_claim(digest)
            raise asked.given_up.result()

    async def _ask(
        self, asked: RequestContext, string: bytes, digest: str, former: tuple[HeldContext, ...]
    ) -> Resolution:
        if former:
            self._tasks.spawn(self._contexts.release_former(former))
            await asyncio.sleep(0)  # It is asked for first; the next patient does not wait for its end.
        await self._require_wanted(asked, digest)
        try:
            return await self._resolver.resolve(string, nonce=asked.grant.nonce)
        except VitaleError as error:
            if error.data.get("sent") is False:
                await self._release_claim(digest)
            raise

    async def _unused(self, presentation: Presented) -> bool:
        digest = self._guard.digest(presentation.evidence)
        try:
            return digest is None or not await self._guard.knows(digest)
        except StoreUnavailable:
            return True  # the next one will be told so as well

    async def _release_claim(self, digest: str) -> None:
        try:
            await self._guard.withdraw(digest)
        except StoreUnavailable as error:
            logger.error("a string that was sent to nobody counts as used: %s", error)

    async def _unless_given_up(self, asking: asyncio.Task[Resolution], asked: RequestContext) -> Resolution:
        left = max(asked.deadline - asyncio.get_running_loop().time(), 0.0)
        await asyncio.wait((asking, asked.given_up), timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if asking.done() and not asked.given_up.done():
            return asking.result()
        self._tasks.spawn(self._release_what_comes(asking))
        # Something was presented: the service is why nothing came of it.
        last: dict[str, JsonValue] = {"reason": ResolverUnavailable.reason, "variant": ""}
        late = "the apCV service did not answer in the time of the request"
        asked.give_up(PresentationTimeout(late, variant="unread", data={"last": last}))
        raise asked.given_up.result()

    async def _release_what_comes(self, asking: asyncio.Task[Resolution]) -> None:
        try:
            resolution = await asking
        except VitaleError as error:
            logger.info("a request that was given up would have failed: %s", error)
        else:
            await self._contexts.let_go(resolution.identifiant)


def _of_medium(error: VitaleError, medium: str) -> VitaleError:
    """The error in the words for a phone on a reader, who shows no code."""
    if medium != "apcv-nfc" or error.variant not in {"", "control"}:
        return error
    match error:
        case Replayed():
            return Replayed(error.detail, variant="apcv-nfc", data=error.data)
        case MediumExpired():
            return MediumExpired(error.detail, variant="apcv-nfc", data=error.data)
        case PayloadInvalid():
            return PayloadInvalid(error.detail, variant="apcv-nfc", data=error.data)
        case _:
            return error


def _result_of(presentation: Presented, issued: IssuedToken) -> PresentationResult:
    return PresentationResult(presentation=presentation.id, token=issued.token.token, claims=issued.claims)
