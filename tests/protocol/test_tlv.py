"""BER-TLV: strict, bounded, and nothing raised but what is documented."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol import tlv
from vitale_protocol.errors import LocalMisuse, MediumUnreadable
from vitale_protocol.tlv import Tlv

PRIMITIVE = st.sampled_from([0x80, 0x81, 0x93, 0x04, 0x5F37, 0x5F38, 0x9F8101, 0xDF818102])
CONSTRUCTED = st.sampled_from([0x65, 0x66, 0xE0, 0xA0, 0x7F21, 0x6F, 0x30])


def objects(depth: int = 3) -> st.SearchStrategy[bytes]:
    leaf = st.builds(tlv.encode, PRIMITIVE, st.binary(max_size=300))
    if depth == 1:
        return leaf
    return leaf | st.builds(tlv.encode, CONSTRUCTED, st.lists(objects(depth - 1), max_size=3))


def encoded_again(one: Tlv) -> bytes:
    return tlv.encode(one.tag, [encoded_again(child) for child in one.children] if one.constructed else one.value)


def test_nested_objects_are_found_by_path() -> None:
    found = tlv.parse(bytes.fromhex("650A 8003414243 8203313233 6602 8000 6505 8003444546"))
    assert [one.value for one in tlv.find_all(found, 0x65, 0x80)] == [b"ABC", b"DEF"]
    first = tlv.find(found, 0x65, 0x82)
    assert first == Tlv(0x82, b"123")
    assert tlv.find(found, 0x66, 0x81) is None
    assert tlv.find(found, 0x67, 0x80) is None


def test_tags_and_lengths_of_several_bytes() -> None:
    (certificate,) = tlv.parse(bytes.fromhex("7F21 8180") + tlv.encode(0x5F37, bytes(125)))
    assert certificate.tag == 0x7F21
    assert certificate.constructed
    assert certificate.children == (Tlv(0x5F37, bytes(125)),)
    assert tlv.parse(b"\x80\x83\x01\x00\x00" + bytes(65_536), max_length=70_000) == (Tlv(0x80, bytes(65_536)),)


REFUSED = {
    "left over": "8001410080",
    "truncated value": "800241",
    "truncated length": "808201",
    "no length": "80",
    "half a tag": "5F",
    "indefinite length": "65800000",
    "length of five bytes": "80850000000001",
    "first byte 00": "0000",
    "first byte FF": "FF00",
    "tag of five bytes": "9F8181810100",
    "tag not in its shortest form": "9F1E00",
    "tag number with leading zeros": "9F800100",
    "child longer than its parent": "65028005",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_is_not_strict_is_refused(data: str) -> None:
    with pytest.raises(MediumUnreadable):
        tlv.parse(bytes.fromhex(data))


def test_depth_and_length_are_bounded() -> None:
    nested = b""
    for _ in range(8):  # the figure itself: whoever changes it decides so
        nested = tlv.encode(0x65, nested)
    assert tlv.parse(nested)
    with pytest.raises(MediumUnreadable, match="deep"):
        tlv.parse(tlv.encode(0x65, nested))
    with pytest.raises(MediumUnreadable, match="deep"):
        tlv.parse(tlv.encode(0x65, tlv.encode(0x80, b"")), max_depth=1)
    with pytest.raises(MediumUnreadable, match="more than 3 bytes"):
        tlv.parse(b"\x80\x02AB", max_length=3)


@pytest.mark.parametrize("filler", [b"", b"\x00", b"\xff" * 40, b"\x00\xff\x00"])
def test_filler_may_follow_the_objects(filler: bytes) -> None:
    assert tlv.parse_filled(b"\x80\x01A\x81\x00" + filler) == (Tlv(0x80, b"A"), Tlv(0x81, b""))


@pytest.mark.parametrize("data", ["800141008001", "80054100FF", "FF41", "80"])
def test_filler_is_only_filler_and_only_at_the_end(data: str) -> None:
    with pytest.raises(MediumUnreadable):
        tlv.parse_filled(bytes.fromhex(data))


@given(st.lists(objects(), max_size=4).map(b"".join))
def test_objects_survive_the_round_trip(data: bytes) -> None:
    parsed = tlv.parse(data)
    assert b"".join(encoded_again(one) for one in parsed) == data
    assert tlv.parse_filled(data + b"\xff" * 7) == parsed


@given(st.binary(max_size=400))
def test_arbitrary_bytes_raise_only_what_is_documented(data: bytes) -> None:
    for parse in (tlv.parse, tlv.parse_filled):
        with contextlib.suppress(MediumUnreadable):
            parse(data)


@pytest.mark.parametrize("tag", [0x00, 0xFF, 0x9F, 0x9F1E, 0x6580, 0x9F8080])
def test_no_such_tag_is_misuse(tag: int) -> None:
    with pytest.raises(LocalMisuse):
        tlv.encode(tag, b"")


def test_nothing_shows_values() -> None:
    assert "CANARI" not in repr(tlv.parse(tlv.encode(0x65, tlv.encode(0x80, b"NOM-CANARI"))))


LENGTHS = {
    0: "00",
    127: "7F",
    128: "8180",
    255: "81FF",
    256: "820100",
    65_535: "82FFFF",
    65_536: "83010000",
    16_777_216: "8401000000",
}


@pytest.mark.parametrize("length", LENGTHS)
def test_a_length_has_its_shortest_form_at_each_border(length: int) -> None:
    value = bytes(length)
    encoded = tlv.encode(0x80, value)
    assert encoded[: len(encoded) - length].hex().upper() == "80" + LENGTHS[length]
    assert tlv.parse(encoded, max_length=len(encoded)) == (Tlv(0x80, value),)


@pytest.mark.parametrize("form", ["8100", "820000", "83000000", "8400000000"])
def test_a_length_of_zero_may_be_written_long_and_stand_last(form: str) -> None:
    data = bytes.fromhex("800141" + "81" + form)
    assert tlv.parse(data) == tlv.parse_filled(data) == (Tlv(0x80, b"A"), Tlv(0x81, b""))


@pytest.mark.parametrize("form", ["81", "8200", "830000", "84000000"])
def test_a_long_length_that_ends_too_early_is_refused(form: str) -> None:
    for parse in (tlv.parse, tlv.parse_filled):
        with pytest.raises(MediumUnreadable, match="a length is truncated"):
            parse(bytes.fromhex("81" + form))


@pytest.mark.parametrize("data", ["80800000", "65808001410000"])
def test_an_indefinite_length_is_refused(data: str) -> None:
    for parse in (tlv.parse, tlv.parse_filled):
        with pytest.raises(MediumUnreadable, match="indefinite"):
            parse(bytes.fromhex(data))


@pytest.mark.parametrize("between", ["01", "0001", "FF01", "7F"])
def test_no_other_byte_is_filler(between: str) -> None:
    for parse in (tlv.parse, tlv.parse_filled):
        with pytest.raises(MediumUnreadable):
            parse(bytes.fromhex("800141" + between))


def test_filler_counts_to_the_length_that_is_allowed() -> None:
    data = b"\x80\x01A" + bytes(5)
    assert tlv.parse_filled(data, max_length=len(data)) == (Tlv(0x80, b"A"),)
    with pytest.raises(MediumUnreadable, match="more than 7 bytes"):
        tlv.parse_filled(data, max_length=len(data) - 1)
    assert tlv.parse_filled(bytes(tlv.MAX_LENGTH)) == ()
    with pytest.raises(MediumUnreadable, match="more than 65536 bytes"):
        tlv.parse_filled(bytes(tlv.MAX_LENGTH + 1))
