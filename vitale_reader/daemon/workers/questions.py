"""Questions to a driver, in a process beside the one that reads: its options, and what it sees.

The process opens no device and ends with its answer. A native library that crashes or hangs in it harms nobody.
"""

import contextlib
import math
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping

import msgspec

from vitale_drivers.host.inspection import Examination, Survey, Surveyed
from vitale_drivers.host.programs import itself
from vitale_protocol.configuration.settings import refusal
from vitale_protocol.diagnosis.check_results import CheckResult, of_error
from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ConfigurationInvalid, ParseError, VitaleError
from vitale_protocol.problems import Problem
from vitale_reader.daemon.workers.offspring import WITHOUT_WINDOW
from vitale_reader.daemon.workers.worker import WORKER

__all__ = ["Options", "Silent", "check_options", "examined", "survey"]

Options = Mapping[str, object]

#: Seconds for a process that has answered to end, and for its pipe to close.
ENDING = 1.0

#: Bytes of an answer, or of a step of a trial, which may hold a picture.
LONGEST = 16 << 20

#: Exit statuses of a worker that told what keeps it from working (sysexits.h EX_UNAVAILABLE, EX_CONFIG).
REFUSED = frozenset({69, 78})


class Silent(msgspec.Struct, frozen=True):
    """A driver gave no answer in time: it was ended after ``limit`` seconds."""

    limit: float


class _Answering:
    """A process that answers; one that looks at devices says before when it has loaded. Its output is read as it comes.

    One that says more than the longest answer is ended.
    """

    def __init__(self, worker: "subprocess.Popen[bytes]") -> None:
        self.worker, self.answer = worker, b""
        self._began, self._loaded_after = time.monotonic(), 0.0
        self._loaded = threading.Event()
        self._reading = threading.Thread(target=self._read, name="answer", daemon=True)
        self._reading.start()

    def wait(self, end: float, look: float = math.inf) -> Silent | None:
        """Waits for the answer, and ends a process that gives none; None: it is there."""
        if self._loaded.wait(max(0.0, end - time.monotonic())):
            end = min(end, self._began + self._loaded_after + max(look, 2 * self._loaded_after))
            self._reading.join(max(0.0, end - time.monotonic()))
            if not self._reading.is_alive() and self._has_ended(end):
                return None
        waited = time.monotonic() - self._began
        self.worker.kill()
        self.worker.wait()
        self._reading.join(ENDING)  # a program that a driver left behind may keep the pipe
        return Silent(round(waited, 1))

    def _has_ended(self, end: float) -> bool:
        try:
            self.worker.wait(max(ENDING, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _read(self) -> None:
        if self.worker.stdout is None:
            return
        with self.worker.stdout as said:
            first = said.read(1)
            self._loaded_after = time.monotonic() - self._began
            self._loaded.set()
            self.answer = first + said.read(LONGEST)
            if len(self.answer) > LONGEST:
                self.worker.kill()


def check_options(drivers: Mapping[str, Options], limit: float) -> list[VitaleError | None]:
    """Asks each driver to check its options, all at once; what each refuses, in their order.

    Args:
        drivers: the options of each.
        limit: seconds that all have together.
    """
    asked = {name: _Answering(_ask(name, "--check", msgspec.json.encode(options))) for name, options in drivers.items()}
    end = time.monotonic() + limit
    return [_refused(name, one, end, limit) for name, one in asked.items()]


def survey(drivers: Mapping[str, Options], limit: float, look: float) -> dict[str, Surveyed | Silent | VitaleError]:
    """Asks each driver to check its options and look at its devices, all at once.

    A device or a service may keep a driver from ever having looked. A slow machine makes it load and look slowly.

    Args:
        drivers: the options of each.
        limit: seconds that all have together.
        look: seconds for one that has loaded to look; twice as long as it loaded, where that is more.
    """
    asked = {
        name: _Answering(_ask(name, "--survey", msgspec.json.encode(Survey(options=dict(options)))))
        for name, options in drivers.items()
    }
    end = time.monotonic() + limit
    return {name: _seen(name, one, end, look) for name, one in asked.items()}


def examined(
    name: str, options: Options, seconds: float, reader: str = "", *, picture: bool = False
) -> Iterator[CheckResult]:
    """Has a driver try a device step by step; each step as it comes.

    Args:
        name: the driver's.
        options: of it.
        seconds: for as long as it waits for somebody to present something.
        reader: a part of the name of the reader to try.
        picture: whether the last step is to have what a camera saw.
    """
    order = Examination(options=dict(options), seconds=seconds, reader=reader, picture=picture)
    worker = _ask(name, "--examine", msgspec.json.encode(order))
    try:
        for line in _lines(worker):
            try:
                yield decode_document(line, CheckResult)
            except ParseError:
                yield of_error(_died(name, worker), "driver", {"name": name})
                return
        if worker.wait() not in {0, *REFUSED}:
            yield of_error(_died(name, worker), "driver", {"name": name})
    finally:
        worker.kill()
        if worker.stdout is not None:  # not read to its end: a program that a driver left behind may keep the pipe
            worker.stdout.close()
        worker.wait()


def _lines(worker: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    return iter(lambda: b"" if worker.stdout is None else worker.stdout.readline(LONGEST), b"")


def _ask(name: str, how: str, question: bytes) -> "subprocess.Popen[bytes]":
    command, environment = itself((*WORKER, name, how), os.environ | {"PYTHONUNBUFFERED": "1"})
    worker = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        creationflags=WITHOUT_WINDOW,
    )
    if worker.stdin is not None:
        stdin, worker.stdin = worker.stdin, None
        # One that has died by now is told by its status, like one that dies of the question.
        with contextlib.suppress(OSError), stdin:
            stdin.write(question)
    return worker


def _refused(name: str, one: _Answering, end: float, limit: float) -> VitaleError | None:
    if one.wait(end) is not None:
        return refusal(f"drivers.options.{name}", f"driver {name} did not check its options within {limit:.0f} s")
    if one.worker.returncode == 0:
        return None
    try:
        return decode_document(one.answer, Problem).error(ConfigurationInvalid)
    except ParseError:
        return _died(name, one.worker)


def _seen(name: str, one: _Answering, end: float, look: float) -> Surveyed | Silent | VitaleError:
    silent = one.wait(end, look)
    if silent is not None:
        return silent
    try:
        return decode_document(one.answer, Surveyed)
    except ParseError:
        return _died(name, one.worker)


def _died(name: str, worker: "subprocess.Popen[bytes]") -> VitaleError:
    path = f"drivers.options.{name}"
    return refusal(path, f"driver {name} ended with status {worker.returncode} when it checked its options")
