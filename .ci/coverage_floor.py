"""The coverage of each package by branch, beside the floor that it may not fall under: ``coverage_floor.py REPORT``.

REPORT is what ``coverage json`` writes. Exit status 1 where a package is under its floor, or is not in the report.
"""

import json
import sys
from pathlib import Path
from typing import Any

#: What the core decides with, more than the rest. The first that a file is under counts.
FLOORS = {
    "protocol/vitale_protocol": 95.0,
    "vitale_reader/daemon": 95.0,
    "vitale_reader/resolvers": 90.0,
    "vitale_reader/cli": 90.0,
    "vitale_reader": 90.0,
    "drivers/vitale_drivers": 90.0,
    "firmware-sim/vitale_firmware_sim": 90.0,
}


def main(arguments: list[str]) -> int:
    """Prints the table; 1 where a package is under its floor."""
    if len(arguments) != 1:
        print("usage: coverage_floor.py REPORT", file=sys.stderr)
        return 2
    files: dict[str, Any] = json.loads(Path(arguments[0]).read_text("utf-8"))["files"]
    print(f"{'package':<34}{'statements':>12}{'branches':>12}{'floor':>8}")
    return max([_told(package, floor, _of(package, files)) for package, floor in FLOORS.items()])


def _of(package: str, files: dict[str, Any]) -> list[dict[str, int]]:
    """The figures of the files that count for a package."""
    mine = [name for name in files if _package(name.replace("\\", "/")) == package]
    return [files[name]["summary"] for name in mine]


def _package(file: str) -> str:
    return next((package for package in FLOORS if file.startswith(package + "/")), "")


def _told(package: str, floor: float, found: list[dict[str, int]]) -> int:
    """Prints the line of a package; 1 where it is under its floor."""
    branches = _share(found, "covered_branches", "num_branches")
    under = not found or branches < floor
    statements = _share(found, "covered_lines", "num_statements")
    remark = "  nothing was measured" if not found else "  under its floor" if under else ""
    print(f"{package:<34}{statements:>11.1f}%{branches:>11.1f}%{floor:>7.0f}%{remark}")
    return int(under)


def _share(found: list[dict[str, int]], part: str, whole: str) -> float:
    total = sum(one[whole] for one in found)
    return 100.0 * sum(one[part] for one in found) / total if total else 100.0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
