"""Taps: from the phone in the field to its string, the driver ``nfc`` beside bare nfcpy.

All ways run in one run and in turns, each in a process of its own, on the same simulated firmware with the wire
modelled at the speeds of real ones. Bare nfcpy is ``baseline_nfc``; ours is the worker that the daemon
runs.
"""

import os
import select
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager

import msgspec

from tests.benchmarks.processes import baseline, loads
from vitale_drivers.base import (
    Arm,
    Command,
    Disarm,
    Ping,
    Pong,
    Presented,
    Progress,
    ReaderAdded,
    ReaderChanged,
    Report,
    Start,
    Stop,
)
from vitale_drivers.host.pipe import Decoder, encode
from vitale_firmware_sim.phone.card import PhoneCard
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_firmware_sim.pn532.faults import parse_nfc_faults
from vitale_firmware_sim.pn532.reader import Pn532Reader
from vitale_protocol.errors import ReaderUnavailable
from vitale_protocol.media.apcv_profile import SIMULATOR_AID
from vitale_reader.cli.frame.language import t

__all__ = ["BAUD_RATES", "WAYS", "IdleLoad", "TapTimes", "fault_reports", "measure_idle", "measure_taps"]

BAUD_RATES = (921_600, 115_200)
WAYS = ("connect", "connect-20", "chip", "driver")
STRING = b"an opaque string of the simulator, as long as real ones may be. " * 3

_PHASES = 0.5
"""Seconds over which the moments of the taps are spread: what nfcpy pauses by default between two looks."""


class TapTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from the phone in the field to its string, in the order in which they were taken.

    Attributes:
        way: one of ``WAYS``.
        baud: the speed of the wire.
        seconds: one for each tap.
    """

    way: str
    baud: int
    seconds: tuple[float, ...]


class IdleLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver's process takes with nothing in the field, armed and not.

    Attributes:
        armed: share of one core.
        disarmed: likewise.
        polls: commands that the chip is given in a second, armed.
        strays: commands that it is given all the while, not armed.
    """

    armed: float
    disarmed: float
    polls: float = 0.0
    strays: int = 0


def measure_taps(
    taps: int,
    say: Callable[[str], None] = lambda _: None,
    ways: Sequence[str] = WAYS,
    bauds: Sequence[int] = BAUD_RATES,
) -> list[TapTimes]:
    """Taps a phone so many times for each way and each speed.

    Raises:
        ReaderUnavailable: a way did not read a phone.
    """
    found: list[TapTimes] = []
    for baud in bauds:
        for way in ways:
            say(t(f"Téléphone posé → chaîne lue : {way}, {baud} bauds…", f"Tap → string: {way}, {baud} baud…"))
            found.append(TapTimes(way=way, baud=baud, seconds=_taps(way, baud, taps)))
    return found


def measure_idle(seconds: float) -> IdleLoad:
    """How busy the driver's process is with an empty field, armed and not, for so many seconds each.

    Raises:
        ReaderUnavailable: the driver did not find its reader.
    """
    with Pn532Reader() as reader, _worker(reader.path) as worker:
        worker.disarm()
        began = reader.commands
        disarmed = loads((worker.pid,), seconds)[0]
        strays = reader.commands - began
        worker.arm()
        at, began = time.perf_counter(), reader.commands
        armed = loads((worker.pid,), seconds)[0]
        polls = (reader.commands - began) / (time.perf_counter() - at)
        return IdleLoad(armed=armed, disarmed=disarmed, polls=polls, strays=strays)


def fault_reports(phone: PhoneCard, faults: str, seconds: float) -> tuple[float, float]:
    """Messages of progress a second, and the load of the driver, while a phone lies there for so many seconds.

    Raises:
        ReaderUnavailable: the driver did not find its reader, or has ended.
    """
    words = parse_nfc_faults(faults)
    with Pn532Reader(faults=words) as reader, _worker(reader.path) as worker:
        reader.field.put(phone, words)
        load = loads((worker.pid,), seconds)[0]
        told = worker.received()
        return sum(isinstance(report, Progress) for report in told) / seconds, load


# ── the ways ─────────────────────────────────────────────────────────────────────────────────────────────────────


class _Way(ABC):
    """A process that reads phones, and says when."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @abstractmethod
    def wait(self, what: str) -> None:
        """Waits until it is ``ready``, has ``read`` a phone, or noticed that it is ``gone``."""

    def _bytes(self) -> bytes:
        assert self._process.stdout is not None
        data = os.read(self._process.stdout.fileno(), 1 << 16)
        if not data:
            raise ReaderUnavailable("the process that is measured has ended")
        return data


class _Baseline(_Way):
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        super().__init__(process)
        self._said = b""

    def wait(self, what: str) -> None:
        while f"{what}\n".encode() not in self._said:
            self._said += self._bytes()
        self._said = b""


class _Worker(_Way):
    def __init__(self, process: "subprocess.Popen[bytes]", path: str) -> None:
        super().__init__(process)
        self._decoder = Decoder[Report](Report)
        self._send(Start(options={"devices": [path], "profiles": [profile_text("simulator")]}))

    def arm(self) -> None:
        self._send(Arm(media=("apcv-nfc",), deadline=time.monotonic() + 86_400))

    def disarm(self) -> None:
        """Orders it, and waits until that is heard."""
        self._send(Disarm())
        self._send(Ping(id=1))
        self.wait("heard")

    def stop(self) -> None:
        self._send(Stop())

    def wait(self, what: str) -> None:
        while not any(_means(report, what) for report in self._decoder.receive(self._bytes())):
            pass

    def received(self) -> list[Report]:
        """What it has reported so far and nobody has waited for."""
        found: list[Report] = []
        stdout = self._process.stdout
        assert stdout is not None
        while select.select([stdout], [], [], 0)[0]:
            found += self._decoder.receive(self._bytes())
        return found

    def _send(self, command: Command) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(encode(command))
        self._process.stdin.flush()


def _means(report: Report, what: str) -> bool:
    match report:
        case ReaderAdded(reader=reader):
            return what == "ready" and reader.state == "empty"
        case Presented():
            return what == "read"
        case Pong():
            return what == "heard"
        case ReaderChanged(reader=reader):
            return what == "gone" and reader.state == "empty"
        case _:
            return False


@contextmanager
def _bare(way: str, path: str) -> Generator[_Baseline]:
    program = (*baseline("nfc"), way, path, SIMULATOR_AID.hex())
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        try:
            bare = _Baseline(process)
            bare.wait("ready")
            yield bare
        finally:
            process.kill()


@contextmanager
def _worker(path: str) -> Generator[_Worker]:
    program = (sys.executable, "-m", "vitale_drivers.host.worker", "nfc")
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            worker = _Worker(process, path)
            worker.wait("ready")
            worker.arm()
            yield worker
            worker.stop()
            process.wait(10)
        finally:
            process.kill()


# ── taking the time ──────────────────────────────────────────────────────────────────────────────────────────────


def _taps(way: str, baud: int, taps: int) -> tuple[float, ...]:
    seconds: list[float] = []
    with Pn532Reader(baud=baud) as reader, _started(way, reader.path) as reading:
        for tap in range(taps + 1):
            # Spread evenly, and in no order that a poller could fall in with (the golden ratio).
            time.sleep(tap * 0.618_034 % 1 * _PHASES)
            phone = PhoneCard(lambda: STRING)
            began = time.perf_counter()
            reader.field.put(phone)
            reading.wait("read")
            seconds.append(time.perf_counter() - began)
            reader.field.remove(phone)
            reading.wait("gone")
    return tuple(seconds[1:])  # without the first, in which much is done for the first time


def _started(way: str, path: str) -> AbstractContextManager[_Way]:
    return _worker(path) if way == "driver" else _bare(way, path)
