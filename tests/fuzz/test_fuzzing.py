"""The runs of a target: what counts as a finding, how long it has, and what the ledger keeps. No fuzzer is needed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from tests.fuzz import ledger, registry
from tests.fuzz.engines import Engines
from tests.fuzz.fuzzing import FALSE_STARTS, Fuzzing
from tests.fuzz.history import History
from tests.fuzz.ledger import Place, Record, code_of, version_of_what_is_loaded
from tests.fuzz.meter import BETWEEN_RECORDS, Meter
from tests.fuzz.table import table
from tests.posix import posix_only

STATE = b"#%d\tREDUCE cov: %d ft: 5 corp: %d/85b lim: 4 exec/s: 0 rss: 57Mb L: 6/8\n"
SECONDS = 60.0


@dataclass(slots=True)
class Scripted:
    """Engines that do what is written for them: seconds, names of artifacts that they leave, an exit status."""

    crashes: Path
    rounds: list[tuple[float, tuple[str, ...], int]]
    slow: frozenset[str] = frozenset()
    is_stopped: bool = False
    played: list[str] = field(default_factory=list[str])

    def fuzz(self, name: str, place: Place, seconds: float, *options: str | Path) -> int:
        had, artifacts, status = self.rounds.pop(0)
        record = place.read()
        place.write(msgspec.structs.replace(record, seconds=record.seconds + had, runs=record.runs + 100))
        for artifact in artifacts:
            (self.crashes / f"{name}-{artifact}").write_bytes(b"x")
        left = len(self.rounds)
        place.log.write_bytes(STATE % (2, 82 - left, 9) + STATE % (9, 80 - left, 7))
        return status

    def merge(self, name: str, merged: Path, found: Path, *options: str | Path) -> None:
        raise AssertionError("nothing is to be kept")

    def is_quick(self, name: str, file: Path) -> bool:
        self.played.append(file.name)
        return file.name not in self.slow


Scripting = Callable[..., tuple[Fuzzing, Scripted]]


@pytest.fixture
def scripted(tmp_path: Path) -> Scripting:
    def make(*rounds: tuple[float, tuple[str, ...], int], slow: str = "") -> tuple[Fuzzing, Scripted]:
        crashes = tmp_path / "crashes"
        engines = Scripted(crashes, [*rounds], frozenset(slow.split()))
        return Fuzzing(engines, tmp_path / "ledger", crashes, tmp_path / "history", SECONDS), engines

    return make


def files(fuzzing: Fuzzing) -> list[str]:
    return sorted(file.name for file in fuzzing.crashes.iterdir())


def test_a_target_has_its_time_and_the_record_says_what_it_reached(scripted: Scripting) -> None:
    fuzzing, _ = scripted((60.0, (), 0))

    assert Record(seconds=60.0, runs=100, edges=82, corpus=7) == fuzzing.fuzz("mrz").record
    found = {file.read_bytes() for file in fuzzing.place("mrz").found.iterdir()}
    assert found.issuperset(registry.load("mrz").seeds())


def test_a_timeout_of_an_input_that_is_quick_alone_is_none_and_the_target_goes_on(scripted: Scripting) -> None:
    fuzzing, engines = scripted((10.0, ("timeout-1",), 70), (20.0, ("slow-unit-2", "timeout-3"), 70), (30.0, (), 0))

    outcome = fuzzing.fuzz("mrz")

    assert (3, Record(seconds=60.0, runs=300, edges=82, corpus=7)) == (outcome.false_timeouts, outcome.record)
    assert ["mrz-timeout-1", "mrz-slow-unit-2", "mrz-timeout-3"] == engines.played
    assert [] == files(fuzzing)


def test_a_timeout_of_an_input_that_is_slow_alone_is_a_finding(scripted: Scripting) -> None:
    fuzzing, _ = scripted((10.0, ("timeout-1", "timeout-2"), 70), slow="mrz-timeout-2")

    outcome = fuzzing.fuzz("mrz")

    assert (1, ("mrz-timeout-2",)) == (outcome.false_timeouts, outcome.record.findings)
    assert ["mrz-timeout-2"] == files(fuzzing)


def test_a_crash_is_a_finding_and_is_not_played_again(scripted: Scripting) -> None:
    fuzzing, engines = scripted((10.0, ("crash-1",), 77))

    assert ("mrz-crash-1",) == fuzzing.fuzz("mrz").record.findings
    assert [] == engines.played


def test_an_engine_that_ends_without_an_input_is_a_finding(scripted: Scripting) -> None:
    fuzzing, _ = scripted((0.0, (), 1))

    assert ("engine.log",) == fuzzing.fuzz("mrz").record.findings


def test_a_machine_on_which_no_engine_gets_on_is_given_up(scripted: Scripting) -> None:
    fuzzing, _ = scripted(*[(0.0, ("timeout-1",), 70)] * FALSE_STARTS)

    assert (0.0, ()) == (fuzzing.fuzz("mrz").record.seconds, fuzzing.place("mrz").read().findings)


# ── the history ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Kept:
    """What was kept of one target, in a folder."""

    folder: Path

    def keep(self, *records: Record) -> History:
        for record in records:
            History.of("mrz", self.folder).keep("mrz", record, self.folder)
        return History.of("mrz", self.folder)


def test_a_history_has_the_most_of_each_version_and_their_sum(tmp_path: Path) -> None:
    first = Record(version="a", seconds=5.0, runs=50, edges=9, findings=("mrz-crash-1",))
    last = Record(version="b", seconds=9.0, runs=90, edges=8, corpus=3)

    history = Kept(tmp_path / "history").keep(
        first, Record(version="b", seconds=2.0, runs=20), last, Record(version="b", seconds=8.0), Record(version="c")
    )

    assert (first, last) == history.records
    assert Record(version="b", seconds=14.0, runs=140, edges=8, corpus=3, findings=first.findings) == history.whole


def test_another_machine_goes_on_from_what_was_kept(scripted: Scripting) -> None:
    fuzzing, _ = scripted((20.0, (), 0))
    Kept(fuzzing.history).keep(Record(version="a", seconds=40.0, runs=400))

    fuzzing.remember("mrz")
    assert Record(version="a", seconds=60.0, runs=500, edges=82, corpus=7) == fuzzing.fuzz("mrz").record

    fuzzing.remember("mrz")
    assert 60.0 == fuzzing.place("mrz").read().seconds


def test_a_timeout_that_nobody_plays_any_more_is_none(scripted: Scripting) -> None:
    fuzzing, engines = scripted((20.0, ("timeout-1", "crash-2"), 70), slow="mrz-timeout-1")
    engines.is_stopped = True

    assert ("mrz-crash-2",) == fuzzing.fuzz("mrz").record.findings
    assert [] == engines.played


def test_what_a_run_had_is_kept_where_it_was_cut_too(scripted: Scripting) -> None:
    fuzzing, engines = scripted((20.0, (), 0))
    fuzzing.keeps = engines.is_stopped = True

    record = fuzzing.fuzz("mrz").record

    assert (record,) == History.of("mrz", fuzzing.history).records
    assert 20.0 == record.seconds


# ── the meter ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Metered:
    """A target under a meter, with a clock that goes on by what each input takes."""

    place: Place
    now: float = 3.0
    seen: int = 0
    ends: int = 0

    def meter(self, version: str, seconds: float = SECONDS) -> Meter:
        return Meter(
            target=self.take, place=self.place, version=version, seconds=seconds, end=self.end, clock=lambda: self.now
        )

    def take(self, data: bytes) -> None:
        self.seen += 1
        self.now += len(data)

    def end(self) -> None:
        self.ends += 1


@pytest.fixture
def metered(tmp_path: Path) -> Metered:
    return Metered(Place(tmp_path / "mrz"))


def test_an_engine_ends_when_its_target_has_had_its_time(metered: Metered) -> None:
    meter = metered.meter("a")
    assert meter.begin()

    while not metered.ends:
        meter.run(b"x" * 7)

    # The input that is tried when it is over is tried still.
    assert (10, Record(version="a", seconds=63.0, runs=9)) == (metered.seen, metered.place.read())
    assert not metered.meter("a").begin()


def test_what_is_cut_goes_on_for_what_is_left_on_the_same_version_alone(metered: Metered) -> None:
    meter = metered.meter("a")
    assert meter.begin()
    for _ in range(3):
        meter.run(b"x" * 20)
    assert Record(version="a", seconds=40.0, runs=2) == metered.place.read()

    again = metered.meter("a")
    assert again.begin()
    again.run(b"x" * 20)
    again.run(b"")
    assert (1, Record(version="a", seconds=60.0, runs=3)) == (metered.ends, metered.place.read())

    assert metered.meter("b").begin()
    assert Record(version="b") == metered.place.read()


def test_the_record_is_not_written_at_each_input(metered: Metered) -> None:
    meter = metered.meter("a")
    meter.begin()
    for _ in range(int(BETWEEN_RECORDS)):
        meter.run(b"x")

    assert Record(version="a") == metered.place.read()


def test_a_finding_that_is_not_mended_is_not_looked_for_again(metered: Metered) -> None:
    metered.place.write(Record(version="a", findings=("mrz-crash-1",)))

    assert [False, True] == [metered.meter(version).begin() for version in "ab"]


def test_a_record_that_cannot_be_read_is_none(metered: Metered) -> None:
    metered.place.write(Record(version="a", seconds=5.0))
    assert Record(version="a", seconds=5.0) == metered.place.read()
    (record,) = metered.place.folder.iterdir()
    record.write_bytes(b'{"seconds":')

    assert Record() == metered.place.read()


def test_the_version_is_that_of_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "SOURCES", ["protocol/vitale_protocol/media"])
    registry.load("mrz")
    before = version_of_what_is_loaded()

    assert before == version_of_what_is_loaded()
    assert all(digit in "0123456789abcdef" for digit in before)


CODE = b'"""About it."""\ndef f(x):\n    """Gives x."""\n    return x  # as it is\n'


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (b"def f(x):\n    return (\n        x\n    )\n", True),
        (CODE.replace(b"as it is", b"unchanged").replace(b"Gives", b"Returns"), True),
        (CODE.replace(b"return x", b"return -x"), False),
        (CODE.replace(b"return x", b'return "x"'), False),
    ],
    ids=["layout", "words", "code", "a text that counts"],
)
def test_the_version_changes_with_the_code_and_not_with_its_words(other: bytes, is_same: bool) -> None:
    assert is_same == (code_of(CODE) == code_of(other))


# ── inputs alone ─────────────────────────────────────────────────────────────────────────────────────────────────


ENDLESS = """
import sys
from pathlib import Path
from tests.fuzz import alone, registry
from tests.fuzz.target import Target

def run(data):
    while True:
        data += b"x" if len(data) < 9 else b""

registry.load = lambda name: Target(name=name, run=run, seeds=tuple)
alone.play("endless", Path(sys.argv[1]), 0.0)
"""


@posix_only()
def test_the_kernel_ends_an_input_that_takes_too_much_processor_time(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_bytes(b"x")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    ended = subprocess.run([sys.executable, "-c", ENDLESS, file], env=environment, check=False)

    assert "SIGXCPU" == signal.Signals(-ended.returncode).name


@posix_only()
def test_an_input_that_passes_is_quick_and_nothing_is_once_all_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_bytes(b"P<")
    engines = Engines()

    assert engines.is_quick("mrz", file)
    engines.stop()
    assert not engines.is_quick("mrz", file)


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_table_has_a_row_for_each_target_and_their_sum() -> None:
    records = {"mrz": Record(seconds=60.4, runs=1_000, edges=45, corpus=10), "tlv": Record(findings=("tlv-crash-1",))}

    assert [
        ["target", "seconds", "runs", "edges", "corpus", "findings"],
        ["mrz", "60", "1000", "45", "10", "0"],
        ["tlv", "0", "0", "0", "0", "1"],
        ["2", "targets", "60", "1000", "1"],
    ] == [line.split() for line in table(records).splitlines()]
