"""Processes: how a baseline is started; the cores that each takes, and its memory, on Linux."""

import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.posix import system_figure

__all__ = ["MEBIBYTE", "baseline", "loads", "resident", "waking"]

MEBIBYTE = 1_048_576

#: What wakes once a second, and does nothing else.
WAKES = "import asyncio\nasync def main():\n    while True: await asyncio.sleep(1)\nasyncio.run(main())"


def baseline(name: str) -> tuple[str, ...]:
    """The command of ``baseline_{name}.py``, to which its arguments are added."""
    # -P: the modules that lie beside it are not in the way of those that it imports.
    return sys.executable, "-P", str(Path(__file__).with_name(f"baseline_{name}.py"))


def loads(pids: Sequence[int], seconds: float) -> list[float]:
    """The share of a core that each process takes over so many seconds."""
    before, began = [_cpu_seconds(pid) for pid in pids], time.perf_counter()
    time.sleep(seconds)
    taken = time.perf_counter() - began
    return [(_cpu_seconds(pid) - earlier) / taken for pid, earlier in zip(pids, before, strict=True)]


def resident(pid: int) -> int:
    """Bytes of memory of a process, with what it shares."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * system_figure("SC_PAGE_SIZE")


@contextmanager
def waking() -> Generator[int]:
    """The process id of a bare asyncio that wakes once a second: on some machines each wake takes milliseconds."""
    with subprocess.Popen((sys.executable, "-c", WAKES)) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def _cpu_seconds(pid: int) -> float:
    """The time that a process has had of all cores so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / system_figure("SC_CLK_TCK")
