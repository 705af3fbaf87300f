"""The machine that is examined: its files, environment and clock. A prepared one may stand in its place."""

import getpass
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["InspectedMachine", "owner_of"]


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


if sys.platform == "win32":

    def owner_of(file: Path) -> str:  # noqa: ARG001
        """Empty: access lists say whose a file is there."""
        return ""

else:

    def owner_of(file: Path) -> str:
        """The name of the user that a file belongs to; empty where it cannot be told."""
        try:
            return file.owner()
        except (KeyError, OSError):
            return ""


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


if sys.platform == "win32":
    _NUMBER = "?"

    def _read_only(folder: Path) -> bool:  # noqa: ARG001
        """False: what is refused there is told as such."""
        return False

else:
    _NUMBER = str(os.getuid())

    def _read_only(folder: Path) -> bool:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name, as in containers
        return _NUMBER


@dataclass(frozen=True, kw_only=True)
class InspectedMachine:
    """Access to a machine.

    Attributes:
        root: the folder under which ``/sys``, ``/proc``, ``/dev`` and ``/etc`` are looked for.
        system: as ``sys.platform``.
        environ: the environment.
        now: seconds since the epoch.
        writable: whether this user may make files in a folder.
        read_only: whether the system holds the disk of a folder read-only.
        free: the free bytes of the disk of a folder.
        user: the name of this user.
        real: the place where the system keeps a file or folder.
    """

    root: Path = Path("/")
    system: str = sys.platform
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    now: Callable[[], float] = time.time
    writable: Callable[[Path], bool] = _writable
    read_only: Callable[[Path], bool] = _read_only
    free: Callable[[Path], int] = _free
    user: str = field(default_factory=_user)
    real: Callable[[Path], Path] = Path.resolve

    def at(self, path: str) -> Path:
        """A path of this machine."""
        return self.root / path.lstrip("/")

    def text(self, path: str | Path) -> str:
        """The text of a small file; empty where there is none, or this user may not read it."""
        file = self.at(path) if isinstance(path, str) else path
        try:
            return file.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def folders(self, path: str) -> tuple[Path, ...]:
        """Lists a folder, sorted by name; nothing where there is none, or this user may not read it."""
        try:
            return tuple(sorted(self.at(path).iterdir()))
        except OSError:
            return ()
