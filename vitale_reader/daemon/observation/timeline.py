"""The stages of one presentation, each with its beginning and its end, as the work goes on."""

import time
from types import TracebackType
from typing import Literal

import msgspec

__all__ = ["Stage", "StageTime", "Timeline"]

Stage = Literal["read", "guard", "resolve", "sign", "keep"]
"""Read by the driver; reserved against replay; resolved by the apCV service; signed; kept in the outbox."""


class StageTime(msgspec.Struct, frozen=True):
    """A stage that is over, in seconds of ``time.perf_counter``."""

    stage: Stage
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """Time that it took."""
        return self.ended - self.began


class Timeline:
    """Stages in the order in which they ended."""

    def __init__(self) -> None:
        self.stages: list[StageTime] = []

    def stage(self, stage: Stage) -> "_Running":
        """Times what is within its ``with``, however that ends."""
        return _Running(self, stage)

    def was_read(self, seconds: float) -> None:
        """A driver has just read for so long; nothing where it did not tell."""
        if seconds > 0:
            now = time.perf_counter()
            self.stages.append(StageTime("read", now - seconds, now))


class _Running:
    """A stage that goes on; a class, since a generator would cost ten times as much."""

    __slots__ = ("_began", "_stage", "_timeline")

    def __init__(self, timeline: Timeline, stage: Stage) -> None:
        self._timeline = timeline
        self._stage: Stage = stage

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timeline.stages.append(StageTime(self._stage, self._began, time.perf_counter()))
