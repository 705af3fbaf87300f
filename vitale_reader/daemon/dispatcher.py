"""The daemon's answer to every call, and the life of the sessions.

A handler returns its result, a coroutine of it, or None where the answer comes later (``presentation.request``).
"""

from collections.abc import Coroutine
from typing import Any

from vitale_protocol.errors import LimitExceeded, ShuttingDown, VitaleError
from vitale_protocol.methods import Result
from vitale_protocol.session.session import Called
from vitale_reader.daemon.conversation import Conversation, ConversationTransport
from vitale_reader.daemon.fairness.fair_store import paid_by
from vitale_reader.daemon.handlers.services import RequestId, Services
from vitale_reader.daemon.handlers.topics import handlers
from vitale_reader.daemon.observation.incidents import incident

__all__ = ["Dispatcher"]


class Dispatcher:
    """The daemon's answer to every method of the wire."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopping = False
        self._handlers = handlers(services)

    # ── for transports ──

    @property
    def is_stopping(self) -> bool:
        """True once the daemon has begun to stop: who is not in yet has to come again later."""
        return self._stopping

    def is_pairing(self, conversation: Conversation) -> bool:
        """True while a page holds the window of a pairing, or has not heard yet what became of it."""
        held = self._services.pairing.window.held
        return conversation.under_way > 0 or (held is not None and held.owner == conversation.number)

    def connected(self, connection: ConversationTransport) -> Conversation:
        """Begins a conversation over a new connection."""
        return self._services.conversations.begin(connection)

    def disconnected(self, conversation: Conversation) -> None:
        """A connection ended: its requests end with it, its tokens stay in the outbox."""
        self._services.conversations.end(conversation)
        self._services.pairing.left(conversation.number)
        self._services.entrance.left(conversation)
        self._services.desk_view.unwatch(conversation)
        self._services.simulators.left(conversation)
        self._services.desk.leave(conversation)
        if self._services.remote_desks is not None:
            self._services.remote_desks.leave(conversation)

    def called(self, conversation: Conversation, call: Called) -> None:
        """A call came: answered now, or by a task, or later."""
        with paid_by(conversation.owner):
            self._call(conversation, call)

    def _call(self, conversation: Conversation, call: Called) -> None:
        try:
            if self._stopping:
                raise ShuttingDown("the daemon is stopping")
            if call.method.scope is not None:
                conversation.authenticated().require([call.method.scope])
            self._services.page_limits.require_call(conversation)
            self._services.entrance.require(conversation, call.method.name)
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

    async def stop(self) -> None:
        """Answers what waits, lets what is under way finish, and ends every session."""
        self._stopping = True
        self._services.shares.end()
        self._services.pairing.end(ShuttingDown("the daemon is stopping"))
        self._services.simulators.end()
        for conversation in self._services.conversations:
            is_page = conversation.connection.peer.channel is not None
            if is_page and conversation.caller is None and not self.is_pairing(conversation):
                # A page that has not proved itself is told nothing but the refusal, which would be for good.
                conversation.connection.close()
        try:
            if self._services.remote_desks is not None:
                await self._services.remote_desks.stop()
            await self._services.desk.stop()
            await self._services.tasks.finish()
        finally:
            for conversation in self._services.conversations:
                conversation.connection.close()

    def _answer_later(
        self, conversation: Conversation, request: RequestId | None, answer: Coroutine[Any, Any, Result]
    ) -> None:
        """Answers a call in a task of its own, and counts it as under way.

        A call without an id counts, too, though it is not in flight as far as the session goes.
        """
        if conversation.under_way >= self._services.limits.requests:
            answer.close()
            conversation.fail(
                request, LimitExceeded("too many calls under way", variant="requests", data={"limit": "requests"})
            )
            return
        conversation.under_way += 1
        work = self._finish(conversation, request, answer)
        self._services.tasks.spawn(
            self._services.shares.charged(conversation.owner, conversation.connection.peer.group, work)
        )

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
