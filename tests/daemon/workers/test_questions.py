"""A driver that is asked in a process of its own, and gives no answer, or none that is one."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from vitale_drivers.host.inspection import Surveyed
from vitale_protocol.errors import ConfigurationInvalid, VitaleError
from vitale_reader.daemon.process import kill
from vitale_reader.daemon.workers import questions
from vitale_reader.daemon.workers.questions import Silent, check_options, examined, survey

pytestmark = pytest.mark.posix

NOTHING = {"fake": dict[str, object]()}
LONG = 40.0


def answers(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A shell in the place of the driver's process; what it is asked stands in its input."""
    monkeypatch.setattr(questions, "WORKER", ("sh", "-c", script))


def detail(error: object) -> str:
    assert isinstance(error, VitaleError)
    return error.detail


def test_a_driver_that_says_nothing_is_ended_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "exec sleep 600")
    (refused,) = check_options(NOTHING, 0.0)
    assert isinstance(refused, ConfigurationInvalid)
    assert "drivers.options.fake: driver fake did not check its options within 0 s" == refused.detail
    assert {"fake": Silent(0.0)} == survey(NOTHING, 0.0, LONG)


def test_a_driver_that_has_loaded_and_sees_nothing_is_ended_before_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "echo; exec sleep 600")
    silent = survey(NOTHING, 600.0, 0.0)["fake"]
    assert isinstance(silent, Silent)
    assert silent.limit < LONG


def test_a_driver_that_answers_and_does_not_end_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "printf '\\n{}'; exec >/dev/null; exec sleep 600")
    monkeypatch.setattr(questions, "ENDING", 0.0)
    assert isinstance(survey(NOTHING, LONG, 0.0)["fake"], Silent)


def test_a_driver_that_loads_slowly_has_time_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "cat >/dev/null; echo; printf '{}'")
    assert {"fake": Surveyed()} == survey(NOTHING, LONG, LONG)


def test_a_driver_that_dies_of_the_question_is_told_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "cat >/dev/null; exit 3")
    (refused,) = check_options(NOTHING, LONG)
    assert "drivers.options.fake: driver fake ended with status 3 when it checked its options" == detail(refused)
    assert detail(refused) == detail(survey(NOTHING, LONG, LONG)["fake"])
    (row,) = examined("fake", {}, 1.0)
    assert ("driver", "wrong") == (row.subject, row.state)


class EndedEarly(subprocess.Popen[bytes]):
    """A process that has ended before it is asked anything."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.wait(60)


def test_a_driver_that_dies_before_it_is_asked_is_told_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "exit 3")
    monkeypatch.setattr(subprocess, "Popen", EndedEarly)
    (refused,) = check_options(NOTHING, LONG)
    assert "drivers.options.fake: driver fake ended with status 3 when it checked its options" == detail(refused)
    assert detail(refused) == detail(survey(NOTHING, LONG, LONG)["fake"])
    (row,) = examined("fake", {}, 1.0)
    assert ("driver", "wrong") == (row.subject, row.state)


def test_what_a_driver_says_that_is_no_answer_is_told_as_its_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "cat >/dev/null; echo oops")
    assert "driver fake ended" in detail(survey(NOTHING, LONG, LONG)["fake"])
    (row,) = examined("fake", {}, 1.0)
    assert ("driver", "wrong") == (row.subject, row.state)


def test_a_driver_that_lacks_something_has_told_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "cat >/dev/null; exit 69")
    assert [] == list(examined("fake", {}, 1.0))


def test_what_it_answers_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "cat >/dev/null; printf '{}'")
    assert [None] == check_options(NOTHING, LONG)
    assert {"fake": Surveyed()} == survey(NOTHING, LONG, LONG)


def test_of_an_answer_without_end_no_more_is_kept_than_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "cat >/dev/null; exec tr '\\0' x </dev/zero")
    monkeypatch.setattr(questions, "LONGEST", 1 << 20)
    (refused,) = check_options(NOTHING, LONG)
    assert "driver fake ended with status -9" in detail(refused)
    assert detail(refused) == detail(survey(NOTHING, LONG, LONG)["fake"])
    (row,) = examined("fake", {}, 1.0)
    assert ("driver", "wrong") == (row.subject, row.state)


def test_a_trial_ends_though_a_program_that_the_driver_began_keeps_the_pipe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    left = tmp_path / "left"
    answers(monkeypatch, f"cat >/dev/null; sleep 600 & echo $! >{left}; echo oops; exec sleep 600")
    try:
        (row,) = examined("fake", {}, 1.0)
        assert ("driver", "wrong") == (row.subject, row.state)
    finally:
        kill(int(left.read_text()))
