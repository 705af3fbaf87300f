"""The X.509 certificates of the station's authority: its own, and those that it makes.

They follow the profiles of RFC 5280, with P-256 keys.

Apart from ``certificates``, since they are made at the first start and at pairings only: else nobody loads x509.
"""

import datetime as dt
from ipaddress import ip_address

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vitale_protocol.errors import StoreUnavailable
from vitale_protocol.privacy import concealed

__all__ = ["IssuedCertificate", "issue", "make_authority"]

#: A station outlives its pairings; revocation is by the registry, at once, not by expiry.
VALIDITY = dt.timedelta(days=3650)

#: Certificates are pinned, or of an authority that is: their beginning says nothing that anybody relies on. A clock
#: that is wrong, when they are made or when they are looked at, must not end a pairing.
BEGINS, BUILT = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class IssuedCertificate(msgspec.Struct, frozen=True):
    """A certificate with its key, PEM; ``sha256`` is the hex digest of the certificate in DER."""

    __repr__ = concealed

    certificate: str
    private_key: str
    sha256: str


def make_authority(station: str, *, now: dt.datetime) -> IssuedCertificate:
    """A new authority for a station."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"vitale-reader {station}")
    builder = (
        _builder(name, name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
    )
    return _issued(builder.sign(key, hashes.SHA256()), key)


def issue(
    authority: bytes, authority_key: bytes, common_name: str, *, host: str | None, now: dt.datetime
) -> IssuedCertificate:
    """A certificate of an authority.

    Args:
        authority: the certificate of the authority, PEM.
        authority_key: its private key, PEM.
        common_name: whom it names.
        host: the name or address of a server; None for a client.
        now: it is valid for ten years from then, and before.

    Raises:
        StoreUnavailable: the authority's key is none that it could have.
    """
    issuer = x509.load_pem_x509_certificate(authority)
    issuer_key = serialization.load_pem_private_key(authority_key, None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise StoreUnavailable("the authority's key is not a P-256 key")
    key = ec.generate_private_key(ec.SECP256R1())
    usage = ExtendedKeyUsageOID.CLIENT_AUTH if host is None else ExtendedKeyUsageOID.SERVER_AUTH
    builder = (
        _builder(_name(common_name), issuer.subject, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if host is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
    return _issued(builder.sign(issuer_key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGINS)
        .not_valid_after(max(now, BUILT) + VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    """The key usage of a certificate (RFC 5280 §4.2.1.3).

    Programs that check strictly, as Python does from 3.13 on, refuse an authority without it.
    """
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _names(host: str) -> list[x509.GeneralName]:
    try:
        return [x509.IPAddress(ip_address(host)), x509.DNSName("localhost")]
    except ValueError:
        return [x509.DNSName(host), x509.DNSName("localhost")]


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> IssuedCertificate:
    return IssuedCertificate(
        certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        private_key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )
