"""The process that one driver runs in: ``python -P -m vitale_drivers.host.worker NAME [LOG LEVEL]``.

With ``--check`` after the name it opens no device: it reads the driver's options as one JSON object from standard
input, checks them, and ends. A refusal is written to standard output, as a ``Problem`` in JSON. With ``--survey`` it
checks them likewise and looks at the devices, without opening one; the answer is a ``Surveyed`` in JSON. With
``--examine`` it tries one device; each step is a ``Row`` in JSON on a line of its own.

Rules:

- Frames of ``stream`` on standard input and output. Nothing else can reach standard output, whatever a native library
  prints: the real descriptor is taken away before the driver is imported.
- The main thread reads commands and answers ``Ping`` at once; a driver that blocks it is a driver that is stuck.
- What the driver does not need is given up before it is loaded (``confinement``).
- The end of standard input is the end of the worker: a supervisor that died leaves no orphan.
- A thread that ends by an exception is reported in a ``Log`` with an incident id, and ends the process.

Exit status (the numbers of ``sysexits.h``): 0 asked to stop · 65 the supervisor sent no valid message · 69 a package or
library of the driver is missing · 70 a fault of the driver · 78 its name or options are wrong. Before 69 and 78 a
``Health`` with the reason is sent.
"""

import base64
import contextlib
import errno
import logging
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import NoReturn

import msgspec

from vitale_drivers.base import (
    Arm,
    Command,
    Disarm,
    Driver,
    Health,
    HeldBy,
    LeaseCommand,
    Leased,
    Log,
    OutOfReach,
    Ping,
    Pong,
    Preview,
    Report,
    Sighting,
    Start,
    Stop,
    Tell,
    Transmit,
    Unlease,
)
from vitale_drivers.host.confinement import confine
from vitale_drivers.host.pipe import Decoder, StreamError, encode
from vitale_drivers.host.questions import Questions
from vitale_drivers.host.reach import Reach, named_paths
from vitale_drivers.host.redaction import RedactingFormatter, redact_exception
from vitale_drivers.host.streams import take_streams
from vitale_drivers.registry import is_simulator, load
from vitale_protocol.diagnosis.check_results import Row, of_error
from vitale_protocol.documents import decode_document
from vitale_protocol.errors import (
    ConfigurationInvalid,
    LocalError,
    MediumUnsupported,
    ParseError,
    ToolMissing,
    VitaleError,
)
from vitale_protocol.problems import Problem

__all__ = [
    "CLOSE_LIMIT",
    "DriverHost",
    "Examination",
    "Pipe",
    "ReportHandler",
    "Survey",
    "Surveyed",
    "check",
    "examine",
    "main",
    "run_and_end",
    "survey",
]

CLOSE_LIMIT = 3.0
"""Seconds that a driver may take to close before the process ends without it."""

LOOK = 0.5
"""Seconds between two looks for what options name: it may be plugged in at any time."""

READ_SIZE = 1 << 16

#: Errors of a pipe that nobody reads any more: EPIPE, and EINVAL on Windows.
WITHOUT_READER = frozenset({errno.EPIPE, errno.EINVAL})

EX_OK = 0
EX_DATAERR = 65
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_CONFIG = 78


@contextlib.contextmanager
def unread_is_no_fault() -> Generator[None]:
    """Ends what it is around where nobody reads any more: the end of standard input shows that as well."""
    try:
        yield
    except OSError as error:
        if error.errno not in WITHOUT_READER:
            raise


class Pipe:
    """The worker's end of the pipe: commands from one descriptor, reports to another, from any thread."""

    def __init__(self, source: int, sink: int) -> None:
        """Takes the descriptors; the caller closes them."""
        self._source = source
        self._sink = sink
        self._decoder = Decoder[Command](Command)
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """The descriptor that commands come from, to be waited for."""
        return self._source

    def receive(self) -> list[Command]:
        """Waits for bytes and returns the commands they complete, which may be none.

        Raises:
            EOFError: the supervisor closed its end.
            StreamError: what came is not a command.
        """
        data = os.read(self._source, READ_SIZE)
        if not data:
            raise EOFError
        return self._decoder.receive(data)

    def send(self, report: Report) -> None:
        """Writes one report whole; a supervisor that does not read holds the writer back, so memory stays bounded."""
        frame = memoryview(encode(report))
        with self._lock, unread_is_no_fault():
            while frame:
                frame = frame[os.write(self._sink, frame) :]


class ReportHandler(logging.Handler):
    """Sends log records to the supervisor, redacted."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self.setFormatter(RedactingFormatter())
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        """Sends one log record to the daemon."""
        self._pipe.send(Log(level=record.levelno, logger=record.name, text=self.format(record)))


#: Confines the process; takes what is hidden and what options name.
Confine = Callable[[Iterable[str], Iterable[str]], Reach | None]


class DriverHost:
    """Carries out the supervisor's commands on one driver.

    Args:
        name: the driver's.
        pipe: to the supervisor.
        confine: gives up what the driver does not need; None for a simulated device, and where the process is not the
            worker's own.
    """

    def __init__(self, name: str, pipe: Pipe, confine: Confine | None = None) -> None:
        self._name = name
        self._pipe = pipe
        self._confine = confine
        self._driver: Driver | None = None
        self._questions = Questions(pipe.send)
        self._ended = threading.Event()

    def run(self) -> None:
        """Serves until ``Stop`` or the end of the stream, then closes the driver.

        Raises:
            ConfigurationInvalid: the driver's name or its options are wrong.
            ToolMissing: the driver needs something that is not installed.
            StreamError: what came is not a command, or not one in its place.
        """
        try:
            while self._serve(self._pipe.receive()):
                pass
        except EOFError:
            pass
        finally:
            self._ended.set()
            if self._driver is not None:
                _end_after(CLOSE_LIMIT)
                self._driver.close()

    def _serve(self, commands: list[Command]) -> bool:
        for command in commands:
            if isinstance(command, Stop):
                return False
            self._carry_out(command)
        return True

    def _carry_out(self, command: Command) -> None:
        match command, self._driver:
            case Start(), None:
                self._give_up(command)
                self._start(command.options)
            case Ping(), None:
                self._pipe.send(Pong(id=command.id))
            case Ping(), Driver() as driver:
                self._pipe.send(Pong(id=command.id, stuck=driver.stuck()))
            case Arm(), Driver() as driver:
                driver.arm(command)
            case Disarm(), Driver() as driver:
                driver.disarm()
            case Transmit(), Driver() as driver:
                driver.transmit(command)
            case LeaseCommand(), Driver() as driver:
                self._lease(driver, command)
            case Unlease(), Driver() as driver:
                driver.unlease(command)
            case Preview(), Driver() as driver:
                driver.preview(command)
            case HeldBy(), Driver():
                self._questions.take(command)
            case _:
                raise StreamError("a driver is started once, and first")

    def _lease(self, driver: Driver, command: LeaseCommand) -> None:
        try:
            driver.lease(command)
        except MediumUnsupported as error:
            self._pipe.send(Leased(id=command.id, problem=Problem.of(error)))

    def _give_up(self, command: Start) -> None:
        if self._confine is None:
            return
        reach = self._confine(command.hidden, named_paths(command.options))
        if reach is None:
            logging.getLogger(__name__).info("files are not confined: this system has no Landlock")
        elif reach.may_lose_one():
            threading.Thread(target=self._watch, args=(reach,), name="reach", daemon=True).start()

    def _watch(self, reach: Reach) -> None:
        """Reports once when something that options name came to be and cannot be opened."""
        while not reach.has_lost_one():
            if self._ended.wait(LOOK):
                return
        self._pipe.send(OutOfReach())

    def _start(self, options: Mapping[str, object]) -> None:
        driver = load(self._name)(options)
        driver.find_holders = self._questions.find_holders
        driver.check()
        driver.open(self._pipe.send)
        self._driver = driver


def check(name: str, options: bytes) -> tuple[int, bytes]:
    """Checks the options of a driver without opening it.

    Args:
        name: the driver's.
        options: a JSON object.

    Returns:
        The exit status, and what is refused as a JSON object; empty where nothing is.
    """
    try:
        load(name)(decode_document(options, dict[str, object])).check()
    except ParseError:
        return EX_DATAERR, b""
    except (ConfigurationInvalid, ToolMissing) as error:
        return _status(error), msgspec.json.encode(Problem.of(error))
    return EX_OK, b""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """Question of ``doctor`` to a driver: its options."""

    options: dict[str, object]


class Surveyed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Answer to a ``Survey``: the options were refused, or something is missing, or this is what is seen."""

    refused: Problem | None = None
    seen: tuple[Sighting, ...] = ()


def survey(name: str, question: bytes) -> tuple[int, bytes]:
    """Checks the options of a driver and looks at its devices without opening one.

    Args:
        name: the driver's.
        question: a ``Survey`` in JSON.

    Returns:
        The exit status, and a ``Surveyed`` in JSON.
    """
    try:
        asked = decode_document(question, Survey)
        driver = load(name)(asked.options)
        driver.check()
        return EX_OK, msgspec.json.encode(Surveyed(seen=driver.survey()))
    except ParseError:
        return EX_DATAERR, b""
    except (ConfigurationInvalid, ToolMissing) as error:
        return _status(error), msgspec.json.encode(Surveyed(refused=Problem.of(error)))


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """Order of ``doctor`` to a driver: its options, how long to wait, which reader to try, and whether to show it all.

    Without ``picture`` no step has anything of a person; with it the last one has what the camera saw.
    """

    options: dict[str, object]
    seconds: float = 30.0
    reader: str = ""
    picture: bool = False


def examine(name: str, question: bytes, tell: Tell) -> int:
    """Tries a device step by step.

    Args:
        name: the driver's.
        question: an ``Examination`` in JSON.
        tell: takes each step; what keeps from trying is one.

    Returns:
        The exit status.
    """
    try:
        asked = decode_document(question, Examination)
        driver = load(name)(asked.options)
        driver.check()
        driver.examine(tell, asked.seconds, asked.reader)
        if asked.picture and driver.seen:
            jpeg = base64.b64encode(driver.seen).decode()
            tell(Row(id="camera_picture", subject="picture", state="ok", values={"jpeg": jpeg}))
    except ParseError:
        return EX_DATAERR
    except (ConfigurationInvalid, ToolMissing) as error:
        tell(of_error(error, "driver", {"name": name}))
        return _status(error)
    except VitaleError as error:
        tell(of_error(error, "reader", {"name": name}))
    return EX_OK


def main(arguments: list[str]) -> NoReturn:
    """Runs the driver that the first argument names until it is ordered to stop, and ends the process."""
    match arguments:
        case [name, "--check"]:
            _answer_and_end(check, name)
        case [name, "--survey"]:
            _answer_and_end(survey, name)
        case [name, "--examine"]:
            _examine_and_end(name)
        case _:
            _run_and_end(arguments)


def _run_and_end(arguments: list[str]) -> NoReturn:
    def drive(pipe: Pipe) -> None:
        name, level = _parse(arguments)
        logging.getLogger().setLevel(level)
        DriverHost(name, pipe, None if is_simulator(name) else confine).run()

    run_and_end(drive)


def run_and_end(work: Callable[[Pipe], None]) -> NoReturn:
    """Runs what a worker is for, with a pipe to its supervisor, and ends the process; its log goes to the pipe, too."""
    pipe = Pipe(*take_streams())
    logging.basicConfig(level=logging.INFO, handlers=[ReportHandler(pipe)])
    threading.excepthook = lambda fault: _end_by_fault(pipe, fault.exc_value, str(fault.thread and fault.thread.name))
    # Ctrl-C reaches the whole foreground group; ending a worker is the supervisor's decision, sent through the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        work(pipe)
        status = EX_OK
    except (ConfigurationInvalid, ToolMissing) as error:
        status = _refuse(pipe, error)
    except StreamError as error:
        logging.getLogger(__name__).error("the supervisor's stream is broken: %s", error)
        status = EX_DATAERR
    except BaseException as error:  # noqa: BLE001 - the top of the process: logged with an incident id, then its end
        _end_by_fault(pipe, error, threading.current_thread().name)
    # Not sys.exit: a native library's thread that never returns must not keep a worker alive without its supervisor.
    os._exit(status)


def _parse(arguments: list[str]) -> tuple[str, int]:
    match arguments:
        case [name]:
            return name, logging.INFO
        case [name, level] if level in logging.getLevelNamesMapping():
            return name, logging.getLevelNamesMapping()[level]
        case _:
            raise ConfigurationInvalid("the name of a driver is needed, and at most a log level such as DEBUG after it")


def _refuse(pipe: Pipe, error: LocalError) -> int:
    logging.getLogger(__name__).error("%s", redact_exception(error))
    pipe.send(Health(state="degraded", problem=Problem.of(error)))
    return _status(error)


def _status(error: LocalError) -> int:
    return EX_UNAVAILABLE if isinstance(error, ToolMissing) else EX_CONFIG


def _examine_and_end(name: str) -> NoReturn:
    source, sink = take_streams()
    with os.fdopen(source, "rb") as given:
        question = given.read()
    lock = threading.Lock()

    def tell(row: Row) -> None:
        with lock, unread_is_no_fault():
            os.write(sink, msgspec.json.encode(row) + b"\n")

    status = examine(name, question, tell)
    sys.stderr.flush()
    os._exit(status)


def _answer_and_end(answered: Callable[[str, bytes], tuple[int, bytes]], name: str) -> NoReturn:
    source, sink = take_streams()
    with os.fdopen(source, "rb") as given:
        status, said = answered(name, given.read())
    with unread_is_no_fault(), os.fdopen(sink, "wb") as answer:
        answer.write(said)
    sys.stderr.flush()
    os._exit(status)


def _end_by_fault(pipe: Pipe, error: BaseException | None, thread: str) -> NoReturn:
    incident = uuid.uuid4().hex[:12]
    frames = redact_exception(error) if error is not None else "no exception"
    pipe.send(Log(level=logging.CRITICAL, logger=__name__, text=f"incident {incident} in thread {thread}: {frames}"))
    os._exit(EX_SOFTWARE)


def _end_after(seconds: float) -> None:
    timer = threading.Timer(seconds, os._exit, (EX_SOFTWARE,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    main(sys.argv[1:])
