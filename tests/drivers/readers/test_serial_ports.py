"""``serial_ports``: which serial ports there are."""

import os
import sys
from pathlib import Path

import pytest

from vitale_drivers.readers import terminals
from vitale_drivers.readers.serial_ports import PortList, UsbPort


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


def test_where_nothing_tells_of_changes_the_system_is_asked_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, now = list[int](), [100.0]

    def comports() -> list[FakePort]:
        asked.append(1)
        return [FakePort(f"COM{len(asked)}", 0x0C2E, None, "S1")]

    monkeypatch.setattr("vitale_drivers.readers.serial_ports.list_ports.comports", comports)
    monkeypatch.setattr("vitale_drivers.readers.serial_ports.nodes_changed_at", lambda: None)
    monkeypatch.setattr("vitale_drivers.readers.serial_ports.time.monotonic", lambda: now[0])
    ports = PortList()
    seen = list[str]()
    for _ in range(10):  # five seconds, as the driver looks
        seen.append(ports.usb()[0].device)
        now[0] += 0.5
    assert (len(asked), seen[0], seen[-1]) == (4, "COM1", "COM4")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system is asked each time")
def test_the_system_is_asked_again_only_when_a_device_came_or_went(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[int] = []

    def comports() -> list[FakePort]:
        asked.append(1)
        return []

    now = [1_800_000_000_000_000_000]

    def changed(seconds_ago: int) -> None:
        at = now[0] - seconds_ago * 1_000_000_000
        os.utime(tmp_path, ns=(at, at))

    monkeypatch.setattr("vitale_drivers.readers.serial_ports.list_ports.comports", comports)
    monkeypatch.setattr("vitale_drivers.readers.serial_ports.time.time_ns", lambda: now[0])
    monkeypatch.setattr(terminals, "NODES", tmp_path)
    ports = PortList()
    changed(60)
    for _ in range(3):
        ports.usb()
    assert len(asked) == 1
    changed(0)
    for _ in range(3):
        ports.usb()
    assert len(asked) == 4, "what came a moment ago may not have said everything of itself yet"
    now[0] += 60_000_000_000
    for _ in range(3):
        ports.usb()
    assert len(asked) == 4
