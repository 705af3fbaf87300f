"""A PC/SC service that refuses a user, as pcscd does where polkit says no: it closes the line and has read nothing.

Debian's pcscd before 2.0 is built without polkit, and refuses nobody. What a program is told is up to its libpcsclite.
"""

import socket
import struct
import threading
from pathlib import Path
from typing import Self

from vitale_firmware_sim.card.unix import local_socket

__all__ = ["RefusingPcsc"]

#: Bytes of the first message of a client: a header (its size, a command) and its version (major, minor, a result).
#: pcscd asks polkit meanwhile, so that all of it has come once the line is closed.
GREETING = struct.calcsize("=2I") + struct.calcsize("=2iI")


class RefusingPcsc:
    """The service, at a socket of its own, while it is entered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._server = local_socket()
        self._thread = threading.Thread(target=self._refuse, name="refusing-pcsc")

    def __enter__(self) -> Self:
        self._server.bind(str(self.path))
        self._server.listen()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()

    def _refuse(self) -> None:
        while True:
            try:
                line, _ = self._server.accept()
            except OSError:
                return
            with line:
                line.recv(GREETING, socket.MSG_PEEK | socket.MSG_WAITALL)
