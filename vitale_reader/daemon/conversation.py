"""The sessions at the daemon: the connection of each, who speaks on it, and what is said to them."""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import msgspec

from vitale_protocol import catalogue
from vitale_protocol.errors import (
    LimitExceeded,
    LocalError,
    NotAuthenticated,
    PresentationError,
    ReaderError,
    VitaleError,
)
from vitale_protocol.events import (
    CodeRead,
    ContextExpiring,
    DeskState,
    Event,
    LeaseEnded,
    PresentationFailed,
    PresentationProgress,
    PresentationToken,
    PreviewFrame,
    Reader,
    ReaderEvent,
    SimulatorAct,
    Step,
)
from vitale_protocol.methods import Result
from vitale_protocol.problems import Problem
from vitale_protocol.session.session import Session
from vitale_protocol.session.wire_errors import to_wire
from vitale_reader.daemon.clients.callers import Caller, Peer, owner_of
from vitale_reader.daemon.observation.events import CallRefused, Observe, unobserved
from vitale_reader.daemon.observation.incidents import incident

if TYPE_CHECKING:
    from vitale_protocol.web.handshake import Offer
    from vitale_protocol.web.sealed_frames import SessionKeys

__all__ = ["Challenge", "Conversation", "ConversationTransport", "Conversations"]

RequestId = int | str


class ConversationTransport(Protocol):
    """Interface of a transport for a conversation."""

    session: Session
    peer: Peer

    def flush(self) -> None:
        """Sends what the session has to send."""

    def close(self) -> None:
        """Ends the connection once what was sent has gone."""

    def expel(self) -> None:
        """Ends the connection of a client that was revoked."""

    def seal(self, keys: "SessionKeys") -> None:
        """Seals all that is said from now on, on the channel of a page; others have none to seal."""

    @property
    def has_read_all(self) -> bool:
        """True if all data was sent, as far as can be seen from here."""
        ...


class Challenge(msgspec.Struct, frozen=True):
    """A challenge to a page, and the time by the loop's clock until which it can be answered."""

    offer: "Offer"
    until: float


class Conversation:
    """One session: its connection, and who speaks on it once it is open. What the desk calls a client.

    Attributes:
        number: unique among the sessions of this process.
        caller: who speaks, once the session is open.
        ended: nothing is said any more.
        refusals: attempts to open it that were refused.
        under_way: calls that tasks of their own are answering.
        challenge: the challenge of a page that has asked to prove itself, until it is answered.
        challenged: a challenge was given; there is one for each channel.
    """

    def __init__(self, number: int, connection: ConversationTransport, observe: Observe = unobserved) -> None:
        self.number = number
        self.connection = connection
        self._observe = observe
        self.caller: Caller | None = None
        self.ended = False
        self.refusals = 0
        self.under_way = 0
        self.challenge: Challenge | None = None
        self.challenged = False
        self._silent: set[RequestId] = set()
        self._where: dict[RequestId, str] = {}

    @property
    def language(self) -> catalogue.Language:
        """The session's language, ``fr`` or ``en``."""
        return self.connection.session.language

    def authenticated(self) -> Caller:
        """Client that speaks.

        Raises:
            NotAuthenticated: the session is not open.
        """
        if self.caller is None:
            raise NotAuthenticated("the session is not open")
        return self.caller

    @property
    def owner(self) -> str:
        """The client whose share is used; the peer's owner while none is known, and for the local client."""
        return owner_of(self.connection.peer, self.caller)

    @property
    def group(self) -> str | None:
        """The user of the machine whose share is used as well; None for no share."""
        return self.connection.peer.group

    def reply(self, request: RequestId | None, result: Result) -> None:
        """Answers a call with its result."""
        self._settle(request)
        if not self.ended:
            self.connection.session.reply(request, result)
            self.connection.flush()

    def fail(self, request: RequestId | None, error: VitaleError) -> None:
        """Answers a call with an error; one that is ours alone is told as an incident.

        Where a medium was at a reader, ``data.reader`` names it. So a counter can wait until the medium is withdrawn.
        """
        where = self._settle(request)
        if isinstance(error, LimitExceeded):
            self._observe(CallRefused(limit=str(error.data.get("limit", error.variant))))
        if where is not None and isinstance(error, (PresentationError, ReaderError)):
            error = copy.copy(error)  # others may be told of the same one
            error.data = {"reader": where, **error.data}
        if not self.ended:
            self.connection.session.fail(request, incident(error) if isinstance(error, LocalError) else error)
            self.connection.flush()

    def silence(self, request: RequestId) -> None:
        """Tells of a request nothing but its end."""
        self._silent.add(request)

    def progress(
        self, request: RequestId, step: Step, reader: str | None, problem: Problem | None, medium: str
    ) -> None:
        """Tells how a request gets on, in the session's language."""
        if reader is not None:
            self._where[request] = reader
        if request in self._silent:
            return
        said, remedy = self._said(step, problem, medium)
        self._notify(
            "presentation.progress",
            PresentationProgress(request=request, step=step, message=said, reader=reader, remedy=remedy),
        )

    def subscription_progress(
        self, subscription: str, step: Step, reader: str | None, problem: Problem | None, medium: str
    ) -> None:
        """Tells how a presentation for a subscription gets on, in the session's language."""
        said, remedy = self._said(step, problem, medium)
        self._notify(
            "presentation.progress",
            PresentationProgress(subscription=subscription, step=step, message=said, reader=reader, remedy=remedy),
        )

    def presentation_token(self, event: PresentationToken) -> None:
        """Gives the token of a presentation to a subscription."""
        self._notify("presentation.token", event)

    def presentation_failed(self, subscription: str, error: VitaleError, reader: str | None) -> None:
        """Tells a subscription of a presentation that gave no token, in the session's language."""
        told = to_wire(error, self.language)
        self._notify(
            "presentation.failed",
            PresentationFailed(
                subscription=subscription,
                reason=str(told["data"]["reason"]),
                variant=error.variant or None,
                message=told["message"],
                remedy=str(told["data"]["remedy"]),
                reader=reader,
            ),
        )

    def code_read(self, event: CodeRead) -> None:
        """Gives a code that is no patient's to a subscription."""
        self._notify("code.read", event)

    def lease_ended(self, event: LeaseEnded) -> None:
        """Tells that a lease of this session has ended."""
        self._notify("lease.ended", event)

    def reader_event(self, what: str, reader: Reader) -> None:
        """Tells of a reader that was ``added``, ``changed`` or ``removed``."""
        self._notify(f"reader.{what}", ReaderEvent(reader=reader))

    def context_expiring(self, event: ContextExpiring) -> None:
        """Tells of a context that ends soon."""
        self._notify("context.expiring", event)

    def desk_changed(self, event: DeskState) -> None:
        """Tells of the desk as it is now."""
        self._notify("desk.changed", event)

    def simulator_act(self, event: SimulatorAct) -> None:
        """Tells a simulator what to do."""
        self._notify("simulator.act", event)

    @property
    def has_read_all(self) -> bool:
        """True if no message waits still to be sent."""
        return self.connection.has_read_all

    def preview_frame(self, event: PreviewFrame) -> None:
        """Shows what a camera sees."""
        self._notify("preview.frame", event)

    def _settle(self, request: RequestId | None) -> str | None:
        """Forgets a request that has ended; gives the reader at which it got on last."""
        if request is None:
            return None
        self._silent.discard(request)
        return self._where.pop(request, None)

    def _said(self, step: Step, problem: Problem | None, medium: str) -> tuple[str, str | None]:
        if problem is None:
            return catalogue.step_message(step, self.language, medium), None
        message = catalogue.step_message(step, self.language, problem.reason, problem.variant)
        return message, catalogue.remedy(problem.reason, self.language, problem.variant)

    def _notify(self, name: str, event: Event) -> None:
        if not self.ended:
            self.connection.session.notify(name, event)
            self.connection.flush()


class Conversations:
    """The sessions that there are now."""

    def __init__(self, observe: Observe = unobserved) -> None:
        self._observe = observe
        self._last_number = 0
        self._open: dict[int, Conversation] = {}

    def begin(self, connection: ConversationTransport) -> Conversation:
        """Begins a conversation over a new connection."""
        self._last_number += 1
        conversation = Conversation(self._last_number, connection, self._observe)
        self._open[conversation.number] = conversation
        return conversation

    def end(self, conversation: Conversation) -> None:
        """Ends the conversation of a closed connection."""
        conversation.ended = True
        self._open.pop(conversation.number, None)

    def __iter__(self) -> Iterator[Conversation]:
        return iter(tuple(self._open.values()))

    def of_client(self, client_id: str) -> tuple[Conversation, ...]:
        """Those that a client has opened."""
        return tuple(each for each in self if each.caller is not None and each.caller.client_id == client_id)

    def of_owner(self, owner: str) -> tuple[Conversation, ...]:
        """Those opened with the share of an owner."""
        return tuple(each for each in self if each.caller is not None and each.owner == owner)

    def context_expiring(self, client_id: str, event: ContextExpiring) -> bool:
        """Tells every session of a client of a context that ends soon; whether there was one."""
        told = self.of_client(client_id)
        for conversation in told:
            conversation.context_expiring(event)
        return bool(told)
