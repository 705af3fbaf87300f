"""Access to the program that a browser starts: its name, and whether others own it or can change it."""

import os
import sys
from pathlib import Path
from typing import Final

__all__ = ["COMMAND", "is_open_to_others"]

if sys.platform == "win32":
    from vitale_reader import access_lists

    COMMAND: Final = "vitale-reader.exe"

    def is_open_to_others(file: Path) -> bool:
        """True if somebody else, who is no administrator, can put another file in the place of one."""
        try:
            me = access_lists.this_user()[1]
            own, folder = access_lists.look(file), access_lists.look(file.resolve().parent)
        except OSError:
            return False  # gone: what names it differs from what is expected
        return (
            own.is_foreign(me)
            or bool(own.others(me, access_lists.CHANGE))
            or folder.is_foreign(me)
            or bool(folder.others(me, access_lists.PUT))
        )

else:
    import grp
    import pwd
    import stat

    COMMAND: Final = "vitale-reader"

    def is_open_to_others(file: Path) -> bool:
        """True if somebody else, who is no administrator, can put another file in the place of one."""
        real = Path(os.path.realpath(file))
        try:
            found = [real.stat(), real.parent.stat(), file.parent.stat()]
        except OSError:
            return False  # gone: what names it differs from what is expected
        trusted = (0, os.geteuid())
        return any(each.st_uid not in trusted or _is_writable_by_others(each) for each in found)

    def _is_writable_by_others(found: os.stat_result) -> bool:
        by_group = found.st_mode & stat.S_IWGRP and not _is_private(found.st_gid, found.st_uid)
        return bool(found.st_mode & stat.S_IWOTH or by_group)

    def _is_private(group: int, user: int) -> bool:
        """True for a user's private group, with nobody else in it.

        Some systems give each user one, and open folders to it.
        """
        try:
            owner, members = pwd.getpwuid(user), grp.getgrgid(group).gr_mem
        except KeyError:
            return False
        return group == owner.pw_gid and group != 0 and set(members) <= {owner.pw_name}
