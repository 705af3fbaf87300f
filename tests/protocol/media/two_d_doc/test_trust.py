"""Lists of trusted signers: the trusted list of the ANTS, bundles of certificates, and what is neither."""

import contextlib
import tomllib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.seal_office import Office, Signatory
from vitale_protocol.errors import ConfigurationInvalid, PayloadInvalid
from vitale_protocol.media.two_d_doc.parsing import parse
from vitale_protocol.media.two_d_doc.seals import verify_seal
from vitale_protocol.media.two_d_doc.trust import Signer, TrustList, parse_trust_list

PUBLISHED: str = tomllib.loads((Path(__file__).parents[1] / "vectors" / "two_d_doc.toml").read_text("utf-8"))[
    "certificate"
]


@pytest.fixture(scope="module")
def office() -> Office:
    return Office()


@pytest.fixture(scope="module")
def one(office: Office) -> Signatory:
    return office.signer()


NAMED = Signer("FR99", "0001")


def ed25519_certificate() -> bytes:
    """A signer's certificate but for its key."""
    key = Ed25519PrivateKey.generate()
    name, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in ("0001", "FR99"))
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
    return builder.not_valid_after(datetime(2030, 1, 1, tzinfo=UTC)).sign(key, None).public_bytes(Encoding.PEM)


def test_no_document_is_an_empty_list() -> None:
    assert parse_trust_list() == TrustList()
    assert parse_trust_list().trusted(NAMED) == ()


def test_the_published_test_certificate_says_itself_who_it_is() -> None:
    trust = parse_trust_list(PUBLISHED.encode())

    assert list(trust.signers) == [Signer("FR00", "0001")]
    assert trust.untrusted() == ()


class TestBundles:
    def test_a_signer_by_its_names(self, one: Signatory) -> None:
        trust = parse_trust_list(one.pem)

        assert trust.trusted(NAMED) == (one.certificate,)
        assert trust.authorities == {}

    @pytest.mark.parametrize("label", ["2D-Doc FR99 0001", "# 2D-Doc  FR99  0001  ", "2D-Doc FR99 0001\r"])
    def test_a_signer_by_the_line_before(self, label: str) -> None:
        signer = Office(common_name="Autorité des essais").signer("nom libre")

        assert parse_trust_list(f"{label}\n".encode() + signer.pem).trusted(NAMED) == (signer.certificate,)

    def test_several_certificates_with_text_around(self, office: Office, one: Signatory) -> None:
        renewed, other = office.signer(), office.signer("0002")
        bundle = b"Office des essais\n\n" + one.pem + b"\n2D-Doc FR99 0001\n" + renewed.pem + other.pem + b"fin\n"
        trust = parse_trust_list(bundle)

        assert trust.trusted(NAMED) == (one.certificate, renewed.certificate)
        assert trust.trusted(Signer("FR99", "0002")) == (other.certificate,)

    def test_windows_line_ends(self, one: Signatory) -> None:
        assert parse_trust_list(one.pem.replace(b"\n", b"\r\n")).trusted(NAMED) == (one.certificate,)

    def test_one_certificate_in_der(self, one: Signatory) -> None:
        assert parse_trust_list(one.certificate.public_bytes(Encoding.DER)).trusted(NAMED) == (one.certificate,)

    def test_an_authority_by_its_names(self, office: Office, one: Signatory) -> None:
        trust = parse_trust_list(office.certificate.public_bytes(Encoding.PEM), one.pem)

        assert list(trust.authorities) == ["FR99"]
        assert trust.trusted(NAMED) == (one.certificate,)

    def test_an_authority_by_the_line_before(self) -> None:
        office = Office(common_name="Autorité des essais")
        pem = office.certificate.public_bytes(Encoding.PEM)

        assert list(parse_trust_list(b"2D-Doc FR99\n" + pem).authorities) == ["FR99"]

    def test_a_signer_that_its_authority_did_not_issue(self, office: Office) -> None:
        stranger = Office().signer()
        trust = parse_trust_list(office.certificate.public_bytes(Encoding.PEM), stranger.pem)

        assert trust.trusted(NAMED) == ()
        assert trust.untrusted() == (NAMED,)


class TestTrustedList:
    def test_its_authorities(self, office: Office, one: Signatory) -> None:
        trust = parse_trust_list(office.trusted_list(), one.pem)

        assert [one.public_key() for one in trust.authorities["FR99"]] == [office.key.public_key()]
        assert trust.trusted(NAMED) == (one.certificate,)

    def test_it_knows_no_signer_by_itself(self, office: Office) -> None:
        assert parse_trust_list(office.trusted_list()).trusted(NAMED) == ()

    @pytest.mark.parametrize("how", [{"status": "revoked"}, {"status": "withdrawn"}, {"kind": "TSA"}])
    def test_an_authority_out_of_accord_vouches_for_nobody(
        self, office: Office, one: Signatory, how: dict[str, str]
    ) -> None:
        trust = parse_trust_list(office.trusted_list(**how), one.pem)

        assert trust.authorities == {"FR99": ()}
        assert trust.trusted(NAMED) == ()
        assert trust.untrusted() == (NAMED,)

    def test_granted_is_in_accord(self, office: Office, one: Signatory) -> None:
        assert parse_trust_list(office.trusted_list(status="granted"), one.pem).trusted(NAMED)

    def test_a_byte_order_mark(self, office: Office) -> None:
        assert parse_trust_list(b"\xef\xbb\xbf" + office.trusted_list()).authorities

    def test_a_signer_of_another_authority_is_the_sites_affair(self, office: Office) -> None:
        other = Office("FR98").signer()

        assert parse_trust_list(office.trusted_list(), other.pem).trusted(Signer("FR98", "0001"))

    @pytest.mark.parametrize(
        "document",
        [
            b"<html/>",
            b"<not closed",
            b'<tsl:TrustServiceStatusList xmlns:tsl="http://uri.etsi.org/02231/v2#"/>',
            b'<!DOCTYPE t [<!ENTITY e SYSTEM "file:///etc/passwd">]><t>&e;</t>',
            b'<!DOCTYPE t [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><t>&b;</t>',
        ],
    )
    def test_what_is_no_trusted_list(self, document: bytes) -> None:
        with pytest.raises(ConfigurationInvalid):
            parse_trust_list(document)

    def test_a_name_that_is_none(self, office: Office) -> None:
        with pytest.raises(ConfigurationInvalid):
            parse_trust_list(office.trusted_list(name="FR999"))


class TestRefusals:
    @pytest.mark.parametrize(
        "document",
        [
            b"",
            b"text",
            b"\x30\x03\x02\x01\x00",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n",
            bytes(8 * 1024 * 1024 + 1),
        ],
        ids=["empty", "text", "der", "pem", "base64", "cut", "large"],
    )
    def test_what_is_no_list(self, one: Signatory, document: bytes) -> None:
        with pytest.raises(ConfigurationInvalid) as refused:
            parse_trust_list(one.pem, document)

        assert refused.value.data == {"document": 1}

    def test_a_certificate_that_does_not_say_whose_it_is(self) -> None:
        with pytest.raises(ConfigurationInvalid):
            parse_trust_list(Office(common_name="Autorité des essais").signer("nom libre").pem)

    def test_a_signer_with_another_kind_of_key(self) -> None:
        with pytest.raises(ConfigurationInvalid):
            parse_trust_list(ed25519_certificate())

    @given(st.binary(max_size=300), st.sampled_from([b"", b"<", b"\x30", b"-----BEGIN CERTIFICATE-----\n"]))
    def test_any_bytes(self, content: bytes, beginning: bytes) -> None:
        with contextlib.suppress(ConfigurationInvalid):
            parse_trust_list(beginning + content)


class TestDamagedCertificates:
    """A certificate is parsed piece by piece, some pieces only when they are asked for: none may surprise later."""

    @pytest.mark.filterwarnings("ignore")  # the library warns of what it reads all the same
    @pytest.mark.parametrize("value", [0x00, 0x01, 0x02, 0x2E, 0x7F, 0xFF])
    def test_one_byte_that_is_another(self, one: Signatory, value: int) -> None:
        document = parse(one.seal(b"60MARIE\x1d62D'ESSAI\x1d6921011977"))
        whole = one.certificate.public_bytes(Encoding.DER)
        outcomes = Counter[str]()
        for place in range(len(whole)):
            try:
                trust = parse_trust_list(whole[:place] + bytes((value,)) + whole[place + 1 :])
            except ConfigurationInvalid:
                outcomes["refused"] += 1
            else:
                outcomes["read"] += 1
                trust.untrusted()
                with contextlib.suppress(PayloadInvalid):  # of another key
                    verify_seal(document, trust)
        assert {"refused", "read"} == outcomes.keys()

    def test_an_issuer_that_is_no_name(self, one: Signatory) -> None:
        whole = one.certificate.public_bytes(Encoding.DER)
        common_name = b"\x06\x03\x55\x04\x03"
        place = whole.index(common_name) + len(common_name)
        damaged = whole[:place] + b"\x03" + whole[place + 1 :]  # a BIT STRING, in which no common name can be

        with pytest.raises(ConfigurationInvalid, match="names in a certificate"):
            parse_trust_list(damaged)
