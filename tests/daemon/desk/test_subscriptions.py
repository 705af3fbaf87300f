"""Subscriptions over the wire: turns, limits, what is told to whom, and a subscriber that does not read."""

import asyncio
import base64
import json
import socket
from typing import Any

import pytest

from vitale_drivers.base import Failed, Pong, Progress
from vitale_protocol.problems import Problem

NONCE = "s" * 22
PATIENCE = 40.0


def jti(message: Any) -> str:
    payload = message["params"]["token"].split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])


async def subscribe(line: Any, **params: Any) -> str:
    pending = {"nonce": NONCE, "media": ["apcv-nfc"], "scopes": ["identity"]} | params
    return str((await line.result("presentations.subscribe", pending))["subscription"])


async def next_event(line: Any, name: str) -> Any:
    """The next notification of a kind, the others dropped."""
    while (message := await line.receive()) is not None:
        if message.get("method") == name:
            return message
    raise AssertionError(f"the connection ended before {name}")


def test_each_presentation_goes_to_one_subscription_in_turns(counter: Any) -> None:
    async def work(line: Any) -> None:
        endpoints = counter.home.endpoints()
        async with counter.tools.unix_line(endpoints) as other:
            await other.open(language="en")
            first, second = await subscribe(line), await subscribe(other)
            seen: list[str] = []
            for number in range(4):
                counter.tap(b"VITALESIM.%d" % number)
                told = await next_event(line if number % 2 == 0 else other, "presentation.token")
                assert told["params"]["subscription"] == (first if number % 2 == 0 else second)
                assert told["params"]["claims"]["nonce"] == NONCE
                seen.append(jti(told))
            assert len(set(seen)) == 4
            assert {token["jti"] for token in (await line.result("outbox.list"))["tokens"]} == set(seen), "kept"
            assert other.notifications == []

    counter.run(work)


def test_a_request_comes_first_and_the_subscription_hears_nothing_of_it(counter: Any) -> None:
    async def work(line: Any) -> None:
        async with counter.tools.unix_line(counter.home.endpoints()) as other:
            await other.open(language="en")
            await subscribe(other)
            await counter.claims(line, b"VITALESIM.mine")
            await other.result("session.ping")
            assert other.notifications == []
            counter.tap(b"VITALESIM.yours")
            await next_event(other, "presentation.token")

    counter.run(work)


def test_an_end_is_an_end(counter: Any) -> None:
    async def work(line: Any) -> None:
        name = await subscribe(line)
        async with counter.tools.unix_line(counter.home.endpoints()) as other:
            await other.open()
            assert await other.result("presentations.unsubscribe", {"subscription": name}) == {}
            counter.tap(b"VITALESIM.still")
            await next_event(line, "presentation.token")
        assert await line.result("presentations.unsubscribe", {"subscription": name}) == {}
        assert await line.result("presentations.unsubscribe", {"subscription": name}) == {}
        counter.tap(b"VITALESIM.no-more")
        await line.result("session.ping")
        assert [message["method"] for message in line.notifications] == []

    counter.run(work)


def test_what_came_for_a_subscriber_who_has_left_was_not_used(counter: Any) -> None:
    async def work(line: Any) -> None:
        async with counter.tools.unix_line(counter.home.endpoints()) as other:
            await other.open(language="en")
            await subscribe(other)
            (subscription,) = counter.desk._subscriptions.values()
            counter.tap(b"VITALESIM.left")
            counter.desk.leave(subscription.subscriber)
            async with asyncio.timeout(PATIENCE):
                await counter.desk._deliveries._tasks.finish()
            assert await counter.claims(line, b"VITALESIM.left")
            assert 1 == counter.resolver.count("resolve"), "it was not sent for the one who had left"

    counter.run(work)


def test_a_presentation_that_nobody_asked_for_holds_up_no_end(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.tap(b"VITALESIM.early")
        await line.result("session.ping")

    counter.run(work)
    assert 0 == counter.resolver.count("resolve")


def test_what_a_driver_says_that_is_nobodys_business_is_logged(counter: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def work(line: Any) -> None:
        counter.desk.report("nfc", Pong(id=1))
        await line.result("session.ping")

    counter.run(work)
    assert "driver nfc: nothing to do for Pong" in caplog.messages


def test_a_fault_behind_a_presentation_is_an_incident(counter: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise RuntimeError("of the test")

    async def work(line: Any) -> None:
        counter.desk._deliveries._tasks.spawn(fails())
        await line.result("session.ping")

    counter.run(work)
    assert "incident" in caplog.text


def test_what_gives_no_token_is_told_with_its_remedy(counter: Any) -> None:
    async def work(line: Any) -> None:
        name = await subscribe(line)
        counter.desk.report("nfc", Progress(reader="nfc:counter", step="detected", medium="apcv-nfc"))
        progress = (await next_event(line, "presentation.progress"))["params"]
        assert (progress["subscription"], progress["step"]) == (name, "detected")
        assert "request" not in progress
        counter.desk.report("nfc", Failed(reader="nfc:counter", problem=Problem("medium_unreadable", detail="x")))
        failed = (await next_event(line, "presentation.failed"))["params"]
        assert (failed["subscription"], failed["reason"], failed["reader"]) == (
            name,
            "medium_unreadable",
            "nfc:counter",
        )
        assert failed["remedy"]
        counter.tap(b"VITALESIM.once")
        await next_event(line, "presentation.token")
        counter.tap(b"VITALESIM.once")
        assert (await next_event(line, "presentation.failed"))["params"]["reason"] == "replayed"

    counter.run(work)


@pytest.mark.posix("a client comes with a credential, which is good for a Unix socket alone")
def test_limits_and_rights_are_those_of_requests(counter: Any) -> None:
    config = counter.config(rest="[limits]\nrequests = 3")

    async def work(line: Any) -> None:
        await subscribe(line)
        await counter.ask(line)
        await subscribe(line)
        refused = {"nonce": NONCE}
        assert await line.reason("presentations.subscribe", refused) == "limit_exceeded"
        assert await line.reason("presentation.request", refused) == "limit_exceeded"
        counter.put_card()
        lease = {"reader": "pcsc:slot", "previous": None, "ttl_ms": 1000}
        assert await line.reason("lease.acquire", lease) == "limit_exceeded"
        line.send({"jsonrpc": "2.0", "method": "presentations.subscribe", "params": refused})
        paired = await counter.paired(line)
        async with counter.tools.unix_line(counter.home.endpoints()) as other:
            await other.open(credential=paired["credential"])
            asked = {"nonce": NONCE, "scopes": ["nir"]}
            assert await other.reason("presentations.subscribe", asked) == "not_authorised"
            await subscribe(other)
            assert await other.reason("lease.acquire", lease) == "not_authorised"

    counter.run(work, config)


@pytest.mark.posix("what a connection holds is more where TLS is between")
def test_a_subscriber_that_does_not_read_is_cut_off_and_slows_nobody(
    counter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    config = counter.config(rest="[limits]\nsend_buffer_bytes = 65536")

    async def work(line: Any) -> None:
        async with counter.tools.unix_line(counter.home.endpoints()) as deaf:
            deaf.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await deaf.open()
            await subscribe(deaf)
            deaf.writer.transport.pause_reading()
            name = await subscribe(line)
            cut = False
            for number in range(0, 2_000, 2):
                await line.result("session.ping")  # whoever waited for the deaf one would wait for good
                for turn in (number, number + 1):
                    counter.tap(b"VITALESIM.%d" % turn)
                if not any(message["method"] == "presentation.token" for message in line.notifications):
                    await next_event(line, "presentation.token")
                line.notifications.clear()
                if cut := "cut off" in caplog.text:
                    break
            assert cut, "it was not cut off"
            async with asyncio.timeout(PATIENCE):
                while len(counter.desk._subscriptions) > 1:  # its connection ends a little later
                    await line.result("session.ping")
            line.notifications.clear()
            for number in range(2):
                counter.tap(b"VITALESIM.after-%d" % number)
                assert (await next_event(line, "presentation.token"))["params"]["subscription"] == name

    counter.run(work, config)
