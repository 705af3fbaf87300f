"""A phone tried step by step at a simulated PN532: each command and answer, never the string."""

import msgspec
import pytest

from vitale_drivers.nfc.driver import NfcDriver
from vitale_firmware_sim.phone.card import PhoneCard
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_firmware_sim.pn532.reader import Pn532Reader
from vitale_protocol.diagnosis.check_results import Row
from vitale_protocol.errors import NoReader, PresentationTimeout

pytestmark = [pytest.mark.posix, pytest.mark.usefixtures("patient_line")]

STRING = b"canary of a string that is nobody's business"


def tried(reader: Pn532Reader, profiles: tuple[str, ...] = ("simulator",), seconds: float = 60.0) -> list[Row]:
    rows = list[Row]()
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


def test_nothing_is_laid_down() -> None:
    with Pn532Reader() as reader, pytest.raises(PresentationTimeout):
        tried(reader, seconds=0.2)


def test_no_reader_is_there() -> None:
    with pytest.raises(NoReader):
        NfcDriver({"devices": ["/nowhere"]}).examine(lambda _: None, 1.0)
