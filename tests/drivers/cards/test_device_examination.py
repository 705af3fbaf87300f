"""Cards and phones tried step by step without a reader: what does not answer is told, and what is gone is raised."""

import pytest

from vitale_drivers.cards.device_examination import ExaminedConnection, examine_card, examine_phone, tell_atr
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.images import load_image
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_protocol.catalogue import LANGUAGES
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.diagnosis.findings import tell
from vitale_protocol.errors import MediumRemoved
from vitale_protocol.media.apcv_profile import parse_profile

IMAGE = load_image("adulte")
NUMBERS = bytes((0x00, 0xB0, 0x82))  # READ BINARY by the short identifier of the numbers' file
PROFILES = (parse_profile(profile_text("simulator")),)


@pytest.fixture
def rows() -> list[CheckResult]:
    return []


def refuses(_: bytes) -> bytes:
    return b"\x6a\x82"


def told(rows: list[CheckResult]) -> list[str]:
    return [row.id for row in rows if row.id != "exchange"]


def test_a_phone_without_any_application_is_told_for_each_profile(rows: list[CheckResult]) -> None:
    examine_phone(PROFILES, ExaminedConnection(refuses, rows.append, "phone"))
    assert ["phone_profile", "medium_unsupported.contactless"] * len(PROFILES) == told(rows)
    assert {"phone"} == {row.subject for row in rows}


def test_a_card_that_refuses_everything_is_told_and_has_no_map(rows: list[CheckResult]) -> None:
    examine_card(IMAGE.atr, ExaminedConnection(refuses, rows.append, "card"))
    assert ["card_sequence", "card_sequence_failed"] * 2 == told(rows)[:4]
    assert "card_map_absent" == told(rows)[-1]
    assert {"6A82"} == {row.values["sw"] for row in rows if row.id == "card_sequence_failed"}


@pytest.mark.parametrize("after", [0, 3, 12])
def test_a_card_that_is_gone_is_raised_wherever_it_was(rows: list[CheckResult], after: int) -> None:
    card, left = Card(IMAGE), [None] * after

    def transmit(apdu: bytes) -> bytes:
        if not left:
            raise MediumRemoved
        left.pop()
        return card.transmit(apdu)

    card.reset()
    with pytest.raises(MediumRemoved):
        examine_card(IMAGE.atr, ExaminedConnection(transmit, rows.append, "card"))
    assert after == len([row for row in rows if row.id == "exchange"])


def test_a_card_that_gives_names_alone_is_told_with_its_resets(rows: list[CheckResult]) -> None:
    """The file of the numbers cannot be read at any attempt, nor after the reset before the last one."""
    card, resets = Card(IMAGE), list[None]()
    card.reset()

    def transmit(apdu: bytes) -> bytes:
        return card.transmit(apdu) if apdu[:3] != NUMBERS else b"\x6a\x82"

    connection = ExaminedConnection(transmit, rows.append, "card", reset=lambda: resets.append(None))
    examine_card(IMAGE.atr, connection)
    found = {row.id: row for row in rows}
    assert ("note", "ok") == (found["card_without_nir"].state, found["exchange_reset"].state)
    assert (1, 0) == (found["card_without_nir"].values["people"], found["card_without_nir"].values["numbers"])
    assert len(resets) == found["card_without_nir"].values["resets"] == 1
    for language in LANGUAGES:
        assert tell(found["exchange_reset"], language).title
        assert tell(found["card_without_nir"], language).remedy


def test_a_card_of_another_kind_is_not_tried(rows: list[CheckResult]) -> None:
    examine_card(bytes.fromhex("3B00"), ExaminedConnection(refuses, rows.append, "card"))
    assert 1 == len(rows)
    assert rows[0].id.startswith("medium_unsupported")


@pytest.mark.parametrize(("atr", "expected"), [(IMAGE.atr, "card_atr"), (IMAGE.atr[:4], "card_atr_cut")])
def test_an_answer_to_reset_is_told_whole_or_cut(rows: list[CheckResult], atr: bytes, expected: str) -> None:
    tell_atr(atr, rows.append, "card")
    assert [expected] == told(rows)
    assert atr.hex(" ").upper() == rows[0].values["atr"]
