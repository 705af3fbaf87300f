"""What a scanned code is: every kind by its own example, and any bytes at all by a rule."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.problems import named
from vitale_protocol import catalogue
from vitale_protocol.media import interpret
from vitale_protocol.media.codes import LEAST_CANDIDATE, QR_SYMBOLOGIES, Code, Kind, classify
from vitale_protocol.problems import Problem

INS = b"IS01" + b"0" * 22 + b"S1277010115400329S21.2.250.1.213.1.4.10\x1dS3SARAH\x1dS4GARCIA\x1dS5FS601-01-1977S701154"
TWO_D_DOC = b"DC02FR000001125E125B0126FR247500010MME/SPECIMEN/NATACHA\x1d\x1fABCD"
SEVERAL = Code("several", problem=Problem("payload_invalid", "several"))
SYMBOLOGIES = ("", "qr", "micro-qr", "rmqr", "datamatrix", "aztec", "pdf417", "code128", "ean13")


@pytest.mark.parametrize("symbology", SYMBOLOGIES)
@pytest.mark.parametrize(("data", "kind"), [(INS, "ins-datamatrix"), (TWO_D_DOC, "2d-doc")])
def test_printed_codes_are_known_in_any_symbology(data: bytes, kind: Kind, symbology: str) -> None:
    code = classify(data, symbology)

    told = {"symbology": symbology.encode()} if symbology else {}
    assert code == Code(kind, kind, {"code": data, **told})  # type: ignore[arg-type]


@pytest.mark.parametrize("symbology", ["", "qr", "micro-qr", "rmqr"])
@pytest.mark.parametrize(
    "data",
    [
        b"VITALESIM.c29tZXRoaW5n",
        b"\x00\xff\x80 anything that is no text",
        b"x" * 4096,
        b"x" * 16,
        b"IS01 and no zeros",
        b"DC04 is a direct current",
        b"an:opaque/string.with+signs==",
        b"0103400930000 and more",
    ],
)
def test_what_nothing_else_is_may_be_an_apcv(data: bytes, symbology: str) -> None:
    code = classify(data, symbology)

    told = {"symbology": symbology.encode()} if symbology else {}
    assert code == Code("apcv-qr", "apcv-qr", {"string": data, **told})


DRESSES: dict[str, Callable[[bytes], bytes]] = {
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "UTF-16": lambda data: data.decode("latin-1").encode("utf-16"),
    "an AIM identifier": lambda data: b"]d1" + data,
    "two identifiers": lambda data: b"]d1]Q1" + data,
    "STX and ETX": lambda data: b"\x02" + data + b"\x03",
    "line ends and spaces": lambda data: b"\r\n " + data + b" \r\n",
    "NUL behind it": lambda data: data + b"\0\0",
}
"""What imagers, editors and programs put around a code, of which it is no other code."""


@pytest.mark.parametrize("dress", DRESSES.values(), ids=DRESSES)
@pytest.mark.parametrize(("data", "kind"), [(INS, "ins-datamatrix"), (TWO_D_DOC, "2d-doc")])
def test_a_printed_code_is_known_however_it_is_dressed(
    dress: Callable[[bytes], bytes], data: bytes, kind: Kind
) -> None:
    assert classify(dress(data)) == Code(kind, kind, {"code": data})  # type: ignore[arg-type]


@pytest.mark.parametrize("dress", DRESSES.values(), ids=DRESSES)
@pytest.mark.parametrize(
    "data",
    [
        b"3400936404649",
        b"01034009364046491728123110ABC123",
        b"https://example.fr/carnet",
        b"WIFI:S:officine;T:WPA;P:secret;;",
        b"hello world",
        b"277010115400329",
        b"mdoc:owBjMS4wAYIB2BhYS6QBAiAB",
    ],
)
def test_nothing_else_becomes_an_apcv_by_its_dress(dress: Callable[[bytes], bytes], data: bytes) -> None:
    assert classify(dress(data)).kind == classify(data).kind
    assert classify(data).medium is None


@pytest.mark.parametrize("cut", range(8, len(INS[:26])))
def test_an_ins_code_that_is_cut_in_its_header_is_no_apcv(cut: int) -> None:
    if cut >= LEAST_CANDIDATE:
        # Not "other": that goes to whoever asks for the codes of boxes.
        assert classify(INS[:cut]) == Code("ins-datamatrix", problem=Problem("payload_invalid", "ins-format"))
    assert classify(INS[:cut]).medium is None


@pytest.mark.parametrize("cut", range(LEAST_CANDIDATE, 22))
@pytest.mark.parametrize("dress", [bytes, bytes.lower])
def test_a_2d_doc_that_is_cut_in_its_header_is_no_apcv_and_no_box(cut: int, dress: Callable[[bytes], bytes]) -> None:
    code = classify(dress(TWO_D_DOC[:cut]))
    assert code == Code("2d-doc", problem=Problem("payload_invalid", "2d-doc-format"))


@pytest.mark.parametrize("data", [INS.lower(), TWO_D_DOC.lower()], ids=["ins", "2d-doc"])
def test_a_printed_code_in_small_letters_is_no_apcv_and_no_box(data: bytes) -> None:
    code = classify(data)
    assert (None, "payload_invalid") == (code.medium, code.problem.reason if code.problem else "")
    assert code.kind != "other"


@pytest.mark.parametrize(
    "data",
    [
        b"340093640464912345",  # an article's number with the add-on of a magazine
        b"1234567890123456789012345678",
        b"[)>\x1e06\x1d9N111234567842\x1d1TABC\x1dD281231\x1dS123\x1e\x04",  # ISO/IEC 15434, as on boxes of IFA
        b"]D20103400936404649",
        b"HC1:NCFOXN%TS3DHPVO13J /G-/2YRVA.Q/R8",  # an EU Digital COVID Certificate
        b"\0" * 40,
        b"\r\n" * 20,
    ],
)
def test_what_is_plainly_something_else_is_no_apcv(data: bytes) -> None:
    assert classify(data).medium is None


GROUPED = [f"2{one}77{one}01{one}01{one}154{one}003{one}29".encode() for one in (".", "-", "/", "\u00a0", "\u202f")]


@pytest.mark.parametrize(
    "data", [b"277010115400329", b"2 77 01 01 154 003 29", b"253072A073004 43", b"2770101154003", *GROUPED]
)
@pytest.mark.parametrize("symbology", ["", "qr", "code128"])
def test_a_nir_that_was_typed(data: bytes, symbology: str) -> None:
    assert classify(data, symbology) == Code(
        "nir", problem=Problem("medium_unsupported", "nir", data={"medium": "nir"})
    )


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"mdoc:owBjMS4wAYIB2BhYS6QBAiABIVgg", "mdoc"),
        (b"MDOC:owBjMS4w", "mdoc"),
        (b"openid4vp://?client_id=x&request_uri=y", "openid4vp"),
        (b"haip://?request_uri=y", "openid4vp"),
        (b"haip-vp://?request_uri=y", "openid4vp"),
        (b"mdoc-openid4vp://?request_uri=y", "openid4vp"),
        (b"eudi-openid4vp://?request_uri=y", "openid4vp"),
    ],
)
@pytest.mark.parametrize("symbology", ["", "qr"])
def test_wallets_are_named(data: bytes, kind: Kind, symbology: str) -> None:
    assert classify(data, symbology) == Code(kind, problem=Problem("medium_unsupported", kind, data={"medium": kind}))


@pytest.mark.parametrize(
    ("data", "symbology"),
    [
        (b"0103400930000120172512311012345", "datamatrix"),
        (b"anything", "pdf417"),
        (b"VITALESIM.c29tZXRoaW5n", "aztec"),
        (b"3400930000120", "ean13"),
        (b"2770101154003", "ean13"),
    ],
)
def test_another_symbology_is_no_code_of_a_patient(data: bytes, symbology: str) -> None:
    code = classify(data, symbology)
    assert (code.kind, code.medium, code.problem) == (
        "other",
        None,
        Problem("medium_unsupported", "other", data={"medium": "other"}),
    )


@pytest.mark.parametrize("symbology", ["", "qr", "micro-qr", "rmqr"])
@pytest.mark.parametrize(
    "data",
    [
        b"3400930000120",
        b"3400930000121",
        b"96385074",
        b"3000012",
        b"0103400930000120172512311012345",
        b"0103400930000121172512311012345",
        b"0103400930000120 and more",
        b"(01)03400930000120(17)251231(10)12345",
        b"\x1d01034009300001201725123110AB\x1d21X",
        b"\x1d1725123110AB\x1d21X and so on",
        b"]d20103400930000120",
        b"172512310103400936404649",
        b"10AB\x1d17251231010340093640464921X",
        b"21ABC123\x1d0103400936404649",
        b"(17)251231(10)AB(01)03400936404649",
    ],
)
def test_what_is_on_boxes_is_no_apcv_right_or_wrong(data: bytes, symbology: str) -> None:
    code = classify(data, symbology)
    assert (code.kind, code.medium, code.problem) == (
        "other",
        None,
        Problem("medium_unsupported", "other", data={"medium": "other"}),
    )


@pytest.mark.parametrize("symbology", ["", "qr"])
@pytest.mark.parametrize(
    "data",
    [
        b"https://example.org/?a=b",
        b"HTTPS://EXAMPLE.ORG/ORDONNANCE/0123456789",
        b" http://example.org/a/long/way",
        b"www.example.org/a/long/way",
        b"myapp-1.0+x://open?id=0123456789",
        b"WIFI:S:salle d'attente;T:WPA;P:secret;;",
        b"mailto:someone@example.org",
        b"tel:+33123456789012",
        b"SMSTO:+33123456789:hello",
        b"geo:48.858,2.294?q=tower",
        b"MECARD:N:DUPONT,CAMILLE;;",
        b"BEGIN:VCARD\nVERSION:3.0\nEND:VCARD",
        b"BEGIN:VEVENT\nEND:VEVENT",
        b"BCD\n002\n1\nSCT\n\nAssociation",
        b"SPC\r\n0200\r\n1\r\nCH44",
        b"urn:uuid:00000000-0000-0000-0000-000000000000",
        b"data:text/plain,hello there",
        b"Bienvenue !",
        b"x" * 15,
        b" ",
    ],
)
def test_what_telephones_act_upon_and_short_words_are_no_apcv(data: bytes, symbology: str) -> None:
    assert classify(data, symbology).kind == "other"


@pytest.mark.parametrize(("data", "kind", "fault"), [(b"", "other", "empty"), (bytes(4097), "too-long", "too-long")])
@pytest.mark.parametrize("symbology", SYMBOLOGIES)
def test_nothing_and_too_much(data: bytes, kind: Kind, fault: str, symbology: str) -> None:
    assert classify(data, symbology) == Code(kind, problem=Problem("payload_invalid", fault))


@given(st.binary(max_size=4200), st.sampled_from(SYMBOLOGIES))
def test_any_bytes_are_of_one_kind(data: bytes, symbology: str) -> None:
    code = classify(data, symbology)

    assert (code.medium is None) == (code.evidence == {}) == bool(named(code.problem))
    assert code.medium in {None, code.kind}
    if code.medium == "apcv-qr":
        assert symbology in {"", *QR_SYMBOLOGIES}
        assert code.evidence["string"] == data


@given(st.binary(min_size=1, max_size=200))
def test_a_code_does_not_show_what_it_says(data: bytes) -> None:
    shown = repr(classify(b"VITALESIM." + data, "qr"))

    assert "VITALESIM" not in shown


@pytest.mark.parametrize("kind", ["nir", "mdoc", "openid4vp", "other"])
@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_what_is_no_medium_has_its_own_text(kind: str, language: catalogue.Language) -> None:
    assert catalogue.text("medium_unsupported", language, kind) != catalogue.text("medium_unsupported", language)
    plain = catalogue.step_message("retry", language, "medium_unsupported")
    assert catalogue.step_message("retry", language, "medium_unsupported", kind) != plain


@pytest.mark.parametrize("symbology", ["", "qr"])
@pytest.mark.parametrize("behind", [INS, TWO_D_DOC, b"VITALESIM.c29tZXRoaW5n"], ids=["ins", "2d-doc", "simulated"])
@pytest.mark.parametrize(
    "before", [b"3400936404649", INS, TWO_D_DOC, b"VITALESIM.c29tZXRoaW5n", b"an-opaque-string-of-24"], ids=bytes.decode
)
def test_codes_that_came_as_one_are_several(before: bytes, behind: bytes, symbology: str) -> None:
    assert classify(before + behind, symbology) == SEVERAL


@pytest.mark.parametrize("between", [b"\r", b"\n", b"\r\n", b"\t", b"\0", b"\x03", b"\x03\x02", b"\n\n"], ids=repr)
@pytest.mark.parametrize("other", [INS, TWO_D_DOC, b"VITALESIM.c29tZXRoaW5n", b"an-opaque-string-of-24"])
@pytest.mark.parametrize("one", [INS, TWO_D_DOC, b"VITALESIM.c29tZXRoaW5n"])
def test_codes_with_the_end_of_a_scan_between_them_are_several(one: bytes, other: bytes, between: bytes) -> None:
    for end in (b"", between):
        assert classify(one + between + other + end, "qr") == SEVERAL
        assert classify(other + between + one + end, "qr") == SEVERAL


@pytest.mark.parametrize("between", [b"\r", b"\n", b"\t", b"\0", b"\x03\x02"], ids=repr)
def test_an_opaque_string_may_have_anything_within(between: bytes) -> None:
    """What a licensed string looks like is not known: it may be binary."""
    data = b"another-opaque-string" + between + b"an-opaque-string-of-24"
    assert classify(data, "qr").evidence["string"] == data


@pytest.mark.parametrize("data", [INS, b"an-opaque-string-of-24"])
def test_a_word_on_another_line_is_no_second_code(data: bytes) -> None:
    assert classify(data + b"\nS5F", "qr").kind != "several"


@pytest.mark.parametrize(
    "data",
    [
        b"3400936404649" * 3,
        b"3400936404649" + b"01034009364046491728123110ABC123",
        b"3400936404649an-opaque-string-of-24",
        b"an-opaque-string-of-24" + b"3400936404649",
    ],
)
def test_a_pack_of_medicine_and_more_are_several(data: bytes) -> None:
    assert classify(data) == SEVERAL
    other = data.replace(b"34009", b"34019")
    assert classify(other).kind != "several", "no medicine, or a key that is wrong"


@pytest.mark.parametrize(
    ("data", "kind", "fault"), [(INS, "ins-datamatrix", "ins-format"), (TWO_D_DOC, "2d-doc", "2d-doc-format")]
)
def test_a_mark_that_nobody_took_away_is_no_second_code(data: bytes, kind: Kind, fault: str) -> None:
    assert classify(b"w" + data) == Code(kind, problem=Problem("payload_invalid", fault))


@pytest.mark.parametrize("fault", ["too-long", "empty", "several"])
def test_faults_have_their_own_text(fault: str) -> None:
    assert catalogue.text("payload_invalid", "en", fault) != catalogue.text("payload_invalid", "en")


def test_a_candidate_is_interpreted() -> None:
    code = classify(b"VITALESIM.c29tZXRoaW5n", "qr")
    assert code.medium == "apcv-qr"

    assert interpret(code.medium, code.evidence, simulated=False).origin == "simulated"


def test_the_catalogue_does_not_speak_of_cards_where_a_code_was_shown() -> None:
    for kind in ("nir", "mdoc", "openid4vp", "other"):
        told = catalogue.text("medium_unsupported", "en", kind)
        assert not re.search(r"\binsert\b", told.remedy, re.IGNORECASE)
