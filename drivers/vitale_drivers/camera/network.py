"""Asks a network camera before OpenCV does.

OpenCV opens one stream at a time and waits for a silent one. No password is said: a camera that asks for one has
answered.

OpenCV holds a lock of the whole process while FFmpeg connects and studies a stream. A camera that takes connections and
says nothing would keep all others closed for as long. So its first picture, or for RTSP its first answer, is waited for
here. That is done on a connection of its own that nobody else waits for.
"""

import http.client
import socket
import ssl
import time
from contextlib import ExitStack, closing
from urllib.parse import SplitResult, urlsplit

from vitale_protocol.errors import ReaderUnavailable

__all__ = ["await_answer"]

_RTSP_PORT = 554
_END_OF_PICTURE = b"\xff\xd9"
"""Of a JPEG (ITU-T T.81, table B.1)."""

_ENOUGH = 1 << 20
"""Bytes, after which a stream that is no JPEG is alive too."""

_PIECE = 1 << 14


def await_answer(url: str, seconds: float) -> None:
    """Returns once a camera has begun to answer.

    Raises:
        ReaderUnavailable: it did not for so many seconds, or refuses the connection.
    """
    parts = urlsplit(url)
    end = time.monotonic() + seconds
    try:
        if parts.scheme in {"rtsp", "rtsps"}:
            _await_rtsp(parts, end)
        else:
            _await_http(parts, end)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ReaderUnavailable("the camera gives no pictures", variant="camera") from error


def _await_http(parts: SplitResult, end: float) -> None:
    host, seconds = parts.hostname or "", _left(end)
    connection = (
        http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=_unverified())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=seconds)
    )
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path)
        plug = connection.sock
        with closing(connection.getresponse()) as answer:
            # What has moved, or asks for a password, is FFmpeg's affair; it does answer.
            if answer.status == http.client.OK:
                _await_picture(answer, plug, end)
    finally:
        connection.close()


def _await_picture(answer: http.client.HTTPResponse, plug: socket.socket, end: float) -> None:
    taken, tail = 0, b""
    while taken < _ENOUGH and _END_OF_PICTURE not in tail:
        plug.settimeout(_left(end))
        piece = answer.read1(_PIECE)
        if not piece:
            return
        taken, tail = taken + len(piece), tail[-1:] + piece


def _await_rtsp(parts: SplitResult, end: float) -> None:
    host = parts.hostname or ""
    with ExitStack() as stack:
        plug = stack.enter_context(socket.create_connection((host, parts.port or _RTSP_PORT), timeout=_left(end)))
        if parts.scheme == "rtsps":
            plug = stack.enter_context(_unverified().wrap_socket(plug, server_hostname=host))
        plug.settimeout(_left(end))
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path or '/'}"
        plug.sendall(f"OPTIONS {address} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
        if not plug.recv(_PIECE):
            raise ConnectionError("it hung up")


def _unverified() -> ssl.SSLContext:
    """As FFmpeg has it, for cameras sign their certificates themselves; nothing that is secret is said here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the camera took too long")
    return left
