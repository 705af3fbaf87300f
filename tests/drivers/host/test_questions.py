"""Questions of a worker: each waits for its own answer, and for none for ever."""

import threading
from concurrent.futures import ThreadPoolExecutor

from vitale_drivers.base import HeldBy, Report, WhoHolds
from vitale_drivers.host.questions import Questions


def test_each_question_gets_its_own_answer() -> None:
    asked: dict[str, int] = {}
    every = threading.Event()

    def send(report: Report) -> None:
        assert isinstance(report, WhoHolds)
        asked[report.device] = report.id
        if len(asked) == 2:
            every.set()

    questions = Questions(send, patience=20)
    with ThreadPoolExecutor(2) as threads:
        first, second = (threads.submit(questions.find_holders, device) for device in ("/dev/a", "/dev/b"))
        assert every.wait(20)
        questions.take(HeldBy(id=asked["/dev/b"], programs=("b",)))
        questions.take(HeldBy(id=asked["/dev/a"], programs=("a",)))
        assert (first.result(), second.result()) == (("a",), ("b",))


def test_a_supervisor_that_does_not_answer_knows_nothing() -> None:
    asked: list[Report] = []
    questions = Questions(asked.append, patience=0.01)
    assert questions.find_holders("pcsc") == ()
    assert asked == [WhoHolds(id=1, device="pcsc")]
    questions.take(HeldBy(id=1, programs=("too late",)))
    questions.take(HeldBy(id=77, programs=("never asked",)))


def test_an_answer_that_is_given_twice_counts_once() -> None:
    def send(report: Report) -> None:
        assert isinstance(report, WhoHolds)
        questions.take(HeldBy(id=report.id, programs=("first",)))
        questions.take(HeldBy(id=report.id, programs=("second",)))

    questions = Questions(send, patience=20)
    assert questions.find_holders("pcsc") == ("first",)
