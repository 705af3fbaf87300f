"""The desk as its administrators see it: updated as it changes, worked out only while somebody looks.

Nothing here says whose medium it was: names of clients, kinds of media, outcomes.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Protocol

import msgspec

from vitale_protocol.errors import VitaleError
from vitale_protocol.events import DeskState, DeskWaiting
from vitale_protocol.methods import ClientSummary
from vitale_reader.daemon.arbitration.actions import PendingSubscription
from vitale_reader.daemon.dashboard.simulators import Simulators
from vitale_reader.daemon.desk.coordinator import Coordinator
from vitale_reader.daemon.observation.incidents import incident

__all__ = ["DeskView", "Onlooker"]

#: Seconds in which changes are gathered; a person sees no difference.
GATHERED = 0.1

#: Seconds after which a desk with a driver that starts is looked at anew: that it has started is no event of its own
#: where it tells no readers.
STARTING = 1.0

#: Clients that wait, of which an onlooker is told, and readers of each; nobody reads more.
MOST_WAITING, MOST_READERS = 50, 4


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
        simulators: that can be played.
    """

    def __init__(
        self, desk: Coordinator, clients: Callable[[], tuple[ClientSummary, ...]], simulators: Simulators
    ) -> None:
        self._desk = desk
        self._clients = clients
        self._simulators = simulators
        self._onlookers: dict[int, Onlooker] = {}
        self._told: dict[int, DeskState] = {}  # by number: they come at different times
        self._due: asyncio.TimerHandle | None = None
        desk.on_change(self._changed)
        simulators.on_change(self._changed)

    def watch(self, onlooker: Onlooker) -> DeskState:
        """A session looks on from now on; the desk as it is."""
        state = self._state()
        self._onlookers[onlooker.number] = onlooker
        self._told[onlooker.number] = state
        self._look_again(state)
        return state

    def unwatch(self, onlooker: Onlooker) -> None:
        """A session has seen enough, if it looked on."""
        self._onlookers.pop(onlooker.number, None)
        self._told.pop(onlooker.number, None)

    def _changed(self, after: float = GATHERED) -> None:
        if not self._onlookers:
            return
        loop = asyncio.get_running_loop()
        if self._due is not None:
            if self._due.when() <= loop.time() + after:
                return
            self._due.cancel()
        self._due = loop.call_later(after, self._tell)

    def _look_again(self, state: DeskState) -> None:
        if any(driver.state == "starting" for driver in state.drivers):
            self._changed(STARTING)

    def _tell(self) -> None:
        self._due = None
        state = self._state()
        for number, onlooker in tuple(self._onlookers.items()):
            if state != self._told.get(number, state):
                self._told[number] = state
                try:
                    onlooker.desk_changed(state)
                except VitaleError as error:  # its session's limits, which are nobody else's
                    incident(error)
        self._look_again(state)

    def _state(self) -> DeskState:
        names = {client.client_id: client.name for client in self._clients()}
        here = {reader.id for reader in self._desk.readers}
        waiting = tuple(
            DeskWaiting(
                client=names.get(client_id, client_id),
                media=tuple(sorted(pending.media)),
                readers=tuple(sorted(pending.readers, key=lambda reader: (reader not in here, reader))[:MOST_READERS]),
                lasting=isinstance(pending, PendingSubscription),
            )
            for client_id, pending in itertools.islice(self._desk.waiting, MOST_WAITING)
        )
        last = self._desk.last
        return DeskState(
            waiting=waiting,
            drivers=self._desk.drivers,
            last=None if last is None else msgspec.structs.replace(last, client=names.get(last.client, last.client)),
            simulators=self._simulators.places,
        )
