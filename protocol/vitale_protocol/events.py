"""The notifications of the wire, and the reader that most of them speak of, as one table."""

from typing import Literal, dataclass_transform

import msgspec

from vitale_protocol.claims import Claims
from vitale_protocol.privacy import concealed

__all__ = [
    "EVENTS",
    "ContextExpiring",
    "Event",
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
Step = Literal["armed", "detected", "reading", "retry", "remove_card", "ambiguous", "resolving"]
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
}
