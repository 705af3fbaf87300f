"""The kinship of processes: whether a connecting one was started by the daemon or a descendant of it.

Workers and the daemon have the same user, so that the kernel's word about the user says nothing. A worker is recognised
by its process id and by the session that it leads. What it started is recognised by the chain of parents. What loses
its parent comes back to the daemon (PR_SET_CHILD_SUBREAPER), and is told by that.

A parent has duties. An orphan that has ended is waited for, else its number is never free again. One that left its
driver's session is ended. It would outlive its driver and the daemon, and the next daemon would not know it.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path

__all__ = ["Kinship", "Orphans"]

#: Parents that are looked at; whoever has more of them is refused.
MOST_PARENTS = 64


class Kinship:
    """Tells the daemon's own processes from a person's programs.

    Args:
        workers: the process ids of the drivers that live.
        adopts: whether processes whose parent died become this one's children, and it has no other children.
    """

    def __init__(self, workers: Callable[[], Collection[int]], *, adopts: bool) -> None:
        self._workers = workers
        self._adopts = adopts

    def started_here(self, pid: int) -> bool:
        """True if a process was started by the daemon; one that is gone already could have been."""
        workers = frozenset(self._workers())
        if pid in {0, os.getpid()}:  # of another PID namespace, or this very program
            return False
        for _ in range(MOST_PARENTS):
            try:
                if not workers.isdisjoint((pid, *_leaders(pid))):
                    return True
                parent = _parent(pid)
            except PermissionError:  # the session of another: not on Linux
                return False
            except OSError:
                return True
            if parent == os.getpid():
                return self._adopts
            if parent <= 1:
                return False
            pid = parent
        return True


class Orphans:
    """Processes that came to the daemon when their parents among the drivers' descendants ended.

    Args:
        adopts: whether such processes come to this one.
        init: whether all orphans of a container do (process 1): they are waited for, and otherwise let be.
    """

    def __init__(self, *, adopts: bool, init: bool | None = None) -> None:
        self._adopts = adopts
        self._init = os.getpid() == 1 if init is None else init
        # Whatever was started before the daemon by the script that became it.
        self._older = frozenset(_children()) if adopts else frozenset[int]()

    def sweep(self, workers: Collection[int]) -> int:
        """Waits for orphans that have ended, and ends those that left their driver's session; how many are left.

        Args:
            workers: the drivers' processes, which are children, too; none may be about to start.
        """
        if not self._adopts:
            return 0
        adopted = [each for each in _children() if each not in self._older and each not in workers]
        return sum(_end(each, workers, spare=self._init) for each in adopted)


if sys.platform == "win32":

    def _leaders(pid: int) -> tuple[int, ...]:  # noqa: ARG001
        """None: a process leads nothing here, and there are no Unix sockets."""
        return ()

    def _end(pid: int, workers: Collection[int], *, spare: bool) -> bool:  # noqa: ARG001
        """False: nothing comes to this process there."""
        return False

else:

    def _leaders(pid: int) -> tuple[int, ...]:
        """The leaders of a process's session and group.

        Raises:
            OSError: there is no such process, or it is another's.
        """
        return os.getsid(pid), os.getpgid(pid)

    def _end(pid: int, workers: Collection[int], *, spare: bool) -> bool:
        """Waits for an ended orphan; ends one that left its driver's session. True if it is still there.

        Args:
            pid: the orphan.
            workers: the drivers' processes.
            spare: whether it is let be.
        """
        with contextlib.suppress(OSError):  # it is gone
            session = os.getsid(pid)
            if session == os.getsid(0):
                return False  # one that the daemon itself started, and waits for
            escaped = session not in workers and _gave_up_privileges(pid) and not spare
            if escaped:
                os.kill(pid, signal.SIGKILL)
            return os.waitpid(pid, os.WNOHANG)[0] == 0 and escaped
        return False


if sys.platform == "linux":

    def _parent(pid: int) -> int:
        """The parent of a process.

        Raises:
            OSError: there is no such process.
        """
        # proc(5): the name is in parentheses and may hold any character; state and parent follow.
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])

    def _children() -> tuple[int, ...]:
        """The children of this process, those that have ended and were not waited for among them."""
        tasks = Path("/proc/self/task")
        with contextlib.suppress(OSError):  # a kernel without this list: nobody is waited for
            return tuple(int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split())
        return ()

    def _gave_up_privileges(pid: int) -> bool:
        """True if a process is a confined worker's: what a worker gives up, its descendants cannot take back.

        Raises:
            OSError: there is no such process.
        """
        return "\nNoNewPrivs:\t1\n" in Path(f"/proc/{pid}/status").read_text(errors="replace")

else:

    def _children() -> tuple[int, ...]:
        """None: this system gives this process no orphans."""
        return ()

    def _gave_up_privileges(pid: int) -> bool:  # noqa: ARG001
        return False

    def _parent(pid: int) -> int:  # noqa: ARG001
        """Zero: this system does not tell."""
        return 0
