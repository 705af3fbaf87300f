"""A driver that talks too much: its log, its readers and its reports are bounded, and that is told."""

import msgspec
import pytest

from tests.clocks import Clock
from vitale_drivers.base import (
    CodeScanned,
    Failed,
    Health,
    Leased,
    Pong,
    Presented,
    PreviewPicture,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Report,
    Started,
)
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem
from vitale_reader.daemon.workers.worker_limits import LINES, MOST_READERS, READER_BYTES, REPORTS, Restraint

READER = Reader(id="evil:0", name="Evil", driver="evil", media=("vitale-card",), state="empty")


def reader(number: int, name: str = "Evil") -> Reader:
    return msgspec.structs.replace(READER, id=f"evil:{number}", name=name)


def test_a_flood_of_log_lines_is_cut_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    restraint = Restraint("driver evil", clock)
    told = sum(restraint.tells() for _ in range(100_000))
    clock.now += 10.0
    assert restraint.tells()
    print(f"of 100000 lines {told} were told")
    assert told == LINES.burst
    untold = 100_000 - int(LINES.burst)
    assert [record.getMessage() for record in caplog.records] == [
        f"driver evil logs more than is told; {untold} lines are not"
    ]


def test_what_was_not_told_is_counted_at_the_end_at_the_latest(caplog: pytest.LogCaptureFixture) -> None:
    restraint = Restraint("driver evil", Clock())
    restraint.end()
    assert [] == caplog.messages
    told = sum(restraint.tells() for _ in range(1_000))
    restraint.end()
    assert [f"driver evil logged more than is told; {1_000 - told} lines were not"] == caplog.messages


def test_readers_beyond_the_limit_are_not_heard_of_and_the_health_says_so() -> None:
    restraint = Restraint("driver evil")
    heard = [restraint.hears(ReaderAdded(reader=reader(number))) for number in range(MOST_READERS + 5)]
    assert heard == [True] * MOST_READERS + [False] * 5
    assert restraint.problem is not None
    assert (restraint.problem.reason, restraint.problem.variant) == ("limit_exceeded", "readers")
    beyond = reader(MOST_READERS)
    assert not restraint.hears(ReaderChanged(reader=beyond))
    assert not restraint.hears(Progress(reader=beyond.id, step="reading", medium="vitale-card"))
    assert not restraint.hears(
        Presented(id="p", medium="vitale-card", reader=beyond.id, at=0.0, evidence={}, simulated=False)
    )
    assert restraint.hears(ReaderChanged(reader=reader(0)))
    assert restraint.hears(ReaderRemoved(reader=reader(0).id))
    assert restraint.hears(ReaderAdded(reader=beyond)), "there is room again"


@pytest.mark.parametrize("name", ["x" * 1_000_000, "x" * READER_BYTES, "\x01" * (READER_BYTES // 6)])
def test_a_reader_that_is_long_to_tell_of_is_not_heard_of(name: str) -> None:
    restraint = Restraint("driver evil")
    assert not restraint.hears(ReaderAdded(reader=reader(1, name)))
    assert restraint.problem is not None
    assert restraint.hears(ReaderAdded(reader=reader(2)))
    assert not restraint.hears(ReaderChanged(reader=reader(2, name)))


ABOUT: list[Report] = [
    Progress(reader=READER.id, step="reading"),
    Presented(id="p", medium="vitale-card", reader=READER.id, at=0.0, evidence={}, simulated=False),
    Failed(reader=READER.id, problem=Problem("medium_mute")),
    CodeScanned(reader=READER.id, data=b"x"),
    PreviewPicture(reader=READER.id, at=0.0, jpeg=b""),
    ReaderRemoved(reader=READER.id),
]


@pytest.mark.parametrize("report", ABOUT, ids=lambda report: type(report).__name__)
def test_nothing_is_heard_of_a_reader_that_was_not_announced_or_is_gone(report: Report) -> None:
    restraint = Restraint("driver evil")
    assert not restraint.hears(report)
    assert restraint.hears(ReaderAdded(reader=READER))
    assert restraint.hears(report)
    restraint.hears(ReaderRemoved(reader=READER.id))
    assert not restraint.hears(report)
    assert restraint.problem is None


def test_what_speaks_of_no_reader_is_heard() -> None:
    restraint = Restraint("driver good")
    others: list[Report] = [Started(driver="good", media=()), Health(state="ok"), Pong(id=1), Leased(id=1)]
    assert all(map(restraint.hears, others))


def test_reports_are_slowed_and_none_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    restraint = Restraint("driver evil", clock)
    assert restraint.count(int(REPORTS.burst)) == 0.0
    assert restraint.count(200) == pytest.approx(200 / REPORTS.each_second)
    restraint.count(1)
    told = [record.getMessage() for record in caplog.records]
    assert told == ["driver evil reports more than is taken, and is slowed"]
