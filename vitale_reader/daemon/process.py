"""The daemon's process as each system has it: its limit of open files, its lock, and ending others."""

import asyncio
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from vitale_drivers.host.confinement import undumpable, without_core_dumps

__all__ = [
    "adopts",
    "file_limit",
    "folder_locked",
    "keep_to_itself",
    "kill",
    "locked",
    "raise_file_limit",
    "when_told_to_stop",
]

#: Files that this daemon can make use of: four thousand clients and what else it needs.
MOST_FILES = 8_192

#: The byte that stands for a file that is locked, where locks are on bytes.
LOCKED_BYTE = 1 << 30

#: The events of a console that end the process when their handler returns, or after five seconds: its window is closed,
#: its user logs off, the machine is shut down (SetConsoleCtrlHandler, HandlerRoutine).
CONSOLE_ENDS = frozenset({2, 5, 6})
LAST_SECONDS = 4.5

# include/uapi/linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36
PR_GET_CHILD_SUBREAPER = 37


if sys.platform == "win32":
    import msvcrt

    from vitale_reader.daemon.windows_logoff import tell_session_end

    def file_limit() -> int:
        """Number of files and sockets that this process may have open."""
        return MOST_FILES

    def raise_file_limit() -> None:
        """Nothing: there is no limit that could be raised."""

    def locked(descriptor: int) -> bool:
        """Locks a file for this process, until it ends; whether no other process has it."""
        # Far behind the content, which others may read: a lock there is one on bytes, from the position on.
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

    @contextmanager
    def folder_locked(folder: Path) -> Generator[bool]:  # noqa: ARG001
        """True: a file in the folder cannot be removed there while somebody has it open."""
        yield True

    def kill(pid: int) -> None:
        """Ends a process at once.

        Raises:
            OSError: it has ended.
        """
        os.kill(pid, signal.SIGTERM)  # TerminateProcess

    def when_told_to_stop(stop: Callable[[], None], at_once: Callable[[], None] | None = None) -> None:
        """Calls ``stop`` in the running loop when the system or a person ends this process, ``at_once`` also before.

        Ctrl-C cancels what ``asyncio.run`` runs; Ctrl-Break, a closed window and a log-off come here.
        """
        loop = asyncio.get_running_loop()

        def broken(_number: int, _frame: object) -> None:
            if at_once is not None:
                at_once()
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(stop)

        def end() -> None:
            broken(0, None)
            threading.Event().wait(LAST_SECONDS)  # in a thread of the system's; the process ends meanwhile

        def ends(event: int) -> bool:
            if event not in CONSOLE_ENDS:
                return False  # for the handler that Python has
            end()
            return True

        signal.signal(signal.SIGBREAK, broken)
        handler = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint32)(ends)
        _handlers.append(handler)  # the system calls it for as long as the process lives
        ctypes.WinDLL("kernel32").SetConsoleCtrlHandler(handler, 1)
        tell_session_end(end)

    _handlers: list[object] = []

else:
    import fcntl
    import resource

    def file_limit() -> int:
        """Number of files and sockets that this process may have open."""
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)

    def raise_file_limit() -> None:
        """Takes what the system allows: the usual 1024 is a number that one stranger can fill."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    def locked(descriptor: int) -> bool:
        """Locks a file for this process, until it ends; whether no other process has it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    @contextmanager
    def folder_locked(folder: Path) -> Generator[bool]:
        """Locks a folder itself; gives False if another process has it.

        Unlike a file in it, the folder cannot be taken away. True is given, too, where a file system locks files only.
        """
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        except OSError:
            free = True  # a network file system may lock files only: the file in the folder is locked as well
        try:
            yield free
        finally:
            os.close(descriptor)

    def kill(pid: int) -> None:
        """Ends a process at once.

        Raises:
            OSError: it has ended.
        """
        os.kill(pid, signal.SIGKILL)

    def when_told_to_stop(stop: Callable[[], None], at_once: Callable[[], None] | None = None) -> None:
        """Calls ``stop`` in the running loop when the system or a person ends this process, ``at_once`` also before."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
            if at_once is not None:
                # In the place of a handler that does nothing: the loop is woken by the number of the signal itself.
                signal.signal(number, partial(_handle, at_once))

    def _handle(at_once: Callable[[], None], _number: int, _frame: object) -> None:
        at_once()


def keep_to_itself() -> None:
    """Keeps this process's memory, with its keys and names, from dumps and from its user's other programs.

    What loses its parent among the drivers' descendants becomes a child of this process, and is known by that.
    """
    without_core_dumps()
    undumpable()
    _adopt()


if sys.platform == "linux":

    def _adopt() -> None:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def adopts() -> bool:
        """True if ``keep_to_itself`` made this process the parent of those that lose theirs."""
        answer = ctypes.c_int(0)
        ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
        return answer.value == 1

else:

    def _adopt() -> None:
        """Nothing: only Linux has it."""

    def adopts() -> bool:
        """False: only Linux has it."""
        return False
