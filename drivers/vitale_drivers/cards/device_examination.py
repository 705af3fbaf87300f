"""Trial of a card or a phone, step by step, with each exchange reported.

Headers, lengths and status words are reported, never data.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from vitale_drivers.base import Tell
from vitale_drivers.cards.channel import Channel
from vitale_protocol.apdu import Command, ReadingScript, Response, status_name
from vitale_protocol.diagnosis.atr import parse_atr
from vitale_protocol.diagnosis.check_results import CheckResult, Subject, of_error
from vitale_protocol.errors import MediumUnreadable, MediumUnsupported, VitaleError
from vitale_protocol.media import interpret, reading_script, recognise
from vitale_protocol.media.apcv_profile import Profile
from vitale_protocol.media.pointers import parse_pointers
from vitale_protocol.media.vitale_card import ATTEMPTS, pointers_script, sequence_scripts

__all__ = ["ExaminedConnection", "examine_card", "examine_phone", "tell_atr"]

T = TypeVar("T")


@dataclass
class ExaminedConnection:
    """A connection to a card whose exchanges are told.

    Attributes:
        transmit: one exchange.
        tell: takes what is told.
        subject: what is tried.
        t0: whether it speaks T=0.
        reset: resets the card, where the connection can.
        keep: shows the service that the card is in use.
    """

    transmit: Callable[[bytes], bytes]
    tell: Tell
    subject: Subject
    t0: bool = False
    reset: Callable[[], None] | None = None
    keep: Callable[[], None] | None = None
    exchanges: int = 0
    paused: float = 0.0
    resets: int = 0
    _last: float = field(default_factory=time.monotonic)

    def run(self, script: ReadingScript[T]) -> T:
        """Runs a script.

        Raises:
            VitaleError: it gave up, or the card or the reader is gone.
        """
        reset = None if self.reset is None else self._reset
        return Channel(self._transmit, t0=self.t0, rest=self._rest, reset=reset, keep=self.keep).run(script)

    def _transmit(self, apdu: bytes) -> bytes:
        began = time.perf_counter()
        answer = self.transmit(apdu)
        took = (time.perf_counter() - began) * 1000
        self.exchanges += 1
        response = Response.parse(answer)
        values = {
            "number": self.exchanges,
            "command": str(Command.parse(apdu)),
            "sw": f"{response.sw:04X}",
            "meaning": status_name(response.sw),
            "bytes": len(response.data),
            "milliseconds": round(took, 1),
        }
        self.tell(CheckResult(id="exchange", subject=self.subject, state="ok", values=values))
        return answer

    def _rest(self, seconds: float) -> None:
        self.paused += seconds
        self.tell(
            CheckResult(
                id="exchange_pause", subject=self.subject, state="ok", values={"milliseconds": round(seconds * 1000)}
            )
        )
        time.sleep(seconds)

    def _reset(self) -> None:
        self.resets += 1
        self.tell(CheckResult(id="exchange_reset", subject=self.subject, state="ok"))
        if self.reset is not None:
            self.reset()


def tell_atr(atr: bytes, tell: Tell, subject: Subject) -> None:
    """Tells an answer to reset, taken apart."""
    card, parts = recognise(atr), parse_atr(atr)
    values = {
        "atr": atr.hex(" ").upper(),
        "medium": card.medium,
        "generation": card.generation or "–",
        "convention": parts.convention or "–",
        "protocols": ", ".join(f"T={number}" for number in parts.protocols),
        "historical": parts.historical.hex(" ").upper() or "–",
    }
    whole = parts.complete
    tell(
        CheckResult(
            id="card_atr" if whole else "card_atr_cut", subject=subject, state="ok" if whole else "note", values=values
        )
    )


def examine_card(atr: bytes, connection: ExaminedConnection) -> None:
    """Tries a card: both published sequences, then as a driver reads it, then its own map.

    Args:
        atr: of the card.
        connection: to it, within a transaction.

    Raises:
        MediumMute: the answer to reset is cut short.
        VitaleError: the card or the reader is gone.
    """
    tell = connection.tell
    try:
        script = reading_script(atr)
    except MediumUnsupported as error:
        tell(of_error(error, "card"))
        return
    for name, sequence in sequence_scripts().items():
        tell(CheckResult(id="card_sequence", subject="card", state="ok", values={"name": name}))
        try:
            connection.run(sequence())
        except MediumUnreadable as error:
            values = {"name": name, "sw": str(error.data.get("sw", "–")), "why": error.detail}
            tell(CheckResult(id="card_sequence_failed", subject="card", state="note", values=values))
    tell(CheckResult(id="card_as_read", subject="card", state="ok", values={"attempts": ATTEMPTS}))
    _as_read(script, connection)
    _map(connection)


def examine_phone(profiles: tuple[Profile, ...], connection: ExaminedConnection) -> None:
    """Tries a phone with each profile: whether it has the application, and what it answers.

    Nothing of the answer is kept.

    Raises:
        VitaleError: the phone or the reader is gone.
    """
    for profile in profiles:
        connection.tell(CheckResult(id="phone_profile", subject="phone", state="ok", values={"name": profile.label}))
        try:
            evidence = connection.run(profile.reading_script())
        except (MediumUnreadable, MediumUnsupported) as error:
            connection.tell(of_error(error, "phone", {"name": profile.label}))
        else:
            values = {"name": profile.label, "bytes": len(evidence["string"])}
            connection.tell(CheckResult(id="phone_read", subject="phone", state="ok", values=values))
            return


def _as_read(script: ReadingScript[dict[str, bytes]], connection: ExaminedConnection) -> None:
    """Reads as a driver does, with pauses and a reset; how many people it names, never who."""
    before, began = (connection.exchanges, connection.paused, connection.resets), time.perf_counter()
    try:
        reading = interpret("vitale-card", connection.run(script), simulated=True)
    except MediumUnreadable as error:
        connection.tell(of_error(error, "card"))
        return
    people = reading.record.beneficiaires or ()
    values = {
        "people": len(people),
        "numbers": sum(one.nir is not None for one in people),
        "exchanges": connection.exchanges - before[0],
        "pauses": round((connection.paused - before[1]) * 1000),
        "resets": connection.resets - before[2],
        "milliseconds": round((time.perf_counter() - began) * 1000),
        "warnings": list(reading.warnings),
    }
    named = all(one.nir is not None for one in people)
    connection.tell(
        CheckResult(
            id="card_read" if named else "card_without_nir",
            subject="card",
            state="ok" if named else "note",
            values=values,
        )
    )


def _map(connection: ExaminedConnection) -> None:
    try:
        found = parse_pointers(connection.run(pointers_script()))
    except VitaleError as error:
        if not isinstance(error, MediumUnreadable):
            raise
        values = {"sw": str(error.data.get("sw", "–")), "why": error.detail}
        connection.tell(CheckResult(id="card_map_absent", subject="card", state="note", values=values))
        return
    values = {
        "applications": ", ".join(f"{one.entry} {_aid(one.aid)}" for one in found.applications),
        "files": ", ".join(f"{one.application}/{one.fid:04X} {one.name}" for one in found.files),
    }
    connection.tell(CheckResult(id="card_map", subject="card", state="ok", values=values))


def _aid(aid: bytes) -> str:
    """An AID as people write it: the provider in hex, what follows as text.

    The provider has five bytes (ISO/IEC 7816-4 §12.2.2).
    """
    rest = "".join(chr(byte) if chr(byte).isprintable() else f"\\x{byte:02x}" for byte in aid[5:])
    return f"{aid[:5].hex().upper()} {rest}".strip()
