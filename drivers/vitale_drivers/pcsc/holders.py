"""Which programs use PC/SC: the best that can be said of who holds a reader, since PC/SC itself never tells."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["programs_using_pcsc"]

_LIBRARY = "libpcsclite"


def programs_using_pcsc(proc: Path = Path("/proc")) -> tuple[str, ...]:
    """The names of the other programs that have the PC/SC library loaded, sorted.

    Programs of other users are seen by root only; where there is no /proc (macOS, Windows) the answer is empty.
    """
    names: set[str] = set()
    with suppress(OSError):  # there is nothing that could be asked
        for process in proc.iterdir():
            if process.name.isdecimal() and int(process.name) != os.getpid():
                with suppress(OSError):  # it ended, or is another user's
                    if _LIBRARY in (process / "maps").read_text(errors="replace"):
                        names.add((process / "comm").read_text(errors="replace").strip())
    return tuple(sorted(names))
