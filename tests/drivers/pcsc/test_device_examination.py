"""A card tried step by step on a real pcscd: every step told, and nothing of what the card says of people."""

from collections.abc import Callable
from threading import Event, Thread

import msgspec
import pytest

from tests.conftest import InsertCard
from vitale_drivers.pcsc.driver import PcscDriver
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.images import load_image
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_protocol.catalogue import LANGUAGES
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.diagnosis.findings import tell
from vitale_protocol.errors import MediumMute, MediumRemoved, NoReader, PresentationTimeout

pytestmark = pytest.mark.posix


def tried(seconds: float = 60.0, reader: str = "Virtual PCD 00 00") -> list[CheckResult]:
    rows = list[CheckResult]()
    PcscDriver({}).examine(rows.append, seconds, reader)
    return rows


def of(rows: list[CheckResult], name: str) -> CheckResult:
    return next(row for row in rows if row.id == name)


def test_a_good_card_is_tried_by_both_sequences_and_mapped(virtual_card: InsertCard) -> None:
    virtual_card(image="famille")
    rows = tried()
    steps = [row.id for row in rows if row.id not in {"exchange", "card_awaited"}]
    assert steps == [
        "card_in",
        "card_powered",
        "card_atr",
        "card_sequence",
        "card_sequence",
        "card_as_read",
        "card_read",
        "card_map",
    ]
    assert of(rows, "card_atr").values["generation"] == "vitale-2"
    assert of(rows, "card_powered").values == {"attempt": 1, "milliseconds": 0, "protocol": 0}
    read = of(rows, "card_read").values
    assert (read["people"], read["numbers"], read["pauses"], read["resets"]) == (5, 5, 0, 0)
    assert "D250000002 VITALE" in of(rows, "card_map").values["applications"]
    assert "2/2002 NIR" in of(rows, "card_map").values["files"]
    exchanges = [row.values for row in rows if row.id == "exchange"]
    assert [one["number"] for one in exchanges] == list(range(1, len(exchanges) + 1))
    assert exchanges[0]["command"] == "00A40000 Lc=2"
    for language in LANGUAGES:
        assert all("{" not in tell(row, language).title for row in rows)


def test_no_step_says_anything_of_people(virtual_card: InsertCard) -> None:
    virtual_card(image="famille")
    told = msgspec.json.encode(tried()).decode()
    people = load_image("famille").beneficiaires
    texts = {text for one in people for text in (one.nom, one.prenom, one.nir, one.date_naissance) if text}
    assert len(texts) > 10
    assert [text for text in texts if text in told] == []


def test_attempts_and_pauses_are_told(virtual_card: InsertCard) -> None:
    virtual_card(faults="hiccup=8")
    rows = tried()
    failed = [row.values["sw"] for row in rows if row.id == "card_sequence_failed"]
    assert failed == ["6F00", "6F00"]
    after = rows[rows.index(of(rows, "card_as_read")) :]
    pauses = [row.values["milliseconds"] for row in after if row.id == "exchange_pause"]
    assert of(rows, "card_read").values["pauses"] == sum(pauses) > 0


def test_a_card_that_powers_at_the_second_attempt(virtual_card: InsertCard) -> None:
    virtual_card(faults="mute=2")
    rows = tried()
    assert of(rows, "card_mute").values["attempt"] == 1
    assert of(rows, "card_powered").values["attempt"] > 1
    assert "card_read" in [row.id for row in rows]


def test_a_mute_card_is_powered_again_and_then_told(virtual_card: InsertCard) -> None:
    virtual_card(faults="mute")
    rows = list[CheckResult]()
    with pytest.raises(MediumMute):
        PcscDriver({}).examine(rows.append, 60.0, "00 00")
    assert [row.values["attempt"] for row in rows if row.id == "card_mute"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("image", "expected"), [("cps", "medium_unsupported.cps-card"), ("vitale-1", "medium_unsupported.vitale-1")]
)
def test_a_card_that_is_not_read_gets_no_command(image: str, expected: str, virtual_card: InsertCard) -> None:
    virtual_card(image=image)
    rows = tried()
    assert rows[-1].id == expected
    assert "exchange" not in {row.id for row in rows}


@pytest.mark.parametrize("also", ["adulte", "vitale-1"])
def test_a_professionals_card_is_not_tried_beside_another(virtual_card: InsertCard, also: str) -> None:
    virtual_card(image="cps", slot=0)
    virtual_card(image=also, slot=1)
    rows = tried(reader="")
    assert of(rows, "card_in").values["name"].endswith("00 01")


def test_a_professionals_card_alone_is_tried_when_no_other_comes(virtual_card: InsertCard) -> None:
    virtual_card(image="cps")
    there = tried()
    rows = tried(0.0, reader="")
    assert [row[-1].id for row in (there, rows)] == ["medium_unsupported.cps-card"] * 2


class LeavingCard:
    """A card that is taken out while it is read."""

    def __init__(self) -> None:
        self._card = Card(load_image("adulte"))
        self.leave: Callable[[], None] = lambda: None
        self.left = Event()

    def reset(self) -> bytes:
        return self._card.reset()

    def transmit(self, apdu: bytes) -> bytes:
        Thread(target=self.leave).start()
        self.left.wait(60)
        return b""

    def release(self) -> None:
        self.left.set()


def test_a_card_that_leaves_is_not_called_unreadable(virtual_card: InsertCard) -> None:
    card = LeavingCard()
    link = virtual_card(card=card)
    card.leave = link.remove
    with pytest.raises(MediumRemoved):
        tried()


def test_nothing_comes(pcsc_service: PcscService) -> None:
    rows = list[CheckResult]()
    with pytest.raises(PresentationTimeout):
        PcscDriver({}).examine(rows.append, 0.2, "")
    assert rows[-1].id == "card_awaited"


def test_a_name_that_no_reader_has(pcsc_service: PcscService) -> None:
    with pytest.raises(NoReader) as told:
        tried(reader="Gemalto")
    assert told.value.variant == "named"
