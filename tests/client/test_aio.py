"""The asyncio SDK, over a real Unix socket; what it shares with the blocking one is tested there."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

import vitale_reader
from tests.client.fake_daemon import READER, FakeDaemon, Talk
from vitale_protocol.errors import Cancelled, DaemonUnreachable, InvalidParams, LocalMisuse, ShuttingDown
from vitale_protocol.events import PresentationFailed, PresentationProgress
from vitale_protocol.methods import Done, PresentationCancel, PresentationsSubscribed
from vitale_protocol.session.session import Called
from vitale_reader.client.connection import Connection as AsyncConnection


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


def _tell_a_step(talk: Talk, **about: Any) -> None:
    talk.notify("presentation.progress", PresentationProgress(step="armed", message="armed", **about))


def _subscribed(talk: Talk, call: Called) -> None:
    talk.session.reply(call.id, PresentationsSubscribed(subscription="s"))
    _tell_a_step(talk, subscription="s")
    failed = PresentationFailed(subscription="s", reason="medium_mute", message="Muette", remedy="Retournez-la.")
    talk.notify("presentation.failed", failed)


CALLS: dict[str, Callable[[AsyncConnection, Callable[..., None]], Awaitable[object]]] = {
    "read": lambda reader, callback: reader.read(on_progress=callback),
    "submit": lambda reader, callback: reader.submit("a code", on_progress=callback),
    "progress of a subscription": lambda reader, callback: anext(reader.subscribe(on_progress=callback)),
    "failure of a subscription": lambda reader, callback: anext(reader.subscribe(on_failure=callback)),
    "once_watching": lambda reader, callback: reader.wait_until_empty(READER.id, timeout=60, once_watching=callback),
}


@pytest.mark.parametrize("error", [TimeoutError, DaemonUnreachable, ShuttingDown, Cancelled, InvalidParams, ValueError])
@pytest.mark.parametrize("call", CALLS)
def test_what_a_callback_raises_reaches_its_caller_as_it_is(
    daemon: FakeDaemon, home: Path, call: str, error: type[Exception]
) -> None:
    raised = error("of the callback")
    for method in ("presentation.request", "presentation.submit"):
        daemon.handlers[method] = lambda talk, asked: _tell_a_step(talk, request=asked.id)
    daemon.handlers["presentations.subscribe"] = _subscribed
    daemon.handlers["presentations.unsubscribe"] = lambda _, __: Done()

    def callback(*_: object) -> None:
        raise raised

    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as reader:
            with pytest.raises(error) as found:
                await CALLS[call](reader, callback)
            assert found.value is raised
            await reader.ping()

    asyncio.run(work())
    assert 1 == len(daemon.named("session.open")), "and the connection is as good as before"
