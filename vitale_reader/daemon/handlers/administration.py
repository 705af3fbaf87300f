"""Calls of the station's administration."""

import asyncio
import itertools
from typing import TYPE_CHECKING

import msgspec

from vitale_protocol.methods import (
    ClientAdded,
    ClientsAdd,
    ClientsListed,
    ClientsRevoke,
    ClientsRevoked,
    Empty,
    KeysRotated,
    Result,
)
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.handlers.services import Answer, Handlers, RequestId, Services
from vitale_reader.daemon.issuing.outbox import MOST_LISTED

if TYPE_CHECKING:
    from vitale_reader.daemon.keystore.certificate_authority import IssuedCertificate

__all__ = ["AdministrationCalls"]


class AdministrationCalls:
    """Handlers of ``clients.*``, ``keys.*`` and ``diagnostics.*``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._rotating = asyncio.Lock()
        self.handlers: Handlers = {
            "clients.add": self._clients_add,
            "clients.list": self._clients_list,
            "clients.revoke": self._clients_revoke,
            "keys.rotate": self._keys_rotate,
            "diagnostics.run": self._diagnostics_run,
        }

    async def _clients_add(self, conversation: Conversation, _id: RequestId | None, params: ClientsAdd) -> Result:
        issued: list[IssuedCertificate] = []

        def certificate(client_id: str) -> str:
            issued.append(self._services.certificates.issue_client(client_id))
            return issued[0].sha256

        with_tls = "tls" in params.transports
        client_id, credential = await self._services.client_registry.add(
            params.name,
            scopes=params.scopes,
            transports=params.transports,
            certificate=certificate if with_tls else None,
        )
        self._services.note("clients.add", "ok", conversation.authenticated())
        return ClientAdded(
            client_id=client_id,
            credential=credential,
            certificate=issued[0].certificate if issued else None,
            private_key=issued[0].private_key if issued else None,
            daemon_certificate=self._services.certificates.daemon_certificate if with_tls else None,
            daemon_certificate_sha256=self._services.certificates.daemon_sha256 if with_tls else None,
        )

    def _clients_list(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        # What one message can hold; the clients that may speak come first.
        clients = self._services.client_registry.clients
        sizes = itertools.accumulate(len(msgspec.json.encode(client)) for client in clients)
        fits = itertools.takewhile(lambda pair: pair[1] <= MOST_LISTED, zip(clients, sizes, strict=True))
        return ClientsListed(clients=tuple(client for client, _ in fits))

    async def _clients_revoke(self, conversation: Conversation, _id: RequestId | None, params: ClientsRevoke) -> Result:
        # First, and whatever becomes of the store: who asks for this wants them gone now.
        ended = self._services.expel(params.client_id)
        revoked = await self._services.client_registry.revoke(params.client_id)
        if revoked:
            self._services.revoked(params.client_id)
        self._services.note("clients.revoke", "ok", conversation.authenticated())
        return ClientsRevoked(revoked=revoked, sessions=ended)

    async def _keys_rotate(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Result:
        async with self._rotating:
            kid = await asyncio.to_thread(self._services.keys.rotate)
        self._services.note("keys.rotate", "ok", conversation.authenticated())
        return KeysRotated(kid=kid)

    async def _diagnostics_run(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Result:
        services = self._services
        return await services.diagnostics.report(services.station_info(), services.desk.readers, conversation.language)
