"""Serves JPEGs over HTTP as network cameras do: ``multipart/x-mixed-replace``, one part a frame, at the frame rate.

Whoever is too slow misses frames, as with a camera: what is sent is always the newest. The loopback only.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

__all__ = ["MjpegServer", "Source"]

Source = Callable[[], bytes | None]
"""Gives the JPEG to send next; None for none this time."""

_BOUNDARY: Final = "frame"
_PATH: Final = "/stream.mjpg"
# Two frames of 720p: more would wait in the socket of a slow reader and be old when they arrive.
_SEND_BUFFER: Final = 256 * 1024
_POLL: Final = 0.02


class MjpegServer:
    """One address with a stream, from ``open`` to ``close``; it can be opened again at the same port.

    Args:
        source: asked for every frame of every connection, in the thread of that connection.
        fps: frames a second.
        port: 0 for any that is free; it is the same when it is opened again.
    """

    def __init__(self, source: Source, *, fps: int = 30, port: int = 0) -> None:
        self.port = port
        self._source = source
        self._period = 1 / fps
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """URL of the stream, once it was opened."""
        return f"http://127.0.0.1:{self.port}{_PATH}"

    def open(self) -> None:
        """Begins to listen.

        Raises:
            OSError: somebody else has the port.
        """
        self._server = _Server(self.port, self._stream)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), name="mjpeg", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends all connections and refuses new ones; does nothing where it is closed."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        server.shutdown()
        server.close_connections()
        server.server_close()
        self._thread.join()

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return 0 if self._server is None else len(self._server.connections)

    def _stream(self, connection: socket.socket, gone: threading.Event) -> None:
        """Sends frames until the camera or the reader goes; called in the thread of a connection."""
        next_at = time.monotonic()
        while not gone.wait(max(next_at - time.monotonic(), 0)):
            frame = self._source()
            if frame is not None:
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(frame)}\r\n\r\n"
                connection.sendall(head.encode("ascii") + frame + b"\r\n")
            # What was missed while the reader did not take it stays missed.
            next_at = max(next_at + self._period, time.monotonic())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, stream: Callable[[socket.socket, threading.Event], None]) -> None:
        super().__init__(("127.0.0.1", port), partial(_Handler, self))
        self._stream = stream
        self._gone = threading.Event()
        self.connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def watch(self, connection: socket.socket) -> None:
        """Streams until either side goes."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        connection.settimeout(None)
        with self._lock:
            self.connections.add(connection)
        try:
            self._stream(connection, self._gone)
        except OSError:
            # The reader went away, or the camera did.
            return
        finally:
            with self._lock:
                self.connections.discard(connection)

    def close_connections(self) -> None:
        """Ends every stream, also of a thread that waits in ``sendall``, or begins only now."""
        self._gone.set()
        with self._lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    def __init__(self, owner: _Server, *of_the_server: Any) -> None:
        self._owner = owner
        super().__init__(*of_the_server)

    def do_GET(self) -> None:
        if self.path != _PATH:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self._owner.watch(self.connection)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the parent
        """Logs nothing: requests to a simulator stay private."""
