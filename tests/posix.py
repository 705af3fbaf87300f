"""POSIX as several test modules need it; on Windows whoever asks is skipped.

Tests that need it have the marker ``posix``. A module that cannot even be loaded without it begins with
``pytestmark = posix_only()``, and with an assertion about the platform for the type checkers.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

__all__ = [
    "AS_ROOT",
    "NOBODY",
    "OWN_DOOR",
    "UNIX_SOCKETS",
    "acting_as",
    "forked",
    "give_to",
    "kill_group",
    "lock_whole",
    "open_terminal",
    "open_unix_connection",
    "posix_only",
    "raw_terminal",
    "somebodys_terminal",
    "system_figure",
    "unix_datagrams",
    "unix_streams",
    "user_of_servers",
]

LACKING = "this system has neither Unix sockets nor pseudo-terminals nor the signals of POSIX"


#: The user that owns nothing.
NOBODY = 65_534


def posix_only() -> pytest.MarkDecorator:
    """The marker ``posix`` for a whole module, which is skipped where it cannot be loaded."""
    if sys.platform == "win32":
        pytest.skip(LACKING, allow_module_level=True)
    else:
        return pytest.mark.posix


#: Settings with which a daemon listens for its own user, and on no more than that takes.
OWN_DOOR = "[tls]\nport = 0\n" if sys.platform == "win32" else "[tls]\nenabled = false\n"


if sys.platform == "win32":
    #: The family of Unix sockets; without them nobody gets as far as opening one.
    UNIX_SOCKETS = socket.AF_UNSPEC
    AS_ROOT = pytest.mark.skip(reason=LACKING)

    def give_to(uid: int, file: Path, *, group: int | None = None) -> None:
        """Makes another user the owner of a file, and another group: that of the same number, or the one named."""
        pytest.skip(f"{LACKING}: {uid}, {file}, {group}")

    async def open_unix_connection(
        path: str, *, limit: int = 65_536
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connects to a Unix socket."""
        pytest.skip(f"{LACKING}: {path}, {limit}")

    async def unix_streams(end: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Streams over one end of a pair."""
        pytest.skip(f"{LACKING}: {end}")

    def acting_as(uid: int) -> AbstractContextManager[None]:
        """Acts as another user meanwhile; only root can."""
        pytest.skip(f"{LACKING}: {uid}")

    def open_terminal(path: str) -> int:
        """Opens a terminal, which is not to control this process."""
        pytest.skip(f"{LACKING}: {path}")

    def unix_datagrams(path: str) -> socket.socket:
        """A Unix socket for datagrams, bound to a path."""
        pytest.skip(f"{LACKING}: {path}")

    def system_figure(name: str) -> int:
        """A figure of the system, such as ``SC_PAGE_SIZE``."""
        pytest.skip(f"{LACKING}: {name}")

    def forked(work: Callable[[], None]) -> bool:
        """Runs work in a copy of this process; whether it got to its end."""
        pytest.skip(f"{LACKING}: {work}")

    def kill_group(process: subprocess.Popen[bytes]) -> None:
        """Ends a process and, where it leads a group, all that it started."""
        process.kill()

    def lock_whole(descriptor: int) -> None:
        """Locks a file for whoever has it open."""
        pytest.skip(f"{LACKING}: {descriptor}")

    def raw_terminal() -> tuple[int, int, str]:
        """Opens a pseudo-terminal that passes bytes as they are: both ends, and the path of the second."""
        pytest.skip(LACKING)

    def somebodys_terminal() -> AbstractContextManager[str]:
        """A pseudo-terminal in which somebody has a program run; gives its path."""
        pytest.skip(LACKING)

    def user_of_servers(folder: Path) -> dict[str, object]:
        """Options of a process for servers that refuse to run as root; the folder becomes theirs."""
        pytest.skip(f"{LACKING}: {folder}")

else:
    UNIX_SOCKETS = socket.AF_UNIX
    import fcntl
    import pty
    import pwd
    import tty

    AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")

    def give_to(uid: int, file: Path, *, group: int | None = None) -> None:
        """Makes another user the owner of a file, and another group: that of the same number, or the one named."""
        os.chown(file, uid, uid if group is None else group)

    async def open_unix_connection(
        path: str, *, limit: int = 65_536
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connects to a Unix socket."""
        return await asyncio.open_unix_connection(path, limit=limit)

    async def unix_streams(end: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Streams over one end of a pair."""
        return await asyncio.open_unix_connection(sock=end, limit=4_000_000)

    @contextmanager
    def acting_as(uid: int) -> Generator[None]:
        """Acts as another user meanwhile; only root can."""
        os.seteuid(uid)
        try:
            yield
        finally:
            os.seteuid(0)

    def open_terminal(path: str) -> int:
        """Opens a terminal, which is not to control this process."""
        return os.open(path, os.O_RDWR | os.O_NOCTTY)

    def unix_datagrams(path: str) -> socket.socket:
        """A Unix socket for datagrams, bound to a path."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(path)
        return made

    def system_figure(name: str) -> int:
        """A figure of the system, such as ``SC_PAGE_SIZE``."""
        return os.sysconf(name)

    def forked(work: Callable[[], None]) -> bool:
        """Runs work in a copy of this process; whether it got to its end."""
        child = os.fork()
        if child == 0:
            work()
            os._exit(0)
        return os.waitpid(child, 0)[1] == 0

    def kill_group(process: subprocess.Popen[bytes]) -> None:
        """Ends a process and, where it leads a group, all that it started."""
        os.killpg(process.pid, signal.SIGKILL)

    def lock_whole(descriptor: int) -> None:
        """Locks a file for whoever has it open."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    @contextmanager
    def somebodys_terminal() -> Generator[str]:
        """A pseudo-terminal in which somebody has a program run; gives its path."""
        leader, follower = pty.openpty()
        path = os.ttyname(follower)
        os.close(follower)
        # The first terminal that the leader of a session opens is the one that it works in.
        program = f"import os; os.open({path!r}, os.O_RDWR); print('there', flush=True); input()"
        command = [sys.executable, "-c", program]
        try:
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
            ) as somebody:
                assert somebody.stdout is not None
                assert somebody.stdout.readline() == "there\n"
                yield path
                somebody.communicate("\n")
        finally:
            os.close(leader)

    def raw_terminal() -> tuple[int, int, str]:
        """Opens a pseudo-terminal that passes bytes as they are: both ends, and the path of the second."""
        host, chip = pty.openpty()
        for end in (host, chip):
            tty.setraw(end)
        return host, chip, os.ttyname(chip)

    def user_of_servers(folder: Path) -> dict[str, object]:
        """Options of a process for servers that refuse to run as root; the folder becomes theirs."""
        if os.getuid() != 0:
            return {}
        nobody = pwd.getpwnam("nobody")
        for path in (folder, *folder.iterdir()):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
