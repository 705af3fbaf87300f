"""Temporary folders of any length are good enough for the tests, whose sockets lie in them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.posix
def test_sockets_can_be_bound_wherever_temporary_files_are_wanted(root: Path, tmp_path: Path) -> None:
    long = tmp_path / ("long-" * 20)
    long.mkdir()
    test = "tests/firmware_sim/card/test_driver.py::test_the_control_socket_goes_with_the_driver"
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=root,
        env=os.environ | {"TMPDIR": str(long)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (0, True) == (answer.returncode, "1 passed" in answer.stdout), answer.stdout + answer.stderr
