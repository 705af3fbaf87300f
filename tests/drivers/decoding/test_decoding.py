"""Decoding as a function of a picture: what is read, with its bytes as they are, and nothing where nothing is."""

import json
import math
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import segno
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st

from vitale_drivers import decoding
from vitale_drivers.decoding import Sequence, Symbol, cascade
from vitale_drivers.decoding.repairs import deblurred, sharpened, smoothed, thresholded
from vitale_drivers.decoding.stages import STAGES
from vitale_firmware_sim.camera.picture import empty_scene, render
from vitale_firmware_sim.camera.scene import KINDS, scene

Grey = npt.NDArray[np.uint8]

#: With all its stages, however busy the machine is that runs the tests.
decode = partial(decoding.decode, budget_ms=math.inf)

INS = b"IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU ANNA\x1dS4GARCIA-HAMMADI\x1dS5F"


def qr(content: str | bytes, **options: str | bool) -> segno.QRCode:
    """A QR code, not a Micro QR code, which segno makes of what is short."""
    return segno.make(content, micro=False, **options)  # type: ignore[arg-type]


@cache
def in_parts(version: int, error: str) -> tuple[segno.QRCode, ...]:
    """A message in several codes of a version."""
    return (*segno.make_sequence("abcdef0123_" * (8 * version), version=version, error=error, boost_error=False),)


def drawn(code: segno.QRCode, module: int = 4) -> Grey:
    """A code without a fault, black on white, with its quiet zone."""
    modules = np.array([list(row) for row in code.matrix_iter(scale=1, border=4)], dtype=np.uint8)
    pixels = np.where(modules > 0, 0, 255).repeat(module, axis=0).repeat(module, axis=1)
    return pixels.astype(np.uint8)


def datamatrix(content: str | bytes) -> Grey:
    made = zxingcpp.create_barcode(content, zxingcpp.BarcodeFormat.DataMatrix)  # pyright: ignore[reportUnknownMemberType]
    return np.array(made.to_image(scale=4, add_quiet_zones=True), dtype=np.uint8)


def on_a_desk(code: Grey, size: tuple[int, int] = (1280, 720), at: tuple[int, int] = (700, 200)) -> Grey:
    """A code somewhere in a grey picture that is larger."""
    picture = np.full((size[1], size[0]), 120, dtype=np.uint8)
    picture[at[1] : at[1] + code.shape[0], at[0] : at[0] + code.shape[1]] = code
    return picture


def only(symbols: list[Symbol]) -> Symbol:
    assert len(symbols) == 1
    return symbols[0]


def blurred(picture: Grey) -> Grey:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 2.4), dtype=np.uint8)


def faint(picture: Grey) -> Grey:
    return (110 + picture.astype(np.int16) // 14).astype(np.uint8)


def covered(code: Grey, corner: str) -> Grey:
    """A finger where the data of a code begin, or beside it."""
    seen, size = code.copy(), len(code)
    edge, wide = size - 16, size // 6
    x = size // 2 if corner == "bottom" else edge - wide
    y = size // 2 if corner == "right" else edge - wide
    seen[y : y + wide, x : x + wide] = 170
    return seen


def lit_from_one_side(picture: Grey) -> Grey:
    return np.clip(picture * np.linspace(0.1, 3, picture.shape[1]), 0, 255).astype(np.uint8)


class TestWhatIsRead:
    def test_a_code_with_its_bytes_its_text_and_its_place(self) -> None:
        code = drawn(qr("bonjour", error="m"))
        symbol = only(decode(on_a_desk(code)))

        assert (symbol.data, symbol.text, symbol.symbology) == (b"bonjour", "bonjour", "qr")
        assert symbol.sequence is None
        assert symbol.stage in {stage.name for stage in STAGES}
        edge = 4 * 4  # the quiet zone
        expected = [(700 + edge, 200 + edge), (700 + len(code) - edge, 200 + len(code) - edge)]
        assert np.allclose([symbol.corners[0], symbol.corners[2]], expected, atol=3)

    @pytest.mark.parametrize("shape", [(720, 1280), (480, 640), (1080, 1920), (200, 200), (2160, 3840)])
    def test_at_any_size(self, shape: tuple[int, int]) -> None:
        code = drawn(qr("any size"))
        assert only(decode(on_a_desk(code, (shape[1], shape[0]), (40, 30)))).data == b"any size"

    def test_in_colour_with_and_without_opacity(self) -> None:
        grey = drawn(qr("colour"))
        for conversion in (cv2.COLOR_GRAY2BGR, cv2.COLOR_GRAY2BGRA):
            assert only(decode(np.asarray(cv2.cvtColor(grey, conversion), dtype=np.uint8))).data == b"colour"
        assert only(decode(grey[:, :, np.newaxis])).data == b"colour"

    def test_in_a_view_of_a_larger_array(self) -> None:
        wide = np.repeat(drawn(qr("view")), 2, axis=1)
        assert only(decode(wide[:, ::2])).data == b"view"

    def test_light_on_dark(self) -> None:
        assert only(decode(255 - on_a_desk(drawn(qr("dark mode"))))).data == b"dark mode"

    @pytest.mark.parametrize("turns", [1, 2, 3])
    def test_turned(self, turns: int) -> None:
        assert only(decode(np.rot90(on_a_desk(drawn(qr("turned"))), turns))).data == b"turned"

    def test_several_at_once(self) -> None:
        picture = on_a_desk(drawn(qr("one")), at=(100, 100))
        other = drawn(qr("other"))
        picture[400 : 400 + len(other), 900 : 900 + len(other)] = other
        assert {symbol.data for symbol in decode(picture)} == {b"one", b"other"}

    def test_a_datamatrix_with_its_separators(self) -> None:
        symbol = only(decode(on_a_desk(datamatrix(INS.decode()))))
        assert (symbol.data, symbol.symbology) == (INS, "datamatrix")


class TestBytes:
    """What stands in a symbol is kept as it is: whoever transports it must not have to guess."""

    @settings(max_examples=60)
    @given(st.binary(min_size=1, max_size=300))
    def test_any_bytes(self, content: bytes) -> None:
        assert only(decode(drawn(qr(content, mode="byte")))).data == content

    def test_an_eci_is_not_applied(self) -> None:
        symbol = only(decode(drawn(qr("été", encoding="utf-8", eci=True))))
        assert (symbol.data, symbol.text) == ("été".encode(), "été")
        symbol = only(decode(drawn(qr("été", encoding="iso-8859-1", eci=True))))
        assert (symbol.data, symbol.text) == ("été".encode("latin-1"), "été")

    def test_the_largest_code(self) -> None:
        digits = "0123456789" * 708 + "012345678"
        assert only(decode(drawn(qr(digits, error="l"), 3))).data == digits.encode()


class TestStructuredAppend:
    @pytest.mark.parametrize(("version", "error"), [(1, "l"), (5, "h"), (7, "q"), (14, "m"), (23, "h"), (40, "l")])
    def test_each_part_tells_its_place(self, version: int, error: str) -> None:
        parts = in_parts(version, error)[:3]
        symbols = [only(decode(drawn(part, 3))) for part in parts]

        places = [symbol.sequence for symbol in symbols]
        assert all(isinstance(place, Sequence) for place in places)
        assert [place.index for place in places if place] == list(range(len(parts)))
        assert len({(place.count, place.parity) for place in places if place}) == 1

    @pytest.mark.parametrize("turns", range(4))
    @pytest.mark.parametrize(("version", "error"), [(2, "l"), (6, "q"), (7, "h"), (14, "l")])
    def test_each_part_tells_its_place_in_a_mirror_too(self, version: int, error: str, turns: int) -> None:
        part = in_parts(version, error)[1]
        upright, mirrored = drawn(part, 3), np.rot90(drawn(part, 3)[:, ::-1], turns)

        assert only(decode(mirrored)).sequence == only(decode(upright)).sequence is not None

    @pytest.mark.parametrize("mask", range(8))
    def test_a_whole_code_in_a_mirror_is_no_part(self, mask: int) -> None:
        for number in range(8):
            code = segno.make(f"{number}" * 20, mask=mask, micro=False)
            assert only(decode(drawn(code)[:, ::-1])).sequence is None

    @pytest.mark.parametrize("mirrored", [False, True])
    @pytest.mark.parametrize("corner", ["bottom right", "bottom", "right"])
    def test_a_part_with_a_finger_on_it_tells_its_place(self, corner: str, mirrored: bool) -> None:
        content = "abcdef0123_" * 64
        for part in segno.make_sequence(content, version=8, error="q", boost_error=False)[:4]:
            whole, seen = drawn(part, 4), covered(drawn(part, 4), corner)
            if mirrored:
                seen = np.ascontiguousarray(seen[:, ::-1])
            assert only(decode(seen)).sequence == only(decode(whole)).sequence is not None

    @pytest.mark.parametrize("corner", ["bottom right", "bottom", "right"])
    def test_a_whole_code_with_a_finger_on_it_is_no_part(self, corner: str) -> None:
        for number in range(24):
            code = segno.make(f"VITALESIM.{number}" * 8, mask=number % 8, error="q", micro=False)
            assert only(decode(covered(drawn(code, 4), corner))).sequence is None

    def test_the_parity_is_that_of_the_whole_message(self) -> None:
        content = "the message that is told in parts, each of them a symbol of its own"
        parts = [only(decode(drawn(part))) for part in segno.make_sequence(content, symbol_count=4)]

        assert b"".join(part.data for part in parts) == content.encode()
        parity = 0
        for byte in content.encode():
            parity ^= byte
        assert {part.sequence for part in parts} == {Sequence(index, 4, parity) for index in range(4)}


class TestHardPictures:
    @pytest.mark.parametrize("kind", KINDS)
    def test_light_damage_of_every_kind_is_read(self, kind: str) -> None:
        read = 0
        for seed in range(3):
            shown = scene(kind, "light", seed)
            found = decode(render(shown, seed=seed))
            assert all(symbol.data == shown.payload for symbol in found)
            read += bool(found)
        assert read >= 2

    @pytest.mark.parametrize("damage", [blurred, faint, lit_from_one_side])
    def test_what_needs_a_repair(self, damage: Callable[[Grey], Grey]) -> None:
        picture = on_a_desk(drawn(qr("VITALESIM." + "a1" * 60, error="m"), 4), at=(300, 100))
        assert only(decode(damage(picture))).text.startswith("VITALESIM.")


class TestNothing:
    @pytest.mark.parametrize("seed", range(12))
    def test_a_counter_without_a_code(self, seed: int) -> None:
        assert decode(render(empty_scene(seed), seed=seed)) == []

    def test_noise_and_plain_surfaces(self) -> None:
        rng = np.random.default_rng(1)
        for value in (0, 127, 255):
            assert decode(np.full((480, 640), value, dtype=np.uint8)) == []
        for _ in range(5):
            assert decode(rng.integers(0, 256, (480, 640)).astype(np.uint8)) == []

    @settings(max_examples=100)
    @given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
    def test_pictures_of_a_few_pixels(self, height: int, width: int, seed: int) -> None:
        picture = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
        assert decode(picture) == []

    @pytest.mark.parametrize("shape", [(0, 10), (10, 0), (10,), (4, 4, 2), (4, 4, 5), (2, 2, 2, 2)])
    def test_what_is_no_picture(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="picture"):
            decode(np.zeros(shape, dtype=np.uint8))

    def test_pixels_that_are_no_bytes(self) -> None:
        pixels: Any = np.zeros((10, 10), dtype=np.float32)
        with pytest.raises(ValueError, match="bytes"):
            decode(pixels)

    def test_a_small_datamatrix_counts_for_nothing(self) -> None:
        assert decode(on_a_desk(datamatrix("0123456789"))) == []


class TestBudget:
    def test_by_default_it_grows_with_the_picture(self) -> None:
        hard = blurred(on_a_desk(drawn(qr("VITALESIM." + "x" * 150), 4), at=(300, 100)))
        seconds = iter([0.0, *[cascade.MILLISECONDS / 1000 - 0.001] * 99])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "thread_time", lambda: next(seconds))
            assert decoding.decode(hard) != []
            seconds = iter([0.0, *[cascade.MILLISECONDS / 1000] * 99])
            assert decoding.decode(hard) == []
            seconds = iter([0.0, *[cascade.MILLISECONDS / 1000] * 99])
            assert decoding.decode(np.repeat(np.repeat(hard, 2, axis=0), 2, axis=1)) != []

    def test_without_time_only_the_first_stage_looks(self) -> None:
        hard = blurred(on_a_desk(drawn(qr("VITALESIM." + "x" * 150), 4), at=(300, 100)))
        assert decode(hard, budget_ms=0) == []
        assert decode(hard) != []

    def test_what_is_easy_needs_none(self) -> None:
        assert only(decode(on_a_desk(drawn(qr("easy"), 8)), budget_ms=0)).stage == STAGES[0].name


class TestRepairs:
    """They keep the size and the kind of what they are given, down to a pixel."""

    @pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 256), (17, 5)])
    def test_the_shape_stays(self, shape: tuple[int, int]) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        for done in (sharpened(pixels, 1.6, 5), thresholded(pixels, 16, 2), smoothed(pixels), deblurred(pixels, 2.0)):
            assert done.shape == shape
            assert done.dtype == np.dtype(np.uint8)

    def test_deblurring_undoes_a_blur(self) -> None:
        sharp = drawn(qr("sharp"), 8)
        dull = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 2.0), dtype=np.uint8)

        def off(pixels: Grey) -> float:
            return float(np.mean(np.abs(pixels.astype(float) - sharp)))

        assert off(deblurred(dull, 2.0)) < off(dull) / 1.5


PHOTOGRAPHS = Path(__file__).parents[4] / "shared" / "data" / "qr-photos"


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs are not part of the project")
def test_photographs_are_read() -> None:
    entries = json.loads((PHOTOGRAPHS / "manifest.json").read_text(encoding="utf-8"))
    read = wrong = 0
    for entry in entries:
        picture = np.asarray(cv2.imread(str(PHOTOGRAPHS / entry["file"]), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
        texts = {symbol.text for symbol in decode(picture)}
        read += not texts.isdisjoint(entry["texts"])
        wrong += bool(texts) and texts.isdisjoint(entry["texts"])
    assert read >= 0.98 * len(entries)
    assert wrong == 0
