"""The processes of a fuzzing run: engines, and inputs that are played alone."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.ledger import ROOT, Place

__all__ = ["TIMEOUT", "Engines"]

SOURCE_PATHS = ("", "protocol", "drivers", "firmware-sim")

#: Seconds that one input may take, and MiB that a target may hold: the decoders' libraries alone take some 200.
TIMEOUT, MEMORY = 10, 1024
#: Seconds on the wall, after which an input that takes no processor time waits for what does not come.
PATIENCE = 600


@dataclass(slots=True)
class Engines:
    """Starts processes and ends them."""

    is_stopped: bool = False
    _running: set[subprocess.Popen[bytes]] = field(default_factory=set[subprocess.Popen[bytes]])

    def stop(self) -> None:
        """Ends what runs, and starts nothing more."""
        self.is_stopped = True
        for process in [*self._running]:
            process.terminate()

    def fuzz(self, name: str, place: Place, seconds: float, *options: str | Path) -> int:
        """Runs an engine until its target has had its time, and returns its exit status."""
        limits = (f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY}")
        with place.log.open("wb") as log:
            return self._run(
                "engine", name, place.folder, str(seconds), *limits, *options, place.found, output=log.fileno()
            )

    def merge(self, name: str, merged: Path, found: Path, *options: str | Path) -> None:
        """Has libFuzzer copy the smallest inputs that reach the same, into a folder."""
        limits = (f"-timeout={PATIENCE}", f"-rss_limit_mb={MEMORY}")
        self._run("engine", name, "-merge=1", *limits, *options, merged, found)

    def is_quick(self, name: str, file: Path) -> bool:
        """Whether an input, played alone, passes within the processor time that one may take."""
        try:
            return self._run("alone", name, file, str(TIMEOUT), patience=PATIENCE) == 0
        except subprocess.TimeoutExpired:
            return False

    def _run(
        self, module: str, *arguments: str | Path, output: int = subprocess.DEVNULL, patience: float | None = None
    ) -> int:
        if self.is_stopped:
            return 1
        path = ":".join(str(ROOT / place) for place in SOURCE_PATHS)
        process = subprocess.Popen(
            [sys.executable, "-m", f"tests.fuzz.{module}", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdout=output,
            stderr=output,
        )
        self._running.add(process)
        try:
            return process.wait(patience)
        finally:
            process.kill()
            process.wait()
            self._running.discard(process)
