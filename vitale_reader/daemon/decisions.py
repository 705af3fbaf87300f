"""The words between the hub and the desk: the requests that go in, and the actions that come out."""

from dataclasses import dataclass

from vitale_drivers.base import Arm, Presented
from vitale_protocol.errors import VitaleError
from vitale_protocol.events import Reader, Step

__all__ = [
    "PATIENT_MEDIA",
    "Action",
    "Announce",
    "ArmDriver",
    "Deliver",
    "DisarmDriver",
    "Key",
    "Refuse",
    "Tell",
    "Waiting",
]

#: What a request gets when it names no media: what patients present. A practitioner's CPS lies in the second slot all
#: day; if it counted, every request would be ambiguous.
PATIENT_MEDIA = frozenset({"vitale-card", "apcv-nfc", "apcv-qr", "ins-datamatrix", "2d-doc"})

#: The number of a session, and the id of a request in it.
Key = tuple[int, int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A request that waits for a presentation.

    Attributes:
        key: names the request, unique among those that wait; the request ends with its session.
        media: the media wanted, all of them in ``vitale_protocol.records.Medium``.
        readers: ids of the readers wanted; empty means all.
        challenge: for media that can answer one.
        asked_at: hub time, seconds.
        deadline: hub time, seconds.
    """

    key: Key
    media: frozenset[str]
    readers: frozenset[str] = frozenset()
    challenge: bytes = b""
    asked_at: float
    deadline: float

    def fits(self, reader: Reader) -> bool:
        """Whether a presentation at this reader could answer the request."""
        return not self.media.isdisjoint(reader.media) and (not self.readers or reader.id in self.readers)


# ── actions ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ArmDriver:
    """Arm a driver. Hub time is that of ``time.monotonic()``, so its deadline holds for the driver as it is."""

    driver: str
    arm: Arm


@dataclass(frozen=True, slots=True)
class DisarmDriver:
    """Disarm a driver."""

    driver: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """This presentation answers this request."""

    request: Waiting
    presentation: Presented
    reader: Reader


@dataclass(frozen=True, slots=True)
class Refuse:
    """This error answers this request."""

    request: Waiting
    error: VitaleError


@dataclass(frozen=True, slots=True)
class Tell:
    """How this request gets on; ``reason`` is a catalogue reason where the step has one."""

    request: Waiting
    step: Step
    reader: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Announce:
    """A reader was ``added``, ``changed`` or ``removed``: for everyone who watches."""

    what: str
    reader: Reader


Action = ArmDriver | DisarmDriver | Deliver | Refuse | Tell | Announce
