"""The way from a native host to its user's daemon: a Unix socket, or TLS without one (Windows)."""

import os
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import DaemonUnreachable, ParseError
from vitale_protocol.privacy import concealed
from vitale_reader.home import Home, TlsEndpoint

__all__ = ["DaemonLine", "dial", "own_uid"]

#: Seconds for the daemon to be there, and to prove itself.
PATIENCE: Final = 10.0


class DaemonLine(Protocol):
    """A connection to the daemon, for two threads."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def sendall(self, data: bytes, /) -> None:
        """Sends bytes to the daemon."""

    def recv(self, most: int, /) -> bytes:
        """Reads bytes; none at the end."""
        ...

    def settimeout(self, seconds: float | None, /) -> None:
        """Sets how long each call may wait; None for as long as it takes."""

    def shutdown(self, how: int, /) -> None:
        """Ends one way or both, as of a socket."""


class _Pairing(msgspec.Struct, frozen=True):
    """The pairing of native hosts, as the daemon writes it at each start."""

    __repr__ = concealed

    certificate: str
    private_key: str
    daemon_certificate: str


def dial(home: Home) -> DaemonLine:
    """A connection to the daemon.

    Args:
        home: of the station.

    Raises:
        OSError: it is not there, or another program is in its place.
    """
    try:
        endpoints = home.endpoints()
    except DaemonUnreachable:
        return _by_socket(home.host_socket)
    if endpoints.hosts is None or endpoints.tls is None:
        return _by_socket(home.host_socket)
    return _by_tls(endpoints.tls, Path(endpoints.hosts))


def _by_tls(address: TlsEndpoint, file: Path) -> DaemonLine:
    # Only where it is the way: a host starts for each page.
    from vitale_reader.pinned_tls import pinned_context  # noqa: PLC0415
    from vitale_reader.web.native.tls_line import TlsLine  # noqa: PLC0415

    try:
        pairing = decode_document(file.read_bytes(), _Pairing)
        context = pinned_context(pairing.certificate, pairing.private_key, pairing.daemon_certificate)
    except (ParseError, ValueError) as error:
        raise OSError("the pairing of native hosts cannot be used") from error
    connection = socket.create_connection((address.host, address.port), timeout=PATIENCE)
    try:
        line = TlsLine(connection, context)
        connection.settimeout(None)
    except OSError:
        connection.close()
        raise
    return line


if sys.platform == "win32":

    def _by_socket(file: Path) -> DaemonLine:
        raise OSError(f"the daemon listens on no such socket here: {file}")

    def own_uid() -> int | None:
        """None: users have no such numbers here."""
        return None

else:

    def _by_socket(file: Path) -> DaemonLine:
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
