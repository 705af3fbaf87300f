"""Address of the client's daemon, and the check over TLS that it is the one of the pairing."""

import hashlib
import hmac
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from vitale_protocol.errors import DaemonUnreachable, DaemonUntrusted, LocalMisuse
from vitale_reader.client.pairing import Pairing
from vitale_reader.client.system import UNIX_SOCKETS
from vitale_reader.home import Home
from vitale_reader.pinned_tls import pinned_context

__all__ = ["Address", "TlsAddress", "UnixAddress", "Way", "check_pin", "parse", "resolve", "tls_context"]


class UnixAddress(msgspec.Struct, frozen=True):
    """The path of the daemon's socket."""

    path: str

    def __str__(self) -> str:
        return f"unix://{self.path}"


class TlsAddress(msgspec.Struct, frozen=True):
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tls://[{self.host}]:{self.port}" if ":" in self.host else f"tls://{self.host}:{self.port}"


Address = UnixAddress | TlsAddress


class Way(msgspec.Struct, frozen=True):
    """The way to a daemon: its address, and the pairing to show there."""

    address: Address
    pairing: Pairing | None = None


def parse(text: str) -> Address:
    """An address as people write it: ``unix:///run/…/daemon.sock`` or ``tls://127.0.0.1:7816``.

    Raises:
        LocalMisuse: it is neither.
    """
    try:
        parts = urlsplit(str(text))  # whoever gives a path, or a number, is told as well
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise LocalMisuse(f"not an address: {error}") from error
    if parts.scheme == "unix" and parts.path and not parts.netloc:
        return UnixAddress(parts.path)
    if parts.scheme == "tls" and host and port and not parts.path.strip("/"):
        return TlsAddress(host, port)
    raise LocalMisuse("an address is unix:///path or tls://host:port")


def resolve(home: Home, address: str | None, pairing: Pairing | None) -> Way:
    """The way to try now; asked again before each attempt, because a daemon may come back on another port.

    Without a pairing it is that of the daemon's own user: the Unix socket, or the owner's pairing.

    Raises:
        DaemonUnreachable: no daemon runs in this home, or on no transport that this client can use.
        LocalMisuse: the address cannot be used with what is known of the pairing.
    """
    if address is None and pairing is not None:
        address = pairing.address
    if address is not None:
        found = parse(address)
        if isinstance(found, TlsAddress) and pairing is None:
            raise LocalMisuse("TLS needs a pairing: vitale-reader clients add NAME")
        return Way(found, pairing)
    endpoints = home.endpoints()
    if pairing is not None and pairing.certificate and endpoints.tls is not None:
        return Way(TlsAddress(endpoints.tls.host, endpoints.tls.port), pairing)
    if endpoints.unix is not None and UNIX_SOCKETS:
        return Way(UnixAddress(endpoints.unix), pairing)
    if pairing is None and endpoints.owner is not None and endpoints.tls is not None:
        return Way(TlsAddress(endpoints.tls.host, endpoints.tls.port), _owners_pairing(Path(endpoints.owner)))
    raise DaemonUnreachable("the daemon listens on no transport that this client can use")


def _owners_pairing(file: Path) -> Pairing:
    """Reads the owner's pairing.

    Raises:
        DaemonUnreachable: it cannot be read: the daemon is another user's, or has just ended.
    """
    try:
        return Pairing.load(file)
    except LocalMisuse as error:
        raise DaemonUnreachable(error.detail, variant="other_user", data=error.data) from error


def tls_context(pairing: Pairing) -> ssl.SSLContext:
    """TLS 1.3, the client's certificate, and nobody trusted but the daemon of the pairing.

    Raises:
        LocalMisuse: the pairing has no material for TLS, or it cannot be used.
    """
    if not (pairing.certificate and pairing.private_key and pairing.daemon_certificate_sha256):
        raise LocalMisuse("this pairing has no certificate, key and digest for TLS")
    try:
        # Without the daemon's certificate check_pin follows, before anything is said.
        return pinned_context(pairing.certificate, pairing.private_key, pairing.daemon_certificate)
    except (ssl.SSLError, ValueError) as error:
        raise LocalMisuse("the certificates or the key of this pairing cannot be used") from error


def check_pin(pairing: Pairing, certificate: bytes | None) -> None:
    """Compares the certificate (DER) of what answered with the pin.

    Raises:
        DaemonUntrusted: it is another.
    """
    pin = (pairing.daemon_certificate_sha256 or "").replace(":", "").lower()
    digest = hashlib.sha256(certificate or b"").hexdigest()
    if not certificate or not hmac.compare_digest(digest.encode(), pin.encode()):
        raise DaemonUntrusted("the certificate is not the one of the pairing")
