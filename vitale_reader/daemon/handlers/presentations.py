"""Calls for presentations: requests, submitted codes and subscriptions."""

import uuid

from vitale_protocol.errors import InvalidRequest, MediumUnsupported, PayloadInvalid
from vitale_protocol.methods import (
    Done,
    PresentationCancel,
    PresentationCancelled,
    PresentationRequest,
    PresentationsSubscribe,
    PresentationsSubscribed,
    PresentationSubmit,
    PresentationsUnsubscribe,
)
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.decisions import PATIENT_MEDIA
from vitale_reader.daemon.handlers.parts import Answer, Handlers, Parts, RequestId
from vitale_reader.daemon.issuer import Grant
from vitale_reader.daemon.submission import DRIVER, presentation_of

__all__ = ["PresentationCalls"]

#: Seconds for a submitted code to become a token. Only the apCV service takes time, and apcv.timeout is 120 at most.
SUBMISSION = 125.0


class PresentationCalls:
    """``presentation.*`` and ``presentations.*``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
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
        self._parts.desk.request(
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
            presentation = presentation_of(params, presentation_id=str(uuid.uuid4()), at=self._parts.clock())
        except (MediumUnsupported, PayloadInvalid) as error:
            self._parts.note("presentation.submit", error.reason, conversation.authenticated())
            raise
        self._parts.desk.submit(conversation, expected, grant, presentation, driver=DRIVER, timeout=SUBMISSION)
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
        )

    def _expected(self, conversation: Conversation, request: RequestId | None) -> RequestId:
        """The id under which a token is to be handed over, where there is room for one more."""
        if request is None:
            raise InvalidRequest("a call for a token needs an id, or its token would have nowhere to go")
        self._parts.require_room(conversation)
        return request

    def _presentation_cancel(
        self, conversation: Conversation, _id: RequestId | None, params: PresentationCancel
    ) -> Answer:
        return PresentationCancelled(cancelled=self._parts.desk.cancel(conversation, params.request))

    def _presentations_subscribe(
        self, conversation: Conversation, _id: RequestId | None, params: PresentationsSubscribe
    ) -> Answer:
        if _id is None:
            raise InvalidRequest("a subscription needs an id, or its name would have nowhere to go")
        grant = self._granted(conversation, params)
        self._parts.require_room(conversation)
        name = self._parts.desk.subscribe(
            conversation,
            grant,
            media=frozenset(params.media) if params.media else PATIENT_MEDIA,
            readers=frozenset(params.readers or ()),
        )
        return PresentationsSubscribed(subscription=name)

    def _presentations_unsubscribe(
        self, conversation: Conversation, _id: RequestId | None, params: PresentationsUnsubscribe
    ) -> Answer:
        self._parts.desk.unsubscribe(conversation, params.subscription)
        return Done()
