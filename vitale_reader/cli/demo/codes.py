"""Codes of the demonstration: shows one each time the daemon is armed, then a used one."""

import asyncio
import time
from collections.abc import Callable
from typing import Self

from vitale_protocol.errors import ReaderUnavailable, Replayed
from vitale_protocol.events import PresentationProgress
from vitale_protocol.methods import Scope
from vitale_reader import aio
from vitale_reader.cli.demo.code_devices import CodePlace
from vitale_reader.cli.demo.environment import DemoEnvironment

__all__ = ["Glances"]

# Codes are shown as often as was asked for, but after so many none is begun later than so many seconds after the first
# one: a scene for a camera is rendered before it is shown.
LEAST = 5
ENOUGH = 0.7


class Glances:
    """One place where codes are shown, and one client who reads them.

    Attributes:
        driver: the driver that reads there.
        shown: when the last code could be read for the first time. All times are those of ``time.perf_counter``.
        steps: when each step of its progress was first told.
        finished: when its verified token was here.
    """

    def __init__(
        self, reader: aio.Connection, place: CodePlace, symbology: str, request: tuple[tuple[Scope, ...], float]
    ) -> None:
        self.driver = place.driver
        self.shown = 0.0
        self.steps: dict[str, float] = {}
        self.finished = 0.0
        self._reader = reader
        self._place = place
        self._symbology = symbology
        self._scopes, self._timeout = request

    @classmethod
    def at(
        cls,
        reader: aio.Connection,
        environment: DemoEnvironment,
        place: str,
        symbology: str,
        request: tuple[tuple[Scope, ...], float],
    ) -> Self:
        """The webcam or the imager of the stage.

        Raises:
            ReaderUnavailable: the stage has no such place.
        """
        there = None if environment.codes is None else environment.codes.places.get(place)
        if there is None:
            raise ReaderUnavailable(f"the stage has no place {place}")
        return cls(reader, there, symbology, request)

    async def read(self, code: bytes) -> aio.Presentation:
        """Shows one code, and returns with its verified token."""
        self.steps = {}
        await asyncio.to_thread(self._place.prepare, code)

        def follow(told: PresentationProgress) -> None:
            if told.step == "armed" and "armed" not in self.steps:
                self._place.show(code, self._symbology)
            self.steps.setdefault(told.step, time.perf_counter())

        found = await self._reader.read(
            media=["ins-datamatrix" if self._symbology == "datamatrix" else "apcv-qr"],
            scopes=self._scopes,
            timeout=self._timeout,
            on_progress=follow,
        )
        self.finished = time.perf_counter()
        self.shown = self._place.shown_at(code)
        return found

    async def repeated(self, following: Callable[[], bytes], times: int) -> list[float]:
        """Shows code after code; the seconds from a code that can be read to the verified token, of each."""
        taken: list[float] = []
        began = time.perf_counter()
        while len(taken) < min(times, LEAST) or (len(taken) < times and time.perf_counter() - began < ENOUGH):
            await self.read(following())
            taken.append(self.finished - self.shown)
        return taken

    async def refusal(self, code: bytes) -> str:
        """Returns the daemon's answer to a used code: the refusal, or ``accepted``."""
        try:
            await self.read(code)
        except Replayed as error:
            return error.reason
        return "accepted"

    async def clear(self) -> None:
        """Takes away what is shown."""
        await asyncio.to_thread(self._place.clear)
