"""Certificates that nobody trusts, and a TLS server with one."""

import contextlib
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Generator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["self_signed", "tls_server"]


@contextlib.contextmanager
def tls_server(file: Path, port: int = 0, made: bytes = b"") -> Generator[int]:
    """Shakes hands with whoever connects, until it is left; gives its port.

    Args:
        file: for its certificate and key.
        port: 0 for any that is free.
        made: these, where it has any.
    """
    file.write_bytes(made or self_signed())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with socket.create_server(("127.0.0.1", port)) as server:
        thread = threading.Thread(target=_serve, args=(server, context), daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(60)


def _serve(server: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            line, _ = server.accept()
        except OSError:
            return
        with line, contextlib.suppress(OSError), context.wrap_socket(line, server_side=True):
            pass


def self_signed(days: int = 1) -> bytes:
    """A private key and its certificate, which ends in so many days, or has ended."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stranger")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=400))
        .not_valid_after(now + dt.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
