"""Turns: owners one after the other, each with its share of the daemon's time, whatever the others send."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from vitale_reader.daemon.fairness.connection_turns import TURN, Turns
from vitale_reader.daemon.fairness.processor_shares import CLIENT_SHARE, USER_SHARE, Shares


class Work:
    """A connection with pieces to be read, each of which takes its time."""

    def __init__(self, owner: str, pieces: int, told: list[str], *, group: str | None = None) -> None:
        self.owner = owner
        self.group = group
        self.left = pieces
        self._told = told

    def take_piece(self) -> bool:
        self._told.append(self.owner)
        Bench.used += TURN
        self.left -= 1
        return self.left > 0


class Bench:
    """Time that passes only where it is used."""

    used = 0.0
    now = 0.0


def turns() -> Turns:
    Bench.used = Bench.now = 0.0
    return Turns(Shares(clock=lambda: Bench.now, used=lambda: Bench.used))


class BenchLoop(asyncio.SelectorEventLoop):
    """A loop on whose clock no rest ends by itself, however long a busy machine takes."""

    def time(self) -> float:
        return Bench.now


def run(work: Callable[[], Awaitable[None]]) -> None:
    faults: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        await work()

    with asyncio.Runner(loop_factory=BenchLoop) as runner:
        runner.run(main())
    assert [] == faults, "in a turn of its own nobody hears of it"


async def until(done: Callable[[], bool]) -> None:
    for _ in range(100_000):
        if done():
            return
        await asyncio.sleep(0)
    raise AssertionError("it was never done")


def test_a_single_piece_is_read_at_once() -> None:
    async def work() -> None:
        told: list[str] = []
        waiting = turns()
        waiting.ask(Work("a", 1, told))
        assert (told, len(waiting)) == (["a"], 0)

    run(work)


def test_owners_take_turns_however_many_connections_one_has() -> None:
    async def work() -> None:
        told: list[str] = []
        waiting = turns()
        for _ in range(10):
            waiting.ask(Work("flood", 10, told))
        waiting.ask(Work("other", 4, told))
        assert told == ["flood", "other"], "the first piece of each; the other nine connections wait for their turn"
        await until(lambda: told.count("other") == 4)
        assert told.count("flood") <= 6
        await until(lambda: len(waiting) == 0)
        assert told.count("flood") == 100

    run(work)


def test_whoever_used_up_its_share_waits_and_another_does_not() -> None:
    async def work() -> None:
        told: list[str] = []
        waiting = turns()
        waiting.ask(Work("flood", 1_000, told))
        await until(lambda: len(told) * TURN > CLIENT_SHARE.burst)
        before = len(told)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(told) == before, "the burst is used up, and no time has passed"
        waiting.ask(Work("other", 1, told))
        assert told[-1] == "other"
        assert len(waiting) == 1

    run(work)


def test_a_user_of_the_machine_has_one_share_for_all_that_it_runs() -> None:
    async def work() -> None:
        told: list[str] = []
        waiting = turns()
        for number in range(10):
            waiting.ask(Work(f"process {number}", 1_000, told, group="user 1001"))
        for _ in range(2_000):
            await asyncio.sleep(0)
        assert len(told) * TURN <= USER_SHARE.burst + 20 * TURN, "one more of each at most"

    run(work)
