"""The socket from a native host to the daemon of its user; Windows has none yet."""

import os
import socket
import sys
from pathlib import Path

__all__ = ["dial", "own_uid"]

if sys.platform == "win32":

    def dial(file: Path) -> socket.socket:
        """A connection to the daemon.

        Raises:
            OSError: always.
        """
        raise OSError(f"the daemon listens on no such socket here: {file}")

    def own_uid() -> int | None:
        """None: users have no such numbers here."""
        return None

else:

    def dial(file: Path) -> socket.socket:
        """A connection to the daemon.

        Raises:
            OSError: it is not there.
        """
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            channel.connect(os.fsencode(file))
        except OSError:
            channel.close()
            raise
        return channel

    def own_uid() -> int | None:
        """The user of this process."""
        return os.getuid()
