"""The daemon as a process of its own, as practices run it, on the real PC/SC service of the test run."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

import vitale_reader
from tests.warm_interpreter import Process, WarmInterpreter
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_reader.home import Endpoints, Home

#: Seconds that a busy machine may take for anything.
PATIENCE = 60.0
CONFIGURATION = (
    '[station]\nmode = "simulated"\n[tls]\nport = 0\n[log]\nlevel = "debug"\n[drivers]\nenabled = {drivers}\n'
)


class Daemon:
    """A daemon in a home of its own; what it writes to standard error is kept in ``log``.

    Args:
        interpreter: starts it.
        folder: the home.
        driver: the driver that ``options`` are for; several names, with blanks between them, where they are none's.
        options: lines of the driver's table.
        rest: other tables.
        top: settings that are in no table.
    """

    def __init__(
        self,
        interpreter: WarmInterpreter,
        folder: Path,
        driver: str = "pcsc",
        options: str = "",
        rest: str = "",
        top: str = "",
    ) -> None:
        self.interpreter = interpreter
        self.home = Home.under(folder)
        self.log_file = folder / "daemon.log"
        folder.mkdir(parents=True, exist_ok=True)
        text = top + "\n" + CONFIGURATION.format(drivers=json.dumps(driver.split())) + rest + "\n"
        self.home.config.touch(mode=0o600)
        self.home.config.write_text(f"{text}[drivers.options.{driver}]\n{options}\n" if options else text)
        self.process: Process | None = None

    def start(self) -> Self:
        """Starts it and returns when it serves."""
        with self.log_file.open("ab") as log:
            self.process = self.interpreter.start(
                "-m",
                "vitale_reader",
                "serve",
                "--json",
                "--home",
                str(self.home.config.parent),
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the daemon did not start: {self.log}"
        assert "endpoints" in json.loads(line)
        return self

    def connect(self, **options: object) -> vitale_reader.Connection:
        """A client of it, which waits as long as a busy machine takes to start it again, and to answer."""
        options = {"connect_timeout": PATIENCE, "call_timeout": PATIENCE, **options}
        return vitale_reader.connect(home=self.home.config.parent, language="en", **options)  # type: ignore[arg-type]  # passed through

    @property
    def endpoints(self) -> Endpoints:
        return self.home.endpoints()

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def kill(self) -> None:
        """``kill -9``."""
        self._end(at_once=True)

    def stop(self) -> int:
        """SIGTERM; gives the exit status."""
        return self._end(at_once=False)

    def _end(self, *, at_once: bool) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        if at_once:
            process.kill()
        else:
            process.terminate()
        status = process.wait(PATIENCE)
        assert process.stdout is not None
        process.stdout.close()
        return status


StartDaemon = Callable[..., Daemon]


@pytest.fixture
def start_daemon(tmp_path: Path, interpreter: WarmInterpreter) -> Iterator[StartDaemon]:
    """Starts daemons: ``start_daemon(driver="pcsc", options="busy_timeout = 1.0", rest="[tokens]…")``."""
    started: list[Daemon] = []

    def start(driver: str = "pcsc", options: str = "", rest: str = "", top: str = "") -> Daemon:
        daemon = Daemon(interpreter, tmp_path / f"home{len(started)}", driver, options, rest, top)
        started.append(daemon)
        return daemon.start()

    yield start
    for daemon in started:
        daemon.stop()


@pytest.fixture
def daemon(pcsc_service: PcscService, start_daemon: StartDaemon) -> Daemon:
    """A daemon with the pcsc driver."""
    assert pcsc_service.pid is not None
    return start_daemon()
