"""Certificates of an authority and of a server, by the standard or with a part left out."""

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["NOW", "WHOLE", "certificates"]

NOW = dt.datetime.now(dt.UTC)
#: What RFC 5280 asks of an authority and of a server; a case leaves one out, or changes it.
WHOLE = ("keyUsage", "subjectKeyIdentifier", "basicConstraints", "authorityKeyIdentifier")


def certificates(folder: Path, *, left_out: str) -> None:
    """Writes an authority (ca.pem) and the certificate that it signed for a server on localhost (server.pem)."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _named("authority", "authority", authority_key).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=left_out != "basicConstraints"
    )
    if left_out != "keyUsage":
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
        )
        authority = authority.add_extension(
            x509.KeyUsage(digital_signature=False, key_cert_sign=True, crl_sign=True, decipher_only=False, **usage),
            critical=True,
        )
    if left_out != "subjectKeyIdentifier":
        identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
        authority = authority.add_extension(identifier, critical=False)
    server = _named("server", "authority", server_key).add_extension(
        x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
    )
    if left_out != "authorityKeyIdentifier":
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        server = server.add_extension(issuer, critical=False)
    (folder / "ca.pem").write_bytes(_pem(authority.sign(authority_key, hashes.SHA256())))
    private = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + _pem(server.sign(authority_key, hashes.SHA256())))


def _named(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    return (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=1))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
