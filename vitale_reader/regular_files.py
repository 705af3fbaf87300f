"""Files that are read, and never waited for.

A named pipe in the place of a file would hold its reader until somebody writes. A device would give it bytes without
end.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

__all__ = ["open_regular", "read_regular"]

#: Bytes that a file has at most, where nothing else is said.
MEBIBYTE = 1_048_576


def read_regular(file: Path, most: int = MEBIBYTE) -> bytes:
    """The content of a file.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than ``most`` bytes.
    """
    with open_regular(file) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, "the file is too large", str(file))
    return content


def open_regular(file: Path) -> BinaryIO:
    """Opens a file for reading.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    stream = open(file, "rb", opener=_without_waiting)  # noqa: SIM115  the caller closes it
    # Of the file that was opened: another may stand there a moment later.
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, "this is no file", str(file))
    return stream


def _without_waiting(path: str, flags: int) -> int:
    """Opens a file; a pipe is opened as well where nobody writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
