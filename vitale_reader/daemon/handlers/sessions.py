"""Calls about the session."""

import asyncio
import secrets
import time
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec

from vitale_protocol.errors import LimitExceeded, NotAuthenticated, ProtocolUnsupported, VitaleError
from vitale_protocol.methods import (
    PROTOCOL_VERSION,
    KeyProof,
    SessionChallenge,
    SessionOpen,
    SessionOpened,
    SessionPing,
    SessionPonged,
)
from vitale_reader.daemon.clients.callers import Caller, owner_of
from vitale_reader.daemon.conversation import Challenge, Conversation
from vitale_reader.daemon.fairness.token_buckets import Buckets, Rate
from vitale_reader.daemon.handlers.services import Answer, Handlers, RequestId, Services

if TYPE_CHECKING:
    from vitale_protocol.web.channels import Preamble
    from vitale_protocol.web.sealed_frames import SessionKeys

__all__ = ["SessionCalls"]

#: Refused attempts to open a session: on one connection, and noted in the audit trail within a period of seconds.
MOST_REFUSALS = 3
MOST_REFUSALS_NOTED = 60
REFUSALS_PERIOD = 60.0

#: Sessions that one client opens, or one process of the daemon's own user. A program keeps its session.
OPENINGS = Rate(20.0, 200.0)

#: Open sessions of one page in one browser: its tabs.
PAGE_SESSIONS = 8


class SessionCalls:
    """Handlers of the calls ``session.*``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._refusals: list[float] = []
        self._openings = Buckets(OPENINGS, time.monotonic)
        self.handlers: Handlers = {
            "session.challenge": self._session_challenge,
            "session.open": self._session_open,
            "session.ping": self._session_ping,
        }

    def _session_open(self, conversation: Conversation, _id: RequestId | None, params: SessionOpen) -> Answer:
        if PROTOCOL_VERSION not in params.protocol:
            raise ProtocolUnsupported("no version in common", data={"supported": [PROTOCOL_VERSION]})
        try:
            caller, keys = self._identified(conversation, params)
            owner = owner_of(conversation.connection.peer, caller)
            self._require_room(caller, owner)
            if not self._openings.of(owner).take():
                raise LimitExceeded("sessions are opened too fast", variant="opens", data={"limit": "opens"})
        except VitaleError as error:
            self._note_refusal(conversation, error)
            raise
        conversation.caller = caller
        if keys is not None:
            conversation.connection.seal(keys)
            self._services.tasks.spawn(self._services.client_registry.note_use(caller.client_id))
        self._services.note("session.open", "ok", caller)
        self._services.tasks.spawn(self._services.contexts.welcome(caller.client_id))
        return SessionOpened(
            protocol=PROTOCOL_VERSION,
            session=secrets.token_hex(8),
            client_id=caller.client_id,
            scopes=tuple(sorted(caller.scopes)),
            station=self._services.station,
            jwks=self._services.keys.jwks,
            limits=self._services.limits,
        )

    def _session_challenge(self, conversation: Conversation, _id: RequestId | None, params: SessionChallenge) -> Answer:
        from vitale_protocol.web import handshake  # noqa: PLC0415  for pages alone

        channel = _channel(conversation)
        if conversation.challenged:
            raise NotAuthenticated("a channel has one challenge")
        conversation.challenged = True
        self._services.client_registry.page(params.kid, channel.site)
        made = handshake.offer(
            params,
            channel,
            handshake.PinnedStation(issuer=self._services.keys.issuer, key=self._services.keys.identity),
            challenge=secrets.token_bytes(handshake.CHALLENGE_BYTES),
            ephemeral=ec.generate_private_key(ec.SECP256R1()),
            now=self._services.clock(),
        )
        until = asyncio.get_running_loop().time() + handshake.CHALLENGE_SECONDS
        conversation.challenge = Challenge(made, until)
        return made.answer

    def _identified(self, conversation: Conversation, params: SessionOpen) -> "tuple[Caller, SessionKeys | None]":
        """The client that speaks; with the keys of the session where that is a page."""
        registry, peer = self._services.client_registry, conversation.connection.peer
        if peer.transport == "dashboard":
            return self._services.entrance.admit(conversation, params.credential), None
        if not isinstance(params.credential, KeyProof):
            return registry.authenticate(peer, params.credential), None
        channel = _channel(conversation)
        challenge, conversation.challenge = conversation.challenge, None
        if challenge is None or asyncio.get_running_loop().time() >= challenge.until:
            raise NotAuthenticated("no challenge is waiting for an answer")
        from vitale_protocol.web import handshake  # noqa: PLC0415  for pages alone

        key = registry.page(params.credential.kid, channel.site)
        registered = handshake.RegisteredKey(jwk=key.jwk, site=key.site)
        opening = handshake.Opening.of(params)
        keys = handshake.admit(challenge.offer, params.credential, opening, registered, channel)
        return registry.authenticate_page(key.kid, channel.site, channel.via), keys

    def _note_refusal(self, conversation: Conversation, error: VitaleError) -> None:
        """Whoever guesses is cut off after a few tries, and cannot fill the audit trail by coming back."""
        now = asyncio.get_running_loop().time()
        self._refusals = [at for at in self._refusals if at > now - REFUSALS_PERIOD]
        if len(self._refusals) < MOST_REFUSALS_NOTED:
            self._refusals.append(now)
            self._services.note("session.open", error.reason)
        conversation.refusals += 1
        if conversation.refusals >= MOST_REFUSALS:
            asyncio.get_running_loop().call_soon(conversation.connection.close)

    def _require_room(self, caller: Caller, owner: str) -> None:
        most = min(self._services.limits.sessions, PAGE_SESSIONS) if caller.site else self._services.limits.sessions
        if len(self._services.conversations.of_owner(owner)) >= most:
            raise LimitExceeded("too many sessions of this client", variant="sessions", data={"limit": "sessions"})

    def _session_ping(self, _conversation: Conversation, _id: RequestId | None, _params: SessionPing) -> Answer:
        return SessionPonged(time=self._services.clock())


def _channel(conversation: Conversation) -> "Preamble":
    """The channel of a page.

    Raises:
        NotAuthenticated: no page is at the other end.
    """
    channel = conversation.connection.peer.channel
    if channel is None:
        raise NotAuthenticated("a key is proved on the channel of a page")
    return channel
