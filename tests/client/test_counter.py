"""The SDK in a counter program: reads that are given up one by one, closing, Ctrl-C, and waits that end."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import vitale_reader
from tests.client.fake_daemon import READER, FakeDaemon
from vitale_protocol.errors import Cancelled, LeaseConflict, LocalMisuse, PresentationTimeout, ReaderBusy, VitaleError
from vitale_protocol.events import Reader
from vitale_protocol.methods import (
    LeaseAcquired,
    LeaseReleased,
    OutboxAcked,
    PresentationCancel,
    PresentationRequest,
    PresentationsSubscribed,
)
from vitale_reader import Connection
from vitale_reader.client import leasing

OCCUPIED = Reader(id=READER.id, name=READER.name, driver="pcsc", media=READER.media, state="present")
LEASED = Reader(id=READER.id, name=READER.name, driver="pcsc", media=READER.media, state="leased")


def never(daemon: FakeDaemon, method: str = "presentation.request") -> None:
    daemon.handlers[method] = lambda _, __: None


class Caller(threading.Thread):
    """A thread of the program, which keeps what a call raised."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self.call, self.raised = call, list[BaseException]()
        self.start()

    def run(self) -> None:
        try:
            self.call()
        except VitaleError as error:
            self.raised.append(error)

    def outcome(self) -> list[type[BaseException]]:
        self.join(60)
        assert not self.is_alive(), "it hangs"
        return [type(error) for error in self.raised]


# ── one read of several ──


def test_one_read_is_cancelled_and_the_other_waits_on(daemon: FakeDaemon, home: Path) -> None:
    never(daemon)
    with (
        vitale_reader.connect(home=home) as reader,
        reader.reading(readers="pcsc:one") as first,
        reader.reading(readers="pcsc:two") as second,
    ):
        daemon.wait_for("presentation.request", 2)
        waiting = Caller(first.result)
        first.cancel()
        assert [Cancelled] == waiting.outcome()
        gone = daemon.wait_for("presentation.cancel").params
        assert isinstance(gone, PresentationCancel)
        requests = {call.id: call.params for call in daemon.named("presentation.request")}
        cancelled = requests[gone.request]
        assert isinstance(cancelled, PresentationRequest)
        assert cancelled.readers == ("pcsc:one",)
        assert (first.done, second.done) == (True, False)


def test_a_handle_gives_its_presentation_as_often_as_it_is_asked(daemon: FakeDaemon, home: Path) -> None:
    with vitale_reader.connect(home=home) as reader, reader.reading() as read:
        found = read.result()
        read.cancel()
        assert read.result() is found
        assert found.connection is reader


def test_the_end_of_the_context_cancels_it(daemon: FakeDaemon, home: Path) -> None:
    never(daemon)
    with vitale_reader.connect(home=home) as reader:
        with reader.reading():
            daemon.wait_for("presentation.request")
        daemon.wait_for("presentation.cancel")


def test_a_handle_that_has_not_begun_is_misuse(daemon: FakeDaemon, home: Path) -> None:
    with vitale_reader.connect(home=home) as reader, pytest.raises(LocalMisuse):
        reader.reading().cancel()

    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as connection:
            with pytest.raises(LocalMisuse):
                connection.reading().cancel()

    asyncio.run(work())


def test_the_same_handle_in_asyncio(daemon: FakeDaemon, home: Path) -> None:
    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as reader:
            async with reader.reading() as read:
                found = await read.result()
                assert (await read.result() is found, read.done) == (True, True)
            never(daemon)
            async with reader.reading() as first, reader.reading() as second:
                await asyncio.to_thread(daemon.wait_for, "presentation.request", 3)
                first.cancel()
                with pytest.raises(Cancelled):
                    await first.result()
                waiter = asyncio.create_task(second.result())
                await asyncio.sleep(0)
                waiter.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiter
                assert not second.done, "only the waiter was cancelled"
            await asyncio.to_thread(daemon.wait_for, "presentation.cancel", 2)

    asyncio.run(work())


# ── forks ──


@pytest.mark.posix
def test_a_process_that_was_forked_is_refused_and_leaves_the_connection_alone(daemon: FakeDaemon, home: Path) -> None:
    program = textwrap.dedent(
        f"""
        import os, signal, vitale_reader
        with vitale_reader.connect(home={str(home)!r}) as reader:
            reader.readers()
            child = os.fork()
            if child == 0:
                signal.alarm(60)  # where it hangs
                try:
                    reader.readers()
                except vitale_reader.VitaleError as error:
                    print(error.reason, "os.fork()" in str(error), flush=True)
                reader.close()
                os._exit(0)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(reader.readers()))
        """
    )
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, timeout=100, check=False)
    assert ["local_misuse True", "0 1"] == done.stdout.splitlines(), done.stderr


@pytest.mark.posix
def test_nothing_that_a_connection_gave_keeps_a_forked_process_waiting(daemon: FakeDaemon, home: Path) -> None:
    never(daemon, "presentation.request")
    program = textwrap.dedent(
        f"""
        import os, signal, vitale_reader

        def refused(call):
            child = os.fork()
            if child == 0:
                signal.alarm(60)  # where it hangs
                try:
                    call()
                except vitale_reader.VitaleError as error:
                    os._exit(7 if "os.fork()" in str(error) else 1)
                os._exit(2)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        with vitale_reader.connect(home={str(home)!r}) as reader:
            changes, codes = reader.watch(), reader.codes()
            next(changes)
            print("watch", refused(lambda: next(changes)), refused(changes.close))
            print("codes", refused(lambda: next(codes)))
            with reader.reading() as read:
                print("read", refused(read.result))
            print("call", refused(reader.ping), 0 < reader.ping())
        """
    )
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, timeout=300, check=False)
    assert ["watch 7 2", "codes 7", "read 7", "call 7 True"] == done.stdout.splitlines(), done.stderr


# ── callbacks and event loops ──


async def never_awaited(*_: object) -> None:
    raise AssertionError("it is called")


@pytest.mark.parametrize("wrong", [never_awaited, 5], ids=["async", "number"])
def test_a_callback_that_nobody_would_await_is_refused_by_its_name(daemon: FakeDaemon, home: Path, wrong: Any) -> None:
    with vitale_reader.connect(home=home) as reader:
        calls: dict[str, Callable[[], object]] = {
            "on_progress": lambda: reader.read(on_progress=wrong),
            "on_failure": lambda: next(reader.subscribe(on_failure=wrong)),
            "once_watching": lambda: reader.wait_until_empty(READER.id, once_watching=wrong),
            "on_context_expiring": lambda: vitale_reader.connect(home=home, on_context_expiring=wrong),
        }
        for name, call in calls.items():
            with pytest.raises(LocalMisuse, match=name):
                call()
        assert 0 < reader.ping()


def _in_a_loop_of_its_own(call: Callable[[], Any]) -> None:
    asyncio.run(call())


def test_a_connection_of_another_event_loop_is_refused_at_once(daemon: FakeDaemon, home: Path) -> None:
    async def main() -> None:
        async with vitale_reader.aio.connect(home=home) as reader:
            calls: tuple[Callable[[], Any], ...] = (reader.ping, reader.read, reader.readers)
            for call in calls:
                with pytest.raises(LocalMisuse, match="event loop"):
                    await asyncio.to_thread(_in_a_loop_of_its_own, call)
            assert 0 < await reader.ping()

    asyncio.run(main())


# ── the SDK's own thread ──


@pytest.mark.timeout(120)
def test_a_callback_in_the_sdks_thread_that_would_wait_for_itself_is_refused(daemon: FakeDaemon, home: Path) -> None:
    with vitale_reader.connect(home=home) as reader:
        waits: dict[str, Callable[[], object]] = {
            "ping": reader.ping,
            "read": reader.read,
            "watch": lambda: next(reader.watch()),
            "lease": lambda: reader.lease("x").__enter__(),
            "close": reader.close,
        }
        for name, wait in waits.items():
            with pytest.raises(LocalMisuse) as refused:
                reader.wait_until_empty(READER.id, once_watching=wait)
            assert (name, True) == (name, "own thread" in str(refused.value))
        reader.wait_until_empty(READER.id, once_watching=reader.cancel)
        assert 0 < reader.ping()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_a_callback_that_ends_the_program_ends_its_call_and_no_other(
    daemon: FakeDaemon, home: Path, end: type[BaseException]
) -> None:
    def leave() -> None:
        raise end

    with vitale_reader.connect(home=home) as reader:
        with pytest.raises(end):
            reader.wait_until_empty(READER.id, once_watching=leave)
        assert 0 < reader.ping()


# ── closing ──


@pytest.mark.parametrize("what", ["read", "submit", "wait_until_empty", "readers", "restore_context"])
def test_closing_ends_every_call_with_cancelled(daemon: FakeDaemon, home: Path, what: str) -> None:
    daemon.readers = (OCCUPIED,)
    calls: dict[str, tuple[str, Callable[[Connection], object]]] = {
        "read": ("presentation.request", lambda reader: reader.read()),
        "submit": ("presentation.submit", lambda reader: reader.submit("typed")),
        "wait_until_empty": ("readers.watch", lambda reader: reader.wait_until_empty(READER.id)),
        "readers": ("readers.list", lambda reader: reader.readers()),
        "restore_context": ("context.restore", lambda reader: reader.restore_context("x")),
    }
    method, call = calls[what]
    if what != "wait_until_empty":
        never(daemon, method)
    reader = vitale_reader.connect(home=home)
    reader.open()
    caller = Caller(lambda: call(reader))
    daemon.wait_for(method)
    reader.close()
    assert [Cancelled] == caller.outcome()


@pytest.mark.parametrize("what", ["read", "wait_until_empty"])
def test_so_it_does_in_asyncio(daemon: FakeDaemon, home: Path, what: str) -> None:
    never(daemon)
    daemon.readers = (OCCUPIED,)

    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as reader:
            call: Any = reader.read() if what == "read" else reader.wait_until_empty(READER.id)
            task = asyncio.create_task(call)
            method = "presentation.request" if what == "read" else "readers.watch"
            await asyncio.to_thread(daemon.wait_for, method)
            await reader.close()
            with pytest.raises(Cancelled):
                await task

    asyncio.run(work())


# ── Ctrl-C ──

INTERRUPTED = """
    import vitale_reader
    with vitale_reader.connect(home={home!r}) as reader:
        try:
            {call}
        except KeyboardInterrupt:
            reader.ping()  # the connection is as good as before
            print("clean")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one process")
@pytest.mark.parametrize(
    ("call", "waits_at", "ends_with"),
    [
        ("reader.read()", "presentation.request", "presentation.cancel"),
        ("reader.submit('typed')", "presentation.submit", "presentation.cancel"),
        ("for _ in reader.subscribe(): pass", "presentations.subscribe", "presentations.unsubscribe"),
        ("for _ in reader.watch(): pass", "readers.watch", "readers.unwatch"),
        ("reader.wait_until_empty('pcsc:one')", "readers.watch", "readers.unwatch"),
    ],
)
def test_ctrl_c_is_a_clean_end(daemon: FakeDaemon, home: Path, call: str, waits_at: str, ends_with: str) -> None:
    never(daemon)
    never(daemon, "presentation.submit")
    daemon.readers = (OCCUPIED,)
    daemon.handlers["presentations.subscribe"] = lambda _, __: PresentationsSubscribed(subscription="s")
    daemon.handlers["presentations.unsubscribe"] = daemon.handlers["readers.unwatch"]
    program = textwrap.dedent(INTERRUPTED.format(home=str(home), call=call))
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        daemon.wait_for(waits_at)
        os.kill(process.pid, signal.SIGINT)
        try:
            said, complained = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (said, complained, process.returncode) == ("clean\n", "", 0)
    daemon.wait_for(ends_with)


def test_a_lease_that_is_given_up_while_it_is_asked_for_is_given_back(daemon: FakeDaemon, home: Path) -> None:
    asked = asyncio.Event()

    async def work() -> None:
        loop = asyncio.get_running_loop()
        held: list[tuple[Any, Any]] = []

        def acquire(talk: Any, call: Any) -> None:
            held.append((talk, call))
            loop.call_soon_threadsafe(asked.set)

        daemon.handlers["lease.acquire"] = acquire
        daemon.handlers["lease.release"] = lambda _, __: LeaseReleased(released=True)
        async with vitale_reader.aio.connect(home=home) as reader:
            task = asyncio.create_task(reader.lease(READER.id).__aenter__())
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            ((talk, call),) = held
            daemon.later(lambda: talk.answer(call, LeaseAcquired(lease="l1", atr="3B00", expires_at=5.0)))
            await asyncio.to_thread(daemon.wait_for, "lease.release")

    asyncio.run(work())


# ── waits that end ──


def test_waiting_until_a_reader_is_empty_ends_in_time(daemon: FakeDaemon, home: Path) -> None:
    daemon.readers = (OCCUPIED,)
    with vitale_reader.connect(home=home, language="en") as reader:
        with pytest.raises(PresentationTimeout) as caught:
            reader.wait_until_empty(READER.id, timeout=0.05)
        daemon.readers = (READER,)
        reader.wait_until_empty(READER.id, timeout=60)
    assert caught.value.title == "The card was left in place"


@pytest.mark.parametrize("error", [LeaseConflict, ReaderBusy])
def test_a_lease_is_waited_for_until_the_reader_is_free(
    daemon: FakeDaemon, home: Path, error: type[LeaseConflict | ReaderBusy]
) -> None:
    daemon.readers = (LEASED,)

    def acquire(_: Any, __: Any) -> Any:
        if not daemon.named("lease.acquire"):
            daemon.tell("reader.changed", OCCUPIED)
            return error("another has it")
        return LeaseAcquired(lease="l1", atr="3B00", expires_at=5.0)

    daemon.handlers["lease.acquire"] = acquire
    daemon.handlers["lease.release"] = lambda _, __: LeaseReleased(released=True)
    with vitale_reader.connect(home=home) as reader, reader.lease(READER.id, wait=60) as lease:
        assert lease.id == "l1"
    assert len(daemon.named("lease.acquire")) == 2


@pytest.mark.parametrize(("wait", "tries"), [(0.0, 1), (10.0, 4)])
def test_it_is_not_waited_for_beyond_its_time(
    daemon: FakeDaemon, home: Path, monkeypatch: pytest.MonkeyPatch, wait: float, tries: int
) -> None:
    now = 100.0

    def acquire(_: Any, __: Any) -> LeaseConflict:
        nonlocal now
        now += 3.0  # what each try takes; the time of the machine does not count
        return LeaseConflict("another has it")

    daemon.handlers["lease.acquire"] = acquire
    with vitale_reader.connect(home=home) as reader:
        monkeypatch.setattr(leasing, "time", SimpleNamespace(monotonic=lambda: now))
        monkeypatch.setattr(leasing, "RETRY", 0.01)
        with pytest.raises(LeaseConflict), reader.lease(READER.id, wait=wait):
            pass
    assert tries == len(daemon.named("lease.acquire"))


# ── what was not forgotten ──


def test_an_acknowledgement_that_did_nothing_is_no_success(daemon: FakeDaemon, home: Path) -> None:
    with vitale_reader.connect(home=home) as reader:
        found = reader.read(acknowledge=False)
        taken = daemon.handlers["outbox.ack"]
        daemon.handlers["outbox.ack"] = lambda _, __: OutboxAcked(acked=0)
        with pytest.raises(vitale_reader.errors.StoreUnavailable):
            found.acknowledge()
        daemon.handlers["outbox.ack"] = taken
        found.acknowledge()
        found.acknowledge()
    assert daemon.outbox == {}
