"""The system below a client: Unix sockets, private files, and waits that Ctrl-C interrupts."""

import sys
from pathlib import Path

__all__ = ["SLICE", "UNIX_SOCKETS", "keep_to_owner"]

UNIX_SOCKETS = sys.platform != "win32"
"""True if asyncio has Unix sockets here."""

# Waiting without end cannot be interrupted by Ctrl-C on Windows; elsewhere it can, and costs nothing.
SLICE = 0.2 if sys.platform == "win32" else None
"""Seconds after which a wait is begun anew; None for one wait without end."""

if sys.platform == "win32":
    from vitale_reader import access_lists

    def keep_to_owner(file: Path) -> None:
        """Closes a new file to other users, as its mode does elsewhere.

        Raises:
            OSError: the system refuses to.
        """
        access_lists.close_to_others(file)

else:

    def keep_to_owner(file: Path) -> None:
        """Nothing: the mode that it was made with does."""
