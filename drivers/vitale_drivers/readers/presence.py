"""Decision to read a medium: once for each presence, and once more when asked; pure.

There is one object for each reader.
"""

from dataclasses import dataclass

from vitale_drivers.base import Arm

__all__ = ["Presence"]


@dataclass(slots=True)
class Presence:
    """State of a reader: its arming, and the medium in it.

    Attributes:
        reader: the reader's id.
        number: counts presences; a task that remembers it can tell whether its medium is still the same one.
        media: what the medium may be; empty while there is none.
    """

    reader: str
    number: int = 0
    media: frozenset[str] = frozenset()
    _armed: Arm | None = None
    _begun: bool = False
    _again: bool = False

    def came(self, *media: str) -> None:
        """A medium was put there: of this kind, or of one of these if it does not say."""
        self.left()
        self.media = frozenset(media)

    def left(self) -> None:
        """Records that the medium has left."""
        self.number += 1
        self.media = frozenset()
        self._begun = self._again = False

    def arm(self, command: Arm) -> None:
        """Takes an order to arm, which replaces the one before."""
        self._armed = command
        if self.reader in command.again:
            self._again = True

    def disarm(self) -> None:
        """Takes back the order to arm."""
        self._armed = None
        self._again = False

    def wanted(self, now: float, media: frozenset[str]) -> bool:
        """True if one of these media would be read here, at ``now`` of ``time.monotonic()``."""
        armed = self._armed
        return (
            armed is not None
            and now < armed.deadline
            and not media.isdisjoint(armed.media)
            and (not armed.readers or self.reader in armed.readers)
        )

    def due(self, now: float) -> bool:
        """True if the medium is to be read, at ``now`` of ``time.monotonic()``."""
        return self.wanted(now, self.media) and (not self._begun or self._again)

    def renew(self) -> None:
        """The reading that had begun gave nothing, and is to begin anew when it is wanted again."""
        self._begun = False

    def begin(self) -> None:
        """The reading that was due has begun."""
        self._begun = True
        self._again = False
