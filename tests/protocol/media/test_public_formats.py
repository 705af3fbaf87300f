"""Published formats of codes that are no patient's: an example of each, near misses, and what may be a secret."""

import base64
import random
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.media.codes import LEAST_CANDIDATE, LEAST_DIGITS, classify
from vitale_protocol.media.public_formats import FORMAT_NAMES, FORMATS, format_of

ZONE = b"P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
BOARDING = b"M1DESMARAIS/LUC       EABC123 YULFRAAC 0834 226F001A0025 100"
PARCEL = b"[)>\x1e06\x1d9N111234567842\x1d1TABC\x1dD281231\x1dS123\x1e\x04"

# Examples of the publications themselves, or made after them; nobody's.
EXAMPLES = {
    "gs1": [b"01034009364046491728123110ABC123", b"\x1d01034009364046491728123110ABC123", b"(01)03400936404649(10)A"],
    "article": [b"3400936404649", b"96385074"],
    "parcel": [PARCEL],
    "hibc": [b"+A123BJC5D6E71G", b"+A99912345/$$52001510X3/16D20111212/S77DEFG457"],
    "blood-product": [b"=W123409123456", b"=A999917123456 00"],
    "wifi": [b"WIFI:S:officine;T:WPA;P:mot-de-passe;;", b"DPP:C:81/1;M:5254005828e5;K:MDkwEwYHKoZIzj0CAQYI;;"],
    "e-mail": [
        b"mailto:accueil@example.fr?subject=Rendez-vous",
        b"MATMSG:TO:accueil@example.fr;SUB:Bonjour;BODY:Bonjour;;",
        b"camille.dupont@cabinet.example.fr",
    ],
    "message": [b"SMSTO:+33600000000:Bonjour docteur", b"sms:+33600000000?body=Bonjour"],
    "telephone": [b"tel:+33-1-99-00-12-34", b"sip:accueil@example.fr", b"FACETIME-AUDIO:+33199001234"],
    "place": [b"geo:48.85341,2.34880?q=Paris"],
    "contact": [b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Camille\r\nEND:VCARD", b"MECARD:N:DUPONT,CAMILLE;TEL:0199001234;;"],
    "event": [b"BEGIN:VEVENT\nSUMMARY:Vaccination\nDTSTART:20301105T140000Z\nEND:VEVENT"],
    "one-time-password": [b"otpauth://totp/Example:alice@example.org?secret=JBSWY3DPEHPK3PXP&issuer=Example"],
    "device-setup": [b"MT:Y.K9042C00KA0648G00", b"LPA:1$smdp.example.org$04386-AGYFT-A74Y8-3F815", b"FIDO:/0123456789"],
    "payment": [
        b"BCD\n002\n1\nSCT\n\nAssociation\nFR1420041010050500013M02606\nEUR12.30\n\n\nDon",
        b"SPC\r\n0200\r\n1\r\nCH4431999123000889012\r\nS\r\nRobert Schneider AG",
        b"00020101021226440014fr.example.pay0122000000000000000000000052045912530397854041.005802FR6304A13A",
        b"SPD*1.0*ACC:CZ5855000000001265098001*AM:480.50*CC:CZK",
        b"payto://iban/FR1420041010050500013M02606?amount=EUR:12.30",
        b"bitcoin:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2?amount=0.1",
        b"ethereum:0x52908400098527886E0F7030069857D2E4169EE7",
    ],
    "iban": [
        b"FR1420041010050500013M02606",
        b"FR14 2004 1010 0505 0001 3M02 606",
        b"DE89370400440532013000",
        b"IBAN: BE68 5390 0754 7034",
    ],
    "wallet-address": [
        b"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        b"LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9",
        b"bc1qardyy2m9g5u2hqqtjt2qs6gu9aqw0d8kzjfjdd",
        b"0x52908400098527886E0F7030069857D2E4169EE7",
    ],
    "boarding-pass": [BOARDING],
    "ticket": [b"#UT0110800000100000000000000000", b"i0CVABCDEF1234567890123"],
    "mrz": [
        ZONE,
        ZONE.replace(b"\n", b""),
        b"I<UTOD231458907<<<<<<<<<<<<<<<7408122F1204159UTO<<<<<<<<<<<6ERIKSSON<<ANNA<MARIA<<<<<<<<<<",
        b"IDFRABERTHIER<<<<<<<<<<<<<<<<<<<<<<<8806923102858CORINNE<<<<<<<6512068F6",
    ],
    "identity-document": [b"\xdc\x03\xd9\xc5UTO1234567890", b"@\n\x1e\rANSI 636000100002DL00410278"],
    "health-certificate": [
        b"HC1:NCFOXN%TS3DHPVO13J /G-/2YRVA.Q/R8",
        b"shc:/5676290952432060346029243740",
        b"CHMED16A1H4sIAAA",
    ],
    "keys": [b"-----BEGIN CERTIFICATE-----\nMIIB"],
    "uri": [
        b"https://example.org/?a=b",
        b"HTTPS://EXAMPLE.ORG/ORDONNANCE/0123456789",
        b"http:example.org/chemin",
        b"www.example.org/a/long/way",
        b"myapp-1.0+x://open?id=0123456789",
        b"urn:uuid:00000000-0000-0000-0000-000000000000",
        b"intent:#Intent;package=org.example;end",
        b"pharmacie-dupont.fr/rendez-vous",
        b"rdv.cabinet-dupont.example.com",
        b"wa.me/33199001234",
        b"maps.app.goo.gl/a1B2c3D4e5F6",
    ],
    "xml": [
        b'<?xml version="1.0"?><a/>',
        b'<MP v="025" U="0123"><P g="Michaela"/></MP>',
        b"<!DOCTYPE html><html></html>",
    ],
    "json": [b'{"urls":["Task/160/$accept?ac=0123"]}', b'[{"id": 1, "name": "rayon"}]', b'{"type":"VDS","version":1}'],
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_known_and_is_nobodys_to_sign(name: str) -> None:
    for example in EXAMPLES[name]:
        for dressed in (example, example + b"\r\n", b"]Q1" + example):
            code = classify(dressed, "qr")
            assert (name, None, "other", {}) == (code.format, code.medium, code.kind, code.evidence), dressed


def test_each_format_of_the_table_has_a_source_and_an_example() -> None:
    assert set(EXAMPLES) == {one.name for one in FORMATS}
    assert [] == [one for one in FORMATS if not one.source]
    unseen = [
        one for one in FORMATS if not any(one.sign.match(each) and one.proved(each) for each in EXAMPLES[one.name])
    ]
    assert [] == unseen


def test_the_page_tells_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "explanation" / "codes.md").read_text("utf-8")
    for one in FORMATS:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{one.name}` |"))
        assert one.source in row


@pytest.mark.parametrize(
    "data",
    [
        b"FR1520041010050500013M02606",  # an IBAN with a wrong key is none
        b"XX1420041010050500013M02606",  # nor one of no country
        b"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
        b"+A123BJC5D6E71H",
        b"M1DESMARAIS-and-no-flight-at-all",
        ZONE[:-1],
        b'{"never":"closed"',
        b"{5f0c1d8e-2b7a-4c3f-9d8e-000000000000}",
        b"550e8400-e29b-41d4-a716-446655440000",
        b"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJlLW9mLW5vYm9keQ",
        b"NCFOXN%TS3DHPVO13J /G-/2YRVA.Q/R8",  # base45 has spaces
        b"0123456789abcdef0123456789abcdef",
        b"an:opaque/string.with+signs==",
        b"<<< 0123456789abcdef",
        b"BCD9f0c1d8e2b7a4c3f",
        b"SPCsecret-of-somebody",
        b"VITALESIM.c29tZXRoaW5n",
        b"an opaque string of nobody",
        b"\xdc\x09 anything that is no text",
    ],
)
def test_what_only_looks_alike_may_still_be_an_apcv(data: bytes) -> None:
    if data != b"+A123BJC5D6E71H":  # too short for a secret by itself
        assert classify(data, "qr").medium == "apcv-qr"
    assert format_of(data) is None


def test_strings_that_may_be_secrets_are_refused_by_no_accident() -> None:
    """Of 12 000 made strings in the usual alphabets, none has a published format."""
    dice = random.Random(20301130)
    capitals, base45 = string.ascii_uppercase + string.digits, string.digits + string.ascii_uppercase + " $%*+-./:"
    refused = list[bytes]()
    for _ in range(2000):
        size = dice.randrange(LEAST, MOST)
        made = dice.randbytes(size)
        strings = (
            base64.urlsafe_b64encode(made).rstrip(b"="),
            base64.b64encode(made),
            made.hex().encode(),
            base64.b32encode(made),
            "".join(dice.choices(capitals, k=size)).encode(),
            "".join(dice.choices(base45, k=size)).encode(),
        )
        refused += [each for each in strings if format_of(each)]
    assert [] == refused


LEAST, MOST = 16, 200


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_have_a_format_or_none(data: bytes) -> None:
    assert format_of(data) in {None, *EXAMPLES}


@pytest.mark.parametrize("piece", [b"<", b"<a>", b"a.", b"a ", b"[", b'{"a":', b"000201", b" aaaa", b"P<AAA<<", b"a@"])
def test_a_content_of_any_length_is_looked_at_in_no_time(piece: bytes) -> None:
    """The longest one: an expression that goes back and forth would take minutes for it."""
    assert format_of((piece * 4096)[:4096]) is None


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_the_format_that_a_licence_names_is_a_candidate_and_no_other(name: str) -> None:
    """Whoever names one has the others refused as before; what is too short, or no QR code, is none even so."""
    others = [one for one in FORMAT_NAMES if one != name]
    for code in EXAMPLES[name]:
        plain, named = classify(code, "qr"), classify(code, "qr", [name])
        assert "other" == plain.kind
        assert plain == classify(code, "qr", others)
        known = len(code) < LEAST_CANDIDATE or (code.isdigit() and len(code) < LEAST_DIGITS)
        assert ("other" if known else "apcv-qr") == named.kind
        assert known or named.evidence["string"] == code
        assert "other" == classify(code, "code128", [name]).kind
