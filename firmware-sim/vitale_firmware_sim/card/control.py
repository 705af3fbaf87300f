"""The control socket of the simulated driver: one line asks, one line answers, for tests and demonstrations.

========================================  =====================================================
``insert READER IMAGE [FAULTS]``          puts the card of an image into a reader
``remove READER``                         takes it out
``unplug READER`` · ``plug READER``       the reader goes and comes
``readers``                               names the readers
========================================  =====================================================

The answer is ``ok``, ``ok WORDS`` or ``error REASON DETAIL``. A Unix socket, 0600; not on Windows.
"""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

from vitale_firmware_sim.card.unix import local_socket
from vitale_protocol.errors import ConfigurationInvalid, DaemonUnreachable, VitaleError

__all__ = ["ControlSocket", "control"]

_MAX_LINE = 4096
_PATIENCE = 30.0


class ControlSocket:
    """Answers lines from ``open`` to ``close``, in a thread of its own.

    Args:
        path: where the socket is; its folder exists.
        handle: does what a line says and returns the words for ``ok``; raises from the tree of errors.
    """

    def __init__(self, path: Path, handle: Callable[[str], str]) -> None:
        self._path = path
        self._handle = handle
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def open(self) -> None:
        """Begins to listen.

        Raises:
            ConfigurationInvalid: the path cannot be a socket, or the system has no Unix sockets.
        """
        listener = local_socket()
        try:
            self._path.unlink(missing_ok=True)
            listener.bind(str(self._path))
            # Before anybody can connect, which needs listen.
            self._path.chmod(0o600)
            listener.listen()
        except OSError as error:
            listener.close()
            raise ConfigurationInvalid("the control socket cannot be made", data={"path": "control"}) from error
        self._listener = listener
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and takes the socket away."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        # Wakes accept on Linux and macOS, which closing alone does not.
        listener.shutdown(socket.SHUT_RDWR)
        with self._lock:
            if self._connection is not None:
                # Somebody who has connected and says nothing is not waited for; an answer still goes out.
                self._connection.shutdown(socket.SHUT_RD)
        self._thread.join()
        listener.close()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while (listener := self._listener) is not None:
            try:
                connection, _ = listener.accept()
            except OSError:
                # Shut down.
                return
            with connection:
                with self._lock:
                    if self._listener is not listener:
                        return
                    self._connection = connection
                self._serve(connection)
                with self._lock:
                    self._connection = None

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE)
        try:
            line = _receive_line(connection)
            connection.sendall(self._answer(line).encode() + b"\n")
        except (OSError, UnicodeDecodeError):
            # Whoever asked went away, is too slow, or does not speak this protocol: the next one may do better.
            return

    def _answer(self, line: str) -> str:
        try:
            return f"ok {self._handle(line)}".rstrip()
        except VitaleError as error:
            return f"error {error.reason} {error.detail}"


def control(path: Path, line: str) -> str:
    """Sends one line to a driver's control socket and returns the words of its ``ok``.

    Raises:
        DaemonUnreachable: nobody listens there.
        ConfigurationInvalid: the driver refused, or this system has no Unix sockets.
    """
    with local_socket() as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(str(path))
            connection.sendall(line.encode() + b"\n")
            answer = _receive_line(connection)
        except OSError as error:
            raise DaemonUnreachable("no simulated driver listens at the control socket") from error
    word, _, rest = answer.partition(" ")
    if word != "ok":
        raise ConfigurationInvalid(rest)
    return rest


def _receive_line(connection: socket.socket) -> str:
    received = b""
    while not received.endswith(b"\n"):
        part = connection.recv(_MAX_LINE)
        received += part
        if not part or len(received) > _MAX_LINE:
            raise ConnectionAbortedError("no whole line")
    return received.decode().strip()
