"""The worker as a process: what the supervisor sees of it when all goes well, and when nothing does."""

import contextlib
import errno
import json
import logging
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.problems import named
from vitale_drivers.base import (
    Arm,
    Command,
    Disarm,
    Health,
    HeldBy,
    Log,
    OutOfReach,
    Ping,
    Pong,
    Report,
    Start,
    Started,
    Stop,
    Transmit,
    Transmitted,
    WhoHolds,
)
from vitale_drivers.host.confinement import landlock_version
from vitale_drivers.host.pipe import Decoder, encode
from vitale_drivers.host.worker_process import Pipe
from vitale_firmware_sim.card.pcscd import PcscService

pytestmark = pytest.mark.executes

ODD = """
import logging, os, signal, sys, threading
from vitale_drivers.base import Driver, Started, Transmitted
from vitale_protocol.errors import ConfigurationInvalid, ToolMissing

class OddDriver(Driver):
    name = "odd"
    media = ("noise", "holders", "log", "debug", "thread", "segfault", "raise")

    def open(self, emit):
        self.emit = emit
        if self.options.get("tool"):
            raise ToolMissing("no tool", data={"tool": "tool"})
        if self.options.get("wrong"):
            raise ConfigurationInvalid("wrong option")
        emit(Started(driver="odd", media=self.media))

    def arm(self, command):
        getattr(self, "do_" + command.media[0])()

    def do_noise(self):
        print("noise of a library", flush=True)
        os.write(1, b"noise of a native library")
        sys.stdin.read()

    def do_holders(self):
        def ask():
            logging.getLogger("odd").warning("held by %s", self.find_holders("/dev/odd"))
        threading.Thread(target=ask).start()

    def do_log(self):
        logging.getLogger("odd").warning("read %s", "2690549588157")

    def do_debug(self):
        logging.getLogger("odd").debug("told only on request")

    def do_thread(self):
        def fail():
            raise ValueError("DUPONT 2690549588157")
        threading.Thread(target=fail, name="odd thread").start()

    def do_segfault(self):
        signal.raise_signal(signal.SIGSEGV)

    def do_raise(self):
        raise ValueError("DUPONT")

    def disarm(self):
        pass

    def transmit(self, command):
        self.emit(Transmitted(id=command.id, responses=command.apdus))

    def stuck(self):
        return str(self.options.get("stuck", ""))

    def close(self):
        if self.options.get("hang"):
            threading.Event().wait()
"""

LIMIT = 40.0

WORKER = ("-m", "vitale_drivers.host.worker")

PATIENT = """
import functools, sys
from vitale_drivers.host import worker
worker.Questions = functools.partial(worker.Questions, patience=60.0)
worker.main(sys.argv[1:])
"""
"""A worker whose questions wait for an answer for as long as this process may need."""

IMPATIENT = """
import sys
from vitale_drivers.host import worker
worker.CLOSE_LIMIT = 0.2
worker.main(sys.argv[1:])
"""


class Process:
    """A worker, and its pipe."""

    def __init__(self, folder: Path, *arguments: str, program: tuple[str, ...] = WORKER) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])},
        )
        self._decoder = Decoder[Report](Report)
        self.unconfined: list[Report] = []

    def send(self, *commands: Command) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(encode(command) for command in commands))
        self.process.stdin.flush()

    def receive(self, count: int) -> list[Report]:
        """At least so many reports, or fewer where the stream ends."""
        assert self.process.stdout is not None
        reports: list[Report] = []
        while len(reports) < count and (data := os.read(self.process.stdout.fileno(), 65536)):
            reports += self._understood(data)
        return reports

    def _understood(self, data: bytes) -> list[Report]:
        """What was reported; what is said where nothing is confined, as on Windows and macOS, is kept apart."""
        reports = self._decoder.receive(data)
        self.unconfined += [report for report in reports if isinstance(report, Log) and "no Landlock" in report.text]
        return [report for report in reports if report not in self.unconfined]

    def until(self, kind: type[Report]) -> list[Report]:
        """All reports up to the first of a kind, or to the end of the stream."""
        reports = self.receive(1)
        while not any(isinstance(report, kind) for report in reports) and (more := self.receive(1)):
            reports += more
        return reports

    def end(self, *commands: Command) -> tuple[int, list[Report]]:
        """Sends commands and the end of the stream; the exit status and all reports that were not received yet."""
        output, self.errors = self.process.communicate(b"".join(encode(command) for command in commands), LIMIT)
        return self.process.returncode, self._understood(output)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


StartWorker = Callable[..., Process]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[StartWorker]:
    (tmp_path / "odd_driver.py").write_text(ODD)
    distribution = tmp_path / "odd_driver-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-driver\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text("[vitale_reader.drivers]\nodd = odd_driver:OddDriver\n")
    processes: list[Process] = []

    def start(*arguments: str, program: tuple[str, ...] = WORKER) -> Process:
        processes.append(Process(tmp_path, *arguments, program=program))
        return processes[-1]

    yield start
    for process in processes:
        process.close()


def arm(medium: str) -> Arm:
    return Arm(media=(medium,), deadline=2e9)


STARTED = Started(driver="odd", media=("noise", "holders", "log", "debug", "thread", "segfault", "raise"))


def test_commands_are_carried_out_in_order(worker: StartWorker) -> None:
    status, reports = worker("odd").end(
        Start(options={"stuck": "SCardTransmit"}),
        Ping(id=1),
        Disarm(),
        Transmit(id=2, reader="r", apdus=(b"\x00\xff",)),
        Stop(),
        Ping(id=3),
    )
    assert status == 0
    assert reports == [STARTED, Pong(id=1, stuck="SCardTransmit"), Transmitted(id=2, responses=(b"\x00\xff",))]


def test_a_ping_is_answered_before_the_driver_is_there(worker: StartWorker) -> None:
    process = worker("odd")
    process.send(Ping(id=9))
    assert process.receive(1) == [Pong(id=9)]


def test_the_end_of_the_stream_ends_the_worker(worker: StartWorker) -> None:
    assert worker("odd").end(Start(options={})) == (0, [STARTED])


def test_a_driver_asks_who_holds_a_device(worker: StartWorker) -> None:
    process = worker("odd", program=("-c", PATIENT))
    process.send(Start(options={}), arm("holders"))
    started, question = process.receive(2)
    assert (started, question) == (STARTED, WhoHolds(id=1, device="/dev/odd"))
    process.send(HeldBy(id=1, programs=("lgo",)))
    assert process.receive(1) == [Log(level=30, logger="odd", text="held by ('lgo',)")]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such confinement")
@pytest.mark.parametrize(
    ("driver", "confined"),
    [("camera", True), ("nfc", True), ("odd", True), ("pcsc", True), ("scanner", True), ("simulated-card", False)],
)
def test_all_workers_are_confined_but_those_of_simulators(worker: StartWorker, driver: str, confined: bool) -> None:
    """A driver of another package as well; what a simulator reads is its own, and it makes sockets for its operator."""
    process = worker(driver)
    process.send(Start(options={}))
    assert any(isinstance(report, Started) for report in process.until(Started))
    status = Path(f"/proc/{process.process.pid}/status").read_text().splitlines()
    # What Landlock needs, and what is given up without it, too.
    assert [line.split()[1] for line in status if line.startswith("NoNewPrivs:")] == [str(int(confined))]


UNCONFINED = """
import sys
from vitale_drivers.host import worker
worker.confine = lambda hidden, named: None
worker.main(sys.argv[1:])
"""


def test_a_worker_that_cannot_be_confined_says_so_and_works(worker: StartWorker) -> None:
    said = "files are not confined: this system has no Landlock"
    process = worker("odd", program=("-c", UNCONFINED))
    assert (0, [STARTED, Pong(id=1)]) == process.end(Start(options={}), Ping(id=1), Stop())
    assert [Log(level=logging.INFO, logger="vitale_drivers.host.worker", text=said)] == process.unconfined


@pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")
def test_what_an_option_names_and_came_too_late_is_told_once(worker: StartWorker, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    process, device = worker("odd"), tmp_path / "device"
    process.send(Start(options={"devices": [str(device)]}, hidden=(str(tmp_path / "state"),)))
    assert process.receive(1) == [STARTED]
    device.write_text("new")
    assert process.receive(1) == [OutOfReach()]
    assert process.end(Stop()) == (0, [])


SUPERVISOR = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-m", "vitale_drivers.host.worker", "pcsc"], stdin=subprocess.PIPE)
print(worker.pid, flush=True)
worker.wait()
"""


if sys.platform == "linux":  # a process that is no child is waited for by its pidfd

    def test_the_death_of_the_supervisor_leaves_no_orphan() -> None:
        with subprocess.Popen([sys.executable, "-c", SUPERVISOR], stdout=subprocess.PIPE) as supervisor:
            assert supervisor.stdout is not None
            worker = os.pidfd_open(int(supervisor.stdout.readline()))
            try:
                supervisor.kill()
                ended, _, _ = select.select([worker], [], [], LIMIT)
            finally:
                os.close(worker)
        assert ended == [worker]


def test_a_driver_that_does_not_close_is_left_behind(worker: StartWorker) -> None:
    status, _ = worker("odd", program=("-c", IMPATIENT)).end(Start(options={"hang": True}), Stop())
    assert status == 70


def test_what_libraries_print_and_read_does_not_touch_the_stream(worker: StartWorker) -> None:
    process = worker("odd")
    status, reports = process.end(Start(options={}), arm("noise"), Ping(id=1))
    assert (status, reports) == (0, [STARTED, Pong(id=1)])
    assert process.errors == b"noise of a library\nnoise of a native library"


def test_logs_arrive_redacted(worker: StartWorker) -> None:
    _, reports = worker("odd").end(Start(options={}), arm("log"), arm("debug"))
    assert reports == [STARTED, Log(level=30, logger="odd", text="read [nir]")]


def test_the_log_level_can_be_chosen(worker: StartWorker) -> None:
    _, reports = worker("odd", "DEBUG").end(Start(options={}), arm("debug"))
    assert reports[-1] == Log(level=10, logger="odd", text="told only on request")


@pytest.mark.parametrize(("medium", "thread"), [("thread", "odd thread"), ("raise", "MainThread")])
def test_a_fault_is_told_with_an_incident_and_ends_the_worker(worker: StartWorker, medium: str, thread: str) -> None:
    process = worker("odd")
    process.send(Start(options={}), arm(medium))
    _, log = process.receive(2)
    assert process.process.wait(LIMIT) == 70
    assert isinstance(log, Log)
    assert log.level == 50
    assert log.text.startswith("incident ")
    assert f"thread {thread}: ValueError at " in log.text
    assert "DUPONT" not in log.text
    assert "2690549588157" not in log.text
    _, errors = process.process.communicate()
    assert b"DUPONT" not in errors


def test_a_native_crash_is_seen_by_its_signal(worker: StartWorker) -> None:
    process = worker("odd")
    process.send(Start(options={}), arm("segfault"))
    assert process.process.wait(LIMIT) == -signal.SIGSEGV


@pytest.mark.posix("Windows cannot send Ctrl-C to one process")
def test_ctrl_c_is_left_to_the_supervisor(worker: StartWorker) -> None:
    process = worker("odd")
    process.send(Start(options={}))
    process.receive(1)
    process.process.send_signal(signal.SIGINT)
    process.send(Ping(id=1))
    assert process.receive(1) == [Pong(id=1)]


@pytest.mark.parametrize(
    ("arguments", "options", "status", "reason"),
    [
        (("no-such-driver",), {}, 78, "configuration_invalid"),
        ((), {}, 78, "configuration_invalid"),
        (("odd", "LOUD"), {}, 78, "configuration_invalid"),
        (("odd",), {"wrong": True}, 78, "configuration_invalid"),
        (("odd",), {"tool": True}, 69, "tool_missing"),
        (("pcsc",), {"busy_timeout": "soon"}, 78, "configuration_invalid"),
        (("pcsc",), {"busy_timeout": 0.1}, 78, "configuration_invalid"),
        (("pcsc",), {"busy_timout": 5.0}, 78, "configuration_invalid"),
    ],
)
def test_a_driver_that_cannot_be_is_told_with_its_reason(
    worker: StartWorker, arguments: tuple[str, ...], options: dict[str, object], status: int, reason: str
) -> None:
    ended, reports = worker(*arguments).end(Start(options=options))
    assert ended == status
    assert [(report.state, named(report.problem)) for report in reports if isinstance(report, Health)] == [
        ("degraded", reason)
    ]


@pytest.mark.parametrize("stream", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc1", encode(Disarm())])
def test_a_broken_stream_ends_the_worker(worker: StartWorker, stream: bytes) -> None:
    process = worker("odd")
    output, _ = process.process.communicate(stream, LIMIT)
    assert process.process.returncode == 65
    assert Decoder[Report](Report).receive(output)


@pytest.mark.parametrize(("number", "told"), [(errno.EPIPE, False), (errno.EINVAL, False), (errno.EIO, True)])
def test_a_supervisor_that_is_gone_is_no_fault_of_a_report_whatever_the_system_calls_it(
    number: int, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(descriptor: int, data: object) -> int:
        raise OSError(number, f"nobody reads {descriptor}")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="nobody reads") if told else contextlib.nullcontext():
        Pipe(0, 1).send(Pong(id=1))


@pytest.mark.pcscd
def test_the_real_driver_runs_in_it(worker: StartWorker, pcsc_service: PcscService) -> None:
    process = worker("pcsc")
    process.send(Start(options={"busy_timeout": 5.0}))
    started = process.receive(1)[0]
    assert isinstance(started, Started)
    assert started.driver == "pcsc"
    assert started.version.startswith("pyscard ")
    status, _ = process.end(Stop())
    assert status == 0


def checked(name: str, options: bytes, how: str = "--check") -> tuple[int, object]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "vitale_drivers.host.worker", name, how],
        input=options,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None


def test_options_are_checked_without_a_device() -> None:
    assert checked("scanner", b'{"devices": ["/dev/nowhere"]}') == (0, None)


def test_what_is_refused_of_them_is_told_as_json() -> None:
    status, told = checked("simulated-card", b'{"fautl": "mute"}')
    assert status == 78
    assert told == {
        "reason": "configuration_invalid",
        "detail": "drivers.options.simulated-card.fautl: no such setting; did you mean fault?",
        "data": {
            "path": "drivers.options.simulated-card.fautl",
            "choices": ["readers", "present", "image", "fault", "control", "transmit_limit"],
            "nearest": "fault",
        },
    }


def test_options_that_are_no_json_are_no_options() -> None:
    assert checked("scanner", b"[drivers") == (65, None)


def test_a_driver_that_is_not_installed_is_refused_with_the_nearest() -> None:
    status, told = checked("scaner", b"{}")
    assert (status, isinstance(told, dict) and told["data"]["nearest"]) == (78, "scanner")


def test_a_survey_names_what_is_absent_and_opens_nothing() -> None:
    seen = checked("scanner", b'{"options": {"devices": ["/dev/nowhere"]}}', "--survey")
    assert seen == (0, {"seen": [{"kind": "absent", "name": "/dev/nowhere"}]})


def test_a_survey_tells_options_that_are_refused() -> None:
    status, told = checked("scanner", b'{"options": {"speeed": 1}}', "--survey")
    assert (status, isinstance(told, dict) and told["refused"]["data"]["nearest"]) == (78, "speed")


def test_a_survey_without_a_question_has_no_answer() -> None:
    assert checked("scanner", b"[drivers", "--survey") == (65, None)


def test_a_driver_that_sees_nothing_of_its_own_surveys_nothing() -> None:
    assert checked("simulated-card", b'{"options": {}}', "--survey") == (0, {})
