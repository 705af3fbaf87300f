"""The station's small certificate authority: the daemon's certificate, and those of clients made at pairing.

Nobody else trusts this authority, and it trusts nobody else. Clients pin the daemon's certificate by its digest, and
the daemon knows each client's by its digest. They lie in ``state/tls/`` (0600).
"""

import datetime as dt
import hashlib
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.atomic_files import write_atomically
from vitale_reader.daemon.keystore.private_files import private_folder

if TYPE_CHECKING:
    from vitale_reader.daemon.keystore.certificate_authority import IssuedCertificate

__all__ = ["Certificates"]


class Certificates:
    """The authority in a folder; ``open`` reads it or makes it."""

    def __init__(self, folder: Path, *, station: str, host: str, now: dt.datetime) -> None:
        self._folder = folder
        self._station = station
        self._host = host
        self._now = now
        self._context: ssl.SSLContext | None = None
        self._trusted: set[str] = set()

    def open(self) -> None:
        """Makes the authority and the daemon's certificate where they are missing.

        Raises:
            StoreUnavailable: they cannot be read or made.
        """
        try:
            private_folder(self._folder)
            if not self._file("authority.pem").exists():
                self._make_authority()
            if not self._file("daemon.pem").exists():
                self._write("daemon", self._issue("vitale-reader daemon", host=self._host))
        except OSError as error:
            raise StoreUnavailable("the TLS folder cannot be used", data={"file": str(self._folder)}) from error

    @property
    def daemon_certificate(self) -> str:
        """The daemon's certificate, PEM."""
        return self._file("daemon.pem").read_text()

    @property
    def authority(self) -> str:
        """The certificate of the authority, PEM."""
        return self._file("authority.pem").read_text()

    @property
    def daemon_sha256(self) -> str:
        """The digest that clients pin: SHA-256 of the daemon's certificate in DER, hex."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.daemon_certificate)).hexdigest()

    def issue_client(self, client_id: str) -> "IssuedCertificate":
        """A new certificate for a client; its key is not kept here."""
        return self._issue(client_id)

    def server_context(self) -> ssl.SSLContext:
        """TLS 1.3 only; a client certificate of this authority is required."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self._file("daemon.pem"), self._file("daemon.key"))
        context.load_verify_locations(self._file("authority.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.num_tickets = 0  # a resumed session would outlive the revocation of its certificate
        for authority in self._trusted:
            context.load_verify_locations(cadata=authority)
        self._context = context
        return context

    def trust(self, authority: str) -> None:
        """Accepts the clients of another station's authority (PEM) from now on, as far as they are registered."""
        if authority in self._trusted:
            return
        self._trusted.add(authority)
        if self._context is not None:
            self._context.load_verify_locations(cadata=authority)

    def _file(self, name: str) -> Path:
        return self._folder / name

    def _make_authority(self) -> None:
        from vitale_reader.daemon.keystore.certificate_authority import make_authority  # noqa: PLC0415  see there

        self._write("authority", make_authority(self._station, now=self._now))

    def _issue(self, common_name: str, *, host: str | None = None) -> "IssuedCertificate":
        from vitale_reader.daemon.keystore.certificate_authority import issue  # noqa: PLC0415  see there

        authority, key = (self._file(f"authority.{suffix}").read_bytes() for suffix in ("pem", "key"))
        return issue(authority, key, common_name, host=host, now=self._now)

    def _write(self, name: str, issued: "IssuedCertificate") -> None:
        write_atomically(self._file(f"{name}.key"), issued.private_key.encode())
        write_atomically(self._file(f"{name}.pem"), issued.certificate.encode())
