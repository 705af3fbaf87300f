"""Programs that hold a device, looked up for the drivers: a confined worker does not see other processes.

- Only devices are looked up, and PC/SC: a worker that was taken over learns nothing of files.
- A worker has one look at a time, in a thread of its own. A process that hangs can hold up whoever reads of it. Each
  look is followed by a rest. So questions without end cost the daemon a tenth of a processor at most.
"""

import asyncio
import contextlib
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from vitale_drivers.base import HeldBy, WhoHolds
from vitale_reader.daemon.workers.pcsc_users import PROC, name_of, pcsc_users, processes

__all__ = ["HolderDesk", "find_holders"]

#: PC/SC does not name who holds a reader; who uses it is the best guess.
PCSC = "pcsc"

#: Questions of one worker that wait; each of its readers asks one at a time, and there are not more readers.
MOST_WAITING = 32

#: Where Linux has pseudo-terminals; a file system that counts them from 0.
PSEUDO_TERMINALS = "/dev/pts/"

#: What a question about a terminal begins with.
TERMINAL = "terminal:"
_TTY_NR = 4

#: Rest after a look, as a multiple of the time that it took.
REST = 9.0

#: Names that are told.
MOST_NAMES = 8


def find_holders(device: str, own: Collection[int], proc: Path = PROC) -> tuple[str, ...]:
    """The names of the programs that have a device open, sorted.

    Programs of other users are seen by root only. Where there is no /proc, nobody is named for a device, and on macOS
    nobody for PC/SC.

    Args:
        device: a path, or ``pcsc``; ``terminal:`` and a path for the programs that somebody runs in that terminal.
        own: processes that are not named.
        proc: where the system lists processes.
    """
    if device == PCSC:
        names = pcsc_users(own, proc)
    elif (node := node_at(device.removeprefix(TERMINAL))) is not None:
        names = _openers(node, own, proc, working=device.startswith(TERMINAL))
    else:
        names = set[str]()
    return tuple(sorted(names - {""}))[:MOST_NAMES]


class DeviceNode(msgspec.Struct, frozen=True):
    """A device by its number, whatever its nodes are called.

    Its file system counts, too, where that has numbers of its own. Each container has pseudo-terminals of its own, by
    the same numbers and the same paths.
    """

    number: int
    system: int | None = None


def node_at(path: str | Path) -> DeviceNode | None:
    """The device behind a path; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  a text of a worker, as it is
    except (OSError, ValueError):
        return None
    if not stat.S_ISCHR(found.st_mode):
        return None
    number: int = getattr(found, "st_rdev", 0)  # Windows has none, nor a /proc in which to look for it
    return DeviceNode(number=number, system=found.st_dev if PSEUDO_TERMINALS in os.path.realpath(path) else None)


def _openers(device: DeviceNode, own: Collection[int], proc: Path, *, working: bool) -> set[str]:
    names: set[str] = set()
    for process in processes(proc, own):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            if (not working or _works_in(process, device)) and _has_open(process, device):
                names.add(name_of(process))
    return names


def _works_in(process: Path, device: DeviceNode) -> bool:
    """True if a terminal is the one that a process gets its keys and signals from (proc_pid_stat(5), ``tty_nr``).

    A simulator has a terminal of its own open as well, and works in another one.
    """
    told = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return len(told) > _TTY_NR and told[_TTY_NR] == str(device.number)


def _has_open(process: Path, device: DeviceNode) -> bool:
    for descriptor in (process / "fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            # By its name first: to ask for a file may take as long as a share that is away lets it.
            if "/dev/" in str(descriptor.readlink()) and node_at(descriptor) == device:
                return True
    return False


class HolderDesk:
    """Answers the questions of one process of a driver, for as long as ``run`` is awaited.

    Args:
        answer: takes the answers.
        own: the process itself and the daemon, which are not named.
        find: looks them up.
    """

    def __init__(
        self,
        answer: Callable[[HeldBy], None],
        own: Collection[int],
        find: Callable[[str, Collection[int]], tuple[str, ...]] = find_holders,
    ) -> None:
        self._answer = answer
        self._own = own
        self._find = find
        self._questions: deque[WhoHolds] = deque()
        self._asked = asyncio.Event()

    def ask(self, question: WhoHolds) -> None:
        """Takes a question; where too many wait, nothing is known."""
        if len(self._questions) >= MOST_WAITING:
            self._answer(HeldBy(id=question.id, programs=()))
        else:
            self._questions.append(question)
            self._asked.set()

    async def run(self) -> None:
        """Answers one question after the other."""
        clock = asyncio.get_running_loop().time
        while True:
            while self._questions:
                question, began = self._questions.popleft(), clock()
                self._answer(HeldBy(id=question.id, programs=await self._look(question.device)))
                await asyncio.sleep(REST * (clock() - began))
            self._asked.clear()
            await self._asked.wait()

    async def _look(self, device: str) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[tuple[str, ...]] = loop.create_future()

        def tell(programs: tuple[str, ...]) -> None:
            if not found.done():
                found.set_result(programs)

        def look() -> None:
            programs: tuple[str, ...] = ()
            try:
                programs = self._find(device, self._own)
            finally:
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(tell, programs)

        # Not one of the loop's own threads, whose end its end waits for.
        threading.Thread(target=look, name="who holds a device", daemon=True).start()
        return await found
