"""``doctor`` on broken desks: the time and the processor time of each, by a process of its own that has loaded nothing.

``python -m tests.benchmarks.broken_desks NAME`` prepares one desk, looks at it, and writes both in JSON.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.benchmarks.table import Measure
from vitale_reader.cli.frame.language import t

__all__ = ["LIMIT", "Look", "line", "lines"]

#: Seconds for a whole look: the promise.
LIMIT = 3.0


class Look(msgspec.Struct, frozen=True):
    """What a look took, its drivers' processes included, seconds each."""

    wall: float
    processor: float


def lines(say: Callable[[str], None]) -> list[Measure]:
    """Every broken desk.

    Raises:
        ToolMissing: there is no PC/SC service to be had here.
    """
    from tests.diagnosis.desks import DESKS

    found: list[Measure] = []
    for name in DESKS:
        say(f"{name}…")
        command = [sys.executable, "-m", "tests.benchmarks.broken_desks", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        found.append(line(name, msgspec.json.decode(done.stdout, type=Look)))
    return found


def line(name: str, look: Look) -> Measure:
    """One desk."""
    return Measure(
        name="doctor",
        unit="s",
        baseline=t("processeur", "processor"),
        baseline_p50=look.processor,
        ours=name,
        p50=look.wall,
        promise=f"< {LIMIT:g} s",
        kept=look.wall < LIMIT,
    )


def _processor() -> float:
    return sum(os.times()[:4])  # its own and its children's, of the user and of the system


def _look(name: str) -> Look:
    from contextlib import ExitStack

    from tests.diagnosis.desks import DESKS, prepared
    from vitale_firmware_sim.card.pcscd import PcscService
    from vitale_protocol.errors import DaemonUnreachable
    from vitale_reader.diagnosis.report import examine
    from vitale_reader.diagnosis.station import devices, resolver

    desk, limits = DESKS[name], (devices.LOOK, resolver.LIMIT)
    with tempfile.TemporaryDirectory(prefix="vr-") as folder, ExitStack() as stack:
        if desk.pcsc:
            stack.enter_context(PcscService(Path(folder) / "pcsc", ("Virtual PCD",)))
        home, machine = stack.enter_context(prepared(desk, Path(folder)))
        devices.LOOK, resolver.LIMIT = limits  # the suite has less patience with a desk that never answers
        began, spent = time.perf_counter(), _processor()
        examine(home, DaemonUnreachable("no daemon has published its endpoints"), machine)
        return Look(time.perf_counter() - began, _processor() - spent)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(msgspec.to_builtins(_look(sys.argv[1]))))
