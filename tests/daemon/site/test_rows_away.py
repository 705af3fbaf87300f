"""Requests between desks while the database fails: whoever waits is answered, and nothing is left behind for ever."""

# Tasks that go on by themselves, and what is owed, cannot be seen from outside.
# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from tests.clocks import Clock
from vitale_protocol.errors import (
    Cancelled,
    InternalError,
    JsonValue,
    MediumMute,
    NoReader,
    PresentationTimeout,
    ShuttingDown,
    StoreUnavailable,
    VitaleError,
)
from vitale_protocol.problems import Problem
from vitale_reader.daemon.arbitration import hub
from vitale_reader.daemon.fairness.processor_shares import Shares
from vitale_reader.daemon.site.incoming_requests import Answering, Visitor
from vitale_reader.daemon.site.outgoing_requests import Answer, Asking
from vitale_reader.daemon.site.remote_readers import Names
from vitale_reader.daemon.site.rows.messages import RequestRow, SeenRows, Wanted

WANTED = Wanted(
    station="here",
    mode="production",
    client_id="client-1",
    nonce="n" * 22,
    scopes=("identity",),
    purpose=None,
    media=frozenset({"vitale-card"}),
    names=Names(readers=(), groups=("accueil",)),
    timeout=0.01,
)
NOTHING = SeenRows(desks={}, requests=(), steps=())


@dataclass
class Rows:
    """The rows of a site in a database that fails when the test says so."""

    incarnation: str = "mine"
    fault: Exception | None = None
    asked: list[str] = field(default_factory=list[str])
    ended: list[str] = field(default_factory=list[str])
    answered: dict[str, Answer] = field(default_factory=dict[str, Answer])
    steps: list[Any] = field(default_factory=list[Any])
    answers: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def _work(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def ask(self, request: str, _wanted: Wanted, _audience: object) -> None:
        self.asked.append(request)
        self._work()

    async def end(self, requests: Any, _audience: object) -> dict[str, bytes]:
        self._work()
        self.ended += requests
        return {name: self.answers.get("any", b"") for name in requests if self.answers}

    async def answer_alone(self, request: str, _asker: str, sealed: bytes, *, taken: bool) -> None:
        assert taken
        self._work()
        self.answered[request] = msgspec.json.decode(sealed, type=Answer)

    async def tell_steps(self, steps: Any) -> None:
        self._work()
        self.steps += steps


@dataclass
class Client:
    """A session that waits."""

    told: list[Any] = field(default_factory=list[Any])
    owner: str = "client-1"
    group: str | None = None

    def reply(self, _request: object, result: object) -> None:
        self.told.append(result)

    def fail(self, _request: object, error: VitaleError) -> None:
        self.told.append(error.reason)

    def progress(self, _request: object, step: str, reader: object, problem: object, medium: str) -> None:
        self.told.append(step)


@dataclass
class Notes:
    """The audit trail."""

    lines: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    async def note(self, client_id: str, outcome: str) -> None:
        self.lines.append((client_id, outcome))


def asking(
    rows: Rows,
    notes: Notes,
    wake: Callable[[], None] = lambda: None,
    hoped_for: Callable[[], bool] = lambda: True,
    starting: Callable[[], bool] = lambda: False,
    shares: Shares | None = None,
) -> Asking:
    async def prove(_result: object) -> None:
        """Every key is known."""

    return Asking(
        cast("Any", rows),
        hoped_for=lambda _: hoped_for(),
        starting=lambda _: starting(),
        open_answer=lambda sealed, _bound_to: sealed,
        prove=prove,
        note=notes.note,
        audience=lambda _: (),
        own=lambda _request, _wanted: wake(),
        shares=shares or Shares(),
    )


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


# ── this desk asks ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_that_cannot_be_written_is_refused_and_its_row_taken_away_later() -> None:
    async def work() -> None:
        rows, notes, client = Rows(fault=StoreUnavailable()), Notes(), Client()
        made = asking(rows, notes)
        made.request(cast("Any", client), 1, WANTED)
        await made._tasks.finish()
        assert client.told == ["store_unavailable"]
        assert notes.lines == [("client-1", "store_unavailable")]
        with pytest.raises(StoreUnavailable):
            await made.clear()
        rows.fault = None
        await made.clear()
        assert rows.ended == rows.asked
        await made.clear()
        assert rows.ended == rows.asked, "once"

    run(work)


def test_a_request_that_ends_while_the_database_is_away_is_answered_all_the_same() -> None:
    async def work() -> None:
        rows, notes, client = Rows(), Notes(), Client()

        def lost() -> None:
            rows.fault = StoreUnavailable()

        made = asking(rows, notes, wake=lost)
        made.request(cast("Any", client), 1, WANTED)
        await made._tasks.finish()
        assert client.told == ["timeout"]
        assert (made.load(cast("Any", client)), made.names) == (0, frozenset())
        rows.fault = None
        await made.clear()
        assert rows.ended == rows.asked

    run(work)


def test_what_is_done_for_a_request_at_another_desk_is_charged_to_its_client_at_both() -> None:
    async def work() -> None:
        used = 0.0

        class CostlyRows(Rows):
            async def ask(self, request: str, wanted: Wanted, audience: object) -> None:
                nonlocal used
                used += 1.0
                await super().ask(request, wanted, audience)

        shares = Shares(used=lambda: used)
        made, client = asking(CostlyRows(), Notes(), shares=shares), Client()
        made.request(cast("Any", client), 1, WANTED)
        await made._tasks.finish()
        assert shares.wait(WANTED.client_id, None) > 0
        visitor = Visitor(-2, "request-1", WANTED, cast("Any", None))
        assert (WANTED.client_id, None) == (visitor.owner, visitor.group)

    run(work)


def test_a_fault_of_the_rows_is_an_internal_error_of_the_request() -> None:
    async def work() -> None:
        rows, client = Rows(fault=RuntimeError("of the driver")), Client()
        made = asking(rows, Notes())
        made.request(cast("Any", client), 1, WANTED)
        await made._tasks.finish()
        assert client.told == [InternalError.reason]

    run(work)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (msgspec.json.encode(Answer(problem=Problem("medium_mute"))), "medium_mute"),
        (msgspec.json.encode(Answer(problem=Problem("of_a_newer_desk"))), "internal_error"),
        (b"no answer", "store_unavailable"),
    ],
    ids=["a reason", "an unknown reason", "not readable"],
)
def test_an_answer_that_came_at_the_last_moment_counts(answer: bytes, told: str) -> None:
    async def work() -> None:
        client = Client()
        made = asking(Rows(answers={"any": answer}), Notes())
        made.request(cast("Any", client), 1, WANTED)
        await made._tasks.finish()
        assert client.told == [told]

    run(work)


@pytest.mark.parametrize(("there", "told"), [(True, "reader_gone"), (False, "no_reader")])
def test_a_reader_that_was_there_when_it_was_asked_for_is_gone_and_not_unknown(
    there: bool, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its desk goes before the rows were looked at again."""
    for grace in ("GRACE_NEW", "GRACE_LOST"):
        monkeypatch.setattr(hub, grace, 0.0)

    async def work() -> None:
        client, written = Client(), asyncio.Event()
        made = asking(Rows(), Notes(), wake=written.set, hoped_for=lambda: there and not written.is_set())
        made.request(cast("Any", client), 1, msgspec.structs.replace(WANTED, timeout=30.0))
        await written.wait()
        for _ in range(2):  # it is missed, and its time is over
            made.watch_readers()
        await made._tasks.finish()
        assert client.told == [told]

    run(work)


def test_a_request_waits_for_drivers_that_start_at_the_desks_that_it_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "GRACE_NEW", 0.0)

    async def work() -> None:
        client, written, starting = Client(), asyncio.Event(), [True]
        made = asking(Rows(), Notes(), written.set, hoped_for=lambda: False, starting=lambda: starting[0])
        made.request(cast("Any", client), 1, msgspec.structs.replace(WANTED, timeout=30.0))
        await written.wait()
        made.watch_readers()
        assert (client.told, made.load(cast("Any", client))) == ([], 1)
        starting.clear()
        starting.append(False)
        made.watch_readers()
        await made._tasks.finish()
        assert client.told == ["no_reader"]

    run(work)


def test_a_row_that_is_gone_ends_its_request() -> None:
    async def work() -> None:
        client, written = Client(), asyncio.Event()
        made = asking(Rows(), Notes(), wake=written.set)
        made.request(cast("Any", client), 1, msgspec.structs.replace(WANTED, timeout=30.0))
        await written.wait()
        made.hear(NOTHING, made.names)
        await made._tasks.finish()
        assert client.told == ["store_unavailable"]

    run(work)


def test_what_waits_when_the_daemon_stops_is_told_so_and_nothing_new_is_taken() -> None:
    async def work() -> None:
        client, other, written = Client(), Client(), asyncio.Event()
        made = asking(Rows(), Notes(), wake=written.set)
        made.request(cast("Any", client), 1, msgspec.structs.replace(WANTED, timeout=30.0))
        await written.wait()
        assert await made.cancel(cast("Any", other), 1) is False
        await made.stop()
        assert client.told == ["shutting_down"]
        with pytest.raises(ShuttingDown):
            made.request(cast("Any", client), 2, WANTED)

    run(work)


def test_of_two_sessions_the_one_that_leaves_ends_its_own_request() -> None:
    async def work() -> None:
        rows, notes, leaves, stays = Rows(), Notes(), Client(), Client()
        made = asking(rows, notes)
        for number, client in enumerate((leaves, stays)):
            made.request(cast("Any", client), number, WANTED)
        made.leave(cast("Any", leaves))
        assert [True, False] == [asked.over.done() for asked in made._open.values()]
        await made.stop()
        assert ["shutting_down"] == stays.told

    run(work)


@pytest.mark.parametrize("asks", [True, False])
def test_a_fault_behind_a_request_is_an_incident(asks: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise RuntimeError("of the test")

    async def work() -> None:
        desk = asking(Rows(), Notes()) if asks else answering(Rows())
        desk._tasks.spawn(fails())
        await desk.stop()

    run(work)
    assert "incident" in caplog.text


# ── another desk asks ────────────────────────────────────────────────────────────────────────────────────────────


def answering(rows: Rows, now: Callable[[], float] = lambda: 1_000.0) -> Answering:
    async def tell_keys() -> None:
        """They are told already."""

    return Answering(
        cast("Any", rows),
        cast("Any", None),
        station="here",
        mode="production",
        groups=("accueil",),
        known=lambda _: True,
        seal_for=lambda _station, plain, _bound_to: plain,
        tell_keys=tell_keys,
        audience=lambda _: (),
        now=now,
    )


def visitor(host: Answering) -> Visitor:
    return Visitor(-2, "request-1", WANTED, host, taken=True)


async def settled(host: Answering) -> None:
    while host._tasks or host._telling is not None:
        await host._tasks.finish()
        await asyncio.sleep(0.01)  # what is told together waits for a moment


def test_an_error_that_cannot_be_told_is_owed_until_it_can() -> None:
    async def work() -> None:
        rows = Rows(fault=StoreUnavailable())
        host = answering(rows)
        visitor(host).fail(1, MediumMute("silent"))
        await settled(host)
        assert rows.answered == {}
        await host._pay()
        assert list(host._owed) == ["request-1"]
        rows.fault = None
        await host._pay()
        assert rows.answered == {"request-1": Answer(problem=Problem("medium_mute", detail="silent"))}
        assert host._owed == {}

    run(work)


def test_what_is_owed_for_a_request_that_is_gone_is_forgotten() -> None:
    async def work() -> None:
        rows = Rows(fault=StoreUnavailable())
        host = answering(rows)
        visitor(host).fail(1, MediumMute())
        await settled(host)
        rows.fault = None
        await host.hear(NOTHING, host.names, host.doubtful)
        assert (host._owed, rows.answered) == ({}, {})

    run(work)


def test_a_request_that_is_called_while_the_rows_are_looked_at_is_not_sent_away() -> None:
    async def work() -> None:
        withdrawn: list[object] = []
        host = answering(Rows())
        host._desk = cast("Any", SimpleNamespace(withdraw=withdrawn.append))
        known = host.names
        come = host._visitors["request-1"] = visitor(host)
        await host.hear(NOTHING, known, host.doubtful)
        assert (withdrawn, host.names) == ([], frozenset({"request-1"}))
        await host.hear(NOTHING, host.names, host.doubtful)
        assert (withdrawn, host.names) == ([come], frozenset())

    run(work)


def test_an_answer_to_a_request_that_is_over_is_dropped() -> None:
    async def work() -> None:
        host = answering(Rows(fault=Cancelled()))
        visitor(host).fail(1, MediumMute())
        await settled(host)
        assert host._owed == {}

    run(work)


@pytest.mark.parametrize("error", [NoReader(), PresentationTimeout(), Cancelled(), ShuttingDown()], ids=type)
def test_that_this_desk_does_nothing_for_a_request_is_not_told(error: VitaleError) -> None:
    async def work() -> None:
        rows = Rows()
        host = answering(rows)
        visitor(host).fail(1, error)
        await settled(host)
        assert rows.answered == {}

    run(work)


def test_the_readers_of_a_choice_are_named_for_the_whole_site() -> None:
    async def work() -> None:
        rows = Rows()
        host = answering(rows)
        choices: list[JsonValue] = [{"reader": "r-1", "medium": "vitale-card"}]
        visitor(host).fail(1, MediumMute("two", data={"choices": choices}))
        await settled(host)
        assert rows.answered["request-1"].problem.data == {"choices": [{"reader": "r-1@here", "medium": "vitale-card"}]}

    run(work)


def test_steps_that_nobody_can_hear_of_are_dropped() -> None:
    async def work() -> None:
        rows = Rows(fault=StoreUnavailable())
        host = answering(rows)
        visitor(host).progress(1, "reading", None, None, "")
        await settled(host)
        assert host._steps == []
        rows.fault = None
        visitor(host).progress(1, "armed", None, None, "")
        visitor(host).progress(1, "reading", None, None, "")
        await settled(host)
        assert [step.step for _, _, step in rows.steps] == ["armed", "reading"]

    run(work)


class Readers:
    """A desk with a reader that may give what is wanted; who waits there."""

    def __init__(self) -> None:
        self.readers = (SimpleNamespace(id="r", state="ready", media=WANTED.media),)
        self.waits: list[object] = []

    def request(self, _visitor: object, request: str, _grant: object, **_: object) -> None:
        self.waits.append(request)

    def withdraw(self, visitor: Visitor) -> None:
        self.waits.remove(visitor.id)


def row_of(left: float = 600.0) -> RequestRow:
    return RequestRow(
        id="request-1", asked_by="theirs", left=left, taken_by=None, answered=False, answer=None, sealed=b""
    )


@pytest.mark.parametrize("how", ["ended", "gone", "answered", "its time is over"])
@pytest.mark.parametrize("until", [1_060.0, 0.0], ids=["says its end", "of a version before"])
def test_a_request_that_is_over_and_put_back_reads_nothing(
    how: str, until: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody who can write to the database put a row back, with its seal and a later end."""
    wanted = msgspec.structs.replace(WANTED, until=until)
    clock = Clock(1_000.0)

    async def work() -> None:
        rows, desk = Rows(), Readers()
        host = answering(rows, clock)
        host._desk, host._there = cast("Any", desk), frozenset({"theirs"})
        host._wanted["request-1"] = wanted
        await host._consider(row_of())
        assert ["request-1"] == desk.waits
        match how:
            case "ended":
                host.over("request-1", for_good=True)
            case "gone":
                await host.hear(NOTHING, host.names, host.doubtful)
                host._there = frozenset({"theirs"})
            case "answered":
                host._visitors["request-1"].reply(1, cast("Any", None))
            case _:
                host._visitors["request-1"].fail(1, PresentationTimeout())
                clock.now = 1_076.0
        desk.waits.clear()
        host._wanted["request-1"] = wanted
        for _ in range(2):
            await host._consider(row_of())
        may_be = how == "its time is over" and not until  # a desk of a version before does not say
        assert (["request-1"] * 2 if may_be else []) == desk.waits
        assert (0 if may_be else 1) == caplog.text.count("was put back")

    run(work)


def test_a_request_that_another_desk_gave_back_is_there_again() -> None:
    async def work() -> None:
        desk = Readers()
        host = answering(Rows())
        host._desk, host._there = cast("Any", desk), frozenset({"theirs"})
        for _ in range(2):
            host._wanted["request-1"] = WANTED
            await host._consider(row_of())
            assert ["request-1"] == desk.waits
            host.over("request-1")

    run(work)
