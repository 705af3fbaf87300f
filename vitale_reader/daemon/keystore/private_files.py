"""Private files of the station: folders closed to other users, and what others may do with a file."""

import stat
import sys
from pathlib import Path

from vitale_protocol.errors import LocalMisuse
from vitale_reader.daemon.keystore.folder_permissions import close_to_others

__all__ = ["open_to_everybody", "open_to_others", "private_folder"]


def private_folder(folder: Path) -> Path:
    """The folder, made if need be, closed to other users of the machine.

    Raises:
        StoreUnavailable: others have a hand in it (``folder_permissions``).
        LocalMisuse: something else is there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (FileExistsError, NotADirectoryError) as error:
        raise LocalMisuse(str(folder), variant="no_folder", data={"place": str(folder)}) from error
    close_to_others(folder)
    return folder


if sys.platform == "win32":
    from vitale_reader import access_lists

    def open_to_others(file: Path) -> bool:
        """True if other users of the machine may do anything with a file, by its access list.

        Raises:
            OSError: it cannot be looked at.
        """
        return bool(access_lists.look(file).others(access_lists.this_user()[1]))

    def open_to_everybody(file: Path) -> bool:
        """True likewise: groups are told apart by their access lists alone.

        Raises:
            OSError: it cannot be looked at.
        """
        return open_to_others(file)

else:

    def open_to_others(file: Path) -> bool:
        """True if other users of the machine may do anything with a file, by its mode.

        Raises:
            OSError: it cannot be looked at.
        """
        return bool(stat.S_IMODE(file.stat().st_mode) & 0o077)

    def open_to_everybody(file: Path) -> bool:
        """True if any user of the machine may do anything with a file; its group may.

        Raises:
            OSError: it cannot be looked at.
        """
        return bool(stat.S_IMODE(file.stat().st_mode) & 0o007)
