"""A picture in, its symbols out: stage after stage, until one reads something or the time is over."""

import time

import numpy as np
import numpy.typing as npt

from vitale_drivers.decoding.picture import Picture, grey_of
from vitale_drivers.decoding.stages import STAGES
from vitale_drivers.decoding.symbol import Symbol

__all__ = ["decode"]


def decode(image: npt.NDArray[np.uint8], *, budget_ms: float | None = None) -> list[Symbol]:
    """Reads the symbols in a picture: QR codes and Datamatrix.

    Args:
        image: bytes, height × width (grey, which is the quickest), or × 3 in BGR; of any size.
        budget_ms: milliseconds after which no further stage begins; None for all stages.

    Returns:
        What the first stage that reads anything reads; empty where none does.

    Raises:
        ValueError: ``image`` is no picture.
    """
    end = None if budget_ms is None else time.perf_counter() + budget_ms / 1000
    picture = Picture(grey_of(image))
    for stage in STAGES:
        if found := stage.symbols(picture):
            return found
        if end is not None and time.perf_counter() >= end:
            break
    return []
