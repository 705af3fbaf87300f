"""Subjects of log lines that are told once each, and so many in all.

So whoever makes up new ones fills no disk.
"""

from collections.abc import Hashable

__all__ = ["MOST", "ToldOnce"]

#: Subjects that are told of one kind, in one run of the daemon.
MOST = 1_000


class ToldOnce:
    """The subjects of one kind that were told."""

    def __init__(self) -> None:
        self._told: set[Hashable] = set()

    def is_due(self, subject: Hashable) -> bool:
        """True if a subject is to be told now: it was not yet, and there were fewer than ``MOST``."""
        if subject in self._told or len(self._told) >= MOST:
            return False
        self._told.add(subject)
        return True
