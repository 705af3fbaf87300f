"""USB devices of known makers: how each system lists them, and which of them nobody can use as they are."""

from pathlib import Path

import pytest

from tests.diagnosis.desks import usb_device
from vitale_drivers.scanner.settings import MAKERS
from vitale_reader.diagnosis.desk import usb
from vitale_reader.diagnosis.desk.usb import UsbDevice, known_devices, look, of_macos, of_windows, plugged
from vitale_reader.diagnosis.machine import InspectedMachine

# As the programs print it, on a German Windows and on macOS 14; the devices are those of the reports in the table.
PNPUTIL = """\
Instanz-ID:                USB\\VID_0B00&PID_0090\\5&2a7d7b09&0&2
Gerätebeschreibung:        Ingenico Lecteur
Instanz-ID:                USB\\VID_0C2E&PID_0B6A&MI_00\\6&1
Instanz-ID:                ACPI\\PNP0A08\\0
"""
PROFILER = """\
        PC Twin Reader:

          Product ID: 0x3437
          Vendor ID: 0x08e6  (Gemalto SA)
          Version: 1.00
"""


def machine(root: Path, *devices: dict[str, str]) -> InspectedMachine:
    for device in devices:
        for path, text in device.items():
            file = root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    return InspectedMachine(root=root, system="linux")


def test_the_table_has_its_sources_and_products_before_makers() -> None:
    assert all(one.source and one.name for one in known_devices())
    assert [one.product for one in known_devices() if one.vendor == "0b00"] == ["0090", ""]
    assert {int(one.vendor, 16) for one in known_devices() if one.kind == "imager"} <= MAKERS


def test_windows_lists_each_device_once_whatever_its_language() -> None:
    told = [(one.vendor, one.product) for one in of_windows(PNPUTIL)]
    assert told == [("0b00", "0090"), ("0c2e", "0b6a")]


def test_macos_lists_devices() -> None:
    assert of_macos(PROFILER) == (UsbDevice(vendor="08e6", product="3437"),)


@pytest.mark.parametrize("system", ["win32", "darwin", "aix"])
def test_a_system_that_does_not_tell_has_no_devices(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb, "_LISTED", {"win32": ("/no/such/program",), "darwin": ("/no/such/program",)})
    assert plugged(InspectedMachine(system=system)) == ()


def test_a_reader_that_pcsc_shows_is_well_whatever_its_number(tmp_path: Path) -> None:
    here = machine(tmp_path, usb_device("1-1", "08e6", "3437", "Gemalto|PC Twin Reader", "0b"))
    (row,) = look(here, ["Gemalto PC Twin Reader 00 00"])
    assert (row.id, row.values["number"]) == ("usb_shown", "08e6:3437")


def test_an_unknown_maker_is_known_by_its_class(tmp_path: Path) -> None:
    here = machine(
        tmp_path,
        usb_device("1-1", "1d99", "0016", "HSIC|CCID-Reader", "0b"),
        usb_device("1-2", "046d", "0825", "Logitech|Webcam", "0e"),
    )
    assert [row.id for row in look(here, [])] == ["usb_unshown"]


def test_where_pcsc_could_not_be_asked_nothing_is_said_to_be_unseen(tmp_path: Path) -> None:
    here = machine(tmp_path, usb_device("1-1", "0b00", "0090", "INGENICO|Lecteur", "0a"))
    assert [row.id for row in look(here, None)] == ["usb_shown"]


@pytest.mark.parametrize(("interfaces", "expected"), [(("03",), "usb_keyboard"), (("02", "0a"), "usb_shown")])
def test_an_imager_that_types_is_told(interfaces: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    here = machine(tmp_path, usb_device("1-1", "0c2e", "0b6a", "Honeywell|Xenon", *interfaces))
    assert [row.id for row in look(here, [])] == [expected]
