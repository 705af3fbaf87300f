"""Methods to handlers: what each call of the wire does, for one session after the other.

A handler returns its result, a coroutine of it, or None where the answer comes later (``presentation.request``).
"""

import asyncio
import contextlib
import itertools
import secrets
import uuid
from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import Any

import msgspec

from vitale_protocol.errors import (
    InvalidParams,
    InvalidRequest,
    LimitExceeded,
    MediumUnsupported,
    PayloadInvalid,
    ProtocolUnsupported,
    ShuttingDown,
    VitaleError,
)
from vitale_protocol.events import ContextExpiring
from vitale_protocol.methods import (
    METHODS,
    PROTOCOL_VERSION,
    ClientAdded,
    ClientsAdd,
    ClientsListed,
    ClientsRevoke,
    ClientsRevoked,
    ContextRelease,
    ContextReleased,
    ContextRestore,
    Done,
    Empty,
    KeysRotated,
    OutboxAck,
    OutboxAcked,
    OutboxListed,
    PresentationCancel,
    PresentationCancelled,
    PresentationRequest,
    PresentationSubmit,
    PreviewStart,
    PreviewStarted,
    PreviewStop,
    ReadersListed,
    Result,
    SessionOpen,
    SessionOpened,
    SessionPing,
    SessionPonged,
    Station,
    StationInfo,
    StationKeys,
)
from vitale_protocol.methods import Limits as WireLimits
from vitale_protocol.session import Called
from vitale_reader.daemon.access import LOCAL_CLIENT, Access, Caller
from vitale_reader.daemon.audit import Audit
from vitale_reader.daemon.certificates import Certificates, Issued
from vitale_reader.daemon.contexts import Contexts
from vitale_reader.daemon.conversation import Connection, Conversation
from vitale_reader.daemon.decisions import PATIENT_MEDIA
from vitale_reader.daemon.delivery import incident
from vitale_reader.daemon.desk import Desk
from vitale_reader.daemon.issuer import Grant
from vitale_reader.daemon.keys import Keys
from vitale_reader.daemon.outbox import MOST_LISTED, Outbox
from vitale_reader.daemon.submission import DRIVER, presentation_of
from vitale_reader.resolvers.guarded import GuardedResolver

__all__ = ["Service"]

#: Refused attempts to open a session: on one connection, and noted in the audit trail within a period of seconds.
MOST_REFUSALS = 3
MOST_REFUSALS_NOTED = 60
REFUSALS_PERIOD = 60.0

#: Seconds for a submitted code to become a token. Only the apCV service takes time, and apcv.timeout is 120 at most.
SUBMISSION = 125.0

RequestId = int | str
Answer = Result | Coroutine[Any, Any, Result] | None


class Service:
    """The daemon's answer to every method of the wire."""

    def __init__(
        self,
        *,
        station: Station,
        limits: WireLimits,
        desk: Desk,
        access: Access,
        outbox: Outbox,
        contexts: Contexts,
        resolver: GuardedResolver,
        audit: Audit,
        keys: Keys,
        certificates: Certificates,
        clock: Callable[[], float],
    ) -> None:
        self._station = station
        self._limits = limits
        self._desk = desk
        self._access = access
        self._outbox = outbox
        self._contexts = contexts
        self._resolver = resolver
        self._audit = audit
        self._keys = keys
        self._certificates = certificates
        self._clock = clock
        self._started_at = clock()
        self._conversations: dict[int, Conversation] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusals: list[float] = []
        self._rotating = asyncio.Lock()
        self._last_number = 0
        self._stopping = False
        self._handlers: Mapping[str, Callable[[Conversation, RequestId | None, Any], Answer]] = {
            "session.open": self._session_open,
            "session.ping": self._session_ping,
            "station.info": self._station_info,
            "station.keys": self._station_keys,
            "readers.list": self._readers_list,
            "readers.watch": self._readers_watch,
            "readers.unwatch": self._readers_unwatch,
            "presentation.request": self._presentation_request,
            "presentation.submit": self._presentation_submit,
            "presentation.cancel": self._presentation_cancel,
            "preview.start": self._preview_start,
            "preview.stop": self._preview_stop,
            "presentations.subscribe": self._not_yet,
            "presentations.unsubscribe": self._not_yet,
            "lease.acquire": self._not_yet,
            "lease.renew": self._not_yet,
            "lease.release": self._not_yet,
            "card.transmit": self._not_yet,
            "outbox.list": self._outbox_list,
            "outbox.ack": self._outbox_ack,
            "context.restore": self._context_restore,
            "context.release": self._context_release,
            "clients.add": self._clients_add,
            "clients.list": self._clients_list,
            "clients.revoke": self._clients_revoke,
            "keys.rotate": self._keys_rotate,
        }
        if self._handlers.keys() != METHODS.keys():
            raise RuntimeError(f"methods without handler: {sorted(METHODS.keys() ^ self._handlers.keys())}")

    def _not_yet(self, _conversation: Conversation, _id: RequestId | None, _params: object) -> Answer:
        raise VitaleError("not in this version")

    # ── for transports ──

    def connected(self, connection: Connection) -> Conversation:
        """A connection begins."""
        self._last_number += 1
        conversation = Conversation(self._last_number, connection)
        self._conversations[conversation.number] = conversation
        return conversation

    def disconnected(self, conversation: Conversation) -> None:
        """A connection ended: its requests end with it, its tokens stay in the outbox."""
        conversation.ended = True
        self._conversations.pop(conversation.number, None)
        self._desk.leave(conversation)

    def called(self, conversation: Conversation, call: Called) -> None:
        """A call came: answered now, or by a task, or later."""
        try:
            if self._stopping:
                raise ShuttingDown("the daemon is stopping")
            if call.method.scope is not None:
                conversation.authenticated().require([call.method.scope])
            answer = self._handlers[call.method.name](conversation, call.id, call.params)
        except VitaleError as error:
            conversation.fail(call.id, error)
        except Exception as error:  # noqa: BLE001  an edge: whatever a client sends, the daemon lives
            conversation.fail(call.id, incident(error))
        else:
            if isinstance(answer, Result):
                conversation.reply(call.id, answer)
            elif answer is not None:
                self._answer_later(conversation, call.id, answer)

    def notify_expiring(self, client_id: str, event: ContextExpiring) -> bool:
        """Tells every open session of a client of a context that ends soon; whether there was one."""
        told = [
            conversation
            for conversation in self._conversations.values()
            if conversation.caller is not None and conversation.caller.client_id == client_id and not conversation.ended
        ]
        for conversation in told:
            conversation.context_expiring(event)
        return bool(told)

    async def stop(self) -> None:
        """Answers what waits, lets what is under way finish, and ends every session."""
        self._stopping = True
        await self._desk.stop()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for conversation in list(self._conversations.values()):
            conversation.connection.close()

    def _answer_later(
        self, conversation: Conversation, request: RequestId | None, answer: Coroutine[Any, Any, Result]
    ) -> None:
        """Calls without an id are not in flight as far as the session goes, but they work here all the same."""
        if conversation.under_way >= self._limits.requests:
            answer.close()
            conversation.fail(request, LimitExceeded("too many calls under way", data={"limit": "requests"}))
            return
        conversation.under_way += 1
        self._spawn(self._finish(conversation, request, answer))

    async def _finish(
        self, conversation: Conversation, request: RequestId | None, answer: Coroutine[Any, Any, Result]
    ) -> None:
        try:
            result = await answer
        except VitaleError as error:
            conversation.fail(request, error)
        except Exception as error:  # noqa: BLE001  an edge, as above
            conversation.fail(request, incident(error))
        else:
            conversation.reply(request, result)
        finally:
            conversation.under_way -= 1

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            incident(error)

    # ── session and station ──

    def _session_open(self, conversation: Conversation, _id: RequestId | None, params: SessionOpen) -> Answer:
        if PROTOCOL_VERSION not in params.protocol:
            raise ProtocolUnsupported("no version in common", data={"supported": [PROTOCOL_VERSION]})
        try:
            caller = self._access.authenticate(conversation.connection.peer, params.credential)
            self._require_room(caller)
        except VitaleError as error:
            self._note_refusal(conversation, error)
            raise
        conversation.caller = caller
        self._note("session.open", "ok", caller)
        self._spawn(self._contexts.welcome(caller.client_id))
        return SessionOpened(
            protocol=PROTOCOL_VERSION,
            session=secrets.token_hex(8),
            client_id=caller.client_id,
            scopes=tuple(sorted(caller.scopes)),
            station=self._station,
            jwks=self._keys.jwks,
            limits=self._limits,
        )

    def _note_refusal(self, conversation: Conversation, error: VitaleError) -> None:
        """Whoever guesses is cut off after a few tries, and cannot fill the audit trail by coming back."""
        now = self._clock()
        self._refusals = [at for at in self._refusals if at > now - REFUSALS_PERIOD]
        if len(self._refusals) < MOST_REFUSALS_NOTED:
            self._refusals.append(now)
            self._note("session.open", error.reason)
        conversation.refusals += 1
        if conversation.refusals >= MOST_REFUSALS:
            asyncio.get_running_loop().call_soon(conversation.connection.close)

    def _require_room(self, caller: Caller) -> None:
        same = sum(
            other.caller is not None and other.caller.client_id == caller.client_id
            for other in self._conversations.values()
        )
        if same >= self._limits.sessions:
            raise LimitExceeded("too many sessions of this client", data={"limit": "sessions"})

    def _session_ping(self, _conversation: Conversation, _id: RequestId | None, _params: SessionPing) -> Answer:
        return SessionPonged(time=self._clock())

    def _station_info(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        drivers = self._desk.supervisor.health
        return StationInfo(
            station=self._station,
            media=tuple(sorted({medium for driver in drivers for medium in driver.media})),
            drivers=drivers,
            uptime=self._clock() - self._started_at,
            resolver=self._resolver.health,
        )

    def _station_keys(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        return StationKeys(jwks=self._keys.jwks)

    # ── readers ──

    def _readers_list(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        return ReadersListed(readers=self._desk.readers)

    def _readers_watch(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        self._desk.watch(conversation)
        return ReadersListed(readers=self._desk.readers)

    def _readers_unwatch(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        self._desk.unwatch(conversation)
        return Done()

    # ── presentations ──

    def _presentation_request(
        self, conversation: Conversation, request: RequestId | None, params: PresentationRequest
    ) -> Answer:
        grant = self._granted(conversation, params)
        self._desk.request(
            conversation,
            self._expected(conversation, request),
            grant,
            media=frozenset(params.media) if params.media else PATIENT_MEDIA,
            readers=frozenset(params.readers or ()),
            timeout=params.timeout_ms / 1000,
        )
        return None

    def _presentation_submit(
        self, conversation: Conversation, request: RequestId | None, params: PresentationSubmit
    ) -> Answer:
        grant = self._granted(conversation, params)
        expected = self._expected(conversation, request)
        try:
            presentation = presentation_of(params, presentation_id=str(uuid.uuid4()), at=self._clock())
        except (MediumUnsupported, PayloadInvalid) as error:
            self._note("presentation.submit", error.reason, conversation.authenticated())
            raise
        self._desk.submit(conversation, expected, grant, presentation, driver=DRIVER, timeout=SUBMISSION)
        return None

    def _granted(self, conversation: Conversation, params: PresentationRequest | PresentationSubmit) -> Grant:
        caller = conversation.authenticated()
        caller.require(params.scopes)
        purpose = (params.purpose,) if isinstance(params.purpose, str) else params.purpose
        return Grant(
            client_id=caller.client_id,
            nonce=params.nonce,
            scopes=tuple(dict.fromkeys(params.scopes)),
            purpose=tuple(dict.fromkeys(purpose)) if purpose else None,
        )

    def _expected(self, conversation: Conversation, request: RequestId | None) -> RequestId:
        """The id under which a token is to be handed over, where there is room for one more."""
        if request is None:
            raise InvalidRequest("a call for a token needs an id, or its token would have nowhere to go")
        if self._desk.waiting(conversation) >= self._limits.requests:
            raise LimitExceeded("too many waiting requests in this session", data={"limit": "requests"})
        return request

    def _presentation_cancel(
        self, conversation: Conversation, _id: RequestId | None, params: PresentationCancel
    ) -> Answer:
        return PresentationCancelled(cancelled=self._desk.cancel(conversation, params.request))

    # ── previews ──

    def _preview_start(self, conversation: Conversation, _id: RequestId | None, params: PreviewStart) -> Answer:
        self._desk.preview(conversation, params.reader, params.every_ms / 1000)
        return PreviewStarted(reader=params.reader, every_ms=params.every_ms)

    def _preview_stop(self, conversation: Conversation, _id: RequestId | None, params: PreviewStop) -> Answer:
        self._desk.end_preview(conversation, params.reader)
        return Done()

    # ── outbox ──

    async def _outbox_list(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Result:
        return OutboxListed(tokens=await self._outbox.list(conversation.authenticated().client_id))

    async def _outbox_ack(self, conversation: Conversation, _id: RequestId | None, params: OutboxAck) -> Result:
        return OutboxAcked(acked=await self._outbox.acknowledge(conversation.authenticated().client_id, params.jti))

    # ── apCV contexts ──

    async def _context_restore(
        self, conversation: Conversation, _id: RequestId | None, params: ContextRestore
    ) -> Result:
        caller = conversation.authenticated()
        with self._noted("context.restore", caller):
            return await self._contexts.restore(caller.client_id, params.identifiant)

    async def _context_release(
        self, conversation: Conversation, _id: RequestId | None, params: ContextRelease
    ) -> Result:
        caller = conversation.authenticated()
        with self._noted("context.release", caller):
            return ContextReleased(released=await self._contexts.release(caller.client_id, params.identifiant))

    # ── administration ──

    async def _clients_add(self, conversation: Conversation, _id: RequestId | None, params: ClientsAdd) -> Result:
        issued: list[Issued] = []

        def certificate(client_id: str) -> str:
            issued.append(self._certificates.issue_client(client_id))
            return issued[0].sha256

        if params.origins and "websocket" not in params.transports:
            raise InvalidParams("origins are for the websocket transport", data={"path": "$.origins"})
        with_tls = "tls" in params.transports
        client_id, credential = await self._access.add(
            params.name,
            scopes=params.scopes,
            transports=params.transports,
            origins=params.origins,
            certificate=certificate if with_tls else None,
        )
        self._note("clients.add", "ok", conversation.authenticated())
        return ClientAdded(
            client_id=client_id,
            credential=credential,
            certificate=issued[0].certificate if issued else None,
            private_key=issued[0].private_key if issued else None,
            daemon_certificate=self._certificates.daemon_certificate if with_tls else None,
            daemon_certificate_sha256=self._certificates.daemon_sha256 if with_tls else None,
        )

    def _clients_list(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        # What one message can hold; the clients that may speak come first.
        sizes = itertools.accumulate(len(msgspec.json.encode(client)) for client in self._access.clients)
        fits = itertools.takewhile(lambda pair: pair[1] <= MOST_LISTED, zip(self._access.clients, sizes, strict=True))
        return ClientsListed(clients=tuple(client for client, _ in fits))

    async def _clients_revoke(self, conversation: Conversation, _id: RequestId | None, params: ClientsRevoke) -> Result:
        # First, and whatever becomes of the store: who asks for this wants them gone now.
        ended = [
            other
            for other in self._conversations.values()
            if other.caller is not None and other.caller.client_id == params.client_id != LOCAL_CLIENT
        ]
        for other in ended:
            other.connection.close()
        revoked = await self._access.revoke(params.client_id)
        if revoked:
            # What it held is of no more use to anybody.
            self._spawn(self._contexts.release_taken(self._contexts.revoke(params.client_id)))
        self._note("clients.revoke", "ok", conversation.authenticated())
        return ClientsRevoked(revoked=revoked, sessions=len(ended))

    async def _keys_rotate(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Result:
        async with self._rotating:
            kid = await asyncio.to_thread(self._keys.rotate)
        self._note("keys.rotate", "ok", conversation.authenticated())
        return KeysRotated(kid=kid)

    @contextlib.contextmanager
    def _noted(self, action: str, caller: Caller) -> Generator[None]:
        """A line in the audit trail about what is done within, with its outcome."""
        try:
            yield
        except VitaleError as error:
            self._note(action, error.reason, caller)
            raise
        self._note(action, "ok", caller)

    def _note(self, action: str, outcome: str, caller: Caller | None = None) -> None:
        self._spawn(self._audit.note(action, outcome, client_id=caller.client_id if caller else None))
