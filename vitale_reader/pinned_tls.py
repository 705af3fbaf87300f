"""TLS 1.3 to one daemon, which is pinned, with the certificate of a pairing."""

import contextlib
import ssl
import tempfile
from collections.abc import Generator
from pathlib import Path

__all__ = ["pinned_context"]


def pinned_context(certificate: str, private_key: str, daemon_certificate: str | None) -> ssl.SSLContext:
    """A context for a client, in which nobody is trusted but the daemon of the pairing.

    Args:
        certificate: the client's, PEM.
        private_key: its key, PEM.
        daemon_certificate: the daemon's, PEM; without it whoever answers has to be compared with the pin.

    Raises:
        ssl.SSLError: the certificates or the key cannot be used.
        ValueError: likewise.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the pin says more than any name
    if daemon_certificate:
        if not daemon_certificate.isascii():
            raise ValueError("a certificate in PEM is ASCII")
        # The handshake then ends before the client's certificate is sent, where a stranger holds the port.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=daemon_certificate)
    else:
        context.verify_mode = ssl.CERT_NONE
    with _files(certificate, private_key) as (certificate_file, key_file):
        context.load_cert_chain(certificate_file, key_file, password="")  # nobody is asked at a terminal
    return context


@contextlib.contextmanager
def _files(certificate: str, key: str) -> Generator[tuple[Path, Path], None, None]:
    # OpenSSL's loader wants files; mkdtemp makes a folder that only this user can enter.
    with tempfile.TemporaryDirectory(prefix="vitale-reader-") as folder:
        files = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        for file, text in zip(files, (certificate, key), strict=True):
            file.touch(mode=0o600)
            file.write_text(text, encoding="ascii")
        yield files
