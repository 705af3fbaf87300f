"""A small disk of a desk's own that fills up and has room again, in a mount namespace that outlives the daemon."""

import contextlib
import shutil
import subprocess
from pathlib import Path
from typing import Self

__all__ = ["SmallDisk"]

_OWN = ("--mount", "--propagation", "private")
_MOUNTED = 'mount -t tmpfs -o size=24m,mode=0700 tmpfs "$1" && echo mounted && exec sleep infinity'
PATIENCE = 60.0
PAGE = 4_096


class SmallDisk:
    """The disk, on a folder; it is there within ``with``.

    Args:
        folder: that is to be a disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._holder: subprocess.Popen[bytes] | None = None

    @staticmethod
    def can_be_had() -> bool:
        """True if this user may mount one: root, where its container lets it (``CAP_SYS_ADMIN``)."""
        unshare = shutil.which("unshare")
        return unshare is not None and not subprocess.run((unshare, *_OWN, "true"), check=False).returncode

    def __enter__(self) -> Self:
        command = ("unshare", *_OWN, "sh", "-c", _MOUNTED, "sh", str(self._folder))
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"mounted\n"
        return self

    def __exit__(self, *_: object) -> None:
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait(PATIENCE)
            assert self._holder.stdout is not None
            self._holder.stdout.close()

    @property
    def within(self) -> tuple[str, ...]:
        """Words before a command that is to see the disk."""
        assert self._holder is not None
        return ("nsenter", "--mount", "--target", str(self._holder.pid))

    def fill(self) -> None:
        """Writes until there is no room for a page."""
        with self._filler.open("ab", buffering=0) as stream, contextlib.suppress(OSError):
            while stream.write(bytes(PAGE)):
                pass

    def free(self) -> None:
        """Makes room again."""
        self._filler.unlink(missing_ok=True)

    @property
    def _filler(self) -> Path:
        assert self._holder is not None
        return Path("/proc", str(self._holder.pid), "root", *self._folder.parts[1:], "filler")
