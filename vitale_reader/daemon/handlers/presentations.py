"""Calls for presentations: requests, submitted codes and subscriptions."""

import uuid
from typing import TYPE_CHECKING

from vitale_protocol.errors import InvalidRequest, MediumUnsupported, NotAuthorised, PayloadInvalid
from vitale_protocol.methods import (
    Done,
    PresentationCancel,
    PresentationCancelled,
    PresentationRequest,
    PresentationsSubscribe,
    PresentationsSubscribed,
    PresentationSubmit,
    PresentationsUnsubscribe,
    Result,
)
from vitale_reader.daemon.arbitration.actions import PATIENT_MEDIA
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.handlers.services import Answer, Handlers, RequestId, Services
from vitale_reader.daemon.issuing.issuer import Grant

if TYPE_CHECKING:
    from vitale_reader.daemon.site.remote_desks import RemoteDesks

__all__ = ["PresentationCalls"]

#: Seconds for a submitted code to become a token. Only the apCV service takes time, and apcv.timeout is 120 at most.
SUBMISSION = 125.0


class PresentationCalls:
    """Handlers of ``presentation.*`` and ``presentations.*``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.handlers: Handlers = {
            "presentation.request": self._presentation_request,
            "presentation.submit": self._presentation_submit,
            "presentation.cancel": self._presentation_cancel,
            "presentations.subscribe": self._presentations_subscribe,
            "presentations.unsubscribe": self._presentations_unsubscribe,
        }

    def _presentation_request(
        self, conversation: Conversation, request: RequestId | None, params: PresentationRequest
    ) -> Answer:
        grant = self._granted(conversation, params)
        expected = self._expected(conversation, request, params)
        self._services.page_limits.require_token(conversation)
        media = frozenset(params.media) if params.media else PATIENT_MEDIA
        readers, timeout = frozenset(params.readers or ()), params.timeout_ms / 1000
        if (remote_desks := self._services.remote_desks) is not None:
            names = remote_desks.names(readers)
            if remote_desks.beyond(names):
                remote_desks.request(conversation, expected, grant, media=media, names=names, timeout=timeout)
                return None
            readers = remote_desks.own(names)
        self._services.desk.request(conversation, expected, grant, media=media, readers=readers, timeout=timeout)
        return None

    def _presentation_submit(
        self, conversation: Conversation, request: RequestId | None, params: PresentationSubmit
    ) -> Answer:
        # Its parsers are for applications that scan by themselves.
        from vitale_reader.daemon.issuing.submission import DRIVER, presentation_of  # noqa: PLC0415

        grant = self._granted(conversation, params)
        expected = self._expected(conversation, request, params)
        self._services.page_limits.require_token(conversation)
        try:
            presentation = presentation_of(
                params,
                presentation_id=str(uuid.uuid4()),
                at=self._services.clock(),
                formats=self._services.apcv_formats,
            )
        except (MediumUnsupported, PayloadInvalid) as error:
            self._services.note("presentation.submit", error.reason, conversation.authenticated())
            raise
        self._services.desk.submit(conversation, expected, grant, presentation, driver=DRIVER, timeout=SUBMISSION)
        return None

    def _granted(
        self, conversation: Conversation, params: PresentationRequest | PresentationSubmit | PresentationsSubscribe
    ) -> Grant:
        caller = conversation.authenticated()
        caller.require(params.scopes)
        purpose = (params.purpose,) if isinstance(params.purpose, str) else params.purpose
        return Grant(
            client_id=caller.client_id,
            nonce=params.nonce,
            scopes=tuple(dict.fromkeys(params.scopes)),
            purpose=tuple(dict.fromkeys(purpose)) if purpose else None,
            site=caller.site,
        )

    def _expected(
        self,
        conversation: Conversation,
        request: RequestId | None,
        params: PresentationRequest | PresentationSubmit,
    ) -> RequestId:
        """The id under which a token is to be handed over, where there is room for one more."""
        if request is None:
            raise InvalidRequest("a call for a token needs an id, or its token would have nowhere to go")
        self._services.require_room(conversation)
        if not params.progress:
            conversation.silence(request)
        return request

    def _presentation_cancel(
        self, conversation: Conversation, _id: RequestId | None, params: PresentationCancel
    ) -> Answer:
        cancelled = self._services.desk.cancel(conversation, params.request)
        if cancelled or self._services.remote_desks is None:
            return PresentationCancelled(cancelled=cancelled)
        return self._cancel_elsewhere(self._services.remote_desks, conversation, params)

    async def _cancel_elsewhere(
        self, remote_desks: "RemoteDesks", conversation: Conversation, params: PresentationCancel
    ) -> Result:
        return PresentationCancelled(cancelled=await remote_desks.cancel(conversation, params.request))

    def _presentations_subscribe(
        self, conversation: Conversation, _id: RequestId | None, params: PresentationsSubscribe
    ) -> Answer:
        if _id is None:
            raise InvalidRequest("a subscription needs an id, or its name would have nowhere to go")
        if conversation.authenticated().site:
            raise NotAuthorised("a page has a token of what is presented at its request, and of nothing else")
        grant = self._granted(conversation, params)
        self._services.require_room(conversation)
        name = self._services.desk.subscribe(
            conversation,
            grant,
            media=frozenset(params.media) if params.media else PATIENT_MEDIA,
            readers=self._services.readers_here(params.readers or ()),
        )
        return PresentationsSubscribed(subscription=name)

    def _presentations_unsubscribe(
        self, conversation: Conversation, _id: RequestId | None, params: PresentationsUnsubscribe
    ) -> Answer:
        self._services.desk.unsubscribe(conversation, params.subscription)
        return Done()
