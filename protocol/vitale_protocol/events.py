"""The notifications of the wire, and the readers and drivers that they speak of, as one table."""

from typing import Literal, dataclass_transform

import msgspec

from vitale_protocol.claims import Claims
from vitale_protocol.privacy import concealed

__all__ = [
    "EVENTS",
    "CodeRead",
    "ContextExpiring",
    "DeskOutcome",
    "DeskState",
    "DeskWaiting",
    "DriverHealth",
    "Event",
    "Gs1",
    "LeaseEnded",
    "LeaseWhy",
    "PresentationFailed",
    "PresentationProgress",
    "PresentationToken",
    "PreviewFrame",
    "Reader",
    "ReaderEvent",
    "ReaderState",
    "ReaderStation",
    "Step",
]

ReaderState = Literal["empty", "present", "busy", "leased", "unavailable"]
Step = Literal["armed", "detected", "reading", "retry", "remove_card", "ambiguous", "resolving", "reinsert"]
LeaseWhy = Literal["released", "ttl", "card", "reader", "client", "replaced"]


class ReaderStation(msgspec.Struct, frozen=True, kw_only=True):
    """The station of a site at which a reader is; ``id`` is that in the ``iss`` of its tokens."""

    id: str
    name: str


class Reader(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reader as clients see it.

    ``id`` is stable across replugging and restarts of the daemon. ``medium`` is the kind of medium that lies there
    (``vitale-card``, ``cps-card``, ``unknown-card``), never its holder. ``error`` is a catalogue reason, where the
    reader or its medium cannot be used. ``station`` names the station, unless it is the one that was asked.
    """

    id: str
    name: str
    driver: str
    media: tuple[str, ...]
    state: ReaderState
    medium: str | None = None
    simulated: bool = False
    error: str | None = None
    station: ReaderStation | None = None


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A notification; what is left over is ignored."""


class ReaderEvent(Event):
    """``reader.added``, ``reader.changed``, ``reader.removed``."""

    reader: Reader


class PresentationProgress(Event):
    """``presentation.progress``: how a waiting request, or a subscription, gets on.

    ``request`` is the JSON-RPC id of the call; for a subscription its name is in ``subscription`` instead. ``message``
    is in the session's language, fit to be shown.
    """

    step: Step
    message: str
    request: int | str | None = None
    subscription: str | None = None
    reader: str | None = None
    remedy: str | None = None


class PresentationToken(Event):
    """``presentation.token``: a presentation that no request claimed, for the one subscription that it went to."""

    __repr__ = concealed

    subscription: str
    presentation: str
    token: str
    claims: Claims


class PresentationFailed(Event):
    """``presentation.failed``: a presentation that a subscription would have got gave no token.

    ``reason``, ``variant``, ``message`` and ``remedy`` are those of the error that a request would have been answered
    with.
    """

    subscription: str
    reason: str
    message: str
    variant: str | None = None
    remedy: str | None = None
    reader: str | None = None


class LeaseEnded(Event):
    """``lease.ended``: a lease of this session ended otherwise than by ``lease.release``.

    ``why``: ``ttl`` (its time was over), ``card`` (removed, exchanged, or failed), ``reader`` (the reader or its driver
    is gone), ``replaced`` (by another lease of the same client).
    """

    lease: str
    why: LeaseWhy


class ContextExpiring(Event):
    """``context.expiring``: an apCV context of this client ends soon; told once, in time to act.

    ``date_fin_validite`` is RFC 3339 in UTC, to the second.
    """

    identifiant: str
    date_fin_validite: str


class PreviewFrame(Event):
    """``preview.frame``: what a camera sees now, for the session that asked.

    ``at`` is seconds since the epoch; ``jpeg_b64`` is a JPEG, at most 640 pixels across, in base64. Frames are dropped
    for a client that has not read the one before.
    """

    __repr__ = concealed

    reader: str
    at: float
    jpeg_b64: str


class DriverHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A driver's worker, as the supervisor sees it.

    ``state``: ``starting ready degraded restarting stopped``; ``reason`` is a catalogue reason where something is
    off, ``variant`` what is known more exactly.
    It is ``starting`` until it has told the readers that are there.
    A driver whose options cannot be used is ``stopped`` with ``configuration_invalid`` until the daemon is restarted.
    """

    name: str
    state: Literal["starting", "ready", "degraded", "restarting", "stopped"]
    media: tuple[str, ...]
    restarts: int = 0
    pid: int | None = None
    version: str | None = None
    reason: str | None = None
    variant: str | None = None
    detail: str | None = None


class DeskWaiting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One client that waits for a presentation; ``client`` is its name, ``lasting`` true for a subscription.

    ``readers`` is empty where any will do.
    """

    client: str
    media: tuple[str, ...]
    readers: tuple[str, ...] = ()
    lasting: bool = False


class DeskOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last presentation that had an end; ``reason`` is that of the catalogue where it gave no token.

    Nothing of it says whose medium it was. ``at`` is in seconds since the epoch.
    """

    at: float
    client: str
    medium: str | None = None
    reader: str | None = None
    reason: str | None = None


class DeskState(Event):
    """``desk.changed``: what goes on at the desk, besides its readers, for those who administer it."""

    waiting: tuple[DeskWaiting, ...] = ()
    drivers: tuple[DriverHealth, ...] = ()
    last: DeskOutcome | None = None


class Gs1(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Content of a medicine's box by the GS1 General Specifications, as far as a counter needs it.

    ``gtin`` has 14 digits, the CIP13 behind a zero (AI 01). ``lot`` (AI 10) and ``serial`` (AI 21) are as printed.
    ``expiry`` (AI 17) is a date, ``YYYY-MM-DD``; a month without a day ends with its last one.
    """

    __repr__ = concealed

    gtin: str
    lot: str | None = None
    expiry: str | None = None
    serial: str | None = None


class CodeRead(Event):
    """``code.read``: a code at an imager that is no patient's, for each subscription to codes.

    ``data`` is the content, GS included; where the content is no text, ``data_b64`` has it instead, in base64.
    ``symbology`` is absent where the imager did not tell it. ``gs1`` is absent where the content is no GS1, or a wrong
    one.
    """

    __repr__ = concealed

    subscription: str
    reader: str
    symbology: str | None = None
    data: str | None = None
    data_b64: str | None = None
    gs1: Gs1 | None = None


EVENTS: dict[str, type[Event]] = {
    "reader.added": ReaderEvent,
    "reader.changed": ReaderEvent,
    "reader.removed": ReaderEvent,
    "presentation.progress": PresentationProgress,
    "presentation.token": PresentationToken,
    "presentation.failed": PresentationFailed,
    "lease.ended": LeaseEnded,
    "context.expiring": ContextExpiring,
    "preview.frame": PreviewFrame,
    "code.read": CodeRead,
    "desk.changed": DeskState,
}
