"""Looks into a built wheel: the four packages and nothing else, each file of theirs, with the data that they need."""

import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
#: Where each package lies in the checkout.
PACKAGES = {
    "vitale_drivers": "drivers",
    "vitale_firmware_sim": "firmware-sim",
    "vitale_protocol": "protocol",
    "vitale_reader": ".",
}
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
    found = [f"unexpected at the top: {name}" for name in sorted(tops - PACKAGES.keys())]
    found += [f"package missing: {name}" for name in sorted(PACKAGES.keys() - tops)]
    for pattern, least in DATA.items():
        count = sum(path.match(pattern) for path in paths)
        if count < least:
            found.append(f"{pattern}: {count} instead of at least {least}")
    if not any(path.name == "LICENSE" for path in paths):
        found.append("LICENSE missing")
    found += [f"does not belong in a wheel: {path}" for path in paths if path.suffix in {".pyc", ".db", ".key", ".pem"}]
    return found


def sources(root: Path = ROOT) -> list[str]:
    """Every file of the packages in a checkout, as a wheel names it."""
    return [
        file.relative_to(root / base).as_posix()
        for package, base in PACKAGES.items()
        for file in sorted((root / base / package).rglob("*"))
        if file.is_file() and file.parent.name != "__pycache__"
    ]


def left_out(names: Iterable[str], expected: Iterable[str]) -> list[str]:
    """What of the checkout is not in the wheel."""
    return [f"left out: {name}" for name in sorted({*expected} - {*names})]


def main(arguments: Sequence[str]) -> int:
    """Prints the faults of each wheel named; the exit status says whether there are any."""
    status = 0
    for argument in arguments:
        with zipfile.ZipFile(argument) as wheel:
            names = wheel.namelist()
        for fault in (*faults(names), *left_out(names, sources())):
            print(f"{PurePosixPath(argument).name}: {fault}", file=sys.stderr)
            status = 1
        print(f"{PurePosixPath(argument).name}: {len(names)} files")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
