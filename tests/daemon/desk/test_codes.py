"""Codes before the camera, under the scanner and from applications: through the whole of the daemon, once each."""

import asyncio
import base64
import logging
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from vitale_drivers.base import Arm
from vitale_protocol.errors import ResolverUnavailable

NONCE = "n" * 22
PHONE = b"VITALESIM.a string that only a service can read"
INS = (
    b"IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU ANNA\x1dS4GARCIA-HAMMADI\x1d"
    b"S5FS625-01-1977S701154"
)
#: What strangers put into codes. None of it is anything here but bytes.
HOSTILE = {
    "address": b"http://127.0.0.1:1/CANARY?x=1",
    "script": b"<script>CANARY</script>javascript:CANARY()",
    "digits": b"0123456789" * 708 + b"012345678",
    "nothing": b"\x00" * 64 + b"CANARY",
    "controls": bytes(range(32)) + b"\x7f\x1b[2JCANARY",
    "deep": b"[" * 2000 + b'{"CANARY":1}',
    "half": INS[:60],
    "sealed half": b"DC04FR990001FFFF1FAB0701FR62CANARY",
    "format": b"%s%n{0}${CANARY}",
    "no text": b"\xff\xfe\xc3\x28CANARY",
    "sql": b"'); DROP TABLE seen;-- CANARY",
}


async def ask(counter: Any, line: Any, **params: Any) -> int:
    """A request that waits for whatever a patient may present."""
    request: int = line.send_call("presentation.request", {"nonce": NONCE} | params)
    await counter.step(line, "armed", request)
    return request


async def submit(line: Any, payload: bytes, **params: Any) -> dict[str, Any]:
    encoded = base64.b64encode(payload).decode()
    return dict(await line.call("presentation.submit", {"nonce": NONCE, "payload_b64": encoded} | params))


def ordered_again(counter: Any) -> bool:
    """Whether a driver was told to read once more what it has read."""
    return any(command.again for _, command in counter.sent if isinstance(command, Arm))


def reason(answer: dict[str, Any]) -> str:
    return str(answer["error"]["data"]["reason"])


class TestAPhonesCode:
    def test_before_the_camera_becomes_a_context(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            counter.put_optics()
            request = await ask(counter, line, scopes=["identity", "nir", "context", "payload"])
            counter.show(PHONE)
            await counter.step(line, "resolving", request)
            claims = (await line.answer(request))["result"]["claims"]
            assert (claims["medium"], claims["proof"]["method"]) == ("apcv-qr", "apcv-resolved")
            assert claims["reader"] == {"id": "camera:desk", "driver": "camera"}
            assert claims["payload"] == PHONE.decode()
            assert claims["record"]["assure"]["nir"] == "2840613990412"
            assert counter.resolver.calls == [("resolve", PHONE)]

        counter.run(work)

    def test_is_simulated_by_what_it_says_whatever_saw_it(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            counter.put_optics()
            request = await ask(counter, line)
            counter.scan(PHONE)
            assert (await line.answer(request))["result"]["claims"]["origin"] == "simulated"
            request = await ask(counter, line)
            counter.scan(b"of a real phone")
            assert (await line.answer(request))["result"]["claims"]["origin"] == "unknown"

        counter.run(work, scripted=False)

    def test_that_stays_in_view_answers_no_second_request_and_its_successor_does(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            counter.put_optics()
            first = await ask(counter, line)
            counter.show(PHONE)
            assert "result" in await line.answer(first)
            second = await ask(counter, line)
            await counter.step(line, "retry", second)
            counter.show(PHONE)
            await counter.step(line, "retry", second)
            assert not ordered_again(counter)
            counter.show(PHONE + b" renewed")
            assert "result" in await line.answer(second)

        counter.run(work)

    def test_is_told_of_in_words_fit_to_be_shown(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            counter.put_optics()
            first = await ask(counter, line)
            counter.show(PHONE)
            await line.answer(first)
            second = line.send_call("presentation.request", {"nonce": NONCE})
            told = [(await line.receive())["params"] for _ in range(2)]
            assert [one["step"] for one in told] == ["armed", "retry"]
            assert (told[1]["request"], told[1]["reader"]) == (second, "camera:desk")
            assert "used already" in told[1]["message"]
            assert told[1]["remedy"]

        counter.run(work)

    def test_that_was_sent_to_nobody_is_read_once_more_for_the_next_request(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            counter.put_optics()
            counter.resolver.fault = ResolverUnavailable("no route", data={"sent": False})
            first = await ask(counter, line)
            counter.show(PHONE)
            assert reason(await line.answer(first)) == "resolver_unavailable"
            counter.resolver.fault = None
            second = await ask(counter, line)
            async with asyncio.timeout(20):
                while not ordered_again(counter):
                    await line.result("session.ping")
            counter.read_again(PHONE)
            assert "result" in await line.answer(second)

        counter.run(work)


class TestTheSameCodeTwice:
    """One token, and one ``replayed``: in whatever way it came, and whatever the service would say."""

    @pytest.mark.parametrize("scripted", [True, False], ids=["resolver", "none"])
    def test_by_the_camera_and_the_scanner(self, counter: Any, *, scripted: bool) -> None:
        async def work(line: Any) -> None:
            counter.put_optics()
            first = await ask(counter, line, readers=["camera:desk"])
            second = await ask(counter, line, readers=["scanner:desk"])
            counter.show(PHONE)
            counter.scan(PHONE)
            told = await line.answers(first, second)  # whichever is first
            assert sorted("token" if "result" in one else reason(one) for one in told) == ["replayed", "token"]
            assert len((await line.result("outbox.list"))["tokens"]) == 1

        counter.run(work, scripted=scripted)

    @pytest.mark.parametrize("scripted", [True, False], ids=["resolver", "none"])
    def test_submitted_and_scanned(self, counter: Any, *, scripted: bool) -> None:
        async def work(line: Any) -> None:
            counter.put_optics()
            assert "result" in await submit(line, PHONE)
            request = await ask(counter, line)
            counter.scan(PHONE)
            assert reason(await line.answer(request)) == "replayed"
            assert reason(await submit(line, PHONE)) == "replayed"

        counter.run(work, scripted=scripted)

    def test_submitted_twice_at_once(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            params = {"nonce": NONCE, "payload": PHONE.decode()}
            requests = [line.send_call("presentation.submit", params) for _ in range(5)]
            answers = await line.answers(*requests)
            assert sum("result" in answer for answer in answers) == 1
            assert [reason(answer) for answer in answers if "error" in answer] == ["replayed"] * 4
            assert counter.resolver.count("resolve") == 1

        counter.run(work)

    def test_tapped_and_shown(self, counter: Any) -> None:
        """A phone that gives one string over NFC and as a code: it is one string."""

        async def work(line: Any) -> None:
            counter.put_optics()
            assert "result" in await counter.read(line, PHONE)
            request = await ask(counter, line)
            counter.scan(PHONE)
            assert reason(await line.answer(request)) == "replayed"

        counter.run(work)

    def test_across_a_restart(self, counter: Any) -> None:
        async def before(line: Any) -> None:
            assert "result" in await submit(line, PHONE)

        async def after(line: Any) -> None:
            counter.put_optics()
            request = await ask(counter, line)
            counter.show(PHONE)
            assert reason(await line.answer(request)) == "replayed"

        counter.run(before)
        counter.run(after)


@pytest.mark.parametrize("medium", ["ins-datamatrix", "2d-doc"])
def test_a_paper_is_neither_guarded_nor_resolved(counter: Any, medium: str) -> None:
    code = INS if medium == "ins-datamatrix" else b"DC04FR000001FFFF1FAB0701FR62GARCIA\x1d60SARAH\x1f" + b"A" * 103

    async def work(line: Any) -> None:
        counter.put_optics()
        for _ in range(2):
            request = await ask(counter, line, media=[medium], scopes=["identity", "payload"])
            counter.scan(code, medium)
            answer = await line.answer(request)
            assert "result" in answer, answer
            claims = answer["result"]["claims"]
            assert claims["medium"] == medium
            assert base64.b64decode(claims["payload_b64"]) == code
            assert "context" not in claims
        assert counter.resolver.calls == []

    counter.run(work)
    engine = create_engine(f"sqlite:///{counter.home.state / 'store.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM seen")).scalar() == 0
    engine.dispose()


class TestWhatStrangersPutIntoCodes:
    """Bounded, told what it is, never followed, never written down."""

    @pytest.mark.parametrize("name", HOSTILE)
    def test_is_bytes_and_nothing_else(self, counter: Any, name: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        payload = HOSTILE[name]
        told: list[str] = []

        async def work(line: Any) -> None:
            answer = await submit(line, payload, scopes=["payload"])
            if "result" in answer:
                claims = answer["result"]["claims"]
                kept = claims.get("payload", "").encode() or base64.b64decode(claims.get("payload_b64", ""))
                assert kept == payload
                assert claims["proof"]["verified"] is False
                assert "CANARY" not in str(claims["record"])
            else:
                told.append(str(answer))
                assert reason(answer) in {"payload_invalid", "medium_unsupported"}
                assert answer["error"]["data"]["remedy"]
            assert (await line.result("session.ping"))["time"] > 0

        counter.run(work, scripted=False)
        written = [caplog.text, *told]
        written += [file.read_bytes().decode("latin-1") for file in counter.home.state.rglob("*") if file.is_file()]
        for canary in (
            "CANARY",
            base64.b64encode(payload).decode()[:40],
            payload.hex()[:80],
            payload.decode("latin-1"),
        ):
            assert not any(canary in where for where in written), canary[:10]

    @pytest.mark.parametrize("name", HOSTILE)
    def test_and_the_same_from_a_driver(self, counter: Any, name: str, caplog: pytest.LogCaptureFixture) -> None:
        """A driver of somebody else's may present what ``classify`` would have refused."""
        caplog.set_level(logging.DEBUG)

        async def work(line: Any) -> None:
            counter.put_optics()
            for medium in ("apcv-qr", "ins-datamatrix", "2d-doc"):
                request = await ask(counter, line, media=[medium])
                counter.scan(HOSTILE[name], medium)
                answer = await line.answer(request)
                assert "result" in answer or reason(answer) == "payload_invalid", answer
            assert (await line.result("session.ping"))["time"] > 0

        counter.run(work, scripted=False)
        assert "CANARY" not in caplog.text
        assert "incident" not in caplog.text, "a fault of ours"

    def test_what_is_too_long_for_any_code_is_no_call(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            for member in ("payload", "payload_b64"):
                assert await line.reason("presentation.submit", {"nonce": NONCE, member: "A" * 100_000}) == (
                    "invalid_params"
                )

        counter.run(work)
