"""Refuses a private folder in which others have a hand.

What is kept there would not be this station's alone.

| a private folder, or what leads to it | refused |
|---|---|
| of another user than the daemon's, or a thing in it that is | always |
| a symbolic link in it | always |
| itself a symbolic link | of another user; for root, always |
| in a folder of another user, or that all may write to (not as ``/tmp`` is) | for root |

On Windows access lists say the same. A folder that others may read gets a list of its own (``access_lists``), as its
mode is set elsewhere. It is refused where that is of no avail, as on a medium without lists.
"""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from vitale_protocol.errors import StoreUnavailable

__all__ = ["close_to_others"]

if sys.platform == "win32":
    from vitale_reader import access_lists

    #: winnt.h: IO_REPARSE_TAG_MOUNT_POINT, of a junction. Other tags are those of backups and clouds.
    MOUNT_POINT = 0xA000_0003

    def close_to_others(folder: Path) -> None:
        """Makes a folder one of its owner alone.

        Raises:
            StoreUnavailable: others have a hand in it.
        """
        try:
            me = access_lists.this_user()[1]
            _require_own(folder, me, "the folder")
            _close(folder, me)
            for thing in _everything(folder):
                _require_own(thing, me, "what is in the folder")
                _close(thing, me)
        except OSError as error:
            raise _refused(f"its access list cannot be used ({error.strerror or error})", folder) from error

    def _require_own(thing: Path, me: str, which: str) -> None:
        try:
            tag = getattr(thing.lstat(), "st_reparse_tag", 0)
        except FileNotFoundError:  # a journal of SQLite, gone a moment ago
            return
        if thing.is_symlink() or tag == MOUNT_POINT:
            raise _refused("a link is in the folder", thing)
        if access_lists.look(thing).is_foreign(me):
            raise _refused(f"another user owns {which}", thing)

    def _close(thing: Path, me: str) -> None:
        if not thing.exists() or not access_lists.look(thing).others(me):
            return
        access_lists.close_to_others(thing)
        if others := access_lists.look(thing).others(me):
            raise _refused(f"others have access ({', '.join(others)})", thing)

else:

    def close_to_others(folder: Path) -> None:
        """Makes a folder one of its owner alone.

        Raises:
            StoreUnavailable: others have a hand in it.
        """
        me = os.geteuid()
        if me == 0:
            _require_safe_way(folder.absolute())
        link = folder.lstat()
        if stat.S_ISLNK(link.st_mode) and (me == 0 or link.st_uid != me):
            raise _refused("a symbolic link leads to the folder", folder)
        # By its descriptor: what was looked at is what is closed to others.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if os.fstat(descriptor).st_uid != me:
                raise _refused("another user owns the folder", folder)
            os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)
        for thing in _everything(folder):
            _require_own(thing, me)

    def _require_safe_way(folder: Path) -> None:
        """Root writes only where no other user can put something else in the way."""
        for way in {*folder.parents, *folder.resolve().parents}:
            for found in (way.lstat(), way.stat()):
                if found.st_uid != 0:
                    raise _refused("another user owns a folder above it", way)
                open_to_all = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
                if stat.S_ISDIR(found.st_mode) and open_to_all:
                    raise _refused("everybody may write to a folder above it", way)

    def _require_own(thing: Path, me: int) -> None:
        try:
            found = thing.lstat()
        except FileNotFoundError:  # a journal of SQLite, gone a moment ago
            return
        if stat.S_ISLNK(found.st_mode):
            raise _refused("a symbolic link is in the folder", thing)
        if not any(kind(found.st_mode) for kind in (stat.S_ISREG, stat.S_ISDIR, stat.S_ISSOCK)):
            raise _refused("what is in the folder is no file", thing)  # a pipe, which whoever reads it waits for
        if found.st_uid != me:
            raise _refused("another user owns what is in the folder", thing)


def _everything(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder, followlinks=False):
        for name in (*folders, *files):
            yield Path(root) / name


def _refused(why: str, place: Path) -> StoreUnavailable:
    return StoreUnavailable(f"{why}: {place}", variant="foreign_folder", data={"file": str(place)})
