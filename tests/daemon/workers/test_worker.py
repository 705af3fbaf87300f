"""A driver's process is replaced when it dies, hangs or talks nonsense, and only it."""

# Workers without a process are given their reports by hand.
# pyright: reportPrivateUsage=false

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.posix import raw_terminal
from tests.problems import detail_of, named
from vitale_drivers.base import (
    Arm,
    CodeScanned,
    Disarm,
    Failed,
    Health,
    Log,
    OutOfReach,
    Pong,
    Progress,
    ReaderAdded,
    Report,
    Started,
    Transmitted,
)
from vitale_drivers.host.pipe import MAX_MESSAGE, encode
from vitale_protocol.errors import ReaderGone
from vitale_protocol.events import Gs1, Reader
from vitale_protocol.problems import Problem
from vitale_reader.daemon.workers import child_process, environment
from vitale_reader.daemon.workers import worker as worker_module
from vitale_reader.daemon.workers.child_process import ChildProcess
from vitale_reader.daemon.workers.heartbeat import Beat, Heartbeat
from vitale_reader.daemon.workers.holders import HolderDesk
from vitale_reader.daemon.workers.worker import MOST_UNREAD, UNAVAILABLE, WORKER, Worker
from vitale_reader.daemon.workers.worker_limits import LINES, MOST_READERS, REPORTS, Restraint
from vitale_reader.daemon.workers.worker_log import LONGEST, repeat

PROGRAM = Path(__file__).with_name("worker_program.py")

#: Patient enough for a busy machine, quick enough for a test.
BEAT = Beat(interval=0.05, rest=0.05, patience=30.0, backoff=(0.0,), farewell=30.0)
#: For a worker that is known not to answer, until it has been killed.
IMPATIENT = replace(BEAT, starting=0.5, patience=0.5)


class Witness:
    """Runs a worker with a behaviour, and waits for what it tells."""

    def __init__(self, behaviour: str, folder: Path, beat: Beat) -> None:
        self.told: asyncio.Queue[Report | str] = asyncio.Queue()
        command = (sys.executable, str(PROGRAM))
        self.worker = Worker(
            "fake",
            {},
            on_report=lambda _, report: self.told.put_nowait(report),
            on_end=lambda _, problem: self.told.put_nowait(f"ended: {named(problem)}"),
            on_restart=lambda name: self.told.put_nowait(f"started anew: {name}"),
            beat=beat,
            command=command,
            arguments=(behaviour, str(folder / "generations")),
        )

    async def expect(self, wanted: type[Report] | str) -> Report | str:
        async with asyncio.timeout(40):
            while True:
                told = await self.told.get()
                if told == wanted or (isinstance(wanted, type) and isinstance(told, wanted)):
                    return told


def with_worker(behaviour: str, folder: Path, work: Callable[[Witness], Awaitable[None]], beat: Beat = BEAT) -> Witness:
    async def main() -> Witness:
        witness = Witness(behaviour, folder, beat)
        task = asyncio.create_task(witness.worker.run())
        try:
            await work(witness)
        finally:
            await witness.worker.stop()
            await task
        return witness

    return asyncio.run(main())


def test_a_worker_starts_and_ends_when_told(tmp_path: Path) -> None:
    async def work(witness: Witness) -> None:
        await witness.expect(Started)
        await witness.expect(ReaderAdded)
        health = witness.worker.health
        assert (health.state, health.media, health.restarts, health.version) == ("ready", ("vitale-card",), 0, "1")
        assert health.pid is not None

    witness = with_worker("good", tmp_path, work)
    assert witness.worker.health.state == "stopped"
    assert witness.worker.health.pid is None


@pytest.mark.parametrize(
    ("behaviour", "beat"),
    [
        ("mute", IMPATIENT),
        ("never starts", IMPATIENT),
        ("stuck", BEAT),
    ],
)
def test_a_worker_that_hangs_is_replaced(tmp_path: Path, behaviour: str, beat: Beat) -> None:
    async def work(witness: Witness) -> None:
        await witness.expect("ended: reader_unavailable")
        while not (tmp_path / "generations").exists():
            # A busy machine: it was killed before it could misbehave, and the next one is as bad.
            witness.worker.beat = replace(witness.worker.beat, starting=2 * witness.worker.beat.starting)
            await witness.expect("ended: reader_unavailable")
        witness.worker.beat = BEAT
        await witness.expect("started anew: fake")
        await witness.expect(Started)
        assert witness.worker.restarts >= 1

    with_worker(behaviour, tmp_path, work, beat)


def test_a_process_that_cannot_be_held_is_ended_and_its_streams_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses a job, as where the daemon is in one that admits no other."""
    made: list[ChildProcess] = []
    closed: list[ChildProcess] = []

    class Noted(ChildProcess):
        def close(self) -> None:
            super().close()
            closed.append(self)

        async def connect(self) -> None:
            made.append(self)
            await super().connect()

    def refused(_: int) -> None:
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(child_process, "ChildProcess", Noted)
    monkeypatch.setattr(worker_module, "Offspring", refused)

    async def main() -> None:
        told = await Witness("good", tmp_path, BEAT).worker._live_in(str(tmp_path))
        assert "cannot be held: Access is denied" == told
        assert made[0].returncode is not None
        assert made == closed, "whoever holds the other ends"

    asyncio.run(main())


def test_a_worker_may_take_longer_to_start_than_to_answer(tmp_path: Path) -> None:
    async def work(witness: Witness) -> None:
        await witness.expect(Started)
        assert witness.worker.restarts == 0

    # A process of Python is not there within a millisecond; it is asked nothing while the test lasts.
    with_worker("good", tmp_path, work, replace(BEAT, rest=3_600.0, patience=0.001))


def test_a_worker_at_rest_is_asked_once_it_has_something_to_do(tmp_path: Path) -> None:
    async def work(witness: Witness) -> None:
        await witness.expect(Started)
        assert (await witness.worker.transmit("a", (), lease=0)).responses
        # It answers nothing any more, on however busy a machine.
        assert witness.worker._heart is not None
        witness.worker._heart.beat = replace(at_rest, patience=0.5)
        await witness.expect("ended: reader_unavailable")
        await witness.expect(Started)
        assert witness.worker.restarts == 1

    # Far longer at rest than the test may take.
    at_rest = replace(BEAT, rest=3_600.0)
    with_worker("mute once ordered", tmp_path, work, at_rest)


@pytest.mark.posix
def test_a_worker_that_is_killed_is_replaced(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(worker_module, "LAST_WORDS", 40.0)
    caplog.set_level(logging.INFO)

    async def work(witness: Witness) -> None:
        await witness.expect(Started)
        assert "driver fake is back" not in caplog.messages, "it was not gone"
        witness.worker.send(Arm(media=("vitale-card",), deadline=0.0))
        await witness.expect("ended: reader_unavailable")
        assert "signal 9" in detail_of(witness.worker.problem)
        await witness.expect(Started)
        assert (witness.worker.restarts, witness.worker.health.state) == (1, "ready")

    with_worker("good", tmp_path, work)
    assert "driver fake printed last: last words" in caplog.messages
    assert "driver fake: ended by signal 9" in caplog.messages
    assert "driver fake is back" in caplog.messages
    assert caplog.text.count("Corrupt") < 30, "what it prints is told in small doses"
    assert capfd.readouterr().err == "", "and nowhere else"


@pytest.mark.parametrize("fault", [RecursionError(), ValueError(), OSError()], ids=lambda fault: type(fault).__name__)
def test_a_worker_whose_temporary_files_cannot_be_removed_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    replaced_with(fail, tmp_path, monkeypatch)


def test_nobody_waits_for_the_temporary_files_of_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()

    def remove(*_: object, **__: object) -> None:
        assert never.wait(100)

    monkeypatch.setattr(environment, "REMOVAL", 0.01)
    try:
        replaced_with(remove, tmp_path, monkeypatch)
    finally:
        never.set()


def replaced_with(removal: Callable[..., None], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies is replaced, however its folder is removed."""

    async def work(witness: Witness) -> None:
        await witness.expect("ended: reader_unavailable")
        await witness.expect("started anew: fake")
        await witness.expect(Started)

    monkeypatch.setattr(shutil, "rmtree", removal)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with_worker("garbage", folder, work)


@pytest.mark.parametrize(
    "fault", [RecursionError(), ValueError(), MemoryError()], ids=lambda fault: type(fault).__name__
)
def test_a_fault_of_the_supervision_is_an_end_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    left: list[Any] = []

    class Faulty(HolderDesk):
        def __init__(self, send: Any, _own: object) -> None:
            left.append(send.__self__._process)
            monkeypatch.undo()
            raise fault

    async def work(witness: Witness) -> None:
        await witness.expect("ended: reader_unavailable")
        await witness.expect("started anew: fake")
        await witness.expect(Started)
        assert left[0].returncode is not None

    monkeypatch.setattr(worker_module, "HolderDesk", Faulty)
    with_worker("good", tmp_path, work)


def test_the_temporary_files_of_a_worker_go_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(witness: Witness) -> None:
        await witness.expect(Started)
        (folder,) = tmp_path.glob("vitale-reader-*")
        (folder / "a" / "b").mkdir(parents=True)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with_worker("good", tmp_path, work)
    assert [] == [*tmp_path.glob("vitale-reader-*")]


def test_a_worker_that_talks_nonsense_is_replaced(tmp_path: Path) -> None:
    async def work(witness: Witness) -> None:
        await witness.expect("ended: reader_unavailable")
        assert "not a report" in detail_of(witness.worker.problem)
        await witness.expect(Started)

    with_worker("garbage", tmp_path, work)


@pytest.mark.parametrize(
    ("behaviour", "reason", "detail"),
    [
        ("misconfigured", "configuration_invalid", "drivers.options.fake.a"),
        ("unknown medium", "medium_unsupported.driver", "library-card"),
    ],
)
def test_a_worker_that_could_do_no_better_is_not_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, behaviour: str, reason: str, detail: str
) -> None:
    async def work(witness: Witness) -> None:
        await witness.expect(f"ended: {reason}")
        health = witness.worker.health
        assert (health.state, health.reason, health.detail, health.restarts) == (
            "stopped",
            reason.partition(".")[0],
            detail,
            0,
        )

    with_worker(behaviour, tmp_path, work)
    assert (tmp_path / "generations").read_bytes() == b"x"
    assert len([line for line in caplog.messages if detail in line]) == 1


def test_a_worker_imports_nothing_from_the_folder_of_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = tmp_path / "planted"
    for name in ("msgspec", "vitale_drivers", "logging"):
        (tmp_path / f"{name}.py").write_text(f"open({str(planted)!r}, 'w').close()\n", "utf-8")
    monkeypatch.chdir(tmp_path)

    async def work(witness: Witness) -> None:
        witness.worker.name, witness.worker.command, witness.worker.arguments = "simulated-card", WORKER, ()
        await witness.expect(Started)
        await witness.expect(ReaderAdded)

    with_worker("good", tmp_path, work)
    assert not planted.exists()


def test_raw_apdus_are_answered_or_the_reader_is_gone(tmp_path: Path) -> None:
    async def answered(witness: Witness) -> None:
        await witness.expect(Started)
        assert (await witness.worker.transmit("fake:1", (b"\x00\xa4",), lease=1)).responses == (b"\x90\x00",)

    async def gone(witness: Witness) -> None:
        await witness.expect(Started)
        with pytest.raises(ReaderGone):
            await witness.worker.transmit("fake:1", (b"\x00\xa4",), lease=1)

    with_worker("good", tmp_path, answered)
    with_worker("dies in transmit", tmp_path, gone)


def test_a_program_that_is_not_there_is_told_and_tried_again(tmp_path: Path) -> None:
    async def work(witness: Witness) -> None:
        witness.worker.command = (str(tmp_path / "missing"),)
        await witness.expect("ended: reader_unavailable")
        assert "cannot be started" in detail_of(witness.worker.problem)
        witness.worker.command = (sys.executable, str(PROGRAM))
        await witness.expect(Started)

    with_worker("good", tmp_path, work)


def test_a_worker_that_is_restarted_by_hand_begins_anew_and_that_is_no_fault_of_it(tmp_path: Path) -> None:
    async def work(witness: Witness) -> None:
        await witness.expect(Started)
        before = witness.worker.health
        witness.worker.restart()
        await witness.expect(Started)
        after = witness.worker.health
        assert after.pid != before.pid
        assert (after.state, after.restarts) == ("ready", 0)

    with_worker("good", tmp_path, work)


def test_a_restart_by_hand_does_not_wait_for_the_next_try(tmp_path: Path) -> None:
    async def work(witness: Witness) -> None:
        witness.worker.beat = replace(witness.worker.beat, backoff=(600.0,))
        witness.worker.command = (str(tmp_path / "missing"),)
        await witness.expect("ended: reader_unavailable")
        witness.worker.command = (sys.executable, str(PROGRAM))
        witness.worker.restart()
        await witness.expect(Started)

    with_worker("good", tmp_path, work)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell")
def test_a_worker_is_told_who_holds_a_device(tmp_path: Path) -> None:
    leader, follower, device = raw_terminal()
    with subprocess.Popen(["sleep", "600"], stdin=follower) as holder:

        async def work(witness: Witness) -> None:
            told = await witness.expect(Failed)
            assert isinstance(told, Failed)
            assert told.problem.detail == "sleep"

        try:
            # This process, which has it open as well, is the daemon, and not named.
            with_worker(f"asks {device}", tmp_path, work)
        finally:
            holder.kill()
            os.close(leader)
            os.close(follower)


def test_a_worker_that_asks_for_a_new_process_gets_one_and_it_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(witness: Witness) -> None:
        await witness.expect("ended: reader_unavailable")
        await witness.expect(Started)
        assert (witness.worker.restarts, witness.worker.health.state, witness.worker.problem) == (0, "ready", None)

    caplog.set_level(logging.INFO)
    with_worker("out of reach", tmp_path, work)
    assert (tmp_path / "generations").read_bytes() == b"xx"
    assert [one.levelname for one in caplog.records if "driver fake" in one.getMessage()] == ["INFO"]


def test_a_worker_deaf_to_stop_is_killed(tmp_path: Path) -> None:
    async def work(witness: Witness) -> None:
        await witness.expect(Started)

    witness = with_worker("deaf to stop", tmp_path, work, replace(BEAT, farewell=0.2))
    assert witness.worker.health.state == "stopped"


def test_a_report_that_cannot_be_used_ends_its_worker_and_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        witness = Witness("good", tmp_path, BEAT)
        take, refused = witness.worker.on_report, list[Report]()

        def take_at_the_second_time(name: str, report: Report) -> None:
            if isinstance(report, ReaderAdded) and not refused:
                refused.append(report)
                raise ValueError("of no use")
            take(name, report)

        witness.worker.on_report = take_at_the_second_time
        task = asyncio.create_task(witness.worker.run())
        try:
            await witness.expect("ended: reader_unavailable")
            assert "it reported what could not be used" in detail_of(witness.worker.problem)
            await witness.expect(ReaderAdded)
            assert witness.worker.restarts == 1
        finally:
            await witness.worker.stop()
            await task

    asyncio.run(main())
    assert "driver fake: a report could not be used" in caplog.text


def test_a_worker_that_logs_under_ever_new_names_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    worker = Worker("fake", {}, on_report=lambda _name, _report: None, on_end=lambda _name, _problem: None)
    loggers = set(logging.root.manager.loggerDict)
    caplog.clear()

    for number in range(100):
        worker._take(Log(level=number * 10**9 - 1, logger=f"odd.n{number}", text=f"said {number}"))

    assert set(logging.root.manager.loggerDict) == loggers
    assert {record.levelno for record in caplog.records} == {logging.DEBUG, logging.CRITICAL}
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        (f"odd.n{number}", f"said {number}") for number in range(100)
    ]


@pytest.mark.parametrize("name", ["", "1850699999999", "a\nb", "a.\x1b[2J", "a" * 101, "a..b"])
def test_a_worker_is_not_quoted_where_it_calls_a_logger_what_none_is_called(
    caplog: pytest.LogCaptureFixture, name: str
) -> None:
    worker = Worker("fake", {}, on_report=lambda _name, _report: None, on_end=lambda _name, _problem: None)

    worker._take(Log(level=logging.WARNING, logger=name, text="said"))

    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("vitale_reader.daemon.workers.worker_log", "said")
    ]


def test_a_line_of_a_worker_is_cut_before_it_is_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    for length in (LONGEST, LONGEST + 1, MAX_MESSAGE):
        repeat(Log(level=logging.WARNING, logger="odd", text="x" * length))

    assert ["x" * LONGEST, *["x" * LONGEST + "…"] * 2] == caplog.messages


# ── without a process ──


class Pipe:
    """The input of a process that reads nothing."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.transport = self

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return len(self.written)


class FakeProcess:
    """A process that lives and does nothing; what it says is the test's."""

    pid = 4_000_000_000

    def __init__(self) -> None:
        self.stdin = Pipe()
        self.stdout = asyncio.StreamReader()
        self.killed = False

    def kill(self) -> None:
        self.killed = True


def alone(process: Any = None) -> tuple[Worker, list[Report]]:
    """A worker with that process, and what it tells."""
    told: list[Report] = []
    worker = Worker("fake", {}, on_report=lambda _, report: told.append(report), on_end=lambda _name, _problem: None)
    worker._process = process
    return worker, told


def test_without_a_process_commands_are_dropped_and_apdus_refused() -> None:
    async def work() -> None:
        worker, _ = alone()
        worker.send(Disarm())
        with pytest.raises(ReaderGone):
            await worker.transmit("fake:1", (b"\x00\xa4",), lease=1)

    asyncio.run(work())


def test_a_worker_that_reads_no_commands_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        process = FakeProcess()
        worker, _ = alone(process)
        command = Arm(media=("vitale-card",), deadline=0.0)
        for _ in range(MOST_UNREAD // len(encode(command))):
            worker.send(command)
        assert not process.killed
        worker.send(command)
        assert process.killed

    asyncio.run(work())
    assert "driver fake does not read its commands; killed" in caplog.messages


MEBI = "\x01" * (1 << 20)
PROBLEM = Problem(MEBI, MEBI, MEBI)


@pytest.mark.parametrize(
    "report",
    [
        Started(driver=MEBI, media=("vitale-card",) * 100_000, version=MEBI),
        Started(driver=MEBI, media=(MEBI,), version=MEBI),
        Health(state="degraded", problem=PROBLEM),
        Failed(reader=MEBI, problem=PROBLEM),
        Progress(reader=MEBI, step="retry", problem=PROBLEM, medium=MEBI),
        Pong(id=1, stuck=MEBI),
        CodeScanned(reader=MEBI, data=b"", symbology=MEBI, gs1=Gs1(gtin=MEBI, lot=MEBI), format=MEBI),
    ],
    ids=lambda report: type(report).__name__,
)
def test_no_text_of_a_driver_is_longer_than_people_read(report: Report, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        worker, told = alone(FakeProcess())
        worker._take(report)
        assert all(len(msgspec.msgpack.encode(said)) < 2_000 for said in told if not isinstance(said, Started))
        assert len(msgspec.json.encode(worker.health)) < 10_000

    asyncio.run(work())
    assert all(len(line) < 1_000 for line in caplog.messages)


@pytest.mark.parametrize("ends", [False, True])
def test_an_exchange_that_was_given_up_is_answered_to_nobody(ends: bool) -> None:
    async def work() -> None:
        worker, told = alone(FakeProcess())
        waiting = asyncio.ensure_future(worker.transmit("fake:1", (b"\x00\xa4",), lease=1))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait((waiting,))
        if ends:
            worker._end_of_process()
        worker._take(Transmitted(id=1, responses=(b"\x90\x00",)))
        worker._take(Transmitted(id=77, responses=(b"\x90\x00",)))
        assert [] == told
        assert waiting.cancelled()

    asyncio.run(work())


def test_a_worker_that_says_too_much_is_slowed_and_its_reports_are_heard(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        process = FakeProcess()
        worker, told = alone(process)
        worker._restraint = Restraint("driver fake", lambda: 0.0)
        worker._heart = heart = Heartbeat(BEAT, worker.send, list)
        readers = [
            Reader(id=f"fake:{number}", name="Fake", driver="fake", media=("vitale-card",), state="empty")
            for number in range(MOST_READERS + 5)
        ]
        said: list[Report] = [ReaderAdded(reader=reader) for reader in readers]
        said += [Log(level=logging.WARNING, logger="odd", text="said")] * int(2 * LINES.burst)
        said += [Failed(reader=readers[0].id, problem=Problem("medium_mute"))] * int(2 * REPORTS.burst)
        process.stdout.feed_data(b"".join(map(encode, said)))
        process.stdout.feed_eof()
        assert "" == await worker._listen(process)  # type: ignore[arg-type]  # the part of a process that is used
        assert MOST_READERS == len([report for report in told if isinstance(report, ReaderAdded)])
        assert int(2 * REPORTS.burst) == len([report for report in told if isinstance(report, Failed)])
        assert heart._answered.is_set(), "what waits in the pipe may be an answer"

    monkeypatch.setattr(worker_module, "LONGEST_PAUSE", 0.0)
    asyncio.run(work())
    assert int(LINES.burst) == caplog.messages.count("said")
    assert "driver fake reports more than is taken, and is slowed" in caplog.messages


@pytest.mark.parametrize(
    ("settled", "status", "asked", "delays"),
    [
        (3_600.0, 1, False, [0.0, 0.25, 7.0, 7.0]),
        (0.0, 1, False, [0.0, 0.0, 0.0, 0.0]),
        (3_600.0, UNAVAILABLE, False, [7.0, 7.0, 7.0, 7.0]),
        (3_600.0, 0, True, [0.0, 0.25, 7.0, 7.0]),
    ],
    ids=["dies at once", "lived for a while", "lacks something", "asked for it"],
)
def test_how_long_the_next_process_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, settled: float, status: int, asked: bool, delays: list[float]
) -> None:
    waited: list[float] = []

    async def live(worker: Worker) -> str:
        worker._status, worker._renewing = status, False
        if asked:
            worker._take(OutOfReach())
        if len(waited) == len(delays):
            worker._stopping = True
        return "it ended"

    async def wait(delay: float) -> None:
        waited.append(delay)

    worker, _ = alone()
    worker.beat = Beat(backoff=(0.0, 0.25, 7.0), settled=settled)
    monkeypatch.setattr(Worker, "_live", live)
    monkeypatch.setattr(asyncio, "sleep", wait)
    asyncio.run(worker.run())
    assert delays == waited
    assert (0 if asked else len(delays), "stopped") == (worker.restarts, worker.state)


def test_a_worker_that_is_told_to_end_while_its_process_is_made_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = child_process.begun

    async def work() -> None:
        witness = Witness("good", tmp_path, BEAT)

        async def made(*arguments: Any, **options: Any) -> ChildProcess:
            process = await make(*arguments, **options)
            await witness.worker.stop()
            return process

        monkeypatch.setattr(worker_module, "begun", made)
        async with asyncio.timeout(40):
            await witness.worker.run()
        assert ("stopped", None) == (witness.worker.health.state, witness.worker.health.pid)

    asyncio.run(work())
