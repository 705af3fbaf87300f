"""Devices on a serial line, and the link under which a program finds them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.pn532.reader import Pn532Reader
from vitale_firmware_sim.serial.device import SerialDevice
from vitale_firmware_sim.serial.line import SerialLine

pytestmark = pytest.mark.posix


def _imager(link: Path) -> SerialDevice:
    return Imager(link=link)


def _reader(link: Path) -> SerialDevice:
    return Pn532Reader(link=link)


@pytest.mark.parametrize("make", [_imager, _reader])
def test_a_link_never_leads_to_the_next_pseudo_terminal_of_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], SerialDevice]
) -> None:
    link, linked, close = tmp_path / "device", list[bool](), SerialLine.close

    def look_and_close(line: SerialLine) -> None:
        linked.append(link.is_symlink())
        close(line)

    monkeypatch.setattr(SerialLine, "close", look_and_close)
    with make(link):
        assert link.is_symlink()
    assert [False] == linked
