"""Fuzzing of one target for its processor time, over as many engines as that takes.

libFuzzer measures an input by the clock on the wall, so a machine that is busy with other things makes time-outs of
inputs that are quick. Each is played again alone, and counts where it takes too much processor time by itself.
"""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from tests.fuzz import corpora, registry
from tests.fuzz.history import History
from tests.fuzz.ledger import Place, Record

__all__ = ["CRASHES", "Fuzzing", "Outcome", "Runner"]

CRASHES = Path(__file__).with_name("crashes")
#: Engines in a row that a time-out may end before they have had any time.
FALSE_STARTS = 5

_STATE = re.compile(r"^#\d+\s+\w+\s+cov: (?P<edges>\d+).*? corp: (?P<corpus>\d+)/", re.MULTILINE)
_BY_THE_WALL = ("timeout", "slow-unit")


class Runner(Protocol):
    """Runs engines, as ``Engines`` does."""

    is_stopped: bool

    def fuzz(self, name: str, place: Place, seconds: float, *options: str | Path) -> int:
        """Runs an engine until its target has had its time, and returns its exit status."""
        ...

    def merge(self, name: str, merged: Path, found: Path, *options: str | Path) -> None:
        """Copies the smallest inputs that reach the same, into a folder."""
        ...

    def is_quick(self, name: str, file: Path) -> bool:
        """Whether an input, played alone, passes within the processor time that one may take."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one target."""

    name: str
    record: Record
    false_timeouts: int = 0
    said: str = ""


@dataclass(slots=True)
class Fuzzing:
    """Engines for targets: started, judged, started again for what is left of a target's time.

    Attributes:
        runner: of engines.
        ledger: the folder of records and of what was found.
        crashes: the folder of findings.
        history: the folder of what was kept of earlier runs.
        seconds: of processor time for a target.
        keeps: whether what was found joins the kept corpus.
    """

    runner: Runner
    ledger: Path
    crashes: Path
    history: Path
    seconds: float
    keeps: bool = False

    def place(self, name: str) -> Place:
        """Where the ledger keeps what belongs to a target."""
        return Place(self.ledger / name)

    def forget(self, name: str) -> None:
        """Begins a target anew."""
        shutil.rmtree(self.place(name).folder, ignore_errors=True)

    def remember(self, name: str) -> None:
        """Goes on from what was kept of a target, where this machine has had less."""
        place, kept = self.place(name), History.of(name, self.history).last
        if place.read().seconds < kept.seconds:
            place.write(kept)

    def fuzz(self, name: str) -> Outcome:
        """Runs a target until it has had its time or something was found."""
        place = self.place(name)
        self._prepare(name)
        false_timeouts = false_starts = 0
        goes_on = True
        while goes_on:
            before = place.read().seconds
            findings, fooled = self._round(name)
            false_timeouts += fooled
            false_starts = 0 if place.read().seconds > before else false_starts + 1
            goes_on = bool(fooled and not findings) and false_starts < FALSE_STARTS and not self.runner.is_stopped
        if self.keeps and not self.runner.is_stopped:
            self._take(name)
        if self.keeps:
            History.of(name, self.history).keep(name, place.read(), self.history)
        return Outcome(name, place.read(), false_timeouts, place.log.read_text("utf-8", "replace")[-4000:])

    def _prepare(self, name: str) -> None:
        place, target = self.place(name), registry.load(name)
        corpora.save(place.found, target.seeds())
        for file in corpora.kept(name):
            shutil.copy(file, place.found)
        (place.folder / "words.dict").write_text("".join(map(_word, target.words)), "ascii")
        self.crashes.mkdir(exist_ok=True)

    def _round(self, name: str) -> tuple[tuple[str, ...], int]:
        """Runs one engine; what it found, and how often the clock on the wall fooled it."""
        place, target = self.place(name), registry.load(name)
        before = set(self.crashes.glob(f"{name}-*"))
        options = [f"-max_len={target.max_len}", f"-artifact_prefix={self.crashes}/{name}-"]
        if target.words:
            options.append(f"-dict={place.folder / 'words.dict'}")
        status = self.runner.fuzz(name, place, self.seconds, *options)
        findings, fooled = self._judged(name, set(self.crashes.glob(f"{name}-*")) - before)
        if status and not findings and not fooled and not self.runner.is_stopped:
            # There is no input; what ended the engine stands in its log.
            findings = (place.log.name,)
        self._note(place, findings)
        return findings, fooled

    def _judged(self, name: str, files: set[Path]) -> tuple[tuple[str, ...], int]:
        findings: list[str] = []
        for file in sorted(files):
            kind = file.name.removeprefix(f"{name}-").rpartition("-")[0]
            # Once all is stopped none is played: what took its time by itself will do so again.
            if kind in _BY_THE_WALL and (self.runner.is_stopped or self.runner.is_quick(name, file)):
                file.unlink()
            else:
                findings.append(file.name)
        return tuple(findings), len(files) - len(findings)

    @staticmethod
    def _note(place: Place, findings: tuple[str, ...]) -> None:
        """Adds to the record what stands only in libFuzzer's output."""
        record = place.read()
        states = [*_STATE.finditer(place.log.read_text("utf-8", "replace"))]
        found = msgspec.structs.replace(
            record,
            edges=max([record.edges, *(int(state["edges"]) for state in states)]),
            corpus=int(states[-1]["corpus"]) if states else record.corpus,
            findings=tuple(sorted({*record.findings, *findings})),
        )
        place.write(found)

    def _take(self, name: str) -> None:
        """Takes what was found into the kept corpus, minimised."""
        with tempfile.TemporaryDirectory(prefix="vitale-fuzz-") as work:
            merged = Path(work, "merged")
            merged.mkdir()
            limit = f"-max_len={registry.load(name).max_len}"
            self.runner.merge(name, merged, self.place(name).found, limit, f"-artifact_prefix={work}/")
            corpora.keep(name, merged)


def _word(word: bytes) -> str:
    """A line of libFuzzer's dictionary."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'
