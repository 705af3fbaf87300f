"""Rate limits of pages: a script can make any call of its page, but not read cards at will."""

import time
from collections.abc import Callable

from vitale_protocol.errors import LimitExceeded
from vitale_reader.daemon.conversation import Conversation, Conversations
from vitale_reader.daemon.fairness.token_buckets import Buckets, Rate

__all__ = ["CALLS", "TOKENS", "PageRateLimits"]

#: Calls of one page, and requests for a token: thirty a minute, a few of them in a row.
CALLS = Rate(10.0, 20.0)
TOKENS = Rate(0.5, 30.0)


class PageRateLimits:
    """Limits of each page, all its sessions together; other clients have none of these.

    Args:
        conversations: the sessions there are.
        load: how many requests of a session wait.
        clock: steady seconds.
    """

    def __init__(
        self,
        conversations: Conversations,
        load: Callable[[Conversation], int],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._conversations = conversations
        self._load = load
        self._calls = Buckets(CALLS, clock)
        self._tokens = Buckets(TOKENS, clock)

    def require_call(self, conversation: Conversation) -> None:
        """Refuses a page that calls faster than a person clicks.

        Raises:
            LimitExceeded: too many calls.
        """
        caller = conversation.caller
        if caller is not None and caller.site and not self._calls.of(caller.client_id).take():
            raise LimitExceeded("the page calls too fast", variant="calls", data={"limit": "calls"})

    def require_token(self, conversation: Conversation) -> None:
        """Refuses a page that waits for a token already, in whichever tab, or has asked for too many.

        Raises:
            LimitExceeded: one request waits, or too many were made.
        """
        caller = conversation.authenticated()
        if not caller.site:
            return
        if any(self._load(each) for each in self._conversations.of_client(caller.client_id)):
            raise LimitExceeded("a request of this page waits", variant="requests", data={"limit": "requests"})
        if not self._tokens.of(caller.client_id).take():
            raise LimitExceeded("too many tokens for a page", variant="tokens", data={"limit": "tokens"})
