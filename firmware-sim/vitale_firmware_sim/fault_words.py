"""The words that choose faults on the command line and in scenarios: ``slow=20,withdrawn@37``."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["FaultWord", "with_faults"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FaultWord:
    """One word: its name, with the sign before its number where it has one (``tear@``, ``slow=``), and that number."""

    kind: str
    number: int
    text: str

    @property
    def positive(self) -> int:
        """The number, of a word that has none below one.

        Raises:
            ConfigurationInvalid: it is 0.
        """
        if not self.number:
            raise self.unknown
        return self.number

    @property
    def unknown(self) -> ConfigurationInvalid:
        """The error for a word that is in no table."""
        return ConfigurationInvalid(f"no such fault: {self.text[:40]!r}", data={"path": "fault"})


def with_faults(text: str, faults: T, changes: Mapping[str, Callable[[T, FaultWord], T]]) -> T:
    """Changes faults by each word of a text; the empty text changes nothing.

    Args:
        text: the words.
        faults: those before.
        changes: what each word does, by its name.

    Raises:
        ConfigurationInvalid: something in it is no word of this form, or none of these.
    """
    for word in _words(text):
        if (change := changes.get(word.kind)) is None:
            raise word.unknown
        faults = change(faults, word)
    return faults


def _words(text: str) -> Iterator[FaultWord]:
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"([a-z-]+)(?:([@=])(\d{1,7}))?", part, re.ASCII)
        if match is None:
            raise FaultWord("", 0, part).unknown
        yield FaultWord(match[1] + (match[2] or ""), int(match[3] or 0), part)
