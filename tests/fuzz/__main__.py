"""Coverage-guided fuzzing of what strangers feed: ``make fuzz FUZZ_SECONDS=600 TARGET=name JOBS=1 KEEP=yes``.

Each target runs in a process of its own, from its kept corpus and the seeds that its code makes, for so many seconds of
processor time. Crashes go to ``tests/fuzz/crashes/``; with ``--keep`` what was found joins the kept corpus, minimised,
and what each target has had is added to ``tests/fuzz/history/``. With ``--continue`` a target has what is left of its
time on this version of its parser. ``--history`` runs nothing, and prints what was kept.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

from tests.fuzz import registry
from tests.fuzz.engines import Engines
from tests.fuzz.fuzzing import CRASHES, Fuzzing, Outcome
from tests.fuzz.history import HISTORY, History
from tests.fuzz.ledger import LEDGER, Record
from tests.fuzz.table import row, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the targets and prints a table; 1 where something was found, or a target has not had its time."""
    parser = _options()
    options = parser.parse_args(arguments)
    if unknown := set(options.targets).difference(registry.NAMES):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(registry.NAMES)}")
    names: Sequence[str] = options.targets or registry.NAMES
    if options.history:
        print(table({name: History.of(name).whole for name in names}), flush=True)
        return 0
    engines = Engines()
    fuzzing = Fuzzing(engines, LEDGER, CRASHES, HISTORY, options.seconds, options.keep)
    begin = fuzzing.remember if options.goes_on else fuzzing.forget
    for name in names:
        begin(name)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        _fuzz(fuzzing, engines, names, options.jobs)
    except KeyboardInterrupt:
        print("cut; make fuzz CONTINUE=yes goes on", file=sys.stderr, flush=True)
    records = {name: fuzzing.place(name).read() for name in names}
    print(table(records), flush=True)
    return int(any(_is_short(record, options.seconds) for record in records.values()))


def _is_short(record: Record, seconds: float) -> bool:
    return bool(record.findings) or record.seconds < seconds


def _fuzz(fuzzing: Fuzzing, engines: Engines, names: Sequence[str], jobs: int) -> None:
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for outcome in pool.map(fuzzing.fuzz, names):
                _tell(outcome)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            engines.stop()
            raise


def _tell(outcome: Outcome) -> None:
    print(
        f"{row(outcome.name, outcome.record)}   false time-outs: {outcome.false_timeouts}", file=sys.stderr, flush=True
    )
    if outcome.record.findings:
        print(outcome.said, file=sys.stderr, flush=True)


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Coverage-guided fuzzing of what strangers feed.")
    parser.add_argument("--seconds", type=float, default=600, help="of processor time for each target")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("--keep", action="store_true", help="take what was found into tests/fuzz/corpora/")
    parser.add_argument("--history", action="store_true", help="run nothing; print what all kept runs had together")
    parser.add_argument("--continue", dest="goes_on", action="store_true", help="go on where it was cut")
    parser.add_argument(
        "targets", nargs="*", metavar="target", help=f"all of them by default: {', '.join(registry.NAMES)}"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
