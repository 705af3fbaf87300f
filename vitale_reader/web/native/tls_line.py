"""A TLS connection for two threads, one for each direction. OpenSSL takes one at a time; neither waits in it.

The bytes go through buffers in memory; the socket is read and written outside of the lock.
"""

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Final, Self

__all__ = ["TlsLine"]

#: Bytes that are read of the socket at once: a record of TLS and what is around it.
PIECE: Final = 32_768


class TlsLine:
    """A client's end of a connection, with what a native host uses of a socket.

    Args:
        connection: that is connected; it is closed with the line.
        context: of the client.

    Raises:
        OSError: the other end is not who it has to be, or gone.
    """

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._shake_hands()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def sendall(self, data: bytes) -> None:
        """Sends bytes.

        Raises:
            OSError: the other end is gone.
        """
        with self._sending:
            with self._lock:
                self._tls.write(data)
                sealed = self._outgoing.read()
            self._socket.sendall(sealed)

    def recv(self, most: int) -> bytes:
        """Reads bytes; none at the end.

        Raises:
            ConnectionError: the other end is gone, or what came is not its.
        """
        while True:
            try:
                with self._lock:
                    return self._tls.read(most)
            except ssl.SSLWantReadError:
                self._answer()
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError as error:
                raise ConnectionError("not what the daemon sent") from error
            if not self._take():
                return b""

    def settimeout(self, seconds: float | None) -> None:
        """Sets how long each call may wait, as of a socket."""
        self._socket.settimeout(seconds)

    def shutdown(self, how: int) -> None:
        """Ends one way or both, as of a socket; the daemon is told so, and not cut off."""
        with self._sending:
            with self._lock:
                with contextlib.suppress(ssl.SSLError):  # the other end has not said so yet
                    self._tls.unwrap()
                sealed = self._outgoing.read()
            self._socket.sendall(sealed)
        if how != socket.SHUT_WR:
            self._socket.shutdown(how)

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._answer()
                if not self._take():
                    raise ConnectionError("the daemon ended the handshake") from None
            else:
                self._answer()
                return

    def _answer(self) -> None:
        """Sends what TLS itself has to say: seldom anything. Who reads waits for nobody who sends."""
        with self._lock:
            if not self._outgoing.pending:
                return
        with self._sending:
            with self._lock:
                sealed = self._outgoing.read()
            if sealed:
                self._socket.sendall(sealed)

    def _take(self) -> bool:
        data = self._socket.recv(PIECE)
        with self._lock:
            self._incoming.write(data)
        return bool(data)
