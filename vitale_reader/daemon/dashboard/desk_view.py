"""The desk as those see it who administer it: told as it changes, and worked out only while somebody looks.

Nothing here says whose medium it was: names of clients, kinds of media, outcomes.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Protocol

import msgspec

from vitale_protocol.events import DeskState, DeskWaiting
from vitale_protocol.methods import ClientSummary
from vitale_reader.daemon.arbitration.actions import PendingSubscription
from vitale_reader.daemon.desk.coordinator import Coordinator

__all__ = ["DeskView", "Onlooker"]

#: Seconds in which changes are gathered; a person sees no difference.
GATHERED = 0.1

#: Clients that wait, of which an onlooker is told; nobody reads more.
MOST_WAITING = 50


class Onlooker(Protocol):
    """A session that looks on.

    Attributes:
        number: unique among the sessions of this process.
    """

    number: int

    def desk_changed(self, event: DeskState) -> None:
        """Tells of the desk as it is now."""


class DeskView:
    """Tells onlookers of the desk.

    Args:
        desk: that they look at.
        clients: those that are paired, for their names.
    """

    def __init__(self, desk: Coordinator, clients: Callable[[], tuple[ClientSummary, ...]]) -> None:
        self._desk = desk
        self._clients = clients
        self._onlookers: dict[int, Onlooker] = {}
        self._told: dict[int, DeskState] = {}  # by number: they come at different times
        self._due: asyncio.TimerHandle | None = None
        desk.on_change(self._changed)

    def watch(self, onlooker: Onlooker) -> DeskState:
        """A session looks on from now on; the desk as it is."""
        state = self._state()
        self._onlookers[onlooker.number] = onlooker
        self._told[onlooker.number] = state
        return state

    def unwatch(self, onlooker: Onlooker) -> None:
        """A session has seen enough, if it looked on."""
        self._onlookers.pop(onlooker.number, None)
        self._told.pop(onlooker.number, None)

    def _changed(self) -> None:
        if self._onlookers and self._due is None:
            self._due = asyncio.get_running_loop().call_later(GATHERED, self._tell)

    def _tell(self) -> None:
        self._due = None
        state = self._state()
        for number, onlooker in tuple(self._onlookers.items()):
            if state != self._told.get(number, state):
                self._told[number] = state
                onlooker.desk_changed(state)

    def _state(self) -> DeskState:
        names = {client.client_id: client.name for client in self._clients()}
        waiting = tuple(
            DeskWaiting(
                client=names.get(client_id, client_id),
                media=tuple(sorted(pending.media)),
                readers=tuple(sorted(pending.readers)),
                lasting=isinstance(pending, PendingSubscription),
            )
            for client_id, pending in itertools.islice(self._desk.waiting, MOST_WAITING)
        )
        last = self._desk.last
        return DeskState(
            waiting=waiting,
            drivers=self._desk.supervisor.health,
            last=None if last is None else msgspec.structs.replace(last, client=names.get(last.client, last.client)),
        )
