"""``terminals``: which serial lines lead to programs, and who else may use them."""

import io
import os
import sys
from pathlib import Path

import serial

from tests.posix import posix_only
from vitale_drivers.readers.terminals import is_behind_pseudo_terminal, is_pseudo_terminal, keep_others_out
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.serial.line import SerialLine

if sys.platform != "win32":
    import fcntl

pytestmark = posix_only()
assert sys.platform != "win32"

TIOCGEXCL = 0x80045440


def test_a_pseudo_terminal_is_a_program_by_path_by_link_and_open(tmp_path: Path) -> None:
    line = SerialLine()
    link = tmp_path / "imager"
    link.symlink_to(line.path)
    opened = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
    try:
        assert is_pseudo_terminal(Path(line.path))
        assert is_pseudo_terminal(link)
        assert is_pseudo_terminal(opened)
        with os.fdopen(opened, "rb", closefd=False) as stream:
            assert is_behind_pseudo_terminal(stream)
        assert not is_pseudo_terminal(Path(os.devnull))
        assert not is_pseudo_terminal(tmp_path / "nothing")
    finally:
        os.close(opened)
        line.close()


def test_a_line_without_a_descriptor_leads_to_no_program() -> None:
    """As on Windows, where pyserial's ports have none."""
    assert not is_behind_pseudo_terminal(io.BytesIO())


def test_who_opens_the_port_a_second_time_is_refused() -> None:
    with Imager() as imager:
        port = serial.Serial(imager.path)
        keep_others_out(port)
        asked = fcntl.ioctl(port.fileno(), TIOCGEXCL, bytes(4))
        port.close()
        assert int.from_bytes(asked, sys.byteorder) == 1
