"""Leases over the wire: what the holder gets, what others are told, and that no APDU is written down."""

import asyncio
import contextlib
import logging
import sqlite3
from typing import Any

import pytest

from vitale_drivers.base import ReaderChanged, ReaderRemoved, Transmitted, Unlease, Unleased
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem
from vitale_reader.daemon.desk import leasing

READER = "pcsc:slot"
SECRET = "00B0000042"


#: The longest there is: nothing but the test ends a lease.
LONGEST = 60_000


async def acquire(counter: Any, line: Any, previous: str | None = None, ttl_ms: int = LONGEST) -> dict[str, Any]:
    request = line.send_call("lease.acquire", {"reader": READER, "previous": previous, "ttl_ms": ttl_ms})
    await line.result("session.ping")
    counter.hold()
    answer = await line.answer(request)
    assert "result" in answer, answer
    return dict(answer["result"])


async def data(line: Any, method: str, params: dict[str, Any]) -> dict[str, Any]:
    answer = await line.call(method, params)
    assert "error" in answer, answer
    return dict(answer["error"]["data"])


def test_a_holder_exchanges_apdus(counter: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def work(line: Any) -> None:
        counter.put_card()
        held = await acquire(counter, line, ttl_ms=LONGEST // 2)
        assert held["atr"] == "3B00"
        lease = held["lease"]
        done = await line.result("card.transmit", {"lease": lease, "apdus": [SECRET, "00a40000023f00"]})
        assert done == {"responses": [SECRET + "9000", "00A40000023F009000"]}
        failed = await data(line, "card.transmit", {"lease": lease, "apdus": [SECRET, "00FF0000", SECRET]})
        assert (failed["reason"], failed["sw"], failed["index"]) == ("card_error", "6D00", 1)
        renewed = await line.result("lease.renew", {"lease": lease, "ttl_ms": LONGEST})
        assert renewed["expires_at"] >= held["expires_at"] + LONGEST / 2000
        assert await line.result("lease.release", {"lease": lease}) == {"released": True}
        assert isinstance(counter.sent[-1][1], Unlease)
        assert await line.result("lease.release", {"lease": lease}) == {"released": False}
        ended = await data(line, "card.transmit", {"lease": lease, "apdus": [SECRET]})
        assert (ended["reason"], ended["why"]) == ("lease_expired", "released")
        assert line.notifications == []

    counter.run(work)
    assert SECRET not in caplog.text
    assert SECRET.lower() not in caplog.text


@pytest.mark.parametrize(
    ("problem", "removed", "why"),
    [
        ("medium_mute", False, "card"),
        ("reader_unavailable", False, "reader"),
        ("medium_mute", True, "reader"),
    ],
)
def test_an_exchange_that_the_medium_does_not_survive_ends_the_lease(
    counter: Any, monkeypatch: pytest.MonkeyPatch, problem: str, removed: bool, why: str
) -> None:
    async def transmit(_driver: str, reader: str, _apdus: tuple[bytes, ...], *, lease: int) -> Transmitted:
        if removed:
            counter.desk.report("pcsc", ReaderRemoved(reader=reader))
        return Transmitted(id=lease, responses=(b"\x90\x00",), problem=Problem(problem))

    async def work(line: Any) -> None:
        counter.put_card()
        lease = (await acquire(counter, line))["lease"]
        monkeypatch.setattr(counter.desk.supervisor, "transmit", transmit)
        ended = await data(line, "card.transmit", {"lease": lease, "apdus": [SECRET, SECRET]})
        assert ("lease_expired", why, 1) == (ended["reason"], ended["why"], ended["index"])

    counter.run(work)


@pytest.mark.parametrize("why", ["ttl", "card", "reader", "released"])
def test_an_exchange_that_no_driver_answers_ends_after_its_lease(
    counter: Any, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(leasing, "LAST_ANSWERS", 0.05)

    async def transmit(*_: object, **__: object) -> Transmitted:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def work(line: Any) -> None:
        counter.put_card()
        lease = (await acquire(counter, line))["lease"]
        monkeypatch.setattr(counter.desk.supervisor, "transmit", transmit)
        calls = [line.send_call("card.transmit", {"lease": lease, "apdus": [SECRET]}) for _ in range(2)]
        await line.result("session.ping")  # both are under way
        if why == "ttl":
            await line.result("leases.free", {"reader": READER})
        elif why == "card":
            counter.desk.report("pcsc", Unleased(id=counter.sent[-1][1].id, why="card"))
        elif why == "reader":
            counter.desk.report("pcsc", ReaderRemoved(reader=READER))
        else:
            await line.result("lease.release", {"lease": lease})
        told = [(await line.answer(call))["error"]["data"] for call in calls]
        assert [("lease_expired", why)] * 2 == [(each["reason"], each["why"]) for each in told]

    counter.run(work)


def test_a_lease_whose_name_nobody_would_hear_is_not_begun(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_card()
        line.send({"jsonrpc": "2.0", "method": "lease.acquire", "params": {"reader": READER, "previous": None}})
        await line.result("session.ping")
        assert "LeaseCommand" not in {type(command).__name__ for _, command in counter.sent}
        assert (await acquire(counter, line))["lease"]

    counter.run(work)


@pytest.mark.parametrize(
    "params",
    [
        {"apdus": []},
        {"apdus": ["00A4"]},
        {"apdus": ["00A40000023F0"]},
        {"apdus": ["zz" * 5]},
        {"apdus": ["00A4000002\n"]},
        {"apdus": ["00" * 65_545]},
        {"apdus": ["00000000"] * 257},
        {"apdus": ["00000000"], "x": 1},
    ],
)
def test_what_is_no_apdu_is_refused_before_anything_is_done(counter: Any, params: dict[str, Any]) -> None:
    async def work(line: Any) -> None:
        assert await line.reason("card.transmit", {"lease": "l", **params}) == "invalid_params"

    counter.run(work)


@pytest.mark.parametrize("ttl_ms", [99, 60_001])
def test_times_have_limits(counter: Any, ttl_ms: int) -> None:
    async def work(line: Any) -> None:
        pending = {"reader": READER, "previous": None, "ttl_ms": ttl_ms}
        assert await line.reason("lease.acquire", pending) == "invalid_params"

    counter.run(work)


def test_others_learn_nothing_but_that_it_is_leased(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_card()
        async with counter.tools.unix_line(counter.home.endpoints()) as other:
            await other.open(language="en")
            lease = (await acquire(counter, line))["lease"]
            pending = {"reader": READER, "previous": None, "ttl_ms": 1000}
            for method, params in (
                ("lease.acquire", pending),
                ("lease.acquire", pending | {"previous": "guess"}),
                ("lease.renew", {"lease": lease, "ttl_ms": 1000}),
                ("lease.release", {"lease": lease}),
                ("card.transmit", {"lease": lease, "apdus": [SECRET]}),
            ):
                told = await data(other, method, params)
                assert told.keys() == {"reason", "retryable", "cause", "remedy", "detail"}
                assert told["reason"] == "lease_conflict"
                assert lease not in str(told)
            leased = Reader(
                id=READER, name="Slot", driver="pcsc", media=("vitale-card",), state="leased", medium="vitale-card"
            )
            counter.desk.report("pcsc", ReaderChanged(reader=leased))
            request = other.send_call("presentation.request", {"nonce": "n" * 22, "media": ["vitale-card"]})
            await counter.step(other, "retry", request)
            assert await line.reason("lease.acquire", pending | {"reader": "pcsc:none"}) == "no_reader"

    counter.run(work)


def test_an_end_that_nobody_asked_for_is_told_to_the_holder(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_card()
        for why in ("card", "reader", "ttl"):
            lease = (await acquire(counter, line, ttl_ms=100 if why == "ttl" else LONGEST))["lease"]
            if why == "card":
                number = counter.sent[-1][1].id
                counter.desk.report("pcsc", Unleased(id=number, why="card"))
            elif why == "reader":
                counter.desk.report("pcsc", ReaderRemoved(reader=READER))
                counter.put_card()
            ended = await line.receive()
            assert (ended["method"], ended["params"]) == ("lease.ended", {"lease": lease, "why": why})
            answer = await data(line, "lease.renew", {"lease": lease, "ttl_ms": 1000})
            assert (answer["reason"], answer["why"]) == ("lease_expired", why)

    counter.run(work)


def test_a_session_that_ends_lets_the_card_go_and_its_client_learns_why(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_card()
        async with counter.tools.unix_line(counter.home.endpoints()) as other:
            await other.open()
            lease = (await acquire(counter, other))["lease"]
        while not isinstance(counter.sent[-1][1], Unlease):
            await line.result("session.ping")
        answer = await data(line, "card.transmit", {"lease": lease, "apdus": [SECRET]})
        assert (answer["reason"], answer["why"]) == ("lease_expired", "client")
        assert (await acquire(counter, line))["lease"] != lease

    counter.run(work)


def test_a_card_that_cannot_be_held_is_the_answer(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_card()
        request = line.send_call("lease.acquire", {"reader": READER, "previous": None, "ttl_ms": 1000})
        await line.result("session.ping")
        counter.hold(reason="reader_busy")
        assert (await line.answer(request))["error"]["data"]["reason"] == "reader_busy"
        await acquire(counter, line)

    counter.run(work)


def test_the_trail_names_only_readers_that_there_are(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_card()
        await acquire(counter, line)
        for reader in ("invented", READER):
            await line.call("lease.acquire", {"reader": reader, "previous": "none", "ttl_ms": LONGEST})
            await line.call("leases.free", {"reader": reader})

    counter.run(work)
    with contextlib.closing(sqlite3.connect(counter.home.state / "store.db")) as store:
        query = "SELECT action, outcome, reader FROM audit WHERE action LIKE 'lease%' ORDER BY rowid"
        told = store.execute(query).fetchall()
    assert told == [
        ("lease.acquire", "ok", READER),
        ("lease.acquire", "no_reader", None),
        ("leases.free", "no_reader", None),
        ("lease.acquire", "lease_conflict", READER),
        ("leases.free", "ok", READER),
    ]


def test_a_daemon_that_stops_answers_whoever_waits_for_a_lease(counter: Any) -> None:
    waits: list[Any] = []

    async def work(line: Any) -> None:
        counter.put_card()
        waits.append(line.send_call("lease.acquire", {"reader": READER, "previous": None, "ttl_ms": 1000}))
        await line.result("session.ping")

    counter.run(work)
    assert isinstance(counter.sent[-1][1], Unlease)
