"""What the hub knows of readers and drivers, and of what lies there."""

from dataclasses import dataclass

from vitale_drivers.base import Arm
from vitale_protocol.events import Reader

__all__ = ["DriverState", "Slot"]


@dataclass(slots=True)
class Slot:
    """A reader and what the hub knows of the medium in it.

    ``since`` is when this presence began; ``answered`` whether the driver has reported an outcome for it; ``again``
    whether one more reading was ordered whose outcome is still to come. ``broken``: the reader failed in a reading, and
    is of no use until its driver says something new of it.
    """

    reader: Reader
    since: float
    answered: bool = False
    again: bool = False
    broken: bool = False

    @property
    def occupied(self) -> bool:
        """Whether something lies there."""
        return self.reader.state in {"present", "busy", "leased"}

    @property
    def usable(self) -> bool:
        """Whether a presentation can be hoped for here."""
        return not self.broken and self.reader.state != "unavailable"


@dataclass(slots=True)
class DriverState:
    """A driver: what it can read, what it is armed for, and the catalogue reason of what is wrong with it."""

    media: frozenset[str]
    armed: Arm | None = None
    trouble: str = ""
