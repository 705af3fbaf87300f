"""``terminals``: which serial lines lead to programs, and who else may use them."""

import io
import os
import sys
from pathlib import Path

import pytest

from vitale_drivers.readers.terminals import is_behind_pseudo_terminal, is_pseudo_terminal
from vitale_firmware_sim.serial.line import SerialLine

pytestmark = pytest.mark.posix
assert sys.platform != "win32"


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
