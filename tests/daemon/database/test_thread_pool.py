"""The threads of a store end with it, and none that was given up is waited for."""

import asyncio
import threading

import pytest

from vitale_reader.daemon.database.thread_pool import Job, ThreadPool

#: Seconds that a thread hangs: more than any test may take that waits for it.
HANGS = 90.0


class GivenUp(Exception):
    """Work gave no sign of life."""


def test_a_thread_that_was_given_up_is_not_waited_for() -> None:
    let_go, ended = threading.Event(), threading.Event()

    def hang(_: Job[None]) -> None:
        let_go.wait(HANGS)
        ended.set()

    async def main() -> None:
        workers = ThreadPool(2, "test")
        with pytest.raises(GivenUp):
            await workers.do(hang, limit=0.01, gone=GivenUp)
        await workers.close(HANGS)
        assert not ended.is_set()

    try:
        asyncio.run(main())
    finally:
        let_go.set()


def test_what_was_begun_is_waited_for_and_what_waits_for_a_thread_as_well() -> None:
    begun, let_go = threading.Event(), threading.Event()
    done: list[int] = []

    def work(number: int) -> None:
        begun.set()
        let_go.wait(HANGS)
        done.append(number)

    async def main() -> None:
        workers = ThreadPool(1, "test")
        works = [asyncio.create_task(workers.do(lambda _, n=n: work(n), limit=None, gone=GivenUp)) for n in range(3)]  # type: ignore[misc]
        await asyncio.to_thread(begun.wait, HANGS)
        closing = asyncio.create_task(workers.close(HANGS))
        await asyncio.sleep(0)
        let_go.set()
        await closing
        assert done == [0, 1, 2]
        await asyncio.gather(*works)

    asyncio.run(main())


def test_what_does_not_end_in_time_is_severed() -> None:
    severed = threading.Event()

    def hang(job: Job[None]) -> None:
        job.hold(severed.set)
        begun.set()
        severed.wait(HANGS)

    async def main() -> None:
        workers = ThreadPool(1, "test")
        task = asyncio.create_task(workers.do(hang, limit=None, gone=GivenUp))
        await asyncio.to_thread(begun.wait, HANGS)
        await workers.close(0.01)
        assert severed.is_set()
        await task

    begun = threading.Event()
    asyncio.run(main())
