"""One card or phone at a PC/SC reader, tried step by step for ``doctor``.

It is powered, named and read, and each step is told.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager

from vitale_drivers.base import Tell
from vitale_drivers.cards.device_examination import ExaminedConnection, examine_card, examine_phone, tell_atr
from vitale_drivers.pcsc.access import POWER_RETRY_DELAYS
from vitale_drivers.pcsc.api import CardReset, ExchangeFailed, Pcsc, PcscCard, PcscContext
from vitale_drivers.pcsc.contactless import may_be_phone
from vitale_drivers.pcsc.state import ReaderState
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.errors import (
    MediumMute,
    MediumRemoved,
    MediumUnreadable,
    NoReader,
    PresentationTimeout,
    ReaderBusy,
    VitaleError,
)
from vitale_protocol.media import recognise
from vitale_protocol.media.apcv_profile import Profile

__all__ = ["examine"]

BUSY_DELAYS = (0.0, 0.1, 0.3, 1.0, 2.0)
"""Seconds before each attempt while another program has the card for itself alone."""

LEAVING = 1.0
"""Seconds within which a reader that is polled is known to be empty."""


def examine(pcsc: Pcsc, profiles: tuple[Profile, ...], tell: Tell, seconds: float, reader: str) -> None:
    """Tries what lies in a reader, or what comes.

    Args:
        pcsc: the library.
        profiles: of phones.
        tell: takes each step.
        seconds: for as long as a card is waited for.
        reader: a part of the reader's name, or empty.

    Raises:
        NoReader: there is none, or none of that name.
        PresentationTimeout: nothing came.
        VitaleError: the card or the reader is gone.
    """
    context = pcsc.establish()
    try:
        names = [name for name in context.readers() if reader.lower() in name.lower()]
        if not names:
            raise (
                NoReader(f"no reader has {reader} in its name", variant="named")
                if reader
                else NoReader("PC/SC shows no reader")
            )
        state = _present(context, names, tell, seconds)
        tell(CheckResult(id="card_in", subject="card", state="ok", values={"name": state.name}))
        with _powered(context, state, tell) as (card, atr):
            is_phone = bool(profiles) and may_be_phone(atr, state.name)
            tell_atr(atr, tell, "phone" if is_phone else "card")
            connection = ExaminedConnection(
                card.transmit, tell, "phone" if is_phone else "card", t0=card.t0, reset=card.reset, keep=card.keep
            )
            if is_phone:
                examine_phone(profiles, connection)
            else:
                examine_card(atr, connection)
    finally:
        context.release()


def _present(context: PcscContext, names: list[str], tell: Tell, seconds: float) -> ReaderState:
    """The first reader with a card, waited for.

    A professional's card is tried where no other is there or can come.
    """
    end, asked = time.monotonic() + seconds, False
    known = tuple(ReaderState(name) for name in names)
    while True:
        known = context.wait(known, max(0.0, end - time.monotonic()) if asked else 0)
        over = time.monotonic() >= end
        found = sorted((state for state in known if state.present), key=_is_professionals)
        if found and (over or not _is_professionals(found[0]) or len(found) == len(known)):
            return found[0]
        if over:
            raise PresentationTimeout("no card was put into a reader")
        if not asked:
            tell(CheckResult(id="card_awaited", subject="card", state="ok", values={"seconds": round(seconds)}))
            asked = True


def _is_professionals(state: ReaderState) -> bool:
    return recognise(state.atr).medium == "cps-card"


@contextmanager
def _powered(context: PcscContext, state: ReaderState, tell: Tell) -> Generator[tuple[PcscCard, bytes]]:
    """The card, powered and in a transaction, and its answer to reset; powered again where it gives none."""
    card: PcscCard | None = None
    for attempt, pause in enumerate((0.0, *POWER_RETRY_DELAYS), 1):
        time.sleep(pause)
        values = {"attempt": attempt, "milliseconds": round(pause * 1000)}
        try:
            card = _connected(context, state.name, tell)
        except MediumMute:
            tell(CheckResult(id="card_mute", subject="card", state="note", values=values))
            if attempt > len(POWER_RETRY_DELAYS):
                raise
        else:
            tell(
                CheckResult(
                    id="card_powered", subject="card", state="ok", values=values | {"protocol": 0 if card.t0 else 1}
                )
            )
            break
    if card is None:
        raise MediumMute("the card gives no answer to reset")
    now = state
    try:
        card.begin()
        (now,) = context.wait((ReaderState(state.name),), 0)
        yield card, now.atr
    except (CardReset, ExchangeFailed) as error:
        if _leaves(context, now):
            raise MediumRemoved(f"the card left: {error.detail}") from error
        raise MediumUnreadable(f"the exchange with the card failed: {error.detail}") from error
    finally:
        card.release()


def _leaves(context: PcscContext, before: ReaderState) -> bool:
    """True if the card was taken out.

    PC/SC may tell of that a moment after an exchange has failed.
    """
    end, now = time.monotonic() + LEAVING, before
    while now.present and now.count == before.count and (left := end - time.monotonic()) > 0:
        (now,) = context.wait((now,), left)
    return not now.present or now.count != before.count


def _connected(context: PcscContext, name: str, tell: Tell) -> PcscCard:
    """Connects, and waits a little for a program that has the card for itself alone."""
    failure: VitaleError | None = None
    for pause in BUSY_DELAYS:
        time.sleep(pause)
        try:
            return context.connect(name)
        except ReaderBusy as error:
            if not isinstance(failure, ReaderBusy):
                tell(CheckResult(id="card_busy", subject="card", state="note"))
            failure = error
        except (CardReset, ExchangeFailed) as error:
            failure = MediumUnreadable(f"the card cannot be connected: {error.detail}")
    raise failure or ReaderBusy("another program has the card for itself alone")
