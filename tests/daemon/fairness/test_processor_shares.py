"""Shares: what is done in an owner's name is charged to it, goes in slices, and waits while the owner is in debt."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from vitale_protocol.errors import ShuttingDown
from vitale_reader.daemon.fairness.processor_shares import (
    CLIENT_SHARE,
    USER_SHARE,
    Shares,
    give_way,
    one_at_a_time,
    spend,
)

#: Seconds that are more than a client has at once.
MUCH = CLIENT_SHARE.burst + 0.3


class Bench:
    """Shares on a processor and a clock that the test moves."""

    def __init__(self) -> None:
        self.used = self.now = 0.0
        self.shares = Shares(clock=lambda: self.now, used=lambda: self.used)
        self.told: list[str] = []

    def task(self, owner: str, work: Coroutine[Any, Any, Any], group: str | None = None) -> asyncio.Task[Any]:
        return asyncio.create_task(self.shares.charged(owner, group, work))

    async def slices(self, name: str, count: int, seconds: float) -> str:
        for _ in range(count):
            await give_way()
            self.told.append(name)
            self.used += seconds
        return name


class BenchLoop(asyncio.SelectorEventLoop):
    """A loop on whose clock no rest ends by itself, however long a busy machine takes."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench

    def time(self) -> float:
        return self._bench.now


def run(work: Callable[[Bench], Coroutine[None, None, None]]) -> None:
    bench = Bench()
    with asyncio.Runner(loop_factory=lambda: BenchLoop(bench)) as runner:
        runner.run(work(bench))


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def test_each_step_is_charged_to_its_owner_and_its_group() -> None:
    async def steps(bench: Bench) -> str:
        for _ in range(4):
            bench.used += MUCH / 4
            await asyncio.sleep(0)
        return "done"

    async def work(bench: Bench) -> None:
        assert await bench.task("a", steps(bench), "user") == "done"
        assert bench.shares.wait("a", None) == pytest.approx((MUCH - CLIENT_SHARE.burst) / CLIENT_SHARE.each_second)
        assert bench.shares.wait("b", "user") == pytest.approx((MUCH - USER_SHARE.burst) / USER_SHARE.each_second)
        assert bench.shares.wait("b", None) == 0

    run(work)


def test_errors_and_cancellation_go_through_and_are_charged() -> None:
    async def fails(bench: Bench) -> None:
        await asyncio.sleep(0)
        bench.used += MUCH
        raise ValueError("of the work")

    async def hangs(bench: Bench) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            bench.used += MUCH

    async def work(bench: Bench) -> None:
        with pytest.raises(ValueError, match="of the work"):
            await bench.task("fails", fails(bench))
        hanging = bench.task("hangs", hangs(bench))
        await settle()
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert bench.shares.wait("fails", None) == bench.shares.wait("hangs", None) > 0
        never = bench.task("never", fails(bench))
        never.cancel()
        with pytest.raises(asyncio.CancelledError):
            await never
        assert bench.shares.wait("never", None) == 0

    run(work)


def test_whoever_is_in_debt_goes_on_once_its_share_has_filled_and_holds_up_nobody() -> None:
    async def work(bench: Bench) -> None:
        hungry = bench.task("a", bench.slices("a", 2, MUCH))
        await settle()
        other = bench.task("b", bench.slices("b", 3, 0.0))
        await settle()
        assert (bench.told, hungry.done(), await other) == (["a", "b", "b", "b"], False, "b")
        bench.now += bench.shares.wait("a", None)
        assert await hungry == "a"
        assert bench.told == ["a", "b", "b", "b", "a"]

    run(work)


def test_of_an_owners_long_work_one_piece_is_done_at_a_time_in_the_order_in_which_it_came() -> None:
    async def long(bench: Bench, name: str) -> None:
        async with one_at_a_time():
            bench.told.append(f"{name} begins")
            await give_way()
            bench.told.append(f"{name} ends")

    async def work(bench: Bench) -> None:
        calls = [bench.task("a", long(bench, name)) for name in ("first", "given up", "second")]
        other = bench.task("b", long(bench, "other"))
        await asyncio.sleep(0)
        calls[1].cancel()
        await asyncio.gather(*calls, other, return_exceptions=True)
        bench.told = [each for each in bench.told if not each.startswith("other")]
        assert bench.told == ["first begins", "first ends", "second begins", "second ends"]
        async with one_at_a_time():  # of nobody
            await long(bench, "nobody")

    run(work)


def test_a_flood_of_long_work_has_a_turn_of_the_loop_as_everybody_has() -> None:
    async def long(bench: Bench) -> None:
        async with one_at_a_time():
            await bench.slices("flood", 3, 0.0)

    async def work(bench: Bench) -> None:
        flood = [bench.task("flood", long(bench)) for _ in range(100)]
        await settle()
        bench.told.clear()
        await bench.task("other", bench.slices("other", 5, 0.0))
        print(f"between five slices of another: {bench.told.count('flood')} of 300 slices of the flood")
        assert bench.told.count("flood") <= 20
        await asyncio.gather(*flood)

    run(work)


def test_time_that_a_thread_used_is_charged_as_well() -> None:
    async def stores() -> None:
        spend(MUCH)

    async def work(bench: Bench) -> None:
        await bench.task("a", stores())
        assert bench.shares.wait("a", None) > 0
        spend(MUCH)  # of nobody's task: charged to nobody

    run(work)


def test_work_of_nobody_gives_way_and_goes_on() -> None:
    async def work(bench: Bench) -> None:
        began = asyncio.create_task(settle())
        await give_way()
        assert not began.done()
        assert await bench.slices("nobody", 2, MUCH) == "nobody"
        await began

    run(work)


def test_at_the_end_nobody_waits_for_a_share_or_a_turn() -> None:
    async def long(bench: Bench) -> None:
        async with one_at_a_time():
            await bench.slices("a", 2, MUCH)

    async def work(bench: Bench) -> None:
        calls = [bench.task("a", long(bench)) for _ in range(10)]
        await settle()
        assert not any(each.done() for each in calls)
        bench.shares.end()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) for each in outcomes] == [ShuttingDown] * len(calls)
        assert bench.told == ["a"]

    run(work)
