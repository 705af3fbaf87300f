"""The process that one driver runs in: ``python -P -m vitale_drivers.host.worker NAME [LOG LEVEL]``.

With ``--check`` after the name it opens no device. It reads the driver's options as one JSON object from standard
input, checks them, and ends. A refusal is written to standard output, as a ``Problem`` in JSON. With ``--survey`` it
checks them likewise and looks at the devices, without opening one. The answer is a ``Surveyed`` in JSON. An empty line
before it says that all is loaded. With ``--examine`` it tries one device; each step is a ``CheckResult`` in JSON on a
line of its own.

Rules:

- Frames of ``stream`` on standard input and output. Nothing else can reach standard output, whatever a native library
  prints: the real descriptor is taken away before the driver is imported.
- The main thread reads commands and answers ``Ping`` at once. A driver that blocks it is a driver that is stuck.
- What the driver does not need is given up before it is loaded (``confinement``).
- The end of standard input is the end of the worker: a supervisor that died leaves no orphan.
- A thread that ends by an exception is reported in a ``Log`` with an incident id. It ends the process.

Exit status (the numbers of ``sysexits.h``): 0 asked to stop · 65 the supervisor sent no valid message · 69 a package or
library of the driver is missing · 70 a fault of the driver · 78 its name or options are wrong. Before 69 and 78 a
``Health`` with the reason is sent.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn

import msgspec

from vitale_drivers.base import (
    Arm,
    Command,
    Disarm,
    Driver,
    HeldBy,
    LeaseCommand,
    Leased,
    OutOfReach,
    Ping,
    Pong,
    Preview,
    Start,
    Stop,
    Transmit,
    Unlease,
)
from vitale_drivers.host.confinement import confine
from vitale_drivers.host.inspection import check, examine, survey
from vitale_drivers.host.pipe import StreamError
from vitale_drivers.host.questions import Questions
from vitale_drivers.host.reach import Reach, named_paths
from vitale_drivers.host.streams import take_streams
from vitale_drivers.host.worker_process import Pipe, end_after, run_and_end, unread_is_no_fault
from vitale_drivers.registry import is_simulator, load
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.errors import (
    ConfigurationInvalid,
    MediumUnsupported,
)
from vitale_protocol.problems import Problem

__all__ = ["CLOSE_LIMIT", "DriverHost", "main"]

CLOSE_LIMIT = 3.0
"""Seconds that a driver may take to close before the process ends without it."""

LOOK = 0.5
"""Seconds between two looks for what options name: it may be plugged in at any time."""

#: Confines the process; takes what is hidden and what options name.
Confine = Callable[[Iterable[str], Iterable[str]], Reach | None]


class DriverHost:
    """Carries out the supervisor's commands on one driver.

    Args:
        name: the driver's.
        pipe: to the supervisor.
        confine: gives up what the driver does not need. None for a simulated device, and where the process is not the
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
                end_after(CLOSE_LIMIT)
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


def main(arguments: list[str]) -> NoReturn:
    """Runs the driver that the first argument names until it is ordered to stop, and ends the process."""
    match arguments:
        case [name, "--check"]:
            _answer_and_end(lambda question, _: check(name, question))
        case [name, "--survey"]:
            _answer_and_end(lambda question, loaded: survey(name, question, loaded))
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


def _parse(arguments: list[str]) -> tuple[str, int]:
    match arguments:
        case [name]:
            return name, logging.INFO
        case [name, level] if level in logging.getLevelNamesMapping():
            return name, logging.getLevelNamesMapping()[level]
        case _:
            raise ConfigurationInvalid("the name of a driver is needed, and at most a log level such as DEBUG after it")


def _examine_and_end(name: str) -> NoReturn:
    source, sink = take_streams()
    with os.fdopen(source, "rb") as given:
        question = given.read()
    lock = threading.Lock()

    def tell(row: CheckResult) -> None:
        with lock, unread_is_no_fault():
            os.write(sink, msgspec.json.encode(row) + b"\n")

    status = examine(name, question, tell)
    sys.stderr.flush()
    os._exit(status)


def _answer_and_end(answered: Callable[[bytes, Callable[[], None]], tuple[int, bytes]]) -> NoReturn:
    source, sink = take_streams()

    def loaded() -> None:
        with unread_is_no_fault():
            os.write(sink, b"\n")

    with os.fdopen(source, "rb") as given:
        status, said = answered(given.read(), loaded)
    with unread_is_no_fault(), os.fdopen(sink, "wb") as answer:
        answer.write(said)
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
