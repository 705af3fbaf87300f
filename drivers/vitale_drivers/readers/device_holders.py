"""Programs that have a device open, where the system lists them."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["programs_using"]


def programs_using(device: str, proc: Path = Path("/proc")) -> tuple[str, ...]:
    """The names of the other programs that have a device open, sorted.

    Programs of other users are seen by root only; where there is no /proc (macOS, Windows) the answer is empty.
    """
    real = os.path.realpath(device)
    names: set[str] = set()
    with suppress(OSError):  # there is nothing that could be asked
        for process in proc.iterdir():
            if process.name.isdecimal() and int(process.name) != os.getpid() and _has_open(process, real):
                with suppress(OSError):
                    names.add((process / "comm").read_text(errors="replace").strip())
    return tuple(sorted(names))


def _has_open(process: Path, device: str) -> bool:
    with suppress(OSError):  # it ended, or is another user's
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                if str(descriptor.readlink()) == device:
                    return True
    return False
