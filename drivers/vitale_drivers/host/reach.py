"""The files that a confined worker can open, told from those that were made after it was confined.

Landlock allows files and folders themselves, not their names. A device that an option names may be plugged in later, or
its file replaced. Where its folder could not be allowed as a whole, only a new worker can open it.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

__all__ = ["Reach", "named_paths"]

#: Bytes of a path (limits.h PATH_MAX).
LONGEST = 4_096

#: Where devices come and go; allowed as a whole unless the daemon's own lie below it.
DEVICES = "/dev/"

Identity = tuple[int, int]


def named_paths(options: Mapping[str, object]) -> tuple[str, ...]:
    """Paths that the options of a driver name, at any depth: all texts that are absolute paths, sorted."""
    return tuple(sorted({text for text in _texts(options) if _is_path(text)}))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in cast("Mapping[object, object]", value).values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in cast("Sequence[object]", value):
            yield from _texts(each)


def _is_path(text: str) -> bool:
    return text.startswith("/") and text.isprintable() and len(text) < LONGEST


class Reach:
    """The places that a process was allowed, and whether all that options name lies there.

    Made before the places are looked for: what comes meanwhile counts as new.

    Args:
        named: paths that options name.
        hidden: places that are never allowed.
    """

    def __init__(self, named: Iterable[str], hidden: Iterable[Path]) -> None:
        self._hidden = tuple(hidden)
        self._at_start = {path: _identity(path) for path in named}
        self._readable: set[Identity] = set()
        self._writable: set[Identity] = set()

    @property
    def devices(self) -> Iterator[Path]:
        """Named devices that are there, which are to be written, too, wherever their files are."""
        for path in self._at_start:
            real = Path(os.path.realpath(path))
            if not self._is_hidden(real) and stat.S_ISCHR(_mode(real)):
                yield real

    def allow(self, place: os.stat_result, *, read: bool, write: bool) -> None:
        """Records that a file, or all in a folder, may be read or written."""
        identity = (place.st_dev, place.st_ino)
        if read:
            self._readable.add(identity)
        if write:
            self._writable.add(identity)

    def may_lose_one(self) -> bool:
        """True if something is named that may come where it cannot be opened.

        It can be opened in the folder of all devices, where that is allowed.
        """
        devices_allowed = _identity(DEVICES) in self._writable
        return any(not (devices_allowed and path.startswith(DEVICES)) for path in self._at_start)

    def has_lost_one(self) -> bool:
        """True if something that is named is new, and cannot be opened: a new process can."""
        return any(
            (now := _identity(path)) is not None and now != before and not self._holds(Path(os.path.realpath(path)))
            for path, before in self._at_start.items()
        )

    def _holds(self, real: Path) -> bool:
        mode = _mode(real)
        if self._is_hidden(real) or not mode or stat.S_ISSOCK(mode):
            return True  # no process could open it, or need not: sockets are connected to
        above = {identity for each in (real, *real.parents) if (identity := _identity(each)) is not None}
        return not above.isdisjoint(self._readable) and (not stat.S_ISCHR(mode) or not above.isdisjoint(self._writable))

    def _is_hidden(self, real: Path) -> bool:
        return any(real.is_relative_to(each) for each in self._hidden)


def _identity(path: str | Path) -> Identity | None:
    """The file behind a path; None where there is none that could be seen."""
    try:
        found = os.stat(path)  # noqa: PTH116  a text of the options, as it is
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0
