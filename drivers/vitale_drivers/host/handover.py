"""Sockets that one process hands to another, over a Unix socket between them (SCM_RIGHTS, unix(7)).

Datagrams: a message and the socket that comes with it are taken together or not at all.
"""

import os
import socket
import sys

__all__ = ["channel_pair", "hand_over", "line_pair", "take_over"]

if sys.platform == "win32":

    def line_pair() -> tuple[socket.socket, socket.socket]:
        """Two ends of a line over which sockets go.

        Raises:
            OSError: there is none on this system.
        """
        raise OSError("this system has no Unix sockets")

    def channel_pair() -> tuple[socket.socket, socket.socket]:
        """Two ends of a stream.

        Raises:
            OSError: there is none on this system.
        """
        raise OSError("this system has no Unix sockets")

    def hand_over(line: socket.socket, message: bytes, handed: socket.socket | None = None) -> None:  # noqa: ARG001
        """Sends a message, and a socket with it.

        Raises:
            OSError: it cannot be sent.
        """
        raise OSError("this system has no Unix sockets")

    def take_over(line: socket.socket, most: int) -> tuple[bytes, socket.socket | None]:  # noqa: ARG001
        """The next message, and the socket that came with it.

        Raises:
            OSError: nothing is there.
        """
        raise OSError("this system has no Unix sockets")

else:

    def line_pair() -> tuple[socket.socket, socket.socket]:
        """Two ends of a line over which sockets go; neither waits.

        Raises:
            OSError: too many files are open.
        """
        return _pair(socket.SOCK_DGRAM)

    def channel_pair() -> tuple[socket.socket, socket.socket]:
        """Two ends of a stream; neither waits.

        Raises:
            OSError: too many files are open.
        """
        return _pair(socket.SOCK_STREAM)

    def hand_over(line: socket.socket, message: bytes, handed: socket.socket | None = None) -> None:
        """Sends a message, and a socket with it, which stays open here.

        Raises:
            OSError: it cannot be sent, or not without waiting.
        """
        socket.send_fds(line, [message], [] if handed is None else [handed.fileno()])

    def take_over(line: socket.socket, most: int) -> tuple[bytes, socket.socket | None]:
        """The next message, and the socket that came with it.

        Args:
            line: an end of a line.
            most: bytes of a message; what is beyond is lost.

        Raises:
            OSError: nothing is there without waiting, the other end is gone, or what came is no socket.
        """
        message, descriptors, _, _ = socket.recv_fds(line, most, 1)
        return message, next(map(_adopted, descriptors), None)

    def _adopted(descriptor: int) -> socket.socket:
        """Socket of a descriptor that came; what is none is closed, since it would stay open for good."""
        try:
            handed = socket.socket(fileno=descriptor)
        except OSError:
            os.close(descriptor)
            raise
        handed.set_inheritable(False)
        handed.setblocking(False)
        return handed

    def _pair(kind: int) -> tuple[socket.socket, socket.socket]:
        pair = socket.socketpair(socket.AF_UNIX, kind)
        for end in pair:
            end.setblocking(False)
        return pair
