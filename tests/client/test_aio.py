"""The asyncio SDK, over a real Unix socket; what it shares with the blocking one is tested there."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

import vitale_reader
from tests.client.fake_daemon import READER, FakeDaemon
from vitale_protocol.errors import Cancelled, DaemonUnreachable, LocalMisuse
from vitale_protocol.methods import PresentationCancel


def test_a_read(daemon: FakeDaemon, home: Path) -> None:
    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as reader:
            found = await reader.read(acknowledge=False)
            assert found.holder is not None
            assert found.holder.prenom == "Zoé"
            await found.acknowledge()

    asyncio.run(work())
    assert daemon.outbox == {}


def test_cancelling_the_task_cancels_the_request(daemon: FakeDaemon, home: Path) -> None:
    daemon.handlers["presentation.request"] = lambda _, __: None

    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as reader:
            task = asyncio.create_task(reader.read())
            await asyncio.to_thread(daemon.wait_for, "presentation.request")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(daemon.wait_for, "presentation.cancel")
            await reader.ping()

    asyncio.run(work())
    cancelled = daemon.named("presentation.cancel")[0].params
    assert isinstance(cancelled, PresentationCancel)
    assert cancelled.request == daemon.named("presentation.request")[0].id


def test_cancel_raises_in_every_read(daemon: FakeDaemon, home: Path) -> None:
    daemon.handlers["presentation.request"] = lambda _, __: None

    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as reader:
            reads = [asyncio.create_task(reader.read()) for _ in range(2)]
            await asyncio.to_thread(daemon.wait_for, "presentation.request", 2)
            reader.cancel()
            outcomes = await asyncio.gather(*reads, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [Cancelled, Cancelled]

    asyncio.run(work())


def test_reads_share_a_connection(daemon: FakeDaemon, home: Path) -> None:
    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as reader:
            found = await asyncio.gather(*(reader.read() for _ in range(10)))
            assert len({one.jti for one in found}) == 10

    asyncio.run(work())
    assert len(daemon.named("session.open")) == 1


def test_two_watches_hear_everything_and_the_last_one_ends_it(daemon: FakeDaemon, home: Path) -> None:
    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as reader:
            async with aclosing(reader.watch()) as first, aclosing(reader.watch()) as second:
                assert (await anext(first)).reader == READER
                assert (await anext(second)).reader == READER
                daemon.tell("reader.removed", READER)
                assert (await anext(first)).kind == "removed"
                assert (await anext(second)).kind == "removed"
            await asyncio.to_thread(daemon.wait_for, "readers.unwatch")

    asyncio.run(work())


def test_after_closing_nothing_is_done(daemon: FakeDaemon, home: Path) -> None:
    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as reader:
            pass
        with pytest.raises(LocalMisuse):
            await reader.ping()

    asyncio.run(work())


def test_no_daemon(home: Path) -> None:
    async def work() -> None:
        with pytest.raises(DaemonUnreachable):
            async with vitale_reader.aio.connect(home=home, connect_timeout=0.05):
                pass

    asyncio.run(work())
