"""An apCV string on a reader: transported where there is no resolver, resolved where there is one, blocking nobody."""

import asyncio
import base64
import contextlib
import datetime as dt
from typing import Any

import pytest

from vitale_protocol import tlv
from vitale_protocol.catalogue import text
from vitale_protocol.errors import MediumExpired, PayloadInvalid, ResolverRefused, ResolverUnavailable, StoreUnavailable
from vitale_reader.daemon.issuing.issuer import Issuer
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.replay import ReplayGuard

ALL = ["identity", "nir", "rights", "context"]
CARD_EVIDENCE = {
    "identity": tlv.encode(0x65, [tlv.encode(0x80, b"ESSAI"), tlv.encode(0x81, b"ANNE"), tlv.encode(0x82, b"19850714")])
}


def test_without_a_resolver_a_string_is_transported(counter: Any) -> None:
    async def work(line: Any) -> None:
        claims = await counter.claims(line, b"opaque-1")
        assert claims["proof"] == {"method": "apcv-transported", "verified": False, "freshness": "none"}
        assert (claims["medium"], claims["origin"], claims["record"]) == ("apcv-nfc", "simulated", {})
        assert not {"context", "payload", "payload_b64", "delegate"} & claims.keys()
        assert (await line.result("station.info"))["resolver"] == {"name": "none", "state": "none"}

    counter.run(work, scripted=False)


@pytest.mark.parametrize(
    ("string", "claim", "value"),
    [
        (b"A1B2-\xc3\xa9", "payload", "A1B2-é"),
        (b"\x00\x01\xff", "payload_b64", base64.b64encode(b"\x00\x01\xff").decode()),
        (b"line\nbreak", "payload_b64", base64.b64encode(b"line\nbreak").decode()),
    ],
)
def test_the_string_itself_needs_its_scope(counter: Any, string: bytes, claim: str, value: str) -> None:
    async def work(line: Any) -> None:
        claims = await counter.claims(line, string, scopes=["identity", "payload"])
        assert claims[claim] == value
        assert len({"payload", "payload_b64"} & claims.keys()) == 1

    counter.run(work, scripted=False)


def test_with_a_resolver_a_context_and_a_record(counter: Any) -> None:
    async def work(line: Any) -> None:
        request = await counter.ask(line, scopes=ALL)
        counter.tap(b"opaque")
        await counter.step(line, "resolving", request)
        claims = (await line.answer(request))["result"]["claims"]
        assert claims["proof"] == {"method": "apcv-resolved", "verified": True, "freshness": "window"}
        assert claims["origin"] == "simulated"
        assert claims["record"]["assure"]["nir"] == "2840613990412"
        assert [person["prenom"] for person in claims["record"]["beneficiaires"]] == ["CLAIRE"]
        assert claims["context"].keys() == {"identifiant", "token", "date_fin_validite"}
        ends = dt.datetime.fromisoformat(claims["context"]["date_fin_validite"])
        assert 1700 < (ends - dt.datetime.now(dt.UTC)).total_seconds() <= 1800
        assert (await line.result("station.info"))["resolver"] == {"name": "scripted", "state": "ready"}

    counter.run(work)


def test_dependants_need_their_scope(counter: Any) -> None:
    async def work(line: Any) -> None:
        claims = await counter.claims(line, b"opaque", scopes=["identity", "dependants"])
        assert [person["prenom"] for person in claims["record"]["beneficiaires"]] == ["CLAIRE", "TOM"]

    counter.run(work)


def test_a_delegate_is_visible(counter: Any) -> None:
    counter.resolver.changes = {"delegate": "PAUL MERLE-ESSAI"}

    async def work(line: Any) -> None:
        claims = await counter.claims(line, b"one")
        assert claims["delegate"] == "PAUL MERLE-ESSAI"
        assert claims["warnings"] == ["delegation"]
        claims = await counter.claims(line, b"two", scopes=["nir"])
        assert "delegate" not in claims
        assert claims["warnings"] == ["delegation"]

    counter.run(work)


@pytest.mark.parametrize(("hours", "warnings"), [(23, None), (25, ["rights_stale"])])
def test_old_rights_are_warned_of(counter: Any, hours: int, warnings: list[str] | None) -> None:
    then = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)
    counter.resolver.changes = {"rights_at": then}

    async def work(line: Any) -> None:
        assert (await counter.claims(line, b"opaque")).get("warnings") == warnings

    counter.run(work)


def test_a_context_that_nobody_learns_of_is_released_at_once(counter: Any) -> None:
    async def work(line: Any) -> None:
        claims = await counter.claims(line, b"opaque", scopes=["identity"])
        assert "context" not in claims
        await counter.resolver.wait_for("release")
        assert counter.resolver.open_contexts == {}

    counter.run(work)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ResolverRefused("no", data={"code": "NO"}), "resolver_refused"),
        (ResolverUnavailable("gone"), "resolver_unavailable"),
        (MediumExpired("old"), "medium_expired"),
        (RuntimeError("a fault of the plug-in"), "resolver_unavailable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_the_service_says_is_told(counter: Any, fault: Exception, reason: str) -> None:
    counter.resolver.fault = fault

    async def work(line: Any) -> None:
        told = await counter.refusal(line, b"opaque")
        assert told["reason"] == reason
        assert told["remedy"]
        assert await line.result("outbox.list") == {"tokens": []}

    counter.run(work)


def test_what_cannot_be_sent_of_a_phone_is_not_told_as_of_a_scanned_code(counter: Any) -> None:
    counter.resolver.fault = PayloadInvalid("XML cannot carry it", variant="control", data={"sent": False})

    async def work(line: Any) -> None:
        told = await counter.refusal(line, b"opaque")
        assert ("payload_invalid", True) == (told["reason"], "put the phone on the reader" in told["remedy"])

    counter.run(work)


def test_a_context_that_has_ended_already_is_none(counter: Any) -> None:
    counter.resolver.life = -60.0

    async def work(line: Any) -> None:
        assert (await counter.refusal(line, b"opaque"))["reason"] == "medium_expired"
        await counter.resolver.wait_for("release")

    counter.run(work)


def test_simulated_and_real_are_never_mixed(counter: Any) -> None:
    counter.resolver.changes = {"origin": "production"}

    async def work(line: Any) -> None:
        assert (await counter.refusal(line, b"opaque"))["reason"] == "mixed_origin"
        await counter.resolver.wait_for("release")

    counter.run(work)


def test_a_simulated_phone_is_refused_in_production_before_anybody_is_asked(counter: Any) -> None:
    async def work(line: Any) -> None:
        assert (await counter.refusal(line, b"opaque"))["reason"] == "simulated_refused"
        assert counter.resolver.calls == []

    counter.run(work, counter.config(station='mode = "production"'))


def test_other_requests_and_media_do_not_wait_for_a_slow_service(counter: Any) -> None:
    counter.resolver.gate.clear()

    async def work(line: Any) -> None:
        slow = await counter.ask(line)
        counter.tap(b"slow")
        await counter.step(line, "resolving", slow)
        assert (await line.result("session.ping"))["time"] > 0
        other = await counter.ask(line)
        counter.tap(b"other")
        await counter.resolver.wait_for("resolve", 2)
        counter.resolver.gate.set()
        assert "result" in await line.answer(slow)
        assert "result" in await line.answer(other)

    counter.run(work)


def test_a_request_can_be_cancelled_while_the_service_is_asked(counter: Any) -> None:
    counter.resolver.gate.clear()

    async def work(line: Any) -> None:
        request = await counter.ask(line, scopes=ALL)
        counter.tap(b"opaque")
        await counter.resolver.wait_for("resolve")
        cancel = line.send_call("presentation.cancel", {"request": request})
        answers: dict[int, Any] = {}
        while len(answers) < 2:
            message = await line.receive()
            if "id" in message:
                answers[message["id"]] = message
        assert answers[request]["error"]["data"]["reason"] == "cancelled"
        assert answers[cancel]["result"] == {"cancelled": True}
        assert await line.result("presentation.cancel", {"request": request}) == {"cancelled": False}
        counter.resolver.gate.set()
        await counter.resolver.wait_for("release")
        assert counter.resolver.open_contexts == {}

    counter.run(work)


def test_a_client_that_goes_leaves_no_context_behind(counter: Any) -> None:
    counter.resolver.gate.clear()

    async def main() -> None:
        async with counter.station() as endpoints, counter.tools.unix_line(endpoints) as stays:
            await stays.open()
            async with counter.tools.unix_line(endpoints) as goes:
                await goes.open()
                await counter.ask(goes, scopes=ALL)
                counter.tap(b"opaque")
                await counter.resolver.wait_for("resolve")
            # The daemon has seen it go when its session is none of the client's any more.
            async with asyncio.timeout(20):
                while counter.desk._deliveries._under_way:
                    await stays.result("session.ping")
            counter.resolver.gate.set()
            await counter.resolver.wait_for("release")
            assert counter.resolver.open_contexts == {}
            assert await stays.result("outbox.list") == {"tokens": []}

    asyncio.run(main())


def test_the_time_of_a_request_ends_also_while_the_service_is_asked(counter: Any) -> None:
    counter.resolver.gate.clear()

    async def work(line: Any) -> None:
        for timeout_ms in (1_000, 10_000, 60_000):
            told = await counter.refusal(line, b"opaque", timeout_ms=timeout_ms)
            assert "timeout" == told["reason"]
            if counter.resolver.calls:
                assert ("unread", text("resolver_unavailable", "en").remedy) == (told["variant"], told["remedy"])
                break  # a busy machine may use up the time of a request before the phone is there
        counter.resolver.gate.set()
        await counter.resolver.wait_for("release")

    counter.run(work)


def test_the_service_has_a_time_limit_of_its_own(counter: Any) -> None:
    counter.resolver.gate.clear()

    async def work(line: Any) -> None:
        assert (await counter.refusal(line, b"opaque"))["reason"] == "resolver_unavailable"
        assert counter.resolver.count("resolve") == 1, "a string is sent once"
        info = await line.result("station.info")
        assert (info["resolver"]["state"], info["resolver"]["reason"]) == ("degraded", "resolver_unavailable")

    counter.run(work, counter.config("timeout = 0.1"))


def test_a_token_that_cannot_be_kept_leaves_no_context_behind(counter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(Outbox, "put", full)

    async def work(line: Any) -> None:
        assert (await counter.refusal(line, b"opaque", scopes=ALL))["reason"] == "store_unavailable"
        await counter.resolver.wait_for("release")
        assert counter.resolver.open_contexts == {}

    counter.run(work)


def test_the_daemon_stops_while_the_service_is_asked(counter: Any) -> None:
    counter.resolver.gate.clear()

    async def main() -> None:
        async with contextlib.AsyncExitStack() as client:
            async with counter.station() as endpoints:
                line = await client.enter_async_context(counter.tools.unix_line(endpoints))
                await line.open()
                request = await counter.ask(line)
                counter.tap(b"opaque")
                await counter.resolver.wait_for("resolve")
                answer = asyncio.create_task(line.answer(request))
                # The service answers after that, and the end of the daemon waits for it.
                answer.add_done_callback(lambda _: counter.resolver.gate.set())
            assert (await answer)["error"]["data"]["reason"] == "shutting_down"
            assert counter.resolver.open_contexts == {}

    asyncio.run(main())


def test_a_card_is_answered_while_the_service_is_asked_about_a_phone(counter: Any) -> None:
    counter.resolver.gate.clear()

    async def work(line: Any) -> None:
        phone = await counter.ask(line)
        counter.tap(b"slow")
        await counter.step(line, "resolving", phone)
        counter.put_card()
        card = line.send_call("presentation.request", {"nonce": "n" * 22, "media": ["vitale-card"]})
        await counter.step(line, "armed", card)
        counter.give_card(CARD_EVIDENCE)
        claims = (await line.answer(card))["result"]["claims"]
        assert (claims["medium"], claims["proof"]["method"]) == ("vitale-card", "card-clear-read")
        assert not counter.resolver.gate.is_set(), "the service had not answered"
        counter.resolver.gate.set()
        assert "result" in await line.answer(phone)

    counter.run(work)


@pytest.mark.parametrize("scripted", [True, False], ids=["resolver", "none"])
def test_a_string_is_not_sent_for_a_request_that_was_cancelled_before(
    counter: Any, monkeypatch: pytest.MonkeyPatch, *, scripted: bool
) -> None:
    claim, reserved, gate = ReplayGuard.claim, asyncio.Event(), asyncio.Event()

    async def slow(*arguments: Any) -> None:
        await claim(*arguments)
        reserved.set()
        await gate.wait()

    monkeypatch.setattr(ReplayGuard, "claim", slow)

    async def work(line: Any) -> None:
        request = await counter.ask(line)
        counter.tap(b"opaque")
        await reserved.wait()
        assert await line.result("presentation.cancel", {"request": request}) == {"cancelled": True}
        gate.set()
        assert (await line.answer(request))["error"]["data"]["reason"] == "cancelled"
        assert counter.resolver.calls == []
        assert "result" in await counter.read(line, b"opaque"), "it was not used up"

    counter.run(work, scripted=scripted)


def test_a_fault_after_the_service_answered_leaves_no_context_behind(
    counter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Issuer, "resolved", broken)

    async def work(line: Any) -> None:
        assert (await counter.refusal(line, b"opaque", scopes=ALL))["reason"] == "internal_error"
        await counter.resolver.wait_for("release")
        assert counter.resolver.open_contexts == {}

    counter.run(work)


def test_a_record_larger_than_any_familys_is_an_unreadable_answer(counter: Any) -> None:
    person = counter.record.beneficiaires[0]
    counter.resolver.changes = {"record": type(counter.record)(beneficiaires=(person,) * 31, porteur=0)}

    async def work(line: Any) -> None:
        told = await counter.refusal(line, b"opaque", scopes=["identity", "dependants"])
        assert (told["reason"], told["variant"]) == ("resolver_unavailable", "unreadable")

    counter.run(work)
