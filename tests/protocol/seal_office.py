"""An authority of 2D-Docs of our own: it issues certificates to signers, seals documents and publishes its lists."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

FROM = date(2020, 1, 1)
TO = date(2024, 12, 31)
SIGNED = date(2022, 6, 15)

_TSL = """<?xml version="1.0" encoding="UTF-8"?>
<tsl:TrustServiceStatusList xmlns:tsl="http://uri.etsi.org/02231/v2#" TSLTag="http://uri.etsi.org/02231/TSLTag">
  <tsl:SchemeInformation><tsl:TSLVersionIdentifier>3</tsl:TSLVersionIdentifier></tsl:SchemeInformation>
  <tsl:TrustServiceProviderList>{providers}</tsl:TrustServiceProviderList>
</tsl:TrustServiceStatusList>
"""
_PROVIDER = """
<tsl:TrustServiceProvider>
  <tsl:TSPInformation>
    <tsl:TSPName><tsl:Name xml:lang="fr">Office des essais</tsl:Name></tsl:TSPName>
    <tsl:TSPTradeName>
      <tsl:Name xml:lang="fr">{name}</tsl:Name><tsl:Name xml:lang="en">{name}</tsl:Name>
    </tsl:TSPTradeName>
  </tsl:TSPInformation>
  <tsl:TSPServices><tsl:TSPService><tsl:ServiceInformation>
    <tsl:ServiceTypeIdentifier>http://uri.etsi.org/TrstSvc/Svctype/{kind}</tsl:ServiceTypeIdentifier>
    <tsl:ServiceDigitalIdentity><tsl:DigitalId>
      <tsl:X509Certificate>{certificate}</tsl:X509Certificate>
    </tsl:DigitalId></tsl:ServiceDigitalIdentity>
    <tsl:ServiceStatus>http://uri.etsi.org/TrstSvc/Svcstatus/{status}</tsl:ServiceStatus>
  </tsl:ServiceInformation></tsl:TSPService></tsl:TSPServices>
</tsl:TrustServiceProvider>
"""


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _moment(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@dataclass(frozen=True)
class Signatory:
    """A signer: its certificate and its key."""

    authority: str
    name: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def seal(self, message: bytes, *, type_: str = "07", signed: date | None = SIGNED, annex: bytes = b"") -> bytes:
        """A 2D-Doc of version 04 with this message, sealed."""
        day = "FFFF" if signed is None else f"{(signed - date(2000, 1, 1)).days:04X}"
        covered = f"DC04{self.authority}{self.name}FFFF{day}{type_}01FR".encode() + message
        return covered + b"\x1f" + self.signature(covered) + (b"\x1d" + annex if annex else b"")

    def signature(self, covered: bytes) -> bytes:
        """r and s in base32."""
        size = (self.key.curve.key_size + 7) // 8
        digest = {32: hashes.SHA256(), 48: hashes.SHA384(), 66: hashes.SHA512()}[size]
        r, s = decode_dss_signature(self.key.sign(covered, ec.ECDSA(digest)))
        return base64.b32encode(r.to_bytes(size, "big") + s.to_bytes(size, "big")).rstrip(b"=")

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)


@dataclass(frozen=True)
class Office:
    """An authority, by its identifier; ``common_name`` where its certificate is called otherwise."""

    name: str = "FR99"
    common_name: str = ""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def certificate(self) -> x509.Certificate:
        """The authority's own."""
        name = _named(self.common_name or self.name)
        return self._built(name, self.key.public_key(), FROM, TO, authority=True)

    def signer(
        self, name: str = "0001", *, curve: ec.EllipticCurve | None = None, start: date = FROM, end: date = TO
    ) -> Signatory:
        """A new signer."""
        key = ec.generate_private_key(curve or ec.SECP256R1())
        return Signatory(self.name, name, self._built(_named(name), key.public_key(), start, end, authority=False), key)

    def trusted_list(self, *, status: str = "inaccord", kind: str = "CA/PKC", name: str = "") -> bytes:
        """The list of the ANTS with this authority in it."""
        certificate = base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()
        provider = _PROVIDER.format(name=name or self.name, kind=kind, status=status, certificate=certificate)
        return _TSL.format(providers=provider).encode()

    def _built(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, start: date, end: date, *, authority: bool
    ) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(_named(self.common_name or self.name))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_moment(start))
            .not_valid_after(_moment(end) + timedelta(hours=23))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
