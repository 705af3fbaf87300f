"""The baseline of the driver ``camera``: OpenCV and zxing-cpp and nothing else, for ``make bench``.

``baseline_camera.py URL`` reads the frames of a camera one after the other, and says of each code
that was not in the frame before, on standard output, as a line of JSON, its ``text`` and ``at``, the instant of
``time.perf_counter()``, which the processes of a machine share on Linux.
"""

import json
import sys
import time
from typing import NoReturn

import cv2
import numpy as np
import zxingcpp

__all__ = ["main"]


def main(arguments: list[str]) -> NoReturn:
    """Reads the camera of the first argument until it is ended."""
    cv2.setNumThreads(1)
    camera = cv2.VideoCapture(arguments[0])
    formats = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCodeModel2)
    before: set[str] = set()
    _say({"text": "", "at": time.perf_counter()})
    while True:
        there, frame = camera.read()
        if not there:
            raise SystemExit("the camera is gone")
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        found = {one.text for one in zxingcpp.read_barcodes(grey, formats=formats)}
        at = time.perf_counter()
        for text in found - before:
            _say({"text": text, "at": at})
        before = found


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
