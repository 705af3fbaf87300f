"""Progress of requests: told to those who want it, and the end says where it happened to all of them."""

import time
from typing import Any

import pytest

from vitale_drivers.base import Arm, Command, Failed, Health, Progress, ReaderRemoved
from vitale_protocol.catalogue import invitation
from vitale_protocol.problems import Problem
from vitale_protocol.records import Medium
from vitale_reader.daemon.issuing.issuer import Grant

READER = "nfc:counter"
WISH = {"nonce": "n" * 22, "media": ["apcv-nfc"]}


def steps(line: Any) -> list[str]:
    told = (each for each in line.notifications if each["method"] == "presentation.progress")
    return [each["params"]["step"] for each in told]


def messages(line: Any) -> list[str]:
    told = (each for each in line.notifications if each["method"] == "presentation.progress")
    return [each["params"]["message"] for each in told]


@pytest.mark.parametrize(("pending", "told"), [({}, ["armed", "detected"]), ({"progress": False}, [])])
def test_an_error_says_at_which_reader_it_happened(counter: Any, pending: dict[str, bool], told: list[str]) -> None:
    async def work(line: Any) -> None:
        request = line.send_call("presentation.request", WISH | pending)
        await line.result("session.ping")  # answered after the request was taken
        counter.desk.report("nfc", Progress(reader=READER, step="detected", medium="apcv-nfc"))
        counter.desk.report("nfc", Failed(reader=READER, problem=Problem("medium_unreadable", detail="x")))
        data = (await line.answer(request))["error"]["data"]

        assert ("medium_unreadable", READER) == (data["reason"], data["reader"])
        assert told == steps(line)

    counter.run(work)


@pytest.mark.parametrize(
    ("media", "told"),
    [
        (["vitale-card", "apcv-nfc", "apcv-qr"], ["apcv-nfc"]),
        (["vitale-card", "apcv-qr"], ["vitale-card", "apcv-qr"]),  # no reader takes them: one may be plugged in
    ],
)
def test_a_person_is_asked_for_what_a_reader_at_the_desk_takes(
    counter: Any, media: list[Medium], told: list[Medium]
) -> None:
    async def work(line: Any) -> None:
        line.send_call("presentation.request", WISH | {"media": media})
        await line.result("session.ping")  # answered after the request was taken
        assert [invitation(told, "en")] == messages(line)

    counter.run(work)


class Asking:
    """A session that notes what it is told, beside what drivers are ordered."""

    number = 4_711
    owner = group = None

    def __init__(self) -> None:
        self.order: list[str] = []

    def send(self, driver: str, command: Command) -> None:
        self.order.append(f"{driver} {type(command).__name__}")
        if isinstance(command, Arm):
            assert command.at <= time.monotonic()

    def progress(self, _request: object, step: str, *_: object) -> None:
        self.order.append(step)

    def succeed(self, _request: object, _result: object) -> None:
        self.order.append("answer")

    def fail(self, _request: object, _error: object) -> None:
        self.order.append("error")


def test_who_is_told_that_it_is_armed_can_show_a_code_at_once(counter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(_: Any) -> None:
        asking = Asking()
        monkeypatch.setattr(counter.desk.supervisor, "send", asking.send)
        grant = Grant(client_id="local", nonce="n" * 22, scopes=())
        counter.desk.request(asking, 1, grant, media=frozenset({"apcv-nfc"}), readers=frozenset[str](), timeout=60.0)
        counter.desk.withdraw(asking)

        assert ["nfc Arm", "armed", "nfc Disarm"] == asking.order

    counter.run(work)


def test_silence_is_of_one_request(counter: Any) -> None:
    async def work(line: Any) -> None:
        for pending, told in (({"progress": False}, []), ({}, ["armed"])):
            request = line.send_call("presentation.request", WISH | pending)
            cancel = line.send_call("presentation.cancel", {"request": request})
            ended, _ = await line.answers(request, cancel)
            error = ended["error"]["data"]

            assert ("cancelled", None) == (error["reason"], error.get("reader"))
            assert told == steps(line)

    counter.run(work)


def test_a_submitted_code_is_silent_likewise(counter: Any) -> None:
    async def work(line: Any) -> None:
        pending = {"nonce": "n" * 22, "payload": "VITALESIM.silent", "scopes": ["identity"], "progress": False}
        await line.answer(line.send_call("presentation.submit", pending))

        assert [] == steps(line)

    counter.run(work)


def test_losses_and_failures_are_logged_by_their_names_alone(counter: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def work(line: Any) -> None:
        counter.desk.report(
            "nfc", Failed(reader=READER, problem=Problem("medium_unreadable", "phone-silent", "secret"))
        )
        counter.desk.report("nfc", Health(state="degraded", problem=Problem("reader_unavailable", detail="secret")))
        counter.desk.report("nfc", ReaderRemoved(reader=READER))
        counter.desk.report("nfc", Health(state="ok"))
        await line.result("session.ping")

    with caplog.at_level("INFO", logger="vitale_reader.daemon.desk.coordinator"):
        counter.run(work)
    told = [record.getMessage() for record in caplog.records if record.name == "vitale_reader.daemon.desk.coordinator"]
    assert told[-4:] == [
        f"reader {READER}: not read: medium_unreadable.phone-silent",
        "driver nfc: reader_unavailable",
        f"reader {READER} removed",
        "driver nfc: ready",
    ]
