"""``gs1``: boxes of medicine as they are printed, and everything that may be wrong with one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_drivers.scanner.gs1 import read_gs1
from vitale_protocol.events import Gs1

BOX = b"010340093000012017271231109A5C\x1d21000000000042"
WHOLE = Gs1(gtin="03400930000120", lot="9A5C", expiry="2027-12-31", serial="000000000042")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (BOX, WHOLE),
        (b"\x1d" + BOX, WHOLE),
        (b"010340093000012021000000000042\x1d17271231109A5C", WHOLE),
        (b"17271231109A5C\x1d010340093000012021000000000042", WHOLE),
        (b"0103400930000120", Gs1(gtin="03400930000120")),
        (b"01034009300001201727120010A", Gs1(gtin="03400930000120", expiry="2027-12-31", lot="A")),
        (b"01034009300001207103400930000120\x1d10A-1/2", Gs1(gtin="03400930000120", lot="A-1/2")),
        (b"010340093000012010A\x1d10A", Gs1(gtin="03400930000120", lot="A")),
    ],
)
def test_boxes(data: bytes, expected: Gs1) -> None:
    assert expected == read_gs1(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1d",
        b"3400930000120",
        BOX.replace(b"0120", b"0121", 1),
        BOX.replace(b"271231", b"270231"),
        BOX.replace(b"271231", b"271301"),
        b"0103400930000120172712",
        b"010340093000012",
        b"010340093000012010A\x1d10B",
        b"01034009300001200103400930000137",
        b"010340093000012010" + b"A" * 21,
        b"0103400930000120XX",
        b"010340093000012010\xe9",
        b"17271231109A5C",
        b"(01)03400930000120",
        BOX + b"\x1d" + b"10" + b"A" * 400,
    ],
)
def test_what_is_wrong_or_no_box_says_nothing(data: bytes) -> None:
    assert read_gs1(data) is None


@given(st.binary(max_size=120) | st.text(alphabet="0123456789AZ\x1d", max_size=80).map(str.encode))
def test_any_bytes_are_read_or_not(data: bytes) -> None:
    for tried in (data, b"0103400930000120" + data):
        found = read_gs1(tried)
        assert found is None or len(found.gtin) == 14
