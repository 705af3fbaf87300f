"""Simulators that sessions of the owner hold, and what the dashboard has them do; in ``simulated`` mode alone.

The daemon knows no simulator: it hands on what is to be done, and waits for the answer.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from vitale_protocol.errors import InvalidParams, ReaderUnavailable, ShuttingDown, SimulatedRefused, VitaleError
from vitale_protocol.events import SimulatorAct, SimulatorPlace
from vitale_protocol.methods import StationMode

__all__ = ["Simulators"]

#: Seconds for a simulator to do something; to render a phone before a camera takes it one.
PATIENCE: Final = 30.0


class SimulatorHolder(Protocol):
    """A session that holds simulators.

    Attributes:
        number: unique among the sessions of this process.
    """

    number: int

    def simulator_act(self, event: SimulatorAct) -> None:
        """Tells it what to do."""


class Act(msgspec.Struct, frozen=True):
    """Something that a simulator is to do, and the future of its answer."""

    holder: int
    done: asyncio.Future[str]


class Simulators:
    """The places at which something is simulated.

    Args:
        mode: of the station.
    """

    def __init__(self, mode: StationMode) -> None:
        self._mode = mode
        self._held: dict[int, tuple[SimulatorHolder, tuple[SimulatorPlace, ...]]] = {}
        self._acts: dict[int, Act] = {}
        self._numbers = itertools.count(1)
        self._listeners: list[Callable[[], None]] = []

    @property
    def places(self) -> tuple[SimulatorPlace, ...]:
        """Places of all simulators that are attached."""
        return tuple(place for _, places in self._held.values() for place in places)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Has somebody told that the places may have changed."""
        self._listeners.append(listener)

    def attach(self, holder: SimulatorHolder, places: Sequence[SimulatorPlace]) -> None:
        """A session simulates at these places from now on.

        Raises:
            SimulatedRefused: the station is not in ``simulated`` mode.
            InvalidParams: a place is there twice.
        """
        self._require_mode()
        names = [place.place for place in places]
        others = {place.place for number, (_, held) in self._held.items() if number != holder.number for place in held}
        if len({*names}) < len(names) or not others.isdisjoint(names):
            raise InvalidParams("two places have one name", data={"path": "places"})
        self._held[holder.number] = (holder, tuple(places))
        self._changed()

    def left(self, holder: SimulatorHolder) -> None:
        """A session ended, whether or not it held simulators."""
        if self._held.pop(holder.number, None) is None:
            return
        for act in self._acts.values():
            if act.holder == holder.number and not act.done.done():
                act.done.set_result("its session ended")
        self._changed()

    async def play(self, place: str, thing: str | None) -> None:
        """Has a thing presented at a place, or taken away.

        Raises:
            SimulatedRefused: the station is not in ``simulated`` mode.
            InvalidParams: there is no such place, or no such thing there.
            ReaderUnavailable: the simulator refused, or does not answer.
            ShuttingDown: ``end`` was called meanwhile.
        """
        self._require_mode()
        holder = self._holder(place, thing)
        number = next(self._numbers)
        act = self._acts[number] = Act(holder.number, asyncio.get_running_loop().create_future())
        try:
            holder.simulator_act(SimulatorAct(act=number, place=place, thing=thing))
            async with asyncio.timeout(PATIENCE):
                refused = await act.done
        except TimeoutError as error:
            raise ReaderUnavailable("the simulator does not answer", variant="simulator") from error
        finally:
            del self._acts[number]
        if refused:
            raise ReaderUnavailable(refused, variant="simulator")

    def end(self) -> None:
        """The daemon stops: whoever waits for a simulator is told so, since its answer is taken no more."""
        for act in self._acts.values():
            if not act.done.done():
                act.done.set_exception(ShuttingDown("the daemon is stopping"))

    def acted(self, holder: SimulatorHolder, number: int, places: Sequence[SimulatorPlace], refused: str) -> None:
        """A simulator answers; one that comes too late only says what is where.

        Raises:
            SimulatedRefused, InvalidParams: as for ``attach``.
        """
        try:
            self.attach(holder, places)
        except VitaleError as error:
            # An answer that is refused is one: whoever plays waits for no other.
            refused = refused or f"its answer was refused: {error.detail}"
            raise
        finally:
            act = self._acts.get(number)
            if act is not None and act.holder == holder.number and not act.done.done():
                act.done.set_result(refused)

    def _holder(self, name: str, thing: str | None) -> SimulatorHolder:
        for holder, places in self._held.values():
            for place in places:
                if place.place == name:
                    if thing is not None and thing not in place.things:
                        raise InvalidParams("no such thing at this place", data={"path": "thing"})
                    return holder
        raise InvalidParams("no simulator has this place", data={"path": "place"})

    def _require_mode(self) -> None:
        if self._mode != "simulated":
            raise SimulatedRefused(f"the station is in mode {self._mode}", variant="control")

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()
