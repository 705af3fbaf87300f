"""Tasks with a card in place, reading it or passing raw APDUs, and the report that ends each."""

import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from vitale_drivers.base import Failed, Presented, Report, Transmit, Transmitted
from vitale_drivers.cards.channel import Channel
from vitale_protocol.apdu import Response, status_name
from vitale_protocol.errors import (
    CardError,
    MediumRemoved,
    MediumUnreadable,
    MediumUnsupported,
    VitaleError,
)
from vitale_protocol.events import LeaseWhy
from vitale_protocol.media import apcv, reading_script, recognise
from vitale_protocol.media.apcv_profile import Profile
from vitale_protocol.problems import Problem

__all__ = [
    "CARD_SILENT",
    "LOCKED",
    "NOT_HERE",
    "NO_PHONE",
    "PHONE",
    "SILENT",
    "TORN",
    "UNREADABLE",
    "UNREADABLE_TRIES",
    "HeldLease",
    "Task",
    "is_locked",
    "phone_reading",
    "reading",
    "transmission",
]

PHONE = "apcv-nfc"

TORN = Problem(MediumRemoved.reason, "phone")
"""Of a ``retry``: the phone left before it was read."""

SILENT = Problem(MediumUnreadable.reason, "phone-silent")
"""Of a ``retry``: the phone lies there and answers nothing, or breaks off again and again."""

CARD_SILENT = Problem(MediumUnreadable.reason, "card-silent")
"""Of a ``retry``: the card has stopped to answer while it is read."""

UNREADABLE = Problem(MediumUnreadable.reason, PHONE)
"""Of a ``retry``: the phone answers, but gives no string: another application came to the front, or a byte was lost."""

UNREADABLE_TRIES = 4
"""Of such a phone, half a second apart: then it cannot be read, and that is the outcome."""

NOT_HERE = Problem(MediumUnsupported.reason, "contactless")
"""Of a ``retry``: what lies there has no application of a profile, or not yet: it may be opened while it lies there."""

NO_PHONE = Problem(MediumUnsupported.reason, "no-phone")
"""Of a ``retry``: what lies there speaks no ISO/IEC 14443-4, and so has no applications: a badge, a tag."""

LOCKED = Problem(MediumUnreadable.reason, "phone-locked")
"""Of a ``retry``: the phone is locked."""


class HeldLease(Protocol):
    """The lease that a task holds the card for, as far as whoever runs the task needs it."""

    @property
    def id(self) -> int:
        """The number that the core gave it."""
        ...

    def end(self, why: LeaseWhy) -> None:
        """Ends it; the first reason stays."""


@dataclass(slots=True, eq=False)
class Task:
    """Work for one card; it ends once, with one report.

    Attributes:
        presence: the number of the presence that it is for.
        run: does the work over a channel, in a transaction.
        failed: what to report of an error instead.
        reads: whether this is the reading of a presentation, whose progress is told.
        phone: whether it is that of a phone.
        lease: the lease that it holds the card for; the card is reset at its end.
        granted: whether the transaction was obtained.
        blocked: whether another program's hold on the card is what it waits for.
        ended: whether the report was made.
    """

    presence: int
    run: Callable[[Channel], Report]
    failed: Callable[[VitaleError], Report]
    reads: bool
    phone: bool = False
    lease: HeldLease | None = None
    granted: bool = field(default=False, init=False)
    blocked: bool = field(default=False, init=False)
    ended: bool = field(default=False, init=False)


def reading(presence: int, reader: str, atr: Callable[[], bytes], *, simulated: bool) -> Task:
    """The task to read the card; ``atr`` is its own, asked for once it is held."""

    def run(channel: Channel) -> Report:
        began = time.perf_counter()
        answer = atr()
        evidence = channel.run(reading_script(answer))
        return _presented(reader, recognise(answer).medium, evidence, began, simulated=simulated)

    return Task(presence, run, lambda error: _failed(reader, error), reads=True)


def phone_reading(
    presence: int,
    reader: str,
    profiles: tuple[Profile, ...],
    *,
    simulated: bool,
    silent_when_gone: bool = False,
    limit: float = math.inf,
) -> Task:
    """The task to read a phone by the first of the profiles whose application it has.

    Args:
        presence: the number of the presence.
        reader: the reader's id.
        profiles: what to read it by.
        simulated: whether the reader is; a profile of the simulator makes simulated whatever it reads.
        silent_when_gone: whether an answer of no bytes is what the connection gives of a phone that has left.
        limit: seconds from the first exchange after which none is begun any more. A second run of the task does not
            begin them anew.
    """
    end = math.inf

    def run(channel: Channel) -> Report:
        nonlocal end
        began = time.perf_counter()
        end = min(end, time.monotonic() + limit)

        def transmit(apdu: bytes) -> bytes:
            if time.monotonic() >= end:
                raise MediumUnreadable("the reading takes longer than it may", variant=PHONE)
            answer = channel.transmit(apdu)
            if not answer and silent_when_gone:
                raise MediumRemoved("the phone gives no answer")
            return answer

        evidence = replace(channel, transmit=transmit).run(apcv.reading_script(profiles))
        origin = apcv.profile_of(evidence, profiles).origin
        return _presented(reader, PHONE, evidence, began, simulated=simulated or origin == "simulated")

    return Task(presence, run, lambda error: _failed(reader, error), reads=True, phone=True)


def is_locked(why: Problem | VitaleError) -> bool:
    """True if a reading failed since the phone is locked."""
    return (why.reason, why.variant) == (LOCKED.reason, LOCKED.variant)


def _presented(reader: str, medium: str, evidence: dict[str, bytes], began: float, *, simulated: bool) -> Presented:
    at, elapsed = time.time(), time.perf_counter() - began
    number = str(uuid.uuid4())
    return Presented(
        id=number, medium=medium, reader=reader, at=at, evidence=evidence, simulated=simulated, elapsed=elapsed
    )


def _failed(reader: str, error: VitaleError) -> Failed:
    return Failed(reader=reader, problem=Problem.of(error))


def transmission(presence: int, command: Transmit) -> Task:
    """The task to pass raw APDUs, as they are: ``61xx`` and ``6Cxx`` are the caller's to handle.

    It stops at the first response that is an error (``64xx`` to ``6Fxx`` but ``6Cxx``). It then fails with
    ``card_error`` and the status word. The rest of the series was meant for a card in another state.
    """
    responses: list[bytes] = []

    def run(channel: Channel) -> Report:
        responses.clear()  # after a reset of the card the series begins again
        for apdu in command.apdus:
            response = channel.transmit(apdu)
            parsed = Response.parse(response)
            if 0x64 <= parsed.sw1 <= 0x6F and parsed.sw1 != 0x6C:
                raise CardError(status_name(parsed.sw), data={"sw": f"{parsed.sw:04X}"})
            responses.append(response)
        return Transmitted(id=command.id, responses=tuple(responses))

    def failed(error: VitaleError) -> Report:
        return Transmitted(id=command.id, responses=tuple(responses), problem=Problem.of(error))

    return Task(presence, run, failed, reads=False)
