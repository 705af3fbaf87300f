"""The store's queue: one client's work before another's second, audit lines behind what is read, nobody forgotten."""

# pyright: reportPrivateUsage=false

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from sqlalchemy import Connection

from vitale_reader.daemon.fairness.fair_store import BACKGROUND, PATIENCE, WITH_SQLITE, FairStore, paid_by
from vitale_reader.daemon.fairness.processor_shares import CLIENT_SHARE, Shares
from vitale_reader.daemon.store.store import Store


class Queue:
    """A fair store whose thread is held until the test lets it go."""

    def __init__(self, file: Path) -> None:
        self.inner = Store(file)
        self.store = FairStore(self.inner)
        self.order: list[str] = []
        self.may_go = threading.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def ask(self, payer: str, name: str = "") -> asyncio.Task[None]:
        def work(_connection: Connection) -> None:
            self.may_go.wait(90)
            self.order.append(name or payer)

        with paid_by(payer):
            self.tasks.append(asyncio.create_task(self._run(work)))
        return self.tasks[-1]

    async def _run(self, work: Callable[[Connection], None]) -> None:
        await self.store.run(work)

    async def finish(self) -> list[str]:
        self.may_go.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return self.order


def run(folder: Path, work: Callable[[Queue], Coroutine[None, None, None]]) -> None:
    async def main() -> None:
        queue = Queue(folder / "store.db")
        await queue.inner.open()
        try:
            async with asyncio.timeout(90):
                await work(queue)
        finally:
            queue.may_go.set()
            await queue.inner.close()

    asyncio.run(main())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_another_clients_work_comes_before_the_backlog_of_a_flood(tmp_path: Path) -> None:
    async def work(queue: Queue) -> None:
        for _ in range(500):
            queue.ask("flood")
        await settle()
        queue.ask("other")
        await settle()
        assert queue.store.waiting == 501 - WITH_SQLITE
        order = await queue.finish()
        place = order.index("other")
        print(f"another client's work was number {place + 1} of {len(order)}")
        assert place <= WITH_SQLITE + 1
        assert queue.store.waiting == 0

    run(tmp_path, work)


def test_what_is_read_comes_before_audit_lines_but_these_come_too(tmp_path: Path) -> None:
    async def work(queue: Queue) -> None:
        queue.ask("first")
        queue.ask("first")
        await settle()
        for _ in range(3):
            queue.ask(BACKGROUND)
        await settle()
        for _ in range(3 * PATIENCE + 2):
            queue.ask("reader")
        order = (await queue.finish())[2:]
        assert order[: PATIENCE - 2] == ["reader"] * (PATIENCE - 2)
        last = [place for place, who in enumerate(order) if who == BACKGROUND]
        assert len(last) == 3
        assert last[0] <= PATIENCE + 1
        assert order[-1] == "reader", "no line waits for the end of all reading"

    run(tmp_path, work)


def test_work_that_is_given_up_leaves_the_queue_in_order(tmp_path: Path) -> None:
    async def work(queue: Queue) -> None:
        running = [queue.ask("a") for _ in range(WITH_SQLITE)]
        await settle()
        given_up = [queue.ask("b", "given up") for _ in range(3)]
        kept = queue.ask("b", "kept")
        await settle()
        for task in given_up:
            task.cancel()
        assert (await queue.finish()) == ["a"] * len(running) + ["kept"]
        assert kept.done()
        queue.ask("c")
        assert (await queue.finish())[-1] == "c", "there is a place again"

    run(tmp_path, work)


def test_a_turn_that_is_given_up_as_it_comes_is_the_next_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(queue: Queue) -> None:
        call_next = queue.store._call_next

        def call_and_give_up() -> None:
            call_next()
            given_up.cancel()

        queue.store._places = 1
        queue.ask("first")
        await settle()
        given_up = queue.ask("second")
        await settle()
        queue.ask("third")
        await settle()
        monkeypatch.setattr(queue.store, "_call_next", call_and_give_up)
        assert ["first", "third"] == await queue.finish()
        assert given_up.cancelled()

    run(tmp_path, work)


def test_what_a_thread_of_the_store_does_is_charged_to_whoever_asked(tmp_path: Path) -> None:
    def busy(_connection: Connection) -> None:
        began = time.thread_time()
        while time.thread_time() - began < CLIENT_SHARE.burst + 0.1:
            hash("busy")

    async def work(queue: Queue) -> None:
        shares = Shares()
        await asyncio.create_task(shares.charged("a", None, queue.store.run(busy)))
        assert shares.wait("a", None) > 0
        assert shares.wait("b", None) == 0

    run(tmp_path, work)
