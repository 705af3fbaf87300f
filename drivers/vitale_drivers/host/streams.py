"""Standard streams of a worker, kept for its pipe alone."""

import os
import sys

__all__ = ["take_streams"]


def take_streams() -> tuple[int, int]:
    """Keeps standard input and output for the pipe alone; in their place it leaves nothing, and standard error.

    Returns:
        The file descriptors to read from and to write to; they carry bytes as they are.
    """
    source, sink = os.dup(0), os.dup(1)
    _carry_bytes(source)
    _carry_bytes(sink)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


if sys.platform == "win32":
    import msvcrt

    def _carry_bytes(descriptor: int) -> None:
        # Else the C library takes 0x1A for the end, and writes CR before each LF.
        msvcrt.setmode(descriptor, os.O_BINARY)

else:

    def _carry_bytes(descriptor: int) -> None:
        """Nothing: every descriptor does."""
