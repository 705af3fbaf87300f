"""Limits of pages: a script that calls in a loop is refused, and others are not."""

from types import SimpleNamespace
from typing import Any

import pytest

from vitale_protocol.errors import LimitExceeded
from vitale_reader.daemon.clients.callers import Caller
from vitale_reader.daemon.handlers.page_rate_limits import CALLS, TOKENS, PageRateLimits


def waiting(session: Any) -> int:
    return int(session.load)


class Sessions:
    """Sessions of clients, with the requests that wait in each."""

    def __init__(self) -> None:
        self.now = 0.0
        self.all: list[Any] = []
        conversations: Any = self  # of sessions, only what is asked of them
        self.limits = PageRateLimits(conversations, waiting, clock=lambda: self.now)

    def of_client(self, client_id: str) -> list[Any]:
        return [each for each in self.all if each.caller.client_id == client_id]

    def add(self, client_id: str, site: str = "https://a.example", load: int = 0) -> Any:
        caller = Caller(client_id=client_id, name="x", scopes=frozenset(), site=site)
        self.all.append(SimpleNamespace(caller=caller, authenticated=lambda: caller, load=load))
        return self.all[-1]


@pytest.fixture
def there() -> Sessions:
    return Sessions()


def passed(check: Any, session: Any) -> int:
    """How often in a row a session may."""
    for count in range(1_000):
        try:
            check(session)
        except LimitExceeded:
            return count
    return 1_000


def test_a_page_makes_ten_calls_a_second(there: Sessions) -> None:
    one, tab, other = there.add("page-1"), there.add("page-1"), there.add("page-2")

    assert CALLS.burst == passed(there.limits.require_call, one)
    assert 0 == passed(there.limits.require_call, tab)
    assert CALLS.burst == passed(there.limits.require_call, other)
    there.now += 1.0
    assert 10 == passed(there.limits.require_call, tab)


def test_a_page_has_thirty_tokens_a_minute(there: Sessions) -> None:
    one = there.add("page-1")

    assert TOKENS.burst == 30 == passed(there.limits.require_token, one)
    there.now += 60.0
    assert 30 == passed(there.limits.require_token, one)


def test_a_page_waits_for_one_token(there: Sessions) -> None:
    there.add("page-1", load=1)

    assert 0 == passed(there.limits.require_token, there.add("page-1"))
    assert 0 < passed(there.limits.require_token, there.add("page-2"))


def test_other_clients_have_no_such_limits(there: Sessions) -> None:
    program = there.add("client-1", site="", load=5)

    assert 1_000 == passed(there.limits.require_call, program)
    assert 1_000 == passed(there.limits.require_token, program)


def test_whoever_has_not_opened_a_session_is_limited_elsewhere(there: Sessions) -> None:
    nobody: Any = SimpleNamespace(caller=None)
    there.limits.require_call(nobody)
