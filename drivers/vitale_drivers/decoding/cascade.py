"""A picture in, its symbols out: stage after stage, until one reads something; then all that stands beside it."""

import time

import numpy as np
import numpy.typing as npt

from vitale_drivers.decoding.picture import Picture, grey_of
from vitale_drivers.decoding.stages import STAGES
from vitale_drivers.decoding.survey import survey
from vitale_drivers.decoding.symbol import Symbol

__all__ = ["MILLISECONDS", "decode"]

MILLISECONDS = 13.0
"""What a picture of a megapixel or less is worth by default, and each further megapixel. All stages take less where the
processor has nothing else to do; 2 ms may come on top, since a stage that has begun is carried to its end."""


def decode(image: npt.NDArray[np.uint8], *, budget_ms: float | None = None, first: bool = False) -> list[Symbol]:
    """Reads the symbols in a picture: QR codes and Datamatrix.

    Args:
        image: bytes, height × width (grey, which is the quickest), or × 3 in BGR; of any size.
        budget_ms: milliseconds of the processor after which no further stage begins: while others have it, none go by.
            ``math.inf`` for all stages, however long they take; None for ``MILLISECONDS``.

        first: whether what the first successful stage reads is enough. That takes a fifth of the time, and tells
            nothing of what stands beside it.

    Returns:
        All symbols that can be seen, each once; empty where no stage reads any.

    Raises:
        ValueError: ``image`` is no picture.
    """
    began = time.thread_time()
    picture = Picture(grey_of(image))
    if budget_ms is None:
        budget_ms = MILLISECONDS * max(1.0, picture.grey.size / 1e6)
    for stage in STAGES:
        if found := stage.symbols(picture):
            return found if first else survey(picture, found)
        if (time.thread_time() - began) * 1000 >= budget_ms:
            break
    return []
