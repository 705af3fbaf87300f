"""Two patients' codes in a frame, the second as hard to see as can be: a camera takes neither for the only one."""

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import segno
import zxingcpp

from tests.benchmarks.paper import datamatrix, ins
from vitale_drivers.decoding import StreamDecoder, decode

Grey = npt.NDArray[np.uint8]

FIRST = b"VITALESIM.first-patient-" + b"a1" * 40
INS = b"IS01" + b"0" * 22 + b"S1277010115400329S21.2.250.1.213.1.4.10\x1dS3SARAH\x1dS4GARCIA\x1dS5FS601-01-1977S701154"
TWO_D_DOC = b"DC04FR0000011F3E1F3E01FR62NATACHA\x1d60GARCIA\x1d\x1f" + b"MFRGGZDF" * 12
SECOND = b"VITALESIM.second-" + b"b2" * 30


def drawn(content: bytes, module: int, *, border: int = 4, level: Literal["m", "h"] = "m") -> Grey:
    made = segno.make(content, error=level, micro=False)
    return enlarged(np.array([list(row) for row in made.matrix_iter(border=border)], dtype=np.uint8) == 0, module)


def enlarged(light: npt.NDArray[np.bool_], module: int) -> Grey:
    return np.kron(np.where(light, 255, 0), np.ones((module, module))).astype(np.uint8)


def dimmed(code: Grey, contrast: float) -> Grey:
    return (20 + code * contrast).astype(np.uint8)


def turned(code: Grey, degrees: float) -> Grey:
    side = round(max(code.shape) * 1.5)
    wide = np.full((side, side), 140, np.uint8)
    start = (side - code.shape[0]) // 2
    wide[start : start + code.shape[0], start : start + code.shape[1]] = code
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(wide, matrix, (side, side), borderValue=140.0), dtype=np.uint8)


def behind_glare(code: Grey) -> Grey:
    y, x = np.mgrid[: code.shape[0], : code.shape[1]] / code.shape[0]
    lamp = 260 * np.exp(-(((x - 0.4) / 0.25) ** 2) - ((y - 0.5) / 0.15) ** 2)
    return np.asarray(np.clip(code + lamp, 0, 255), dtype=np.uint8)


def desk() -> Grey:
    return np.full((720, 1280), 140, np.uint8)


def laid(frame: Grey, code: Grey, x: int, y: int) -> Grey:
    frame[y : y + code.shape[0], x : x + code.shape[1]] = code
    return frame


def photographed(frame: Grey) -> Grey:
    """A lens that is a little soft, a sensor with a little noise."""
    soft = cv2.GaussianBlur(frame, (0, 0), 0.6).astype(np.float32)
    return np.clip(soft + np.random.default_rng(3).normal(0, 1.5, frame.shape), 0, 255).astype(np.uint8)


def taken_down(frame: Grey) -> set[bytes]:
    """What a camera takes down before it presents anything."""
    decoder = StreamDecoder()
    return {symbol.data for symbol in decoder.survey()} if decoder.see(frame, around=True) else set()


SEEN: dict[str, Callable[[], Grey]] = {
    "tiny": lambda: drawn(SECOND, 2),
    "dim": lambda: dimmed(drawn(SECOND, 3), 0.2),
    "dark": lambda: dimmed(drawn(SECOND, 3), 0.12),
    "larger and dark": lambda: dimmed(drawn(SECOND, 4), 0.12),
    "very dark": lambda: dimmed(drawn(SECOND, 3), 0.08),
    "inverted": lambda: 255 - drawn(SECOND, 3),
    "dark and inverted": lambda: dimmed(255 - drawn(SECOND, 4), 0.15),
    "in a mirror": lambda: np.ascontiguousarray(drawn(SECOND, 3)[:, ::-1]),
    "inverted in a mirror": lambda: np.ascontiguousarray(255 - drawn(SECOND, 3)[:, ::-1]),
    "turned": lambda: turned(drawn(SECOND, 3), 17),
    "on its corner": lambda: turned(drawn(SECOND, 3), 45),
    "upside down": lambda: turned(drawn(SECOND, 3), 163),
    "behind glare": lambda: behind_glare(drawn(SECOND, 4, level="h")),
}


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("first", ["bright", "inverted"])
def test_a_second_code_is_seen_however_it_looks(first: str, seen: str) -> None:
    near = drawn(FIRST, 6)
    frame = laid(laid(desk(), 255 - near if first == "inverted" else near, 100, 80), SEEN[seen](), 850, 250)
    assert {FIRST, SECOND} == taken_down(photographed(frame))


def test_a_code_within_a_code_is_another_one() -> None:
    outer, inner = drawn(FIRST, 8, level="h"), drawn(SECOND, 2, border=2)
    start = (outer.shape[0] - inner.shape[0]) // 2
    frame = laid(desk(), laid(outer, inner, start, start), 200, 60)
    assert {FIRST, SECOND} == taken_down(photographed(frame))


@pytest.mark.parametrize("border", [4, 1])
def test_codes_that_touch_are_two(border: int) -> None:
    one, other = drawn(FIRST, 4, border=border), drawn(SECOND, 4, border=border)
    frame = laid(laid(desk(), one, 150, 150), other, 150 + one.shape[1], 150)
    assert {FIRST, SECOND} == taken_down(photographed(frame))


def test_a_datamatrix_on_paper_beside_a_phone_is_another_one() -> None:
    content = ins(np.random.default_rng(8))
    for module in (3, 4):
        frame = laid(laid(desk(), drawn(FIRST, 6), 100, 80), enlarged(datamatrix(content) > 0, module), 850, 250)
        assert {FIRST, content} == taken_down(photographed(frame))


@pytest.mark.parametrize("module", [3, 4])
@pytest.mark.parametrize("content", [INS, TWO_D_DOC], ids=["ins", "2d-doc"])
@pytest.mark.parametrize("name", ["Aztec", "PDF417", "DataMatrix", "QRCode"])
def test_a_printed_code_in_whatever_symbology_beside_a_phone_is_another_one(
    name: str, content: bytes, module: int
) -> None:
    kind = zxingcpp.BarcodeFormat.__members__[name]
    made = zxingcpp.create_barcode(content, kind)  # pyright: ignore[reportUnknownMemberType]
    other = np.array(made.to_image(scale=module, add_quiet_zones=True), dtype=np.uint8)
    assert {FIRST, content} == taken_down(photographed(laid(laid(desk(), drawn(FIRST, 5), 60, 60), other, 540, 100)))


@pytest.mark.parametrize("name", ["Aztec", "PDF417", "MicroQRCode", "RMQRCode", "Code128"])
def test_what_no_patient_shows_is_neither_read_nor_in_the_way(name: str) -> None:
    kind = zxingcpp.BarcodeFormat.__members__[name]
    made = zxingcpp.create_barcode("ABC123", kind)  # pyright: ignore[reportUnknownMemberType]
    other = np.array(made.to_image(scale=4, add_quiet_zones=True), dtype=np.uint8)
    frame = photographed(laid(laid(desk(), drawn(FIRST, 4), 100, 80), other, 750, 250))
    assert {FIRST} == taken_down(frame) == {symbol.data for symbol in decode(frame)}


def test_a_rectangular_datamatrix_beside_a_phone_is_another_one() -> None:
    kind = zxingcpp.BarcodeFormat.DataMatrix
    content = "SECOND-78901234567890123"
    made = zxingcpp.create_barcode(content, kind, force_square=False)  # pyright: ignore[reportUnknownMemberType]
    other = np.array(made.to_image(scale=4, add_quiet_zones=True), dtype=np.uint8)
    frame = laid(laid(desk(), drawn(FIRST, 6), 100, 80), other, 850, 300)
    assert {FIRST, content.encode()} == taken_down(photographed(frame))
