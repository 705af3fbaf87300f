"""Subscriptions to the codes at imagers that are no patient's.

- Each subscription to a reader gets each of its codes. A box is nobody's secret, and no token is made of it.
- A code is sent once, and kept nowhere: what is scanned while nobody listens is gone.
- A subscription ends with its session.
"""

import secrets
from base64 import b64encode
from collections.abc import Container
from typing import Protocol

import msgspec

from vitale_drivers.base import CodeScanned
from vitale_protocol.events import CodeRead

__all__ = ["CodeSubscriber", "CodeSubscriptions"]


class CodeSubscriber(Protocol):
    """A session, as a subscription to codes sees it.

    Attributes:
        number: unique among the sessions of this process.
    """

    number: int

    def code_read(self, event: CodeRead) -> None:
        """Sends a code to the client."""


class _Subscription(msgspec.Struct, frozen=True):
    subscriber: CodeSubscriber
    readers: frozenset[str]


class CodeSubscriptions:
    """The subscriptions to codes, by session and name."""

    def __init__(self) -> None:
        self._subscriptions: dict[tuple[int, str], _Subscription] = {}

    def of(self, sessions: Container[int]) -> int:
        """Number of subscriptions of some sessions."""
        return sum(session in sessions for session, _ in self._subscriptions)

    def start(self, subscriber: CodeSubscriber, readers: frozenset[str]) -> str:
        """A session wants the codes of some readers, or of all where none is named; gives the subscription's name."""
        name = f"codes-{secrets.token_hex(8)}"
        self._subscriptions[subscriber.number, name] = _Subscription(subscriber, readers)
        return name

    def stop(self, subscriber: CodeSubscriber, name: str) -> None:
        """A session has had enough; nothing if there is no such subscription."""
        self._subscriptions.pop((subscriber.number, name), None)

    def leave(self, subscriber: CodeSubscriber) -> None:
        """Ends the subscriptions of a session that ended."""
        for key in [key for key in self._subscriptions if key[0] == subscriber.number]:
            del self._subscriptions[key]

    def hand_on(self, code: CodeScanned) -> bool:
        """A code came: for each subscription that wants it; whether there was one."""
        wanting = [
            (name, each.subscriber)
            for (_, name), each in self._subscriptions.items()
            if not each.readers or code.reader in each.readers
        ]
        for name, subscriber in wanting:
            subscriber.code_read(_event(name, code))
        return bool(wanting)


def _event(subscription: str, code: CodeScanned) -> CodeRead:
    try:
        data, data_b64 = code.data.decode(), None
    except UnicodeDecodeError:
        data, data_b64 = None, b64encode(code.data).decode()
    return CodeRead(
        subscription=subscription,
        reader=code.reader,
        symbology=code.symbology or None,
        data=data,
        data_b64=data_b64,
        gs1=code.gs1,
        format=code.format or None,
    )
