"""The station's small certificate authority: the daemon's certificate, and those of clients made at pairing.

Nobody else trusts this authority and it trusts nobody else: clients pin the daemon's certificate by its digest, the
daemon knows each client's by its digest. P-256 keys, RFC 5280 profiles, in ``state/tls/`` (0600).
"""

import datetime as dt
import hashlib
import ssl
from ipaddress import ip_address
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vitale_protocol.errors import StoreUnavailable
from vitale_protocol.privacy import concealed
from vitale_reader.daemon.keystore.files import private_folder, write_private

__all__ = ["Certificates", "Issued"]

#: A station outlives its pairings; revocation is by the registry, at once, not by expiry.
VALIDITY = dt.timedelta(days=3650)

#: Certificates begin a day early: the clocks of practices drift.
BACKDATE = dt.timedelta(days=1)


class Issued(msgspec.Struct, frozen=True):
    """A certificate with its key, PEM; ``sha256`` is the hex digest of the certificate in DER."""

    __repr__ = concealed

    certificate: str
    private_key: str
    sha256: str


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
                self._write("daemon", self._issue("vitale-reader daemon", server=True))
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

    def issue_client(self, client_id: str) -> Issued:
        """A new certificate for a client; its key is not kept here."""
        return self._issue(client_id, server=False)

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
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"vitale-reader {self._station}")
        builder = self._builder(name, name, key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self._write("authority", _issued(builder.sign(key, hashes.SHA256()), key))

    def _issue(self, common_name: str, *, server: bool) -> Issued:
        authority = x509.load_pem_x509_certificate(self._file("authority.pem").read_bytes())
        authority_key = serialization.load_pem_private_key(self._file("authority.key").read_bytes(), None)
        if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
            raise StoreUnavailable("the authority's key is not a P-256 key")
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            self._builder(_name(common_name), authority.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )
        if server:
            builder = builder.add_extension(x509.SubjectAlternativeName(_names(self._host)), critical=False)
        return _issued(builder.sign(authority_key, hashes.SHA256()), key)

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - BACKDATE)
            .not_valid_after(self._now + VALIDITY)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    def _write(self, name: str, issued: Issued) -> None:
        write_private(self._file(f"{name}.key"), issued.private_key.encode())
        write_private(self._file(f"{name}.pem"), issued.certificate.encode())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _names(host: str) -> list[x509.GeneralName]:
    try:
        return [x509.IPAddress(ip_address(host)), x509.DNSName("localhost")]
    except ValueError:
        return [x509.DNSName(host), x509.DNSName("localhost")]


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(
        certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        private_key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )
