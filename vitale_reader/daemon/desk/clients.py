"""Clients of the desk: a session, or a request of another desk, each as the desk sees it."""

from typing import Protocol

from vitale_reader.daemon.arbitration.leases import Holder
from vitale_reader.daemon.desk.code_subscriptions import CodeSubscriber
from vitale_reader.daemon.desk.previews import Viewer
from vitale_reader.daemon.desk.subscriptions import Subscriber
from vitale_reader.daemon.desk.watchers import Watcher
from vitale_reader.daemon.issuing import delivery

__all__ = ["Client", "Requester"]


class Requester(delivery.Client, Protocol):
    """A session, or a request of another desk, as its requests see it.

    Attributes:
        number: unique among those of this process.
    """

    number: int


class Client(Requester, Watcher, Viewer, Subscriber, CodeSubscriber, Holder, Protocol):
    """A session, as the desk sees it."""

    number: int
