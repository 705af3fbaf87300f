"""Coverage-guided fuzzing of what strangers feed: ``make fuzz FUZZ_SECONDS=600 TARGET=name JOBS=1 KEEP=yes``.

Each target runs in a process of its own, from its kept corpus and the seeds that its code makes. Crashes go to
``tests/fuzz/crashes/``; with ``--keep`` what was found joins the kept corpus, minimised.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.fuzz import corpora, registry

ROOT = Path(__file__).parents[2]
CRASHES = Path(__file__).with_name("crashes")
SOURCE_PATHS = ("", "protocol", "drivers", "firmware-sim")

#: Seconds that one input may take, and MiB that a target may hold: the decoders' libraries alone take some 200.
TIMEOUT, MEMORY = 10, 1024

_DONE = re.compile(r"^#(?P<runs>\d+)\s+\w+\s+(?:cov: (?P<edges>\d+))?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one target."""

    name: str
    runs: int
    edges: int
    new: int
    crashes: tuple[Path, ...]
    said: str

    @property
    def line(self) -> str:
        """The row of the table."""
        return f"{self.name:18} {self.runs:>10} {self.edges:>7} {self.new:>7} {len(self.crashes):>8}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the targets and prints a table; 1 where one crashed."""
    parser = _options()
    options = parser.parse_args(arguments)
    if unknown := set(options.targets).difference(registry.NAMES):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(registry.NAMES)}")
    names: Sequence[str] = options.targets or registry.NAMES
    seconds, jobs, keep = int(options.seconds), int(options.jobs), bool(options.keep)
    print(f"{'target':18} {'runs':>10} {'edges':>7} {'new':>7} {'crashes':>8}", flush=True)
    crashed = False
    with ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(partial(_fuzzed, seconds=seconds, keep=keep), names):
            print(outcome.line, flush=True)
            if outcome.crashes or not outcome.runs:
                crashed = True
                print(outcome.said, file=sys.stderr, flush=True)
    return int(crashed)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Coverage-guided fuzzing of what strangers feed.")
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("--keep", action="store_true", help="take what was found into tests/fuzz/corpora/")
    parser.add_argument(
        "targets", nargs="*", metavar="target", help=f"all of them by default: {', '.join(registry.NAMES)}"
    )
    return parser


def _fuzzed(name: str, *, seconds: int, keep: bool) -> Outcome:
    target = registry.load(name)
    before = set(CRASHES.glob(f"{name}-*"))
    CRASHES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vitale-fuzz-") as work:
        found, merged, words = Path(work, "found"), Path(work, "merged"), Path(work, "words.dict")
        corpora.save(found, target.seeds())
        for file in corpora.kept(name):
            shutil.copy(file, found)
        known = len([*found.iterdir()])
        words.write_text("".join(map(_word, target.words)), "ascii")
        options = [f"-max_total_time={seconds}", f"-max_len={target.max_len}", f"-artifact_prefix={CRASHES}/{name}-"]
        if target.words:
            options.append(f"-dict={words}")
        said = _run(name, *options, found)
        new = len([*found.iterdir()]) - known
        crashes = tuple(sorted(set(CRASHES.glob(f"{name}-*")) - before))
        if keep:
            merged.mkdir()
            _run(name, "-merge=1", f"-max_len={target.max_len}", f"-artifact_prefix={work}/", merged, found)
            corpora.keep(name, merged)
    counts = [*_DONE.finditer(said)]
    runs = max((int(one["runs"]) for one in counts), default=0)
    edges = max((int(one["edges"]) for one in counts if one["edges"]), default=0)
    return Outcome(name, runs, edges, new, crashes, said[-4000:])


def _run(name: str, *options: str | Path) -> str:
    command = [sys.executable, "-m", "tests.fuzz.engine", name, f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY}"]
    path = ":".join(str(ROOT / place) for place in SOURCE_PATHS)
    ended = subprocess.run(
        [*command, *map(str, options)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    lines = ended.stdout.decode("utf-8", "replace").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("INFO: Instrumenting"))


def _word(word: bytes) -> str:
    """A line of libFuzzer's dictionary."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


if __name__ == "__main__":
    sys.exit(main())
