"""Codes that are no patient's, over the wire: who gets them, who is told instead, and that no read ends with one."""

import asyncio
import base64
import logging
from typing import Any

import pytest

from tests.daemon.desk.test_subscriptions import next_event
from vitale_drivers.base import CodeScanned
from vitale_protocol.events import Gs1

NONCE = "n" * 22
BOX = b"010340093000012017271231109A5C\x1d21000000000042"
SAID = {"gtin": "03400930000120", "lot": "9A5C", "expiry": "2027-12-31", "serial": "000000000042"}
PHONE = b"VITALESIM.a string that only a service can read"
READER = "scanner:desk"


def scan(counter: Any, data: bytes, symbology: str = "", **more: Any) -> None:
    reader = next(each for each in counter.desk.readers if each.driver == "scanner")
    counter.desk.report("scanner", CodeScanned(reader=reader.id, data=data, symbology=symbology, **more))


def scanner(counter: Any) -> str:
    return next(str(each.id) for each in counter.desk.readers if each.driver == "scanner")


async def subscribe(line: Any, **params: Any) -> str:
    return str((await line.result("codes.subscribe", params))["subscription"])


async def ask(counter: Any, line: Any) -> int:
    request = line.send_call("presentation.request", {"nonce": NONCE, "media": ["apcv-qr"], "scopes": ["identity"]})
    await counter.step(line, "armed", request)
    return int(request)


def test_each_that_listens_gets_each_code_as_it_is(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_optics()
        async with counter.tools.unix_line(counter.home.endpoints()) as other:
            await other.open(language="en")
            first, second = await subscribe(line), await subscribe(other, readers=[scanner(counter)])
            scan(counter, BOX, "gs1-datamatrix", gs1=Gs1(**SAID))
            scan(counter, b"3400930000120", "ean", format="article")
            scan(counter, b"\xff\x00")
            for who, name in ((line, first), (other, second)):
                told = [(await next_event(who, "code.read"))["params"] for _ in range(3)]
                common = {"subscription": name, "reader": scanner(counter)}
                assert told == [
                    common | {"symbology": "gs1-datamatrix", "data": BOX.decode(), "gs1": SAID},
                    common | {"symbology": "ean", "data": "3400930000120", "format": "article"},
                    common | {"data_b64": base64.b64encode(b"\xff\x00").decode()},
                ]

    counter.run(work)


def test_a_box_ends_no_read_and_becomes_no_token(counter: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def work(line: Any) -> None:
        counter.put_optics()
        async with counter.tools.unix_line(counter.home.endpoints()) as other:
            await other.open(language="en")
            await subscribe(other)
            request = await ask(counter, line)
            scan(counter, BOX, "gs1-datamatrix")
            await next_event(other, "code.read")
            counter.scan(PHONE)
            answer = await line.answer(request)
            assert answer["result"]["claims"]["medium"] == "apcv-qr"
            assert [each for each in line.notifications if each["params"].get("step") == "retry"] == []
            await other.result("session.ping")
            assert other.notifications == [], "nor is a patient's code told to who listens to boxes"

    with caplog.at_level(logging.DEBUG):
        counter.run(work)
    assert "9A5C" not in caplog.text


def test_where_nobody_listens_who_waits_for_a_patient_is_told(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_optics()
        request = await ask(counter, line)
        scan(counter, b"3400930000120", "ean", passed_on=True)
        scan(counter, b"3400930000120", "ean", format="article")
        told = (await next_event(line, "presentation.progress"))["params"]
        assert (told["step"], told["request"], told["reader"]) == ("retry", request, scanner(counter))
        assert told["remedy"]
        counter.scan(PHONE)
        assert "result" in await line.answer(request)
        assert [each for each in line.notifications if each["params"].get("step") == "retry"] == []

    counter.run(work)


def test_a_subscription_ends_when_it_is_ended_and_with_its_session(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_optics()
        async with counter.tools.unix_line(counter.home.endpoints()) as other:
            await other.open(language="en")
            name = await subscribe(other)
            await subscribe(other)
            assert await line.result("codes.unsubscribe", {"subscription": name}) == {}, "another session's is its own"
            assert await other.result("codes.unsubscribe", {"subscription": name}) == {}
            scan(counter, b"3000012")
            assert (await next_event(other, "code.read"))["params"]["subscription"] != name
            await other.result("session.ping")
            assert other.notifications == []
        async with asyncio.timeout(60):
            while counter.desk._codes._subscriptions:  # until the end of the other session has arrived
                await line.result("session.ping")
        request = await ask(counter, line)
        scan(counter, b"3000012")
        assert (await next_event(line, "presentation.progress"))["params"]["request"] == request

    counter.run(work)


def test_codes_of_another_reader_are_not_told(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_optics()
        await subscribe(line, readers=["scanner:another"])
        scan(counter, b"3000012")
        counter.desk.report("scanner", CodeScanned(reader="scanner:gone", data=b"3000012"))
        await line.result("session.ping")
        assert line.notifications == []

    counter.run(work)


@pytest.mark.posix("a client comes with a credential, which is good for a Unix socket alone")
def test_it_takes_the_scope_a_place_and_an_id(counter: Any) -> None:
    async def work(admin: Any) -> None:
        counter.put_optics()
        paired: dict[str, str] = {}
        for scope in ("identity", "codes"):
            params = {"name": "other", "scopes": [scope], "transports": ["unix"]}
            paired[scope] = (await admin.result("clients.add", params))["credential"]
        async with counter.tools.unix_line(counter.home.endpoints()) as line:
            await line.open(credential=paired["identity"])
            assert await line.reason("codes.subscribe", {}) == "not_authorised"
            assert await line.reason("codes.unsubscribe", {"subscription": "x"}) == "not_authorised"
        async with counter.tools.unix_line(counter.home.endpoints()) as line:
            opened = await line.open(credential=paired["codes"])
            assert opened["scopes"] == ["codes"]
            for _ in range(int(opened["limits"]["requests"])):
                await subscribe(line)
            assert await line.reason("codes.subscribe", {}) == "limit_exceeded"
            line.send({"jsonrpc": "2.0", "method": "codes.subscribe", "params": {}})
            await asyncio.wait_for(line.result("session.ping"), 20)

    counter.run(work)
