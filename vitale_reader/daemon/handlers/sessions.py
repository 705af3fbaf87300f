"""Calls about the session."""

import asyncio
import secrets
import time

from vitale_protocol.errors import LimitExceeded, ProtocolUnsupported, VitaleError
from vitale_protocol.methods import (
    PROTOCOL_VERSION,
    SessionOpen,
    SessionOpened,
    SessionPing,
    SessionPonged,
)
from vitale_reader.daemon.access import LOCAL_CLIENT, Caller
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.fairness.rate_limits import Buckets, Rate
from vitale_reader.daemon.handlers.services import Answer, Handlers, RequestId, Services

__all__ = ["SessionCalls"]

#: Refused attempts to open a session: on one connection, and noted in the audit trail within a period of seconds.
MOST_REFUSALS = 3
MOST_REFUSALS_NOTED = 60
REFUSALS_PERIOD = 60.0

#: Sessions that one client opens, or one process of the daemon's own user. A program keeps its session.
OPENINGS = Rate(20.0, 200.0)


class SessionCalls:
    """Handlers of the calls ``session.*``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._refusals: list[float] = []
        self._openings = Buckets(OPENINGS, time.monotonic)
        self.handlers: Handlers = {
            "session.open": self._session_open,
            "session.ping": self._session_ping,
        }

    def _session_open(self, conversation: Conversation, _id: RequestId | None, params: SessionOpen) -> Answer:
        if PROTOCOL_VERSION not in params.protocol:
            raise ProtocolUnsupported("no version in common", data={"supported": [PROTOCOL_VERSION]})
        try:
            peer = conversation.connection.peer
            caller = self._services.access.authenticate(peer, params.credential)
            self._require_room(caller)
            if not self._openings.of(peer.owner if caller.client_id == LOCAL_CLIENT else caller.client_id).take():
                raise LimitExceeded("sessions are opened too fast", variant="opens", data={"limit": "opens"})
        except VitaleError as error:
            self._note_refusal(conversation, error)
            raise
        conversation.caller = caller
        self._services.note("session.open", "ok", caller)
        self._services.spawn(self._services.contexts.welcome(caller.client_id))
        return SessionOpened(
            protocol=PROTOCOL_VERSION,
            session=secrets.token_hex(8),
            client_id=caller.client_id,
            scopes=tuple(sorted(caller.scopes)),
            station=self._services.station,
            jwks=self._services.keys.jwks,
            limits=self._services.limits,
        )

    def _note_refusal(self, conversation: Conversation, error: VitaleError) -> None:
        """Whoever guesses is cut off after a few tries, and cannot fill the audit trail by coming back."""
        now = self._services.clock()
        self._refusals = [at for at in self._refusals if at > now - REFUSALS_PERIOD]
        if len(self._refusals) < MOST_REFUSALS_NOTED:
            self._refusals.append(now)
            self._services.note("session.open", error.reason)
        conversation.refusals += 1
        if conversation.refusals >= MOST_REFUSALS:
            asyncio.get_running_loop().call_soon(conversation.connection.close)

    def _require_room(self, caller: Caller) -> None:
        if len(self._services.conversations.of_client(caller.client_id)) >= self._services.limits.sessions:
            raise LimitExceeded("too many sessions of this client", variant="sessions", data={"limit": "sessions"})

    def _session_ping(self, _conversation: Conversation, _id: RequestId | None, _params: SessionPing) -> Answer:
        return SessionPonged(time=self._services.clock())
