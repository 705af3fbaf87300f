"""Who has a device open, as far as the system tells."""

import os
import sys
from pathlib import Path

import pytest

from vitale_drivers.readers.device_holders import programs_using


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell")
def test_the_programs_that_have_a_device_open_are_named(tmp_path: Path) -> None:
    device = tmp_path / "ttyACM0"
    device.touch()
    for number, name in (("7", "lgo\n"), ("8", "other\n"), ("9", "gone\n")):
        (tmp_path / number / "fd").mkdir(parents=True)
        (tmp_path / number / "comm").write_text(name)
    (tmp_path / "7" / "fd" / "3").symlink_to(device)
    (tmp_path / "8" / "fd" / "3").symlink_to(os.devnull)
    (tmp_path / "9" / "fd" / "3").write_text("no link at all")
    link = tmp_path / "by-id"
    link.symlink_to(device)
    assert programs_using(str(link), proc=tmp_path) == ("lgo",)


def test_where_there_is_no_proc_nobody_is_named(tmp_path: Path) -> None:
    assert programs_using("/dev/null", proc=tmp_path / "none") == ()
