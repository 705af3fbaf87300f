"""The apCV as a medium: its string is transported and nothing is said of it."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.apdu import Response
from vitale_protocol.errors import MediumUnreadable, MediumUnsupported, PayloadInvalid
from vitale_protocol.media import apcv, interpret
from vitale_protocol.media.apcv_profile import Profile, parse_profile
from vitale_protocol.records import Proof, Reading, Record
from vitale_protocol.session.wire_errors import to_wire


def profile(name: str, aid: str) -> Profile:
    return parse_profile(
        f'name = "{name}"\nversion = "1"\norigin = "test"\naids = ["{aid}"]\n[[commands]]\napdu = "00 CA 00 5E 00"\n'
    )


ONE, OTHER = profile("un", "A0 00 00 09 01"), profile("deux", "A0 00 00 09 02")


@pytest.mark.parametrize(("simulated", "origin"), [(True, "simulated"), (False, "unknown")])
@pytest.mark.parametrize("string", [b"x", b"\x00\xff" * 2048])
def test_a_string_is_transported(string: bytes, simulated: bool, origin: str) -> None:
    reading = interpret("apcv-nfc", {"string": string, "profile": b"un/1"}, simulated=simulated)

    assert reading.medium == "apcv-nfc"
    assert reading.proof == Proof(method="apcv-transported", verified=False, freshness="none")
    assert reading.origin == origin
    assert reading.record == Record()
    assert reading.warnings == ()


@given(
    st.binary(min_size=1, max_size=4096).filter(lambda string: not apcv.is_simulated(string)),
    st.booleans(),
)
def test_nothing_of_the_string_is_in_the_reading(string: bytes, simulated: bool) -> None:
    evidence = {"string": string, "profile": b"un/1"}

    assert interpret("apcv-nfc", evidence, simulated=simulated) == interpret(
        "apcv-nfc", {**evidence, "string": b"other"}, simulated=simulated
    )


@pytest.mark.parametrize("evidence", [{}, {"string": b""}, {"string": bytes(4097)}, {"identity": b"x"}])
def test_no_string_and_too_long_a_string(evidence: dict[str, bytes]) -> None:
    with pytest.raises(MediumUnreadable):
        interpret("apcv-nfc", evidence, simulated=False)


@pytest.mark.parametrize("evidence", [{}, {"string": b""}, {"string": bytes(4097)}, {"code": b"x"}])
def test_a_qr_code_without_a_string(evidence: dict[str, bytes]) -> None:
    with pytest.raises(PayloadInvalid):
        interpret("apcv-qr", evidence, simulated=False)


def test_a_qr_code_is_transported() -> None:
    reading = interpret("apcv-qr", {"string": b"https://example.org/", "symbology": b"qr"}, simulated=False)

    assert reading == Reading(
        medium="apcv-qr",
        proof=Proof(method="apcv-transported", verified=False, freshness="none"),
        origin="unknown",
        record=Record(),
    )


@pytest.mark.parametrize("medium", ["apcv-nfc", "apcv-qr"])
def test_a_string_of_the_simulated_phone_is_simulated_whatever_read_it(medium: str) -> None:
    shown = {"string": apcv.SIMULATED_PREFIX + b"abc", "profile": b"un/1"}

    assert interpret(medium, shown, simulated=False).origin == "simulated"


DRESSINGS: tuple[Callable[[bytes], bytes], ...] = (
    lambda text: b" " + text,
    lambda text: text + b" ",
    lambda text: text + b"\r\n",
    lambda text: b"\t" + text + b"\x1d",
    lambda text: b"\x1d" + text,
    lambda text: text + b"<GS>",
    lambda text: b"]Q1" + text,
    lambda text: b"]d2" + text,
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: text + b"=",
    lambda text: text + b"==",
    lambda text: text[:3] + b"\n" + text[3:],
    lambda text: text + "\u200b".encode(),
    lambda text: "\u00a0".encode() + text,
    lambda text: text + b"\0",
    lambda text: text.replace(b"-", b"+").replace(b"_", b"/"),
    lambda text: "".join(
        chr(one + 0xFEE0) if 0x21 <= one < 0x7F else chr(one) for one in text
    ).encode(),  # full-width forms
)
ONE_STRING = st.from_regex(rb"[A-Za-z0-9_-]{8,80}", fullmatch=True)


@given(ONE_STRING, st.lists(st.sampled_from(DRESSINGS), max_size=4), st.booleans())
def test_a_string_is_the_same_however_it_is_dressed(text: bytes, dressings: list[Any], simulated: bool) -> None:
    text = apcv.SIMULATED_PREFIX + text if simulated else text
    dressed = text
    for dress in dressings:
        # Full-width forms can be made of ASCII alone.
        dressed = dress(dressed) if dressed.isascii() or dress is not DRESSINGS[-1] else dressed
    assert apcv.canonical(dressed) == apcv.canonical(text)
    assert apcv.is_simulated(dressed) is simulated


@given(ONE_STRING, ONE_STRING)
def test_two_strings_stay_two(one: bytes, other: bytes) -> None:
    same = one == other or (one.upper() == other.upper() and (one.islower() or other.islower()))
    assert (apcv.canonical(one) == apcv.canonical(other)) is same


@given(st.binary(min_size=1, max_size=200))
def test_the_canonical_form_is_canonical_and_never_empty(string: bytes) -> None:
    once = apcv.canonical(string)
    assert once
    if b"=" not in once and b"]" not in once:
        assert apcv.canonical(once) == once


@pytest.mark.parametrize("text", [b"0123456789abcdef", b"mfrggzdfmy2tqojq"])
def test_letters_of_one_case_have_no_case(text: bytes) -> None:
    assert apcv.canonical(text) == apcv.canonical(text.upper()) == text.upper()


@pytest.mark.parametrize(
    "string", [b" VITALESIM.abc", b"]Q1VITALESIM.abc", b"vitalesim.abc", "VITALESIM.abc".encode("utf-16")]
)
def test_a_dressed_string_of_the_simulated_phone_is_simulated(string: bytes) -> None:
    assert interpret("apcv-qr", {"string": string}, simulated=False).origin == "simulated"


class TestSeveralProfiles:
    def test_the_first_whose_application_is_there_reads(self) -> None:
        script = apcv.reading_script((ONE, OTHER))
        assert next(script).data.hex() == "a000000901"
        assert script.send(Response(b"", 0x6A82)).data.hex() == "a000000902"
        script.send(Response(b"", 0x9000))
        with pytest.raises(StopIteration) as end:
            script.send(Response(b"opaque", 0x9000))

        assert end.value.value == {"string": b"opaque", "profile": b"deux/1"}
        assert apcv.profile_of(end.value.value, (ONE, OTHER)) is OTHER

    def test_none_is_there(self) -> None:
        script = apcv.reading_script((ONE, OTHER))
        next(script)
        script.send(Response(b"", 0x6A82))
        with pytest.raises(MediumUnsupported) as unsupported:
            script.send(Response(b"", 0x6A82))

        assert "application carte Vitale" in to_wire(unsupported.value, "fr")["data"]["remedy"].__str__()

    def test_without_profiles_there_is_nothing_to_read(self) -> None:
        with pytest.raises(MediumUnsupported):
            next(apcv.reading_script(()))

    def test_a_phone_that_refuses_is_not_asked_by_the_next(self) -> None:
        script = apcv.reading_script((ONE, OTHER))
        next(script)
        script.send(Response(b"", 0x9000))
        with pytest.raises(MediumUnreadable):
            script.send(Response(b"", 0x6985))

    @pytest.mark.parametrize("evidence", [{}, {"profile": b"trois/1"}, {"profile": b"un/2"}])
    def test_a_profile_that_is_not_known(self, evidence: dict[str, bytes]) -> None:
        with pytest.raises(MediumUnreadable):
            apcv.profile_of(evidence, (ONE, OTHER))


@pytest.mark.parametrize(
    ("variant", "title"), [("phone-locked", "Téléphone verrouillé"), ("apcv-nfc", "Téléphone illisible")]
)
def test_the_catalogue_speaks_of_a_phone(variant: str, title: str) -> None:
    assert to_wire(MediumUnreadable(variant=variant), "fr")["message"] == title


def test_a_reading_survives_the_wire() -> None:
    reading = interpret("apcv-nfc", {"string": b"x"}, simulated=True)

    assert msgspec.json.decode(msgspec.json.encode(reading), type=type(reading)) == reading
