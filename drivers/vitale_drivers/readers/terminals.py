"""Serial lines as each system has them: pseudo-terminals, sole use, own faults, when a device came or went."""

import os
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from vitale_drivers.base import FindHolders
from vitale_protocol.errors import JsonValue, ReaderBusy

__all__ = [
    "TERMINAL_FAULTS",
    "OpenSerialLine",
    "is_behind_pseudo_terminal",
    "is_no_device",
    "is_open_elsewhere",
    "is_pseudo_terminal",
    "keep_others_out",
    "names_pseudo_terminal",
    "nodes_changed_at",
    "open_pseudo_terminal",
    "require_no_terminal",
]

_PSEUDO_TERMINAL = re.compile(r"/dev/(pts/\d+|ttys\d+)\Z")
_PSEUDO_TERMINAL_MAJORS = range(136, 144)
"""Linux, Documentation/admin-guide/devices.txt: Unix98 PTY slaves."""

NODES = Path("/dev")


class OpenSerialLine(Protocol):
    """A serial line that is open; on Windows it has no file descriptor."""

    def fileno(self) -> int:
        """The file descriptor.

        Raises:
            OSError: it is closed, or has none.
        """
        ...


def is_behind_pseudo_terminal(line: OpenSerialLine) -> bool:
    """True if an open line leads to a program."""
    with suppress(OSError):
        return is_pseudo_terminal(line.fileno())
    return False


def is_no_device(path: str) -> bool:
    """True if something is at a path that is no device, and so no serial line.

    That is a folder, or a file.
    """
    try:
        return path.startswith("/") and not stat.S_ISCHR(os.stat(path).st_mode)  # noqa: PTH116 - as it was written
    except (OSError, ValueError):
        return False


def names_pseudo_terminal(path: str) -> bool:
    """True if a path is that of a pseudo-terminal, whether it is there or not."""
    return _PSEUDO_TERMINAL.match(path) is not None


def require_no_terminal(path: str, find_holders: FindHolders) -> None:
    """Makes sure that nobody works in a pseudo-terminal: its number may have been a simulator's when it was named.

    Raises:
        ReaderBusy: somebody's programs run in it, and would lose every other key.
    """
    if programs := find_holders(f"terminal:{path}"):
        data: dict[str, JsonValue] = {"holder": ", ".join(programs)}
        raise ReaderBusy("the port is somebody's terminal", variant="terminal", data=data)


def is_pseudo_terminal(which: Path | int) -> bool:
    """True if a path or an open line leads to a program.

    Its name tells, and so does its device, which may have any name.
    """
    with suppress(OSError):
        name = _name(which) if isinstance(which, int) else str(which.resolve())
        if _PSEUDO_TERMINAL.match(name):
            return True
    with suppress(OSError):
        status = os.fstat(which) if isinstance(which, int) else which.stat()
        return _is_of_a_program(status)
    return False


if sys.platform == "win32":
    TERMINAL_FAULTS: tuple[type[Exception], ...] = ()

    def keep_others_out(line: OpenSerialLine) -> None:
        """Nothing: a port is opened once there."""

    def open_pseudo_terminal() -> tuple[int, str]:
        """Always fails: there are none.

        Raises:
            OSError: that.
        """
        raise OSError("this system has no pseudo-terminals")

    def is_open_elsewhere(line: int) -> bool:  # noqa: ARG001
        """False: there is none."""
        return False

    def _name(line: int) -> str:
        raise OSError(f"line {line} has no name on this system")

else:
    import fcntl
    import select
    import termios
    import tty

    # A serial line that went away while it is flushed; not an OSError.
    TERMINAL_FAULTS: tuple[type[Exception], ...] = (termios.error,)

    def keep_others_out(line: OpenSerialLine) -> None:
        """Also those who do not ask for a lock, as far as the system can.

        Not on pseudo-terminals: the simulator keeps its end open, and so the mark would outlive this program.

        Raises:
            OSError: the system refuses.
        """
        fcntl.ioctl(line.fileno(), termios.TIOCEXCL)

    def open_pseudo_terminal() -> tuple[int, str]:
        """Opens a pseudo-terminal: the end of this program, which never blocks, and the path of the other end.

        Raises:
            OSError: the system has none left.
        """
        line, other = os.openpty()
        os.set_blocking(line, False)
        path = os.ttyname(other)
        # A terminal would echo, and change CR and LF.
        tty.setraw(other)
        # From here on the system tells by a hang-up that nobody has the other end open.
        os.close(other)
        return line, path

    def is_open_elsewhere(line: int) -> bool:
        """True if a program has the other end of a pseudo-terminal open."""
        poll = select.poll()
        poll.register(line, select.POLLOUT)
        return not any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))

    def _name(line: int) -> str:
        return os.ttyname(line)


if sys.platform == "linux":

    def nodes_changed_at() -> int | None:
        """Returns the time of the last change of device nodes; None where the system has none."""
        with suppress(OSError):
            return NODES.stat().st_mtime_ns
        return None

    def _is_of_a_program(status: os.stat_result) -> bool:
        return os.major(status.st_rdev) in _PSEUDO_TERMINAL_MAJORS

else:

    def nodes_changed_at() -> int | None:
        """None: the system does not tell when a device came or went."""
        return None

    def _is_of_a_program(status: os.stat_result) -> bool:  # noqa: ARG001
        return False
