"""Retries: what a card that hesitates takes longer, and what a phone that is not read costs while it lies there.

Cards are simulated behind a real pcscd, beside the same card without a fault. Phones lie on a simulated PN532 behind
real nfcpy; messages of progress and the load of the driver's process are counted.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tests.benchmarks.latency_nfc import fault_reports
from tests.benchmarks.table import MILLISECONDS, Measure, p50, p95
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.faults import FaultyCard, parse_faults
from vitale_firmware_sim.card.images import load_image
from vitale_firmware_sim.phone.card import PhoneCard, PhoneRefusal
from vitale_protocol.errors import ToolMissing
from vitale_protocol.events import PresentationProgress
from vitale_reader.cli.demo.environment import DemoEnvironment, VpcdSlot, demo_environment
from vitale_reader.cli.frame.language import t
from vitale_reader.client.blocking import Connection
from vitale_reader.client.connection import Settings
from vitale_reader.home import Home

__all__ = ["CARDS", "PHONES", "PhoneCost", "card_lines", "lines", "phone_lines"]

#: Faults of cards that are read in the end.
CARDS = ("mute=1", "mute=2", "waking=20", "waking=150", "waking=500", "late-le=60", "deselected=1", "hiccup=2")

#: Faults of phones that are not read, as words of ``sim reader --fault``; and two phones that refuse.
PHONES = ("locked", "not there", "tear@40", "endless-wtx", "endless-chaining", "wrong-length")

#: What a phone that lies there may cost, for each second: the promise.
MESSAGES, LOAD = 4.0, 0.1

PATIENCE = 60.0


class PhoneCost(msgspec.Struct, frozen=True):
    """Cost of a phone that lies on the reader and is not read.

    Attributes:
        fault: what is the matter with it.
        messages: of progress, a second.
        load: share of a core that the driver takes.
    """

    fault: str
    messages: float
    load: float


def lines(count: int, seconds: float, say: Callable[[str], None]) -> list[Measure]:
    """Every fault of cards and phones.

    Args:
        count: readings for each fault of a card.
        seconds: for which each phone lies there.
        say: tells what is measured.

    Raises:
        ToolMissing: there is no PC/SC service to be had here, no pseudo-terminal, or no nfcpy.
    """
    say(t("Cartes qui hésitent…", "Cards that hesitate…"))
    with demo_environment(simulated_driver=False) as demo:
        _card_times(demo, "", 1)  # the first is left out: much is done for the first time then
        times = {fault: _card_times(demo, fault, count) for fault in ("", *CARDS)}
    costs: list[PhoneCost] = []
    for fault in PHONES:
        say(t(f"Téléphone non lu : {fault}…", f"Phone that is not read: {fault}…"))
        messages, load = fault_reports(_phone(fault), _faults(fault), seconds)
        costs.append(PhoneCost(fault, messages, load))
    return card_lines(times) + phone_lines(costs)


def card_lines(times: Mapping[str, Sequence[float]]) -> list[Measure]:
    """Each fault of a card beside the card without one, whose name is empty."""
    bare = times[""]
    return [
        Measure(
            name=t("carte détectée → jeton", "card noticed → token"),
            unit="ms",
            baseline=t("sans panne", "no fault"),
            baseline_p50=p50(bare) * MILLISECONDS,
            baseline_p95=p95(bare) * MILLISECONDS,
            ours=fault,
            p50=p50(taken) * MILLISECONDS,
            p95=p95(taken) * MILLISECONDS,
        )
        for fault, taken in times.items()
        if fault
    ]


def phone_lines(costs: Sequence[PhoneCost]) -> list[Measure]:
    """Messages and load of each phone that is not read."""
    found: list[Measure] = []
    for cost in costs:
        found += [
            Measure(
                name=t("téléphone non lu, messages par seconde", "phone not read, messages a second"),
                unit="/s",
                ours=cost.fault,
                p50=cost.messages,
                promise=f"≤ {MESSAGES:g} /s",
                kept=cost.messages <= MESSAGES,
            ),
            Measure(
                name=t("téléphone non lu, charge du pilote", "phone not read, load of the driver"),
                unit="%",
                ours=cost.fault,
                p50=cost.load * 100,
                promise=t(f"< {LOAD:.0%} d’un cœur", f"< {LOAD:.0%} of one core"),
                kept=cost.load < LOAD,
            ),
        ]
    return found


def _card_times(demo: DemoEnvironment, fault: str, count: int) -> list[float]:
    if not isinstance(demo.slot, VpcdSlot):
        raise ToolMissing(demo.why, data={"tool": "pcscd"})
    return [_card_time(Home.under(demo.home), demo.slot, fault) for _ in range(count)]


def _card_time(home: Home, slot: VpcdSlot, fault: str) -> float:
    """Seconds from the first word about the card to its token."""
    noticed: list[float] = []

    def on_progress(step: PresentationProgress) -> None:
        if step.step != "armed":
            noticed.append(time.perf_counter())

    with Connection(Settings(home=home)) as reader, reader.reading(timeout=PATIENCE, on_progress=on_progress) as read:
        slot.lay(FaultyCard(Card(load_image("adulte")), parse_faults(fault)))
        found = read.result()
        ended = time.perf_counter()
        slot.remove()
        reader.wait_until_empty(found.claims.reader.id, timeout=PATIENCE)
    return ended - noticed[0]


def _phone(fault: str) -> PhoneCard:
    if fault == "locked":
        return PhoneCard(_refuse)
    return _NotThere(lambda: b"") if fault == "not there" else PhoneCard(lambda: b"VITALESIM." + b"x" * 200)


def _refuse() -> bytes:
    raise PhoneRefusal("locked")


class _NotThere(PhoneCard):
    """A phone whose application is not open."""

    def transmit(self, apdu: bytes) -> bytes:
        """Knows no application."""
        return b"\x6a\x82"


def _faults(fault: str) -> str:
    return "" if fault in {"locked", "not there"} else fault
