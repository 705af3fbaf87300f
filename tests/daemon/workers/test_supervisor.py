"""All workers end together, and their orphans with them."""

# The orphans are the test's.
# pyright: reportPrivateUsage=false

import asyncio

import pytest

from vitale_reader.daemon.workers import supervisor
from vitale_reader.daemon.workers.heartbeat import Beat
from vitale_reader.daemon.workers.supervisor import Supervisor
from vitale_reader.daemon.workers.worker import Worker

BEAT = Beat(backoff=(0.0,), farewell=30.0)


class Orphanage:
    """Orphans of so many generations."""

    def __init__(self, generations: int) -> None:
        self.left = generations

    def sweep(self, _: frozenset[int]) -> int:
        self.left -= self.left > 0
        return self.left


def test_the_end_waits_for_orphans_of_orphans_and_tells_what_went_wrong(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(_: Worker) -> None:
        raise RuntimeError("of the test")

    async def work(generations: int) -> int:
        drivers = Supervisor({"fake": {}}, on_report=print, on_end=print, beat=BEAT)
        drivers.start()
        drivers._orphans = orphanage = Orphanage(generations)  # type: ignore[assignment]  # the part that is used
        await drivers.stop()
        return orphanage.left

    monkeypatch.setattr(Worker, "run", fails)
    monkeypatch.setattr(supervisor, "NEXT_GENERATION", 0.0)
    assert 0 == asyncio.run(work(3))
    assert caplog.messages[0].startswith("incident ")
    endless = supervisor.MOST_GENERATIONS + 5
    assert 5 == asyncio.run(work(endless)), "not for ever"


def test_nobody_is_taken_for_an_orphan_while_a_process_is_made() -> None:
    drivers = Supervisor({"fake": {}}, on_report=print, on_end=print, beat=BEAT)
    drivers._orphans = orphanage = Orphanage(3)  # type: ignore[assignment]  # the part that is used
    drivers.workers["fake"].spawning = True
    assert (0, 3) == (drivers._sweep(), orphanage.left)
    drivers.workers["fake"].spawning = False
    assert (2, 2) == (drivers._sweep(), orphanage.left)
