"""The words that choose faults on the command line and in scenarios: ``slow=20,withdrawn@37``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["FaultWord", "fault_words"]


@dataclass(frozen=True, slots=True)
class FaultWord:
    """One word: its name, with the sign before its number where it has one (``tear@``, ``slow=``), and that number."""

    kind: str
    number: int
    text: str

    @property
    def unknown(self) -> ConfigurationInvalid:
        """The error for a word that is in no table."""
        return ConfigurationInvalid(f"no such fault: {self.text[:40]!r}", data={"path": "fault"})


def fault_words(text: str) -> Iterator[FaultWord]:
    """The words of a text; none of an empty one.

    Raises:
        ConfigurationInvalid: something in it is no word of this form.
    """
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"([a-z-]+)(?:([@=])(\d{1,7}))?", part, re.ASCII)
        if match is None:
            raise FaultWord("", 0, part).unknown
        yield FaultWord(match[1] + (match[2] or ""), int(match[3] or 0), part)
