"""Attempts at a phone: the reports of a task, judged without a reader."""

import pytest

from vitale_drivers.base import Failed, Presented, Report
from vitale_drivers.cards.tasks import LOCKED, NOT_HERE, SILENT, TORN, UNREADABLE
from vitale_drivers.pcsc.phone_attempts import AttemptResult, PhoneAttempts
from vitale_protocol.problems import Problem

LIMIT = 10.0

READ = Presented(id="1", medium="apcv-nfc", reader="r", at=0.0, evidence={}, simulated=False)


def failed(problem: Problem) -> Report:
    return Failed(reader="r", problem=problem)


@pytest.mark.parametrize(
    ("report", "here", "gone"),
    [
        (READ, AttemptResult(is_outcome=True, medium="apcv-nfc"), AttemptResult(is_outcome=True)),
        (failed(NOT_HERE), AttemptResult(again=True, medium="unknown-card"), AttemptResult()),
        (failed(TORN), AttemptResult(told=TORN), AttemptResult(told=TORN)),
        (failed(LOCKED), AttemptResult(again=True, told=LOCKED), AttemptResult()),
        (failed(UNREADABLE), AttemptResult(again=True, told=UNREADABLE), AttemptResult(is_outcome=True)),
        (failed(SILENT), AttemptResult(is_outcome=True, medium="apcv-nfc"), AttemptResult(is_outcome=True)),
    ],
)
def test_a_first_attempt(report: Report, here: AttemptResult, gone: AttemptResult) -> None:
    assert here == PhoneAttempts(LIMIT).take(report, 0.0, here=True)
    assert gone == PhoneAttempts(LIMIT).take(report, 0.0, here=False)


@pytest.mark.parametrize("problem", [LOCKED, UNREADABLE])
def test_what_keeps_it_from_being_read_is_told_once(problem: Problem) -> None:
    attempts = PhoneAttempts(LIMIT)
    assert [problem, None, None] == [attempts.take(failed(problem), 0.0, here=True).told for _ in range(3)]
    assert attempts.told


def test_a_phone_that_answers_wrongly_is_tried_four_times() -> None:
    attempts = PhoneAttempts(LIMIT)
    assert [True, True, True, False] == [attempts.take(failed(UNREADABLE), 0.0, here=True).again for _ in range(4)]


@pytest.mark.parametrize(("took", "again"), [(LIMIT / 2 - 0.01, True), (LIMIT / 2, False)])
def test_one_that_took_most_of_its_time_is_not_tried_again(took: float, again: bool) -> None:
    attempts = PhoneAttempts(LIMIT)
    attempts.begin(100.0)
    assert again == attempts.take(failed(UNREADABLE), 100.0 + took, here=True).again
