"""Installs a wheel without extras, where no compiler can be found, and has its SDK read a token.

The daemon that it reads from is that of this interpreter, in a home of its own, with the simulated card.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path

#: The variables by which a machine says how packages are fetched.
WAY_OUT = re.compile(r"PIP_\w+|HOME|TMPDIR|XDG_CONFIG_\w+|(?i:\w+_proxy)|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE")
MOST_DEPENDENCIES = 8
MOST_MEGABYTES = 60

COUNT = """
from importlib.metadata import distributions, requires
print(sum("extra ==" not in line for line in requires("vitale-reader")))
print(sum(one.name not in {"pip", "setuptools", "vitale-reader"} for one in distributions()))
"""
READ = """
import vitale_reader
with vitale_reader.connect() as reader:
    presentation = reader.read(timeout=100)
    print(presentation.medium, presentation.origin)
"""


def megabytes(folder: Path) -> float:
    """What the files of a folder hold."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_symlink()) / 1e6


def alone(place: Path) -> dict[str, str]:
    """The variables of a process that finds the programs of the environment and no others."""
    kept = {name: value for name, value in os.environ.items() if WAY_OUT.fullmatch(name)}
    return {**kept, "PATH": str(place / "bin"), "LC_ALL": "C.UTF-8"}


def faults(wheel: Path, folder: Path) -> list[str]:
    """What is wrong with an installation of this wheel in a new folder; what is measured is printed."""
    place, home = folder / "light", folder / "home"
    venv.create(place, with_pip=True)
    python, command = place / "bin" / "python", place / "bin" / "vitale-reader"
    without, began = megabytes(place), time.monotonic()
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    subprocess.run(pip, env=alone(place), check=True)
    took, size = time.monotonic() - began, megabytes(place) - without
    environment = {**alone(place), "VITALE_READER_HOME": str(home)}

    def output(*arguments: str | Path) -> str:
        return subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True).stdout

    direct, every = map(int, output(python, "-c", COUNT).split())
    print(f"light install: {direct} dependencies, {every} packages, {size:.1f} MB beside pip, {took:.1f} s")
    found = [f"{direct} dependencies, more than {MOST_DEPENDENCIES}"] if direct > MOST_DEPENDENCIES else []
    found += [f"{size:.1f} MB, more than {MOST_MEGABYTES}"] if size > MOST_MEGABYTES else []
    serve = (sys.executable, "-m", "vitale_reader", "serve", "--json", "--mode", "simulated")
    options = ("--driver", "simulated-card", "--tls-port", "0", "--home", home)
    with subprocess.Popen((*serve, *options), stdout=subprocess.PIPE, text=True) as daemon:
        try:
            if daemon.stdout is None or "endpoints" not in json.loads(daemon.stdout.readline()):
                return [*found, "the daemon did not start"]
            read = output(python, "-c", READ).strip()
        finally:
            daemon.terminate()
    print(f"light install: read {read}")
    found += [] if read == "vitale-card simulated" else [f"read {read!r}"]
    refused = subprocess.run((command, "serve"), env=environment, check=False, capture_output=True, text=True)
    named = "vitale-reader[daemon]" in refused.stderr and "Traceback" not in refused.stderr
    return found if named and refused.returncode == 1 else [*found, f"serve says {refused.stderr!r}"]


def main(arguments: Sequence[str]) -> int:
    """Prints the faults of the wheel named; the exit status says whether there are any."""
    (wheel,) = arguments
    with tempfile.TemporaryDirectory() as folder:
        found = faults(Path(wheel).resolve(), Path(folder))
    for fault in found:
        print(f"light install: {fault}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
