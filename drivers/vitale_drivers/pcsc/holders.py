"""Which programs use PC/SC: the best that can be said of who holds a reader, since PC/SC itself never tells."""

import os
import sys
from pathlib import Path

__all__ = ["programs_using_pcsc"]

_LIBRARY = "libpcsclite"


def programs_using_pcsc(proc: Path = Path("/proc")) -> tuple[str, ...]:
    """The names of the other programs that have the PC/SC library loaded, sorted.

    Programs of other users are seen by root only; on other systems than Linux the answer is empty.
    """
    if not sys.platform.startswith("linux"):
        return ()
    names: set[str] = set()
    for process in proc.iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                if _LIBRARY in (process / "maps").read_text(errors="replace"):
                    names.add((process / "comm").read_text(errors="replace").strip())
            except OSError:
                continue  # it ended, or is another user's
    return tuple(sorted(names))
