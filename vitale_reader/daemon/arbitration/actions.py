"""Messages between the hub and the desk: pending requests go in, actions come out."""

from collections.abc import Hashable

import msgspec

from vitale_drivers.base import Arm, Presented
from vitale_protocol.errors import VitaleError
from vitale_protocol.events import Reader, Step
from vitale_protocol.problems import Problem

__all__ = [
    "PATIENT_MEDIA",
    "Action",
    "Announce",
    "ArmDriver",
    "Deliver",
    "DisarmDriver",
    "Key",
    "NotifyProgress",
    "Pending",
    "PendingRequest",
    "PendingSubscription",
    "Refuse",
    "Unread",
]

#: What a request gets when it names no media: what patients present. A practitioner's CPS lies in the second slot all
#: day; if it counted, every request would be ambiguous.
PATIENT_MEDIA = frozenset({"vitale-card", "apcv-nfc", "apcv-qr", "ins-datamatrix", "2d-doc"})

#: The number of a session, and the id of a request in it.
Key = tuple[int, int | str]


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """Request or subscription that waits for a presentation.

    Attributes:
        key: names the request or subscription, unique among those of its kind; it ends with its session.
        client: whose it is, in however many sessions; one of the programs of the desk's own user is one.
        media: the media wanted, all of them in ``vitale_protocol.records.Medium``.
        readers: ids of the readers wanted; empty means all.
        stale: media that do not count for it, each as its reader's id and the beginning of its presence.
    """

    key: Key
    client: Hashable
    media: frozenset[str]
    readers: frozenset[str] = frozenset()
    stale: frozenset[tuple[str, float]] = frozenset()

    def fits(self, reader: Reader) -> bool:
        """True if a presentation at this reader could fulfil it."""
        return not self.media.isdisjoint(reader.media) and (not self.readers or reader.id in self.readers)


class PendingRequest(Pending, frozen=True, kw_only=True):
    """A request that waits for a presentation.

    Attributes:
        asked_at: hub time, seconds.
        deadline: hub time, seconds.
        of_page: a page asks, for which a medium has to be presented, and counts once.
    """

    asked_at: float
    deadline: float
    of_page: bool = False


class PendingSubscription(Pending, frozen=True, kw_only=True):
    """A subscription, which waits for whatever no request claims; its key holds its own name."""


# ── actions ──────────────────────────────────────────────────────────────────────────────────────────────────────


class ArmDriver(msgspec.Struct, frozen=True):
    """Arm a driver. Hub time is that of ``time.monotonic()``, so its deadline holds for the driver as it is."""

    driver: str
    arm: Arm


class DisarmDriver(msgspec.Struct, frozen=True):
    """Order to disarm a driver."""

    driver: str


class Deliver(msgspec.Struct, frozen=True):
    """This presentation answers this request, or goes to this subscription."""

    request: Pending
    presentation: Presented
    reader: Reader


class Refuse(msgspec.Struct, frozen=True):
    """This error answers this request."""

    request: PendingRequest
    error: VitaleError


class Unread(msgspec.Struct, frozen=True):
    """A presentation that this subscription would have got gave this error."""

    subscription: PendingSubscription
    error: VitaleError
    reader: str


class NotifyProgress(msgspec.Struct, frozen=True):
    """Progress of a request or subscription; ``problem`` and ``medium`` as those of a driver's ``Progress``."""

    request: Pending
    step: Step
    reader: str | None = None
    problem: Problem | None = None
    medium: str = ""


class Announce(msgspec.Struct, frozen=True):
    """A reader was ``added``, ``changed`` or ``removed``: for everyone who watches."""

    what: str
    reader: Reader


Action = ArmDriver | DisarmDriver | Deliver | Refuse | Unread | NotifyProgress | Announce
