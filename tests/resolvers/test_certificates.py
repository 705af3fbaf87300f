"""The certificates of a service: trusted or refused alike on every Python, and told for what they lack."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vitale_protocol.errors import ResolverUnavailable
from vitale_reader.daemon.keystore.certificate_authority import make_authority

PATIENCE = 40.0
NOW = dt.datetime.now(dt.UTC)
#: What RFC 5280 asks of an authority and of a server; a case leaves one out, or changes it.
WHOLE = ("keyUsage", "subjectKeyIdentifier", "basicConstraints", "authorityKeyIdentifier")


def certificates(folder: Path, *, left_out: str) -> None:
    """Writes an authority (ca.pem) and the certificate that it signed for a server on localhost (server.pem)."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = named("authority", "authority", authority_key).add_extension(
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
    server = named("server", "authority", server_key).add_extension(
        x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
    )
    if left_out != "authorityKeyIdentifier":
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        server = server.add_extension(issuer, critical=False)
    (folder / "ca.pem").write_bytes(pem(authority.sign(authority_key, hashes.SHA256())))
    private = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + pem(server.sign(authority_key, hashes.SHA256())))


def named(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
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


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def probe(soap: Any, folder: Path, ca_file: Path) -> str:
    """The host that answered a resolver with this authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def work() -> str:
        async with asyncio.timeout(PATIENCE), await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            async with soap.open(f"https://localhost:{port}/apcv", ca_file=str(ca_file)) as resolver:
                return str(await resolver.probe())

    return asyncio.run(work())


def test_certificates_by_the_standard_are_trusted(soap: Any, tmp_path: Path) -> None:
    certificates(tmp_path, left_out="")
    assert "localhost" == probe(soap, tmp_path, tmp_path / "ca.pem")


@pytest.mark.parametrize("left_out", WHOLE)
def test_what_breaks_the_standard_is_told_as_that(left_out: str, soap: Any, tmp_path: Path) -> None:
    certificates(tmp_path, left_out=left_out)
    with pytest.raises(ResolverUnavailable) as raised:
        probe(soap, tmp_path, tmp_path / "ca.pem")
    assert ("certificate", {"sent": False}) == (raised.value.variant, raised.value.data)


def test_another_authority_is_none_that_breaks_the_standard(soap: Any, tmp_path: Path) -> None:
    certificates(tmp_path, left_out="")
    (tmp_path / "other.pem").write_text(make_authority("another", now=NOW).certificate)
    with pytest.raises(ResolverUnavailable) as raised:
        probe(soap, tmp_path, tmp_path / "other.pem")
    assert "tls" == raised.value.variant
