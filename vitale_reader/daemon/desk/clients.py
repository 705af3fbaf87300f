"""Clients of the desk: a session, or a request of another desk, each as the desk sees it."""

from typing import Protocol

from vitale_reader.daemon.arbitration.leases import LeaseHolder
from vitale_reader.daemon.desk.code_subscriptions import CodeSubscriber
from vitale_reader.daemon.desk.previews import Viewer
from vitale_reader.daemon.desk.subscriptions import Subscriber
from vitale_reader.daemon.desk.watchers import Watcher
from vitale_reader.daemon.issuing import delivery

__all__ = ["DeskClient", "Requester"]


class Requester(delivery.DeliveryClient, Protocol):
    """A session, or a request of another desk, as its requests see it.

    Attributes:
        number: unique among those of this process.
    """

    number: int


class DeskClient(Requester, Watcher, Viewer, Subscriber, CodeSubscriber, LeaseHolder, Protocol):
    """A session, as the desk sees it."""

    number: int
