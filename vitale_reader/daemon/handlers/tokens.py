"""Calls about what was issued: tokens that are not acknowledged, and apCV contexts."""

from base64 import b64encode

from vitale_protocol.errors import Cancelled
from vitale_protocol.methods import (
    ContextRelease,
    ContextReleased,
    ContextRestore,
    ContextSign,
    ContextSigned,
    OutboxAck,
    OutboxAcked,
    OutboxList,
    OutboxListed,
    Result,
)
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.fairness.processor_shares import one_at_a_time
from vitale_reader.daemon.handlers.services import Handlers, RequestId, Services
from vitale_reader.daemon.issuing.base64_text import decode_base64

__all__ = ["TokenCalls"]


class TokenCalls:
    """Handlers of ``outbox.*`` and ``context.*``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.handlers: Handlers = {
            "outbox.list": self._outbox_list,
            "outbox.ack": self._outbox_ack,
            "context.restore": self._context_restore,
            "context.sign": self._context_sign,
            "context.release": self._context_release,
        }

    async def _outbox_list(self, conversation: Conversation, _id: RequestId | None, params: OutboxList) -> Result:
        client_id = conversation.authenticated().client_id
        async with one_at_a_time():
            if conversation.ended:
                raise Cancelled("the session ended")
            tokens, more = await self._services.outbox.page(client_id, after=params.after, limit=params.limit)
            return OutboxListed(tokens=tokens, more=more)

    async def _outbox_ack(self, conversation: Conversation, _id: RequestId | None, params: OutboxAck) -> Result:
        client_id = conversation.authenticated().client_id
        async with one_at_a_time():
            return OutboxAcked(acked=await self._services.outbox.acknowledge(client_id, params.jti))

    async def _context_restore(
        self, conversation: Conversation, _id: RequestId | None, params: ContextRestore
    ) -> Result:
        caller = conversation.authenticated()
        with self._services.noted("context.restore", caller):
            return await self._services.contexts.restore(caller.client_id, params.identifiant)

    async def _context_sign(self, conversation: Conversation, _id: RequestId | None, params: ContextSign) -> Result:
        caller = conversation.authenticated()
        with self._services.noted("context.sign", caller):
            invoice = decode_base64(params.invoice_b64, "$.invoice_b64")
            signature = await self._services.contexts.sign(caller.client_id, params.identifiant, invoice)
        return ContextSigned(signature_b64=b64encode(signature.content).decode(), origin=signature.origin)

    async def _context_release(
        self, conversation: Conversation, _id: RequestId | None, params: ContextRelease
    ) -> Result:
        caller = conversation.authenticated()
        with self._services.noted("context.release", caller):
            return ContextReleased(released=await self._services.contexts.release(caller.client_id, params.identifiant))
