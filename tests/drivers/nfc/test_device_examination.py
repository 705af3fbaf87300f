"""A phone tried step by step at a simulated PN532: each command and answer, never the string."""

from collections.abc import Callable

import msgspec
import pytest

from vitale_drivers.nfc.driver import NfcDriver
from vitale_firmware_sim.phone.card import PhoneCard
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_firmware_sim.pn532.reader import Pn532Reader
from vitale_protocol.catalogue import LANGUAGES
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.diagnosis.findings import tell
from vitale_protocol.errors import NoReader, PresentationTimeout

pytestmark = [pytest.mark.posix, pytest.mark.usefixtures("patient_line")]

STRING = b"canary of a string that is nobody's business"


def tried(reader: Pn532Reader, profiles: tuple[str, ...] = ("simulator",), seconds: float = 60.0) -> list[CheckResult]:
    rows = list[CheckResult]()
    options = {"devices": [reader.path], "profiles": [profile_text(name) for name in profiles]}
    NfcDriver(options).examine(rows.append, seconds)
    return rows


def test_a_phone_is_read_and_nothing_of_it_told() -> None:
    with Pn532Reader() as reader:
        reader.field.put(PhoneCard(lambda: STRING))
        rows = tried(reader)
    steps = [row.id for row in rows if row.id != "exchange"]
    assert steps[0] == "phone_awaited"
    assert steps[1] in {"phone_random", "phone_fixed"}
    assert steps[2:] == ["phone_profile", "phone_read"]
    assert rows[-1].values["bytes"] == len(STRING)
    assert STRING.decode() not in msgspec.json.encode(rows).decode()
    assert {row.values["sw"] for row in rows if row.id == "exchange"} == {"9000"}


def test_without_a_profile_it_is_said_that_none_is_there() -> None:
    with Pn532Reader() as reader:
        reader.field.put(PhoneCard(lambda: STRING))
        rows = tried(reader, ())
    assert (rows[-1].id, rows[-1].state) == ("phone_without_profile", "wrong")


def memory_tag() -> PhoneCard:
    """A card that is found like a phone, and takes no APDUs: a badge, or a sticker."""
    card = PhoneCard(lambda: STRING, uid=bytes.fromhex("04A1B2C3D4E5F6"))
    card.sak = 0x00
    return card


@pytest.mark.parametrize(
    ("laid", "finding"),
    [
        ([memory_tag], "phone_no_apdus"),
        ([memory_tag, lambda: PhoneCard(lambda: STRING)], "phone_several"),
    ],
    ids=["a badge", "a badge and a phone"],
)
def test_what_is_no_single_phone_is_told_in_both_languages(laid: list[Callable[[], PhoneCard]], finding: str) -> None:
    with Pn532Reader() as reader:
        for make in laid:
            reader.field.put(make())
        rows = tried(reader)
    (row,) = (row for row in rows if row.id == finding)
    assert row.state == "wrong"
    for language in LANGUAGES:
        shown = tell(row, language)
        assert shown.title
        assert shown.remedy


def test_nothing_is_laid_down() -> None:
    with Pn532Reader() as reader, pytest.raises(PresentationTimeout):
        tried(reader, seconds=0.2)


def test_no_reader_is_there() -> None:
    with pytest.raises(NoReader):
        NfcDriver({"devices": ["/nowhere"]}).examine(lambda _: None, 1.0)
