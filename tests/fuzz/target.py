"""A fuzz target, and what its oracles have in common: which errors may come, and that none tells what was read."""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vitale_drivers.host.redaction import redact_exception
from vitale_protocol.errors import VitaleError

__all__ = ["NEEDLES", "NEEDLE_NAME", "NEEDLE_NIR", "Leak", "Target", "chunks", "cut", "framed", "only", "silent"]

NEEDLE_NAME = "FOIN-AIGUILLE"
NEEDLE_NIR = "277010115400329"
NEEDLES = (NEEDLE_NAME, NEEDLE_NIR, NEEDLE_NIR[:13])
"""Invented data of a person, which seeds hold wherever there may be any."""

_DIGITS = re.compile(r"[0-9]{10,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parser to be fed.

    Attributes:
        name: on the command line, and of its folder in ``corpora/``.
        run: takes one input; whatever it raises is a crash.
        seeds: inputs to begin with, made from the code, so that they follow it.
        words: for the dictionary: what random bytes do not hit upon.
        max_len: bytes of an input.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...] = ()
    max_len: int = 4096


class Leak(AssertionError):
    """An error tells what was read."""


@contextmanager
def only(*allowed: type[BaseException], read: bytes = b"") -> Generator[None, None, None]:
    """Lets documented errors pass, once it is sure that they tell nothing of what was read.

    Args:
        allowed: the documented errors.
        read: what was read; numbers of ten digits and more that stand in it must not stand in an error.
    """
    try:
        yield
    except allowed as error:
        silent(error, read)


def silent(error: BaseException, read: bytes = b"") -> None:
    """Checks all that a log or a client could be told of an error, its causes included.

    Raises:
        Leak: a needle is in it, or a long number of the input.
    """
    told = redact_exception(error) + "".join(_own_words(error))
    leaked = [needle for needle in NEEDLES if needle in told]
    leaked += [digits for digits in _DIGITS.findall(told) if digits.encode() in read]
    if leaked:
        raise Leak(f"{type(error).__name__} tells what was read") from error


def _own_words(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        if isinstance(error, VitaleError):
            yield f"{error} {error!r} {error.detail} {error.variant} {error.data}"
        error = error.__cause__ or error.__context__


# ── one input as several ─────────────────────────────────────────────────────────────────────────────────────────


def chunks(data: bytes) -> Iterator[bytes]:
    """An input as a row of answers: two bytes of length before each; the last one may be shorter."""
    at = 0
    while at + 2 <= len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        yield data[at + 2 : at + 2 + length]
        at += 2 + length


def framed(*parts: bytes) -> bytes:
    """The input of which ``chunks`` makes these parts."""
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """An input in pieces of this size."""
    return (data[at : at + size] for at in range(0, len(data), size))
