"""Answers to reset taken apart, whole and cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.diagnosis.atr import parse_atr

CPS_3 = "00 12 25 00 64 80 00 03 10 00 90 00"
CPS_4 = "00 12 25 00 64 80 00 03 10 00 90"


@pytest.mark.parametrize(
    ("atr", "convention", "protocols", "historical", "complete"),
    [
        ("3B 75 13 00 00 45 09 EA 90 00", "direct", (0,), "45 09 EA 90 00", True),
        ("3F 65 25 00 22 09 69 90 00", "inverse", (0,), "22 09 69 90 00", True),
        ("3B AC 00 40 2A 00 12 25 00 64 80 00 03 10 00 90 00", "direct", (0,), CPS_3, True),
        ("3B 9B 18 80 01 00 12 25 00 64 80 00 03 10 00 90 00", "direct", (0, 1), CPS_4, True),
        ("3B 80 80 01 01", "direct", (0, 1), "", True),
        ("3B DF 18 FF 81 F1 FE 43", "direct", (1,), "", False),
        ("3B 75 13 00 00 45", "direct", (0,), "45", False),
        ("3B 70 13 00", "direct", (0,), "", False),
        ("3B", "direct", (), "", False),
        ("", "", (), "", False),
        ("00 00", "", (0,), "", False),
    ],
)  # fmt: skip
def test_an_answer_to_reset(
    atr: str, convention: str, protocols: tuple[int, ...], historical: str, complete: bool
) -> None:
    found = parse_atr(bytes.fromhex(atr))
    assert (found.convention, found.historical, found.complete) == (convention, bytes.fromhex(historical), complete)
    assert found.protocols == protocols


@given(st.binary(max_size=40))
def test_any_bytes_are_taken_apart(atr: bytes) -> None:
    assert len(parse_atr(atr).historical) <= 15
