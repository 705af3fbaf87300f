"""A desk as a practice runs it: a process with a home, a line of its own to the database, and a clock that may be off.

The clock is moved by libfaketime (Debian: ``libfaketime``), while the daemon runs: its wall clock alone, as a battery,
a time server or a virtual machine that resumes moves it.
"""

import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

from tests.posix import UNIX_SOCKETS
from tests.rig.disk import SmallDisk
from tests.rig.proxy import Proxy
from tests.rig.wire import Endpoint

__all__ = ["READER", "Desk", "faketime"]

LAUNCH = (sys.executable, "-m", "vitale_reader")
READER = "simulated-card:comptoir"
CONFIGURATION = """\
store = {store}
[station]
mode = "simulated"
name = {name}
[tls]
port = 0
[log]
level = "info"
[tokens]
lifetime = 600
[limits]
sessions = 200
[site]
key_file = {key}
[drivers]
enabled = ["simulated-card"]
[drivers.options.simulated-card]
control = {control}
"""
#: Seconds that a start or a stop may take, on a machine that is busy; and those after which a start is tried again.
PATIENCE, AGAIN = 90.0, 0.5


def faketime() -> Path | None:
    """The library that moves a process's clock, where Debian and its children have it."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None


class Desk:
    """One desk of the site.

    Args:
        folder: everything of it lies there.
        number: which one it is.
        database: the URL of the database.
        socket: the Unix socket of its server.
        key: the file of the site's key.
        clock: the library that moves its clock; None for one that is right.
        small: whether its state lies on a small disk of its own.

    Attributes:
        stops: how long each stop by SIGTERM took, in seconds.
        statuses: exit status of each.
        disk: that its state lies on; None where it is that of the machine.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        *,
        database: str,
        socket: Path,
        key: Path,
        clock: Path | None = None,
        small: bool = False,
    ) -> None:
        self.home = folder / f"desk{number}"
        self.number = number
        self.line = Proxy(socket)
        self.stops: list[float] = []
        self.statuses: list[int] = []
        self.refused_starts = 0
        self._database = database
        self._key = key
        self._control = folder / f"card{number}"
        self._clock_file = folder / f"clock{number}"
        self._clock = clock
        self.disk = SmallDisk(self.home / "state") if small else None
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        self.line.__enter__()
        self.home.mkdir()
        if self.disk is not None:
            (self.home / "state").mkdir(mode=0o700)
            self.disk.__enter__()
        self.set_clock(0)
        config = self.home / "config.toml"
        config.touch(mode=0o600)
        texts = {"store": self.line.url(self._database), "name": f"Comptoir {self.number}"}
        paths = {"key": str(self._key), "control": str(self._control)}
        config.write_text(CONFIGURATION.format(**{name: json.dumps(text) for name, text in (texts | paths).items()}))
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.kill()
        finally:
            if self.disk is not None:
                self.disk.__exit__()
            self.line.__exit__()

    @property
    def endpoint(self) -> Endpoint:
        """The place at which clients find it."""
        return Endpoint(self.home)

    @property
    def log(self) -> str:
        """Everything that it wrote to standard error, in all its lives."""
        return (self.home / "daemon.log").read_text(errors="replace")

    @property
    def resident(self) -> int | None:
        """Bytes of memory of its process; None while there is none."""
        process = self._process
        try:
            told = Path(f"/proc/{process.pid}/statm").read_text() if process else ""
        except FileNotFoundError:
            return None
        return int(told.split()[1]) * 4096 if told.strip() else None

    # ── its life ──

    def start(self) -> None:
        """Starts it, and returns when it serves; a start that is refused, as one may be now, is tried again."""
        with self._turn:
            end, pause = time.monotonic() + PATIENCE, threading.Event()
            while not self._started(end):
                assert time.monotonic() < end, f"desk {self.number} does not start: {self.log[-2_000:]}"
                self.refused_starts += 1
                pause.wait(AGAIN)

    def kill(self) -> None:
        """Ends it at once (``kill -9``)."""
        with self._turn:
            process, self._process = self._process, None
            if process is not None:
                process.kill()
                self._ended(process)

    def stop(self) -> None:
        """SIGTERM, and how long it took."""
        with self._turn:
            process, self._process = self._process, None
            if process is None:
                return
            began = time.monotonic()
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
            self.stops.append(time.monotonic() - began)
            self.statuses.append(self._ended(process))

    def set_clock(self, seconds: float) -> None:
        """Has its wall clock be so many seconds ahead; heard at once."""
        new = self._clock_file.with_suffix(".new")
        new.write_text(f"{seconds:+.0f}\n")
        new.replace(self._clock_file)

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command of the command line at this desk."""
        command = [*self._within, *LAUNCH, *words, "--home", str(self.home)]
        return subprocess.run(command, check=False, timeout=120, capture_output=True, text=True)

    def card(self, words: str) -> None:
        """Tells the simulated reader's control something; what it answers does not matter."""
        import socket

        with socket.socket(UNIX_SOCKETS) as line:
            line.settimeout(5)
            line.connect(str(self._control))
            line.sendall(words.encode() + b"\n")
            line.recv(4096)

    def _started(self, end: float) -> bool:
        with (self.home / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                [*self._within, *LAUNCH, "serve", "--json", "--home", str(self.home)],
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment(),
            )
        assert process.stdout is not None
        speaks = select.select([process.stdout], [], [], max(1.0, end - time.monotonic()))[0]
        # In one line where it is, or in several why it does not start.
        if speaks and b'"endpoints"' in process.stdout.readline():
            self._process = process
            return True
        process.kill()
        self._ended(process)
        return False

    @property
    def _within(self) -> tuple[str, ...]:
        return () if self.disk is None else self.disk.within

    def _environment(self) -> dict[str, str]:
        if self._clock is None:
            return dict(os.environ)
        moved: dict[str, Any] = {
            "LD_PRELOAD": self._clock,
            "FAKETIME_TIMESTAMP_FILE": self._clock_file,
            "FAKETIME_NO_CACHE": 1,
            "DONT_FAKE_MONOTONIC": 1,
            "NO_FAKE_STAT": 1,
        }
        return os.environ | {name: str(value) for name, value in moved.items()}

    @staticmethod
    def _ended(process: "subprocess.Popen[bytes]") -> int:
        status = process.wait(60)
        assert process.stdout is not None
        process.stdout.close()
        return status
