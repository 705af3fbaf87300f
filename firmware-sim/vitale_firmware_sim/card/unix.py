"""Unix as the simulated PC/SC service and its control socket need it: local sockets, and who is root."""

import os
import socket
import sys

from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["is_root", "local_socket"]


if sys.platform == "win32":

    def local_socket() -> socket.socket:
        """A new Unix socket.

        Raises:
            ConfigurationInvalid: Python has none on this system.
        """
        raise ConfigurationInvalid("the control socket needs Unix sockets", data={"path": "control"})

    def is_root() -> bool:
        """False: there is no root."""
        return False

else:

    def local_socket() -> socket.socket:
        """A new Unix socket."""
        return socket.socket(socket.AF_UNIX)

    def is_root() -> bool:
        """True if this process may do everything."""
        return os.geteuid() == 0
