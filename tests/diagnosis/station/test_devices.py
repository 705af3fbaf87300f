"""What drivers answer, as rows."""

from pathlib import Path

import pytest

from vitale_drivers.base import Sighting
from vitale_drivers.host.inspection import Surveyed
from vitale_protocol.catalogue import LANGUAGES
from vitale_protocol.diagnosis.findings import tell
from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.problems import Problem
from vitale_reader.daemon.config import Config, parse
from vitale_reader.daemon.workers.questions import Silent
from vitale_reader.diagnosis.station.devices import Answers, absent_ports, look, shown_by_pcsc
from vitale_reader.home import Home

SERVICE = Sighting(kind="service", name="PC/SC")
HOME = Home.under(Path("nowhere"))


def told(answers: Answers, config: Config | None = None, *, running: bool = False) -> list[tuple[str, str]]:
    rows = look(HOME, config or Config(), answers, running=running)
    return [(row.id, row.state) for row in rows]


@pytest.mark.parametrize(
    ("variant", "expected"),
    [("pcsc", "reader_unavailable.pcsc"), ("pcsc-refused", "reader_unavailable.pcsc-refused")],
)
def test_a_service_that_cannot_be_used(variant: str, expected: str) -> None:
    problem = Problem("reader_unavailable", variant)
    answers = {"pcsc": Surveyed(seen=(Sighting(kind="service", name="PC/SC", problem=problem),))}
    assert told(answers) == [("driver_checked", "ok"), (expected, "wrong")]
    assert shown_by_pcsc(answers) is None


@pytest.mark.parametrize(
    ("medium", "expected"),
    [
        ("", "reader_empty"),
        ("vitale-card", "reader_card"),
        ("cps-card", "reader_cps"),
        ("unknown-card", "reader_other"),
    ],
)
def test_readers_and_what_lies_in_them(medium: str, expected: str) -> None:
    answers = {"pcsc": Surveyed(seen=(SERVICE, Sighting(kind="reader", name="Twin 00 00", medium=medium)))}
    assert told(answers, running=True) == [(expected, "ok")]
    assert shown_by_pcsc(answers) == ("Twin 00 00",)


def test_a_driver_that_hangs_and_one_that_dies() -> None:
    answers: Answers = {"pcsc": Silent(15.0), "nfc": ConfigurationInvalid("driver nfc ended with status -11")}
    assert told(answers) == [("driver_silent", "wrong"), ("configuration_invalid", "wrong")]


def test_a_driver_whose_package_is_missing_is_a_matter_of_the_installation() -> None:
    answers = {"nfc": Surveyed(refused=Problem("tool_missing", "nfc"))}
    (row,) = look(HOME, Config(), answers, running=False)
    assert (row.id, row.subject) == ("tool_missing.nfc", "part")


def test_a_simulated_reader_at_a_real_desk_is_noted() -> None:
    answers = {"pcsc": Surveyed(seen=(Sighting(kind="reader", name="Virtual PCD 00 00", simulated=True),))}
    assert ("reader_simulated", "note") in told(answers)
    assert ("reader_simulated", "note") not in told(answers, parse('[station]\nmode = "simulated"\n'))


@pytest.mark.parametrize("redirected", [True, False])
def test_a_reader_of_another_machine_is_noted(redirected: bool) -> None:
    answers = {"pcsc": Surveyed(seen=(SERVICE, Sighting(kind="reader", name="Twin 0", redirected=redirected)))}
    assert (("reader_redirected", "note") in told(answers, running=True)) == redirected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((SERVICE,), [("no_reader", "wrong")]),
        ((Sighting(kind="absent", name="usb"),), [("driver_without_device", "note"), ("no_reader", "wrong")]),
        ((Sighting(kind="absent", name="/dev/x"),), [("device_absent", "wrong")]),
        ((), []),
    ],
)
def test_no_reader_is_said_where_nothing_else_explains_it(
    seen: tuple[Sighting, ...], expected: list[tuple[str, str]]
) -> None:
    assert told({"scanner": Surveyed(seen=seen)}) == [("driver_checked", "ok"), *expected]


@pytest.mark.parametrize(
    ("options", "numbered"),
    [
        ('[drivers.options.scanner]\ndevices = ["/dev/pts/7", "/dev/serial/by-id/x"]', {"/dev/pts/7": "scanner"}),
        ('[drivers.options.scanner]\npassthrough = "/dev/ttyUSB1"', {"/dev/ttyUSB1": "scanner"}),
        ('[drivers.options.nfc]\ndevices = ["tty:USB0:pn532", "usb:054c:06c1"]', {"tty:USB0:pn532": "nfc"}),
        ('[drivers.options.camera]\ndevices = ["/dev/video0", "/dev/v4l/by-id/y"]', {"/dev/video0": "camera"}),
        ('[drivers.options.scanner]\ndevices = ["/dev/ttyS0", "COM3", "/dev/ttyACM0/x"]', {}),  # ttyS0: the mainboard's
    ],
)
def test_what_is_named_by_a_number_is_noted(options: str, numbered: dict[str, str]) -> None:
    config = parse(f'[drivers]\nenabled = ["scanner", "nfc", "camera"]\n{options}\n')
    rows = [row for row in look(HOME, config, {}, running=True) if row.id == "device_numbered"]
    assert {str(row.values["address"]): str(row.values["driver"]) for row in rows} == numbered
    assert {row.state for row in rows} <= {"note"}
    for language in LANGUAGES:
        for row in rows:
            told = tell(row, language)
            assert str(row.values["address"]) in told.title
            assert "by-id" in told.remedy


def test_the_ports_of_the_options() -> None:
    config = parse(
        '[drivers]\nenabled = ["scanner", "nfc"]\n[drivers.options.scanner]\ndevices = ["usb", "com:3"]\n'
        '[drivers.options.nfc]\ndevices = ["/dev/ttyS0"]\n'
    )
    assert absent_ports(config) == {"COM3": "scanner", "/dev/ttyS0": "nfc"}
