"""Programs that use PC/SC: the best guess at the holder of a reader, since PC/SC does not name it."""

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
