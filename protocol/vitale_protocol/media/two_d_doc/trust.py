"""The signers of 2D-Docs that a site trusts, read from its documents and vouched for by it alone.

Two kinds of document, in any number and mixture:

- the trusted list of the ANTS, in XML (``trusted_list``): the authorities' certificates. Its own XML signature is
  **not** checked here. The site gets the list over TLS from the ANTS, or from hands that it trusts;
- a bundle of certificates, PEM or one in DER. The signers' own certificates are published by each authority. A line
  before a certificate names it: ``2D-Doc FR05 0001``, or ``2D-Doc FR05`` for an authority's own. Without such a line
  its names do. The issuer's CN is the authority, the subject's CN the certificate, as in published ones.

A signer is trusted if an authority of the list issued it. If the list has no certificate of that authority, the site
vouches for the signer by adding it.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    DuplicateExtension,
    ExtensionNotFound,
    InvalidVersion,
    Name,
    UnsupportedGeneralNameType,
    load_der_x509_certificate,
)
from cryptography.x509.oid import NameOID

from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["Signer", "TrustList", "parse_trust_list"]

KeyT = TypeVar("KeyT")

# A list of all authorities has some 100 KB, a bundle of all signers of one some 2 KB a signer.
_MAX_BYTES: Final = 8 * 1024 * 1024
_MAX_CERTIFICATES: Final = 5000

# A certificate is parsed piece by piece, some pieces only when they are asked for: each of these may come of any.
_UNREADABLE: Final = (ValueError, TypeError, InvalidVersion, DuplicateExtension, UnsupportedGeneralNameType)

_ID = re.compile(r"[0-9A-Z]{4}")
_PEM = re.compile(
    rb"(?:^(?P<label>[^\n]*)\n)?^-----BEGIN CERTIFICATE-----(?P<body>[^-]+)-----END CERTIFICATE-----", re.MULTILINE
)
_LABEL = re.compile(rb"#?\s*2D-Doc\s+(?P<authority>[0-9A-Z]{4})(?:\s+(?P<certificate>[0-9A-Z]{4}))?\s*")


@dataclass(frozen=True, slots=True)
class Signer:
    """Owner of a key: the authority and the certificate that a 2D-Doc names."""

    authority: str
    certificate: str


@dataclass(frozen=True, slots=True)
class TrustList:
    """Certificates of signers and of authorities; several of one name are the old and the renewed one."""

    signers: Mapping[Signer, tuple[Certificate, ...]] = field(default_factory=dict[Signer, tuple[Certificate, ...]])
    authorities: Mapping[str, tuple[Certificate, ...]] = field(default_factory=dict[str, tuple[Certificate, ...]])

    def trusted(self, signer: Signer) -> tuple[Certificate, ...]:
        """The certificates of a signer that are to be believed; empty where there is none."""
        known = self.signers.get(signer, ())
        authorities = self.authorities.get(signer.authority)
        if authorities is None:
            return known
        return tuple(one for one in known if any(_issued(one, authority) for authority in authorities))

    def untrusted(self) -> tuple[Signer, ...]:
        """The signers with a certificate that none of their authority's issued: something to be told to the site."""
        return tuple(one for one, known in self.signers.items() if len(self.trusted(one)) < len(known))


def parse_trust_list(*documents: bytes) -> TrustList:
    """Reads the documents of a site; none of them makes an empty list, by which no signer is known.

    Raises:
        ConfigurationInvalid: a document is neither kind, too large, or has a certificate that cannot be used.
            ``data.document`` is its number, from 0.
    """
    lists: list[TrustList] = []
    for number, document in enumerate(documents):
        try:
            lists.append(_parse(document))
        except ConfigurationInvalid as error:
            raise ConfigurationInvalid(error.detail, data={"document": number}) from error
    return _merged(lists)


def _parse(document: bytes) -> TrustList:
    if len(document) > _MAX_BYTES:
        raise ConfigurationInvalid("a list of trusted signers is too large")
    start = document.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"<"):
        return _of_xml(start)
    if b"-----BEGIN CERTIFICATE-----" in document:
        return _of_pem(document.replace(b"\r\n", b"\n"))
    if document.startswith(b"\x30"):
        return _of_certificate(_certificate(document), None)
    raise ConfigurationInvalid("a list of trusted signers is neither XML, nor PEM, nor a certificate")


# ── a bundle of certificates ─────────────────────────────────────────────────────────────────────────────────────


def _of_pem(document: bytes) -> TrustList:
    found = list(_PEM.finditer(document))
    if len(found) != document.count(b"-----BEGIN CERTIFICATE-----") or len(found) > _MAX_CERTIFICATES:
        raise ConfigurationInvalid("the PEM bundle is damaged, or has too many certificates")
    each = (_of_certificate(_decoded(one["body"]), _LABEL.fullmatch(one["label"] or b"")) for one in found)
    return _merged(each)


def _of_certificate(certificate: Certificate, label: re.Match[bytes] | None) -> TrustList:
    if label is not None:
        authority, name = label["authority"].decode(), (label["certificate"] or b"").decode()
    else:
        authority, name = _names(certificate)
    if not name:
        return TrustList(authorities={authority: (certificate,)})
    _usable(certificate)
    return TrustList(signers={Signer(authority, name): (certificate,)})


def _names(certificate: Certificate) -> tuple[str, str]:
    """Authority and certificate by the names in it; an authority's own has no second one, whoever issued it."""
    try:
        issuer, subject = _common_name(certificate.issuer), _common_name(certificate.subject)
    except _UNREADABLE as error:
        raise ConfigurationInvalid("the names in a certificate cannot be read") from error
    if _ID.fullmatch(subject) and (issuer == subject or _is_authority(certificate)):
        return subject, ""
    if _ID.fullmatch(issuer) and _ID.fullmatch(subject):
        return issuer, subject
    raise ConfigurationInvalid("neither its names nor a line before it say which 2D-Doc signer a certificate is")


def _common_name(name: Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def _is_authority(certificate: Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(BasicConstraints).value.ca
    except (ExtensionNotFound, *_UNREADABLE):
        return False


def _usable(certificate: Certificate) -> None:
    try:
        if isinstance(certificate.public_key(), EllipticCurvePublicKey):
            return
    except (*_UNREADABLE, UnsupportedAlgorithm):
        pass
    raise ConfigurationInvalid("the key of a 2D-Doc signer is one of an elliptic curve")


def _of_xml(document: bytes) -> TrustList:
    from vitale_protocol.media.two_d_doc.trusted_list import authorities  # noqa: PLC0415  lxml, for those who have such a list

    return TrustList(authorities={name: tuple(map(_decoded, texts)) for name, texts in authorities(document).items()})


# ── certificates ─────────────────────────────────────────────────────────────────────────────────────────────────


def _decoded(text: bytes) -> Certificate:
    try:
        return _certificate(base64.b64decode(b"".join(text.split()), validate=True))
    except binascii.Error as error:
        raise ConfigurationInvalid("a certificate is not in base64") from error


def _certificate(der: bytes) -> Certificate:
    try:
        return load_der_x509_certificate(der)
    except _UNREADABLE as error:
        raise ConfigurationInvalid("a certificate cannot be read") from error


def _issued(certificate: Certificate, authority: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, UnsupportedAlgorithm, *_UNREADABLE):
        return False
    return True


def _merged(lists: Iterable[TrustList]) -> TrustList:
    signers: dict[Signer, tuple[Certificate, ...]] = {}
    authorities: dict[str, tuple[Certificate, ...]] = {}
    for one in lists:
        _add(signers, one.signers)
        _add(authorities, one.authorities)
    return TrustList(signers, authorities)


def _add(to: dict[KeyT, tuple[Certificate, ...]], more: Mapping[KeyT, tuple[Certificate, ...]]) -> None:
    for key, certificates in more.items():
        to[key] = to.get(key, ()) + certificates
