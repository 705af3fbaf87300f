"""Mutation testing of single modules: ``make mutants FILES="protocol/vitale_protocol/tlv.py" COUNT=40 SEED=1``.

A sample of the mutants of each file is tried, one after the other, in a copy of the checkout: the test modules that
import the file are run until the first failure. A mutant that no test notices has survived, and is shown.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.mutations import Mutant, mutants, sample
from tests.posix import kill_group

ROOT = Path(__file__).parents[2]
ROOTS = ("vitale_reader", "drivers", "protocol", "firmware-sim", "tests")
FILES = ("pyproject.toml", "setup.cfg", "cli.py")
SOURCE_PATHS = ("", "protocol", "drivers", "firmware-sim")

#: Rooms whose tests start whole stations: they notice much and take long.
LEFT_OUT = ("benchmarks", "end_to_end", "examples", "house", "mutants")

#: A mutant may take so much longer than the tests of the module as it is; then it counts as killed.
FACTOR, AT_LEAST = 3.0, 20.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Tries a sample of each file and prints what came of it; 1 where the tests fail before anything is changed."""
    options = _options().parse_args(arguments)
    killed = tried = 0
    with tempfile.TemporaryDirectory(prefix="vitale-mutants-") as folder:
        copy = _copied(Path(folder))
        for name in options.files:
            chosen = [Path(test) for test in options.tests] or importers(Path(name), wide=options.wide)
            if not chosen:
                sys.stderr.write(f"{name}: no test module imports it; name some with --tests\n")
                return 1
            sys.stdout.write(f"{name}: {' '.join(map(str, chosen))}\n")
            began = time.monotonic()
            if _fails(copy, chosen, options.limit):
                sys.stderr.write(f"{name}: its tests fail as it is\n")
                return 1
            limit = max(AT_LEAST, FACTOR * (time.monotonic() - began))
            every = mutants((ROOT / name).read_text("utf-8"))
            if options.lines:
                first, _, last = options.lines.partition("-")
                every = [mutant for mutant in every if int(first) <= mutant.line <= int(last or first)]
            for mutant in sample(every, options.count, options.seed):
                found = _tried(copy, name, mutant, chosen, limit)
                tried, killed = tried + 1, killed + found
    sys.stdout.write(f"killed {killed} of {tried}\n")
    return 0


def importers(file: Path, *, wide: bool = False) -> list[Path]:
    """The test modules that import a module of the source, by its dotted name or out of its package.

    Args:
        file: the module, from the top of the checkout.
        wide: all of them; else only those that have its name, where there are any.
    """
    parts = file.with_suffix("").parts
    start = next(at for at, part in enumerate(parts) if part.startswith("vitale_"))
    dotted = ".".join(parts[start:])
    package, _, stem = dotted.rpartition(".")
    names = re.compile(
        rf"^\s*(?:from {re.escape(dotted)} import|import {re.escape(dotted)}\b"
        rf"|from {re.escape(package)} import [^\n]*\b{stem}\b)",
        re.MULTILINE,
    )
    modules = [path.relative_to(ROOT) for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    found = [
        path for path in modules if path.parts[1] not in LEFT_OUT and names.search((ROOT / path).read_text("utf-8"))
    ]
    own = [path for path in found if path.stem.startswith(f"test_{stem}")]
    return found if wide or not own else own


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="+", help="modules, from the top of the checkout")
    parser.add_argument("--count", type=int, default=40, help="mutants of each file")
    parser.add_argument("--seed", type=int, default=1, help="chooses the sample")
    parser.add_argument("--lines", default="", help="only mutants of these lines: 80 or 80-95")
    parser.add_argument("--wide", action="store_true", help="every test module that imports the file")
    parser.add_argument("--tests", nargs="*", default=[], help="test modules, instead of those that import the file")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for the tests of the file as it is")
    return parser


def _copied(folder: Path) -> Path:
    """A copy of what the tests need: a run that is cut off leaves no mutant in the checkout."""
    for name in ROOTS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


def _tried(copy: Path, name: str, mutant: Mutant, tests: list[Path], limit: float) -> bool:
    """Whether a mutant is killed; one that survives is shown."""
    place = copy / name
    place.write_text(mutant.source, "utf-8")
    try:
        killed = _fails(copy, tests, limit)
    finally:
        shutil.copy(ROOT / name, place)
    sys.stdout.write(f"{'killed  ' if killed else 'SURVIVED'} {name}:{mutant.line} {mutant.operator}\n")
    if not killed:
        sys.stdout.write(mutant.diff + "\n")
    sys.stdout.flush()
    return killed


def _fails(copy: Path, tests: list[Path], limit: float) -> bool:
    paths = [str(copy / part) for part in SOURCE_PATHS]
    # No byte code: two mutants of one second and one length would be taken for the same file.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    options = ("-x", "-q", "-p", "no:cacheprovider", "--no-header", "--hypothesis-seed=0")
    process = subprocess.Popen(
        (sys.executable, "-m", "pytest", *options, *map(str, tests)),
        cwd=copy,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(limit) != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        # What the tests started belongs to their group; most often nothing is left of it.
        if process.poll() is None:
            kill_group(process)
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
