"""The machine on which a service is installed: its system, its folders, and the running of system commands."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vitale_protocol.errors import LocalMisuse, ToolMissing
from vitale_reader.home import own_folder
from vitale_reader.service.steps import Run

__all__ = ["Machine", "own_place", "run"]

#: Seconds for a command of the system; a service that starts may bring a database up to date.
LIMIT = 330.0

if sys.platform == "win32":
    from vitale_reader import access_lists

    ENCODING = "oem"  # the code page in which programs of the console write
    WITHOUT_WINDOW = subprocess.CREATE_NO_WINDOW

    def _user() -> str:
        return access_lists.this_user()[0]

else:
    ENCODING = "utf-8"
    WITHOUT_WINDOW = 0

    def _user() -> str:
        # Of a person who has become the administrator for this one command, the session is meant.
        return os.environ.get("SUDO_UID") or str(os.getuid())


def run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Runs a command of the system, and gives what it said.

    Raises:
        ToolMissing: there is no such program.
        LocalMisuse: it does not end.
    """
    try:
        return subprocess.run(
            command,
            capture_output=True,
            check=False,
            creationflags=WITHOUT_WINDOW,
            encoding=ENCODING,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=LIMIT,
        )
    except FileNotFoundError as error:
        raise ToolMissing(f"{command[0]} is not on this machine", data={"tool": command[0]}) from error
    except subprocess.TimeoutExpired as error:
        why = f"{' '.join(command)}: no end within {LIMIT:.0f} seconds"
        raise LocalMisuse(why, variant="service_command") from error


def _program() -> tuple[str, ...]:
    if getattr(sys, "frozen", False):  # an installer's own program, which needs no Python
        return (sys.executable, "serve")
    interpreter = Path(sys.executable)
    without_window = interpreter.with_name("pythonw.exe")
    chosen = without_window if without_window.exists() else interpreter
    # -P: nothing is imported from the folder in which it is started.
    return (str(chosen), "-P", "-m", "vitale_reader", "serve")


def own_place() -> Path:
    """The user's own folder; that of Debian's accounts without one, where there is none."""
    try:
        return own_folder()
    except LocalMisuse:
        return Path("/nonexistent")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Access to a machine.

    Attributes:
        system: as ``sys.platform``.
        user: the user's number, or the SID on Windows.
        environ: the environment.
        root: folder under which the files of the system are; another in tests.
        own: the user's own folder.
        temporary: the folder for temporary files.
        program: the command that runs the daemon in the foreground.
        run: runs a command of the system.
    """

    system: str = sys.platform
    user: str = field(default_factory=_user)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    root: Path = Path("/")
    own: Path = field(default_factory=own_place)
    temporary: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))
    program: tuple[str, ...] = field(default_factory=_program)
    run: Run = run
