"""zbar beside zxing-cpp: what of its answers is taken, and that nothing depends on its being there."""

import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import segno

from tests.benchmarks.paper import KINDS, datamatrix, negatives, papers, qr
from vitale_drivers.decoding import StreamDecoder, decode, has_zbar, zbar
from vitale_drivers.decoding.picture import View

Grey = npt.NDArray[np.uint8]

needs_zbar = pytest.mark.skipif(not has_zbar(), reason="libzbar is not installed on this system")


@dataclass(frozen=True)
class Rect:
    left: int = 10
    top: int = 20
    width: int = 30
    height: int = 40


@dataclass(frozen=True)
class Found:
    data: bytes
    type: str = "QRCODE"
    rect: Rect = Rect()


def answering(patch: pytest.MonkeyPatch, *found: Found) -> None:
    def decode(_pixels: object) -> tuple[Found, ...]:
        return found

    patch.setattr(zbar, "_decoder", lambda: decode)


def drawn(content: bytes | str, scale: int = 4) -> Grey:
    return np.kron(qr(content.encode() if isinstance(content, str) else content), np.ones((scale, scale))).astype(
        np.uint8
    )


@pytest.fixture
def without_zbar(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    real = builtins.__import__

    def fails(name: str, *arguments: Any) -> Any:
        if name.startswith("pyzbar"):
            raise ImportError("Unable to find zbar shared library")
        return real(name, *arguments)

    vars(zbar)["_decoder"].cache_clear()
    monkeypatch.setattr(builtins, "__import__", fails)
    yield
    vars(zbar)["_decoder"].cache_clear()


@needs_zbar
def test_it_reads_a_code_with_its_place_in_the_picture() -> None:
    (symbol,) = zbar.read(View(drawn("VITALESIM.abc"), 0.5, 100, 200), "zbar")
    assert (symbol.data, symbol.text, symbol.symbology) == (b"VITALESIM.abc", "VITALESIM.abc", "qr")
    assert np.allclose(symbol.corners[0], (100 + 32, 200 + 32), atol=6)
    assert symbol.corners[2][0] > symbol.corners[0][0]


@needs_zbar
def test_the_part_of_a_code_in_several_symbols_counts_for_nothing() -> None:
    for part in segno.make_sequence("the message that is told in parts, each a symbol", symbol_count=3):
        modules = np.array([list(row) for row in part.matrix_iter(border=4)])
        pixels = np.kron(np.where(modules > 0, 0, 255), np.ones((4, 4))).astype(np.uint8)
        assert zbar.read(View(pixels), "zbar") == []


@needs_zbar
def test_what_is_not_ascii_counts_for_nothing() -> None:
    assert zbar.read(View(drawn("é".encode("latin-1") * 5)), "zbar") == []


def test_only_whole_qr_codes_in_ascii_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, Found(b"good"), Found("é".encode()), Found(b"part", "PARTIAL"), Found(b"123", "EAN13"))
    (symbol,) = zbar.read(View(np.zeros((50, 50), np.uint8), 2.0, 1, 2), "zbar")
    assert (symbol.data, symbol.corners) == (b"good", ((6.0, 12.0), (21.0, 12.0), (21.0, 32.0), (6.0, 32.0)))


def test_an_answer_that_pyzbar_cannot_name_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(pixels: object) -> list[Found]:
        raise ValueError("4294967295 is not a valid ZBarOrientation")

    monkeypatch.setattr(zbar, "_decoder", lambda: fails)
    assert zbar.read(View(np.zeros((50, 50), np.uint8)), "zbar") == []


def test_without_zbar_everything_else_reads(without_zbar: None) -> None:
    assert not has_zbar()
    assert zbar.read(View(drawn("bonjour")), "zbar") == []
    assert [symbol.data for symbol in decode(drawn("bonjour"))] == [b"bonjour"]
    decoder = StreamDecoder()
    decoder.see(drawn("bonjour"))
    assert [symbol.data for symbol in decoder.survey()] == [b"bonjour"]


@pytest.mark.parametrize(("kind", "least"), [("plain", 3), ("rotated", 3), ("inverted", 3), ("tilted", 3), ("far", 2)])
def test_a_datamatrix_on_paper_is_read_as_well_as_a_qr_code(kind: str, least: int) -> None:
    assert kind in KINDS
    for draw in (datamatrix, qr):
        read = 0
        for picture, content in papers(kind, 3, seed=1, draw=draw):
            found = {symbol.data for symbol in decode(picture, budget_ms=60_000)}
            assert found <= {content}
            read += bool(found)
        assert read >= least


def test_what_looks_like_a_code_and_is_none_is_not_read() -> None:
    assert [number for number, picture in enumerate(negatives(25, seed=7)) if decode(picture, budget_ms=60_000)] == []
