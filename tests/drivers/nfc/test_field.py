"""A field on a clock of its own: what a phone that is not read costs, and what is said of it."""

from collections.abc import Callable

import pytest

from tests.problems import named
from vitale_drivers.base import Arm, Failed, Presented, Progress, Report
from vitale_drivers.nfc import field as nfc_field
from vitale_drivers.nfc.field import NfcField
from vitale_drivers.nfc.settings import NfcSettings
from vitale_drivers.nfc.transport import NfcTarget, ReaderTransport
from vitale_drivers.readers.presence import Presence
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_protocol.errors import MediumRemoved, MediumUnreadable
from vitale_protocol.events import Reader
from vitale_protocol.media.apcv_profile import parse_profile

Answer = Callable[[bytes], bytes]
PHONE = NfcTarget(b"\x08\x01\x02\x03", iso_dep=True)
STRING = b"\x5e\x20" + b"an opaque string of the simulator"[:32]
SECONDS = 10.0


def lost(_: bytes) -> bytes:
    raise MediumRemoved("torn")


def lost_after_selection(apdu: bytes) -> bytes:
    return b"\x90\x00" if apdu[1] == 0xA4 else lost(apdu)


def silent(_: bytes) -> bytes:
    raise MediumUnreadable("beyond the limit", variant="phone-silent")


def garbled(_: bytes) -> bytes:
    raise MediumUnreadable("error 0B")


def refusing(sw: str) -> Answer:
    return lambda _: bytes.fromhex(sw)


def refusing_after_selection(sw: str) -> Answer:
    return lambda apdu: b"\x90\x00" if apdu[1] == 0xA4 else bytes.fromhex(sw)


def short(_: bytes) -> bytes:
    return b"\x90"


def good(apdu: bytes) -> bytes:
    return b"\x90\x00" if apdu[1] == 0xA4 else STRING + b"\x90\x00"


class Table(ReaderTransport):
    """A reader with what lies on it; each call takes a millisecond."""

    def __init__(self, target: NfcTarget = PHONE, answer: Answer = good) -> None:
        self.targets: tuple[NfcTarget, ...] = (target,)
        self.answer = answer
        self.now = 100.0
        self.exchanges = 0

    def find(self) -> tuple[NfcTarget, ...]:
        self.now += 0.001
        return self.targets

    def choose(self, target: NfcTarget) -> None:
        pass

    def transmit(self, apdu: bytes, limit: float) -> bytes:
        self.now += 0.001
        self.exchanges += 1
        return self.answer(apdu)

    def present(self) -> bool:
        self.now += 0.001
        return bool(self.targets)

    def quiet(self) -> None:
        return

    def cancel(self) -> None:
        return

    def close(self) -> None:
        return


class Bench:
    def __init__(self, link: Table) -> None:
        self.link, self.reports = link, list[Report]()
        presence = Presence("nfc:x")
        presence.arm(Arm(media=("apcv-nfc",), deadline=float("inf")))
        reader = Reader(id="nfc:x", name="x", driver="nfc", media=("apcv-nfc",), state="empty", simulated=True)
        profiles = (parse_profile(profile_text("simulator")),)
        settings = NfcSettings()
        self.field = NfcField(link, reader, presence, profiles, settings, self.reports.append, lambda: self.link.now)

    def run(self, seconds: float = SECONDS) -> "Bench":
        end = self.link.now + seconds
        while self.link.now < end:
            self.link.now += self.field.step() or 0.0
        return self

    @property
    def told(self) -> list[str]:
        """What was told of it beside that it is there."""
        return [named(one.problem) for one in self.reports if isinstance(one, Progress) and one.step == "retry"]

    @property
    def outcomes(self) -> list[Report]:
        return [one for one in self.reports if isinstance(one, Presented | Failed)]


STATES: dict[str, tuple[Table, list[str], str]] = {
    "locked": (Table(answer=refusing("6985")), ["medium_unreadable.phone-locked"], ""),
    "not there": (Table(answer=refusing("6A82")), ["medium_unsupported.contactless"], ""),
    "a bank card": (Table(answer=refusing("6D00")), ["medium_unsupported.contactless"], ""),
    "no phone": (Table(NfcTarget(b"\x04\x01\x02\x03", iso_dep=False)), ["medium_unsupported.no-phone"], ""),
    "silent": (Table(answer=silent), ["medium_unreadable.phone-silent"], "medium_unreadable.phone-silent"),
    "breaks off": (
        Table(answer=lost),
        ["medium_removed.phone", "medium_unreadable.phone-silent"],
        "medium_unreadable.phone-silent",
    ),
    "breaks off after its selection": (
        Table(answer=lost_after_selection),
        ["medium_removed.phone", "medium_unreadable.phone-silent"],
        "medium_unreadable.phone-silent",
    ),
    "no protocol": (
        Table(answer=garbled),
        ["medium_unreadable.apcv-nfc"],
        "medium_unreadable.apcv-nfc",
    ),
    "another application in front": (
        Table(answer=refusing_after_selection("6A82")),
        ["medium_unreadable.apcv-nfc"],
        "medium_unreadable.apcv-nfc",
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_what_keeps_a_phone_from_being_read_is_told_once_for_each_change(name: str) -> None:
    table, told, outcome = STATES[name]
    bench = Bench(Table(table.targets[0], table.answer)).run()
    assert bench.told == told
    assert [named(one.problem) for one in bench.outcomes if isinstance(one, Failed)] == ([outcome] if outcome else [])


@pytest.mark.parametrize("name", STATES)
def test_what_a_phone_costs_that_is_not_read_is_bounded(name: str) -> None:
    table, _, _ = STATES[name]
    bench = Bench(Table(table.targets[0], table.answer)).run()
    messages = sum(isinstance(one, Progress) for one in bench.reports)
    print(f"{name}: {messages} messages, {bench.link.exchanges} exchanges in {SECONDS:.0f} s")
    assert messages <= 4
    assert bench.link.exchanges <= 3 * SECONDS


def test_the_pauses_of_a_phone_that_breaks_off_grow() -> None:
    assert list(nfc_field.RETRY_DELAYS) == sorted(nfc_field.RETRY_DELAYS)


@pytest.mark.parametrize("sw", ["6A82", "6985", "6D00"])
def test_an_application_that_is_opened_while_the_phone_lies_there_is_read(sw: str) -> None:
    bench = Bench(Table(answer=refusing(sw))).run(1.5)
    assert bench.outcomes == []
    bench.link.answer = good
    (presented,) = bench.run(1.0).outcomes
    assert isinstance(presented, Presented)


@pytest.mark.parametrize(
    "answer",
    [*(refusing_after_selection(sw) for sw in ("6A82", "6A88", "6982", "6F00", "9001", "91AE")), garbled, short],
)
def test_a_phone_that_answers_wrongly_for_a_second_is_read(answer: Answer) -> None:
    bench = Bench(Table(answer=answer)).run(1.0)
    assert bench.outcomes == []
    bench.link.answer = good
    (presented,) = bench.run(1.0).outcomes
    assert isinstance(presented, Presented)


def test_a_reading_that_took_all_its_time_is_not_begun_again() -> None:
    bench = Bench(Table())

    def slow(_: bytes) -> bytes:
        bench.link.now += NfcSettings().reading_limit
        return b"\x90\x00"

    bench.link.answer = slow
    assert len(bench.run(60.0).outcomes) == 1
    assert bench.told == []


def test_a_state_that_changes_is_told_again() -> None:
    bench = Bench(Table(answer=refusing("6A82"))).run(1.5)
    bench.link.answer = refusing("6985")
    bench.run(1.5)
    bench.link.answer = refusing("6A82")
    bench.run(1.5)
    assert bench.told == [
        "medium_unsupported.contactless",
        "medium_unreadable.phone-locked",
        "medium_unsupported.contactless",
    ]


def test_a_phone_of_another_make_right_after_the_first_is_read() -> None:
    bench = Bench(Table(NfcTarget(b"\x08\x01\x02\x03", iso_dep=True, traits=b"\x04\x00\x20\x05"))).run(0.5)
    bench.link.targets = (NfcTarget(b"\x08\x0a\x0b\x0c", iso_dep=True, traits=b"\x04\x00\x60\x02"),)
    bench.link.present = lambda: False  # type: ignore[method-assign]  # it has left, and another lies there
    bench.run(0.2)
    assert len(bench.outcomes) == 2


@pytest.mark.parametrize(("away", "outcomes"), [(0.1, 1), (0.3, 2)], ids=["shifted", "the next patient's"])
def test_a_phone_of_the_same_make_after_a_hands_time_is_the_next_one(away: float, outcomes: int) -> None:
    bench = Bench(Table()).run(0.5)
    bench.link.targets = ()
    bench.run(away)
    bench.link.targets = (NfcTarget(b"\x08\x0a\x0b\x0c", iso_dep=True),)
    assert len(bench.run(1.0).outcomes) == outcomes


def test_a_phone_that_broke_off_and_left_is_told_of_anew() -> None:
    bench = Bench(Table(answer=lost)).run(0.05)
    bench.link.targets = ()
    bench.run(1.0)
    bench.link.targets, bench.link.answer = (PHONE,), lost
    bench.run(0.05)
    assert bench.told.count("medium_removed.phone") == 2
