"""State of readers and drivers in the hub, and of the media in them."""

from hashlib import sha256
from math import inf

import msgspec

from vitale_drivers.base import Arm, Presented
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem

__all__ = ["DriverState", "Slot", "fingerprint"]

#: Media whose content counts once: what was used is of no use to the next request, until the phone shows a new one.
ONE_TIME = frozenset({"apcv-qr"})


class Slot(msgspec.Struct):
    """A reader and what the hub knows of the medium in it.

    ``since`` is the beginning of this presence. ``answered`` is true once the driver has reported an outcome for it.
    ``again`` is true while one more reading is ordered. ``broken``: the reader failed in a reading, and is of no use
    until a new report of its driver.

    ``shown`` is the fingerprint of the one-time code that was read in this presence, empty where it was none. ``used``
    is that of the last one that was read at this reader and answered a request.

    ``served`` is true once a page had its token of what lies there.
    """

    reader: Reader
    since: float
    answered: bool = False
    again: bool = False
    broken: bool = False
    shown: bytes = b""
    used: bytes = b""
    served: bool = False

    def begins(self, now: float) -> None:
        """Something new lies there, or nothing any more."""
        self.since, self.answered, self.again, self.shown, self.served = now, False, False, b"", False

    @property
    def spent(self) -> bool:
        """True if the medium is a one-time code that has answered a request already."""
        return self.reader.medium in ONE_TIME and self.shown != b"" and self.shown == self.used

    @property
    def occupied(self) -> bool:
        """True if a medium lies there."""
        return self.reader.state in {"present", "busy", "leased"}

    @property
    def leased(self) -> bool:
        """True if a client holds the card for its own commands."""
        return self.reader.state == "leased"

    @property
    def usable(self) -> bool:
        """True if a presentation is possible here."""
        return not self.broken and self.reader.state != "unavailable"


class DriverState(msgspec.Struct):
    """A driver: the media it can read, its arming, and the catalogue reason of its trouble.

    ``settles_by`` is the latest time at which all its readers are taken to be known. It lies in the past once the
    driver has reported them.
    """

    media: frozenset[str]
    armed: Arm | None = None
    trouble: Problem | None = None
    settles_by: float = -inf


def fingerprint(presentation: Presented) -> bytes:
    """Fingerprint by which a one-time code is recognised, so that its string need not be kept; else empty."""
    if presentation.medium not in ONE_TIME:
        return b""
    return sha256(presentation.evidence.get("string", b"")).digest()
