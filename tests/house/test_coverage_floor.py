"""The floors of coverage: a package under its own fails the run, and says so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / ".ci" / "coverage_floor.py"
FILES = (
    "protocol/vitale_protocol/tlv.py",
    "vitale_reader/daemon/app.py",
    "vitale_reader/resolvers/base.py",
    "vitale_reader/cli/output.py",
    "vitale_reader/home.py",
    "drivers/vitale_drivers/base.py",
    "firmware-sim/vitale_firmware_sim/card/card.py",
)


def run(report: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run((sys.executable, PROGRAM, report), capture_output=True, text=True, check=False)


def report(folder: Path, covered: dict[str, int]) -> Path:
    """A report in which each file has a hundred branches, of which so many were taken."""
    whole = {"num_statements": 200, "covered_lines": 200, "num_branches": 100}
    files = {name: {"summary": whole | {"covered_branches": taken}} for name, taken in covered.items()}
    (folder / "coverage.json").write_text(json.dumps({"files": files}), "utf-8")
    return folder / "coverage.json"


def test_at_the_floors_all_is_well(tmp_path: Path) -> None:
    floors = {name: 95 if name in FILES[:2] else 90 for name in FILES}
    done = run(report(tmp_path, floors))
    assert done.returncode == 0, done.stdout
    assert "under its floor" not in done.stdout


@pytest.mark.parametrize("file", FILES)
def test_one_package_under_its_floor_fails(tmp_path: Path, file: str) -> None:
    floor = 95 if file in FILES[:2] else 90
    done = run(report(tmp_path, dict.fromkeys(FILES, 100) | {file: floor - 1}))
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.endswith("under its floor")]
    assert file.startswith(line.split()[0] + "/")


def test_a_package_that_was_not_measured_fails(tmp_path: Path) -> None:
    done = run(report(tmp_path, dict.fromkeys(FILES[1:], 100)))
    assert done.returncode == 1
    assert "nothing was measured" in done.stdout


def test_wrong_arguments_are_told() -> None:
    done = subprocess.run((sys.executable, PROGRAM), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: coverage_floor.py REPORT\n")
