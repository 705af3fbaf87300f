"""The kinship of processes: whether one that connects was started by the daemon itself, or came of one that was.

Workers and the daemon have the same user, so that the kernel's word about the user says nothing. A worker is told by
its process id and by the session that it leads; what it started, by the chain of parents. What loses its parent comes
back to the daemon (PR_SET_CHILD_SUBREAPER), and is told by that.
"""

import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path

__all__ = ["Kinship"]

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


if sys.platform == "win32":

    def _leaders(pid: int) -> tuple[int, ...]:  # noqa: ARG001
        """None: a process leads nothing here, and there are no Unix sockets."""
        return ()

else:

    def _leaders(pid: int) -> tuple[int, ...]:
        """The leaders of a process's session and group.

        Raises:
            OSError: there is no such process, or it is another's.
        """
        return os.getsid(pid), os.getpgid(pid)


if sys.platform == "linux":

    def _parent(pid: int) -> int:
        """The parent of a process.

        Raises:
            OSError: there is no such process.
        """
        # proc(5): the name is in parentheses and may hold any character; state and parent follow.
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])

else:

    def _parent(pid: int) -> int:  # noqa: ARG001
        """Zero: this system does not tell."""
        return 0
