"""Files that are written whole or not at all: whoever reads one finds the old content or the new."""

import contextlib
import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["NEW", "remove", "write_atomically", "write_new"]

#: How a file is begun: never through a link that stands in its place.
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL

#: Seconds between two tries, while another program, a scanner for viruses or a client, holds a file: two in all. They
#: are counted, and no clock is read: on a machine that has much to do, the time may pass between two of them.
PAUSES = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, *(0.2,) * 8)

#: Windows: access denied, sharing violation, lock violation (winerror.h).
HELD = frozenset({5, 32, 33})


def write_atomically(
    file: Path, content: bytes, *, durable: bool = True, owner: os.stat_result | None = None, mode: int = 0o600
) -> None:
    """Writes a file that is complete at every instant (POSIX rename), with mode 0600 from its first byte.

    Args:
        file: where.
        content: all of it.
        durable: whether it is to survive a power cut.
        owner: a file whose user and group it has, instead of those of this process.
        mode: that it has once it is complete.

    Raises:
        OSError: it cannot be written, or not given to that user and group. The file before is unchanged.
    """
    temporary = file.with_name(f".{file.name}.new")
    remove(temporary)  # of a process that died in the middle
    try:
        with os.fdopen(os.open(temporary, NEW, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            _give(stream.fileno(), owner, mode)
            if durable:
                os.fsync(stream.fileno())
        _patiently(lambda: temporary.replace(file))
    except OSError as error:
        with contextlib.suppress(OSError):  # what went wrong is told, and not that something is left of it
            remove(temporary)
        error.filename, error.filename2 = str(file), None  # nobody knows the other
        raise
    if durable:
        _sync_folder(file.parent)


def write_new(file: Path, content: bytes, *, durable: bool = False) -> None:
    """Writes a file that was not there, with mode 0600, or leaves none.

    Args:
        file: where.
        content: all of it.
        durable: whether it is to survive a power cut.

    Raises:
        FileExistsError: it is there; also a link that leads nowhere.
        OSError: it cannot be written.
    """
    descriptor = os.open(file, NEW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):  # what went wrong is told, and not that something is left of it
            remove(file)
        error.filename = str(file)
        raise


def remove(file: Path) -> None:
    """Removes a file, if there is one.

    Raises:
        OSError: it cannot be; on Windows, another program has had it open all the time.
    """
    _patiently(lambda: file.unlink(missing_ok=True))


def _patiently(act: Callable[[], object]) -> None:
    """Tries again while another program holds the file."""
    for pause in PAUSES:
        try:
            act()
        except PermissionError as error:
            if not _is_held(error):
                raise
        else:
            return
        time.sleep(pause)
    act()


if sys.platform == "win32":

    def _is_held(error: OSError) -> bool:
        return error.winerror in HELD

    def _give(descriptor: int, owner: os.stat_result | None, mode: int) -> None:
        """Nothing: the folder's access list says who may do what."""

    def _sync_folder(folder: Path) -> None:
        """Nothing: folders cannot be opened there."""

else:

    def _is_held(error: OSError) -> bool:  # noqa: ARG001
        """False: an open file can be replaced and removed."""
        return False

    def _give(descriptor: int, owner: os.stat_result | None, mode: int) -> None:
        """Gives an open file to others, before it has its name: another may stand under that a moment later."""
        now = os.fstat(descriptor)
        if owner is not None and (owner.st_uid, owner.st_gid) != (now.st_uid, now.st_gid):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        if mode != stat.S_IMODE(now.st_mode):
            os.fchmod(descriptor, mode)

    def _sync_folder(folder: Path) -> None:
        """Makes a rename survive a power cut."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
