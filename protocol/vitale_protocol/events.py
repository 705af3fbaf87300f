"""The notifications of the wire, and the readers and drivers that they speak of, as one table."""

from typing import Annotated, Literal, dataclass_transform

import msgspec

from vitale_protocol.claims import Claims
from vitale_protocol.privacy import concealed

__all__ = [
    "EVENTS",
    "CodeOutline",
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
    "PlainName",
    "PresentationFailed",
    "PresentationProgress",
    "PresentationToken",
    "PreviewFrame",
    "Reader",
    "ReaderEvent",
    "ReaderId",
    "ReaderState",
    "ReaderStation",
    "SimulatorAct",
    "SimulatorKind",
    "SimulatorPlace",
    "Step",
]

ReaderState = Literal["empty", "present", "busy", "leased", "unavailable"]
Step = Literal["armed", "detected", "reading", "retry", "remove_card", "ambiguous", "resolving", "reinsert"]
SimulatorKind = Literal["card", "phone", "screen", "scan"]
LeaseWhy = Literal["released", "ttl", "card", "reader", "client", "replaced"]

# People tell paired programs by this name, so all of it is seen, and it stays in its line: no controls, line ends,
# direction marks or other formats, nothing without width or ink (Default_Ignorable_Code_Point of Unicode, U+2800), no
# space at either end, no mark without a letter, and no three marks that pile up over the line above.
PlainName = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=100,
        pattern=(
            r"^(?![\s\u0300-\u036f])(?![\s\S]*[\u0300-\u036f]{3})"
            r"[^\u0000-\u001f\u007f-\u009f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
            r"\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0"
            r"\ufff0-\uffff\ue000-\uf8ff"
            "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U0010ffff]+"
            r"(?<!\s)(?![\s\S])"
        ),
    ),
]

# A line of the audit trail has it, which takes so many characters, and PostgreSQL none that is NUL.
ReaderId = Annotated[
    str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\u0000-\u001f\u007f-\u009f]+(?![\s\S])")
]


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

    id: ReaderId
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

    ``why``: ``ttl`` (time over), ``card`` (removed, exchanged, or failed) or ``reader`` (it or its driver is gone). Or
    ``replaced``, by another lease of the same client.
    """

    lease: str
    why: LeaseWhy


class ContextExpiring(Event):
    """``context.expiring``: an apCV context of this client ends soon; told once, in time to act.

    ``date_fin_validite`` is RFC 3339 in UTC, to the second.
    """

    identifiant: str
    date_fin_validite: str


#: Corners of a code (x, y), as it is read: top left, top right, bottom right, bottom left. In parts of the picture's
#: width and height, from its top left corner.
CodeOutline = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]


class PreviewFrame(Event):
    """``preview.frame``: what a camera sees now, for the session that asked.

    ``at`` is seconds since the epoch; ``jpeg_b64`` is a JPEG, at most 640 pixels across, in base64. ``codes`` are the
    outlines of the codes that were found in it, whatever they say. Frames are dropped for a client that has not read
    the one before.
    """

    __repr__ = concealed

    reader: str
    at: float
    jpeg_b64: str
    codes: tuple[CodeOutline, ...] = ()


class DriverHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A driver's worker, as the supervisor sees it.

    ``state``: ``starting ready degraded restarting stopped``. It is ``starting`` until the driver has told the readers
    that are there. ``reason`` is a catalogue reason where something is off, ``variant`` its exact kind. A driver whose
    options cannot be used is ``stopped`` with ``configuration_invalid`` until the daemon is restarted.
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


class SimulatorPlace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place at which a simulator presents something.

    ``kind``: ``card`` (inserted), ``phone`` (laid on a reader), ``screen`` (held before a camera) or ``scan``. A scan
    is read by an imager, and over at once. ``things`` is what can be presented there, ``holds`` what is there now.
    """

    place: PlainName
    kind: SimulatorKind
    things: Annotated[tuple[PlainName, ...], msgspec.Meta(max_length=100)] = ()
    holds: PlainName | None = None


class SimulatorAct(Event):
    """``simulator.act``: what a simulator is to do; it answers with ``sim.acted``.

    ``thing`` is presented at ``place``; what is there is taken away where it is absent.
    """

    act: int
    place: str
    thing: str | None = None


class DeskState(Event):
    """``desk.changed``: what goes on at the desk, besides its readers, for those who administer it.

    ``simulators`` is empty unless the station is in ``simulated`` mode.
    """

    waiting: tuple[DeskWaiting, ...] = ()
    drivers: tuple[DriverHealth, ...] = ()
    last: DeskOutcome | None = None
    simulators: tuple[SimulatorPlace, ...] = ()


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
    one. ``format`` is the published format by which the content was recognised, absent where there is none. It is
    ``gs1``, ``article``, ``uri``, ``iban``, ``payment``, ``boarding-pass`` …; more may come.
    """

    __repr__ = concealed

    subscription: str
    reader: str
    symbology: str | None = None
    data: str | None = None
    data_b64: str | None = None
    gs1: Gs1 | None = None
    format: str | None = None


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
    "simulator.act": SimulatorAct,
    "code.read": CodeRead,
    "desk.changed": DeskState,
}
