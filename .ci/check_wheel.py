"""Looks into a built wheel: the four packages and nothing else, with the data that they need."""

import sys
import zipfile
from collections.abc import Sequence
from pathlib import PurePosixPath

PACKAGES = {"vitale_drivers", "vitale_firmware_sim", "vitale_protocol", "vitale_reader"}
DATA = {
    "vitale_drivers/py.typed": 1,
    "vitale_firmware_sim/images/*.toml": 5,
    "vitale_firmware_sim/pages/phone.*": 4,
    "vitale_firmware_sim/profiles/*.toml": 1,
    "vitale_firmware_sim/py.typed": 1,
    "vitale_firmware_sim/scenarios/*.toml": 2,
    "vitale_protocol/catalogue/??.toml": 2,
    "vitale_protocol/py.typed": 1,
    "vitale_protocol/schema/*.json": 2,
    "vitale_reader/py.typed": 1,
}


def faults(names: Sequence[str]) -> list[str]:
    """What is wrong with a wheel that holds files of these names; empty when it is as it should be."""
    paths = [PurePosixPath(name) for name in names]
    tops = {path.parts[0] for path in paths if not path.parts[0].endswith(".dist-info")}
    found = [f"unexpected at the top: {name}" for name in sorted(tops - PACKAGES)]
    found += [f"package missing: {name}" for name in sorted(PACKAGES - tops)]
    for pattern, least in DATA.items():
        count = sum(path.match(pattern) for path in paths)
        if count < least:
            found.append(f"{pattern}: {count} instead of at least {least}")
    if not any(path.name == "LICENSE" for path in paths):
        found.append("LICENSE missing")
    found += [f"does not belong in a wheel: {path}" for path in paths if path.suffix in {".pyc", ".db", ".key", ".pem"}]
    return found


def main(arguments: Sequence[str]) -> int:
    """Prints the faults of each wheel named; the exit status says whether there are any."""
    status = 0
    for argument in arguments:
        with zipfile.ZipFile(argument) as wheel:
            names = wheel.namelist()
        for fault in faults(names):
            print(f"{PurePosixPath(argument).name}: {fault}", file=sys.stderr)
            status = 1
        print(f"{PurePosixPath(argument).name}: {len(names)} files")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
