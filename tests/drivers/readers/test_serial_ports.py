"""``serial_ports``: which serial ports there are, which are programs, and who has them open."""

import os
import sys
import time
from pathlib import Path

import pytest

from vitale_drivers.readers import serial_ports
from vitale_drivers.readers.serial_ports import PortList, UsbPort, is_pseudo_terminal
from vitale_firmware_sim.serial.line import SerialLine


class FakePort:
    def __init__(self, device: str, vid: int | None, location: str | None, serial_number: str | None = None) -> None:
        self.device, self.vid, self.pid = device, vid, None if vid is None else 0x0B6A
        self.location, self.serial_number, self.product = location, serial_number, None


def test_ports_of_usb_devices_in_the_order_of_their_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [
        FakePort("/dev/ttyS0", None, None),
        FakePort("/dev/ttyACM0", 0x0C2E, "1-4:1.0", "S1"),
        FakePort("/dev/ttyACM1", 0x0C2E, "1-2.4:1.0"),
    ]
    monkeypatch.setattr("vitale_drivers.readers.serial_ports.list_ports.comports", lambda: ports)
    assert PortList().usb() == (
        UsbPort("/dev/ttyACM1", 0x0C2E, 0x0B6A, "", "1-2.4"),
        UsbPort("/dev/ttyACM0", 0x0C2E, 0x0B6A, "S1", "1-4"),
    )


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system is asked each time")
def test_the_system_is_asked_again_only_when_a_device_came_or_went(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[int] = []

    def comports() -> list[FakePort]:
        asked.append(1)
        return []

    monkeypatch.setattr("vitale_drivers.readers.serial_ports.list_ports.comports", comports)
    monkeypatch.setattr(serial_ports, "_NODES", tmp_path)
    ports = PortList()
    long_ago = time.time() - 60
    os.utime(tmp_path, (long_ago, long_ago))
    for _ in range(3):
        ports.usb()
    assert len(asked) == 1
    (tmp_path / "ttyACM0").touch()
    for _ in range(3):
        ports.usb()
    assert len(asked) == 4, "what came a moment ago may not have said everything of itself yet"


def test_a_pseudo_terminal_is_a_program_by_path_by_link_and_open(tmp_path: Path) -> None:
    line = SerialLine()
    link = tmp_path / "imager"
    link.symlink_to(line.path)
    opened = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
    try:
        assert is_pseudo_terminal(Path(line.path))
        assert is_pseudo_terminal(link)
        assert is_pseudo_terminal(opened)
        assert not is_pseudo_terminal(Path(os.devnull))
        assert not is_pseudo_terminal(tmp_path / "nothing")
    finally:
        os.close(opened)
        line.close()
