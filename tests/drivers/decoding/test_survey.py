"""Two codes in view: while any way to look reads both, no camera may take one of them for the only one."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
import zxingcpp

from tests.benchmarks.several import Pair, frame_of, pairs
from vitale_drivers.decoding import StreamDecoder, decode
from vitale_drivers.decoding.picture import Picture
from vitale_drivers.decoding.stages import STAGES
from vitale_drivers.decoding.survey import Look, Looked, survey

if TYPE_CHECKING:
    from vitale_drivers.decoding import Symbol

Grey = npt.NDArray[np.uint8]


def union(picture: Grey) -> set[bytes]:
    """What zxing-cpp by itself, zbar where it is installed, and any stage of ours reads."""
    formats = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCodeModel2, zxingcpp.BarcodeFormat.DataMatrix])
    read = {found.bytes for found in zxingcpp.read_barcodes(picture, formats=formats)}
    held = Picture(picture)
    read |= {symbol.data for stage in STAGES for symbol in stage.symbols(held)}
    return read | set(by_zbar(picture)) | set(by_zbar(held.half.pixels))


def by_zbar(picture: Grey) -> Iterator[bytes]:
    try:
        from pyzbar import pyzbar
    except ImportError:  # the system has no libzbar
        return
    for found in pyzbar.decode(picture, symbols=[pyzbar.ZBarSymbol.QRCODE]):
        yield found.data


def presented(picture: Grey) -> set[bytes]:
    """What a camera takes down before it presents anything."""
    decoder = StreamDecoder()
    return data(decoder.survey()) if decoder.see(picture, around=True) else set()


def data(symbols: Iterable["Symbol"]) -> set[bytes]:
    return {symbol.data for symbol in symbols}


def taken_alone(pictures: Iterable[Pair]) -> tuple[list[Pair], int]:
    """The frames of which a camera would present one code though there are two; and in how many two can be read."""
    wrong: list[Pair] = []
    two = 0
    for pair in pictures:
        both = set(pair.contents)
        seen = presented(pair.picture)
        assert seen <= both
        if seen == both or union(pair.picture) >= both:
            two += 1
            if len(seen) == 1:
                wrong.append(pair)
    return wrong, two


def test_of_two_codes_none_is_taken_for_the_only_one() -> None:
    wrong, two = taken_alone(pairs(12, 0))
    assert wrong == []
    assert two >= 9


@pytest.mark.parametrize("number", [689, 710])
def test_what_only_the_grid_of_modules_shows_is_another_code(number: int) -> None:
    shown = frame_of(number, 99)
    assert presented(shown.picture) == set(shown.contents)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_of_two_codes_none_is_taken_for_the_only_one_in_a_thousand_frames() -> None:
    wrong, two = taken_alone(pairs(1000, 99))
    assert wrong == []
    assert two >= 900


def test_decoding_gives_all_that_can_be_seen() -> None:
    for pair in pairs(9, 3):
        if union(pair.picture) >= set(pair.contents):
            assert data(decode(pair.picture)) == set(pair.contents)


def test_the_first_reading_is_enough_where_this_is_asked() -> None:
    (pair,) = pairs(1, 3)
    assert 1 <= len(decode(pair.picture, first=True)) <= len(decode(pair.picture))


def test_both_decoders_look_at_the_whole() -> None:
    """Of a code with a finger at its finder that lies in no likely region, zbar alone reads some."""
    looks = list[Look]()

    def note(_: Looked, whole: Sequence[Look], around: Iterable[Look]) -> list[list["Symbol"]]:
        looks.extend(whole)
        return []

    picture = Picture(frame_of(0).picture)
    survey(picture, [], note)
    assert {False, True} == {stage.by_zbar for place, stage in looks if place is picture}


def test_before_any_frame_there_is_nothing() -> None:
    assert StreamDecoder().survey() == []


def test_what_is_seen_twice_is_one() -> None:
    (pair,) = pairs(1, 5)
    decoder = StreamDecoder()
    decoder.see(pair.picture)
    first = decoder.survey()
    assert len(data(first)) == len(first)
    assert data(decoder.survey()) == data(first)
