"""Calls that pair a page: the page's own before it is paired, and the desk's, where a person types."""

import asyncio
import secrets
from typing import TYPE_CHECKING

from vitale_protocol.errors import NotAuthenticated, NotAuthorised, PairingFailed
from vitale_protocol.methods import (
    CredentialRotate,
    CredentialRotated,
    Done,
    Empty,
    PairingAccept,
    PairingAccepted,
    PairingAsked,
    PairingOpened,
    PairingRequest,
    PairingRequested,
    PairingReveal,
    PairingRevealed,
    Result,
)
from vitale_protocol.signing import base64url, from_base64url, public_jwk
from vitale_protocol.web.pairing import NONCE_BYTES
from vitale_reader.daemon.clients.registry import require_own_name
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.handlers.services import Answer, Handlers, RequestId, Services
from vitale_reader.daemon.web.pairing_window import SECONDS

if TYPE_CHECKING:
    from vitale_protocol.web.channels import Preamble

__all__ = ["PairingCalls"]


class PairingCalls:
    """Handlers of the calls ``pairing.*`` and ``credential.*``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.handlers: Handlers = {
            "pairing.open": self._open,
            "pairing.wait": self._wait,
            "pairing.accept": self._accept,
            "pairing.close": self._close,
            "pairing.request": self._request,
            "pairing.reveal": self._reveal,
            "credential.rotate": self._rotate,
        }

    # ── the desk ──

    def _open(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        self._services.pairing.open()
        self._services.note("pairing.open", "ok", conversation.authenticated())
        return PairingOpened(expires=self._services.clock() + SECONDS, attempts=self._services.pairing.window.attempts)

    async def _wait(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Result:
        held = await self._services.pairing.asked()
        # Only where a page is paired, and by libraries of an extra.
        from vitale_protocol.web.sites import parse_site  # noqa: PLC0415
        from vitale_reader.daemon.web.site_identity import registrable, second_looks, unicode_site  # noqa: PLC0415

        site = parse_site(held.site, self._services.station.mode)
        return PairingAsked(
            site=held.site,
            name=held.asked.name,
            scopes=held.asked.scopes,
            registrable=registrable(site),
            written=unicode_site(site),
            warnings=second_looks(site, self._services.client_registry.clients, self._services.station.mode),
        )

    async def _accept(self, conversation: Conversation, _id: RequestId | None, params: PairingAccept) -> Result:
        held = self._services.pairing.window.held
        if held is not None and (more := sorted(set(params.scopes) - set(held.asked.scopes))):
            raise NotAuthorised("scopes that the page did not ask for", data={"scopes": [*more]})
        pairing, registry = self._services.pairing, self._services.client_registry
        with (
            self._services.noted("pairing.accept", conversation.authenticated()),
            pairing.accepting(params.code) as accepting,
        ):
            held = accepting.held
            client_id = await registry.add_page(
                held.asked.name, scopes=params.scopes, site=held.site, jwk=held.asked.jwk
            )
            accepting.revealed = PairingRevealed(client_id=client_id, scopes=tuple(params.scopes))
        return PairingAccepted(client_id=client_id, site=held.site)

    def _close(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        self._services.pairing.end(PairingFailed("the window was closed at the desk"))
        return Done()

    # ── the page ──

    def _request(self, conversation: Conversation, _id: RequestId | None, params: PairingRequest) -> Answer:
        channel = _channel(conversation)
        _ = params.jwk.key  # one that is no key does not hold the window
        require_own_name(params.name)
        now = asyncio.get_running_loop().time()
        if not self._services.pairing.window.is_open(now):
            self._services.pairing.window.attempted(channel.site, self._services.clock())
        held = self._services.pairing.window.request(
            params,
            owner=conversation.number,
            site=channel.site,
            pairing=secrets.token_hex(16),
            nonce_d=secrets.token_bytes(NONCE_BYTES),
            now=now,
        )
        return PairingRequested(
            pairing=held.pairing,
            station_jwk=public_jwk(self._services.keys.identity),
            nonce_d=base64url(held.nonce_d),
            expires=self._services.clock() + self._services.pairing.window.expires - now,
        )

    async def _reveal(self, conversation: Conversation, _id: RequestId | None, params: PairingReveal) -> Result:
        nonce_p, now = from_base64url(params.nonce_p), asyncio.get_running_loop().time()
        try:
            held = self._services.pairing.window.reveal(params.pairing, nonce_p, owner=conversation.number, now=now)
        except NotAuthenticated as error:
            if self._services.pairing.window.held is None:
                self._services.pairing.end(error)
            raise
        return await self._services.pairing.shown(held)

    async def _rotate(self, conversation: Conversation, _id: RequestId | None, params: CredentialRotate) -> Result:
        from vitale_protocol.web.rotation import Rotation, check_rotation  # noqa: PLC0415  for pages alone

        caller = conversation.authenticated()
        old, new = self._services.client_registry.page_of(caller.client_id), params.jwk.thumbprint
        rotation = Rotation(aud=self._services.keys.issuer, client_id=caller.client_id, old=old.kid, new=new)
        with self._services.noted("credential.rotate", caller):
            check_rotation(rotation, old.jwk, params.proof_old)
            check_rotation(rotation, params.jwk, params.proof_new)
            await self._services.client_registry.rotate_page(caller.client_id, params.jwk)
        return CredentialRotated(kid=new)


def _channel(conversation: Conversation) -> "Preamble":
    channel = conversation.connection.peer.channel
    if channel is None:
        raise NotAuthenticated("pages are paired on their own channels")
    return channel
