"""``presentation.submit``: a code that the application read itself becomes a token like any other presentation's."""

import asyncio
import base64
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from vitale_protocol.errors import ResolverUnavailable
from vitale_protocol.media.wedge import MANGLINGS
from vitale_protocol.methods import MOST_TYPED, PresentationSubmit
from vitale_reader.daemon.issuing.submission import presentation_of

NONCE = "n" * 22
OPAQUE = "opaque-and-of-nobody"
PHONE = "VITALESIM.opaque"
INS = (
    b"IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU ANNA\x1dS4GARCIA-HAMMADI\x1d"
    b"S5FS625-01-1977S701154"
)


def submission(payload: str | bytes, **more: Any) -> dict[str, Any]:
    if isinstance(payload, bytes):
        return {"nonce": NONCE, "payload_b64": base64.b64encode(payload).decode()} | more
    return {"nonce": NONCE, "payload": payload} | more


async def submit(line: Any, payload: str | bytes, **more: Any) -> dict[str, Any]:
    """The claims of a submitted code."""
    answer = await line.call("presentation.submit", submission(payload, **more))
    assert "result" in answer, answer
    return dict(answer["result"]["claims"])


async def refused(line: Any, payload: str | bytes, **more: Any) -> dict[str, Any]:
    answer = await line.call("presentation.submit", submission(payload, **more))
    assert "error" in answer, "it should have been refused"
    return dict(answer["error"]["data"])


def audit(counter: Any) -> list[tuple[str, str, str | None, str | None]]:
    """What the trail says of submissions."""
    engine = create_engine(f"sqlite:///{counter.home.state / 'store.db'}")
    try:
        with engine.connect() as connection:
            query = "SELECT action, outcome, medium, reader FROM audit WHERE action LIKE 'presentation.%' ORDER BY at"
            return [tuple(row) for row in connection.execute(text(query))]
    finally:
        engine.dispose()


class TestATokenOfASubmittedCode:
    def test_says_what_was_read_by_whom_and_how_it_is_known(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            claims = await submit(line, "opaque of a real phone", purpose="fse")
            assert claims["medium"] == "apcv-qr"
            assert claims["reader"] == {"id": "submitted", "driver": "submit"}
            assert claims["proof"] == {"method": "apcv-transported", "verified": False, "freshness": "none"}
            assert (claims["origin"], claims["purpose"], claims["record"]) == ("unknown", ["fse"], {})
            assert "payload" not in claims
            (kept,) = (await line.result("outbox.list"))["tokens"]
            assert kept["jti"] == claims["jti"]
            assert await line.result("outbox.ack", {"jti": [claims["jti"]]}) == {"acked": 1}
            assert "submitted" not in str(await line.result("readers.list")), "no reader of the station"

        counter.run(work, scripted=False)
        assert audit(counter) == [("presentation.submit", "ok", "apcv-qr", "submitted")]

    def test_is_resolved_like_a_phones(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            request = line.send_call("presentation.submit", submission(PHONE, scopes=["identity", "context"]))
            await counter.step(line, "resolving", request)
            claims = (await line.answer(request))["result"]["claims"]
            assert (claims["proof"]["method"], claims["origin"]) == ("apcv-resolved", "simulated")
            assert claims["context"]["identifiant"].startswith("ctx-1")
            assert counter.resolver.calls == [("resolve", PHONE.encode())]

        counter.run(work)

    def test_of_bytes_is_the_same_as_of_text(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            binary = b"\x00\xff" + OPAQUE.encode()
            claims = await submit(line, binary, scopes=["payload"])
            assert base64.b64decode(claims["payload_b64"]) == binary
            assert (await submit(line, OPAQUE, scopes=["payload"]))["payload"] == OPAQUE
            assert (await refused(line, OPAQUE.encode()))["reason"] == "replayed"

        counter.run(work, scripted=False)

    def test_of_a_paper_says_what_the_paper_says_as_often_as_it_is_read(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            for _ in range(2):
                claims = await submit(line, INS, scopes=["identity", "nir", "payload"])
                assert claims["medium"] == "ins-datamatrix"
                assert claims["record"]["beneficiaires"][0]["nir"] == "2770101154003"
                assert base64.b64decode(claims["payload_b64"]) == INS
            assert counter.resolver.calls == [], "no service is asked about a paper"

        counter.run(work)

    def test_leaves_out_the_line_end_that_an_imager_types(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            assert (await submit(line, OPAQUE + "\r\n", scopes=["payload"]))["payload"] == OPAQUE

        counter.run(work, scripted=False)

    def test_is_of_what_was_meant_where_a_keyboard_typed_something_else(
        self, counter: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        typed = "277010115400329"
        code = "IS010000000000000000000000S1" + typed + "S21.2.250.1.213.1.4.8S3SARAHS4GARCIAS5FS625-01-1977S701154"
        mangled = next(mangling for mangling in MANGLINGS if mangling.name == "us-on-fr").mangle(code)
        assert mangled is not None

        async def work(line: Any) -> None:
            claims = await submit(line, mangled, scopes=["identity", "payload"])
            assert (claims["medium"], claims["payload"]) == ("ins-datamatrix", code)

        counter.run(work, scripted=False)
        assert "(us-on-fr)" in caplog.text
        assert "SARAH" not in caplog.text

    def test_of_a_simulated_phone_says_so_and_is_none_in_production(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            assert (await submit(line, PHONE))["origin"] == "simulated"

        async def in_production(line: Any) -> None:
            assert (await refused(line, PHONE))["reason"] == "simulated_refused"

        counter.run(work, scripted=False)
        counter.run(in_production, counter.config(station='mode = "production"'), scripted=False)


class TestACallThatIsNotTaken:
    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"payload": "one", "payload_b64": "b25l"},
            {"payload_b64": "b25"},
            {"payload_b64": "b25l\n"},
            {"payload_b64": "b25_"},
            {"payload_b64": "QUJDRB=="},
            {"payload_b64": "é"},
            {"payload": "x" * (MOST_TYPED + 1)},
            {"payload": 1},
            {"payload": "x", "nonce": "short"},
            {"payload": "x", "readers": ["submitted"]},
        ],
    )
    def test_because_of_its_parameters(self, counter: Any, params: dict[str, Any]) -> None:
        async def work(line: Any) -> None:
            answer = await line.call("presentation.submit", {"nonce": NONCE} | params)
            assert answer["error"]["data"]["reason"] == "invalid_params"

        counter.run(work, scripted=False)

    def test_because_it_has_no_id(self, counter: Any) -> None:
        async def work(line: Any) -> None:
            line.send({"jsonrpc": "2.0", "method": "presentation.submit", "params": submission(OPAQUE)})
            assert await line.result("outbox.list") == {"tokens": []}
            assert "payload" not in await submit(line, OPAQUE), "it was not used up"

        counter.run(work, scripted=False)

    @pytest.mark.posix("a client comes with a credential, which is good for a Unix socket alone")
    def test_because_the_pairing_does_not_allow_it(self, counter: Any) -> None:
        async def main() -> None:
            async with counter.station(scripted=False) as endpoints, counter.tools.unix_line(endpoints) as admin:
                await admin.open()
                other = await counter.paired(admin)
                async with counter.tools.unix_line(endpoints) as line:
                    await line.open(credential=other["credential"])
                    assert (await refused(line, OPAQUE, scopes=["nir"]))["reason"] == "not_authorised"

        asyncio.run(main())

    def test_because_too_many_wait(self, counter: Any) -> None:
        counter.resolver.gate.clear()

        async def work(line: Any) -> None:
            waiting = [line.send_call("presentation.submit", submission(f"VITALESIM.{n}")) for n in range(2)]
            await counter.resolver.wait_for("resolve", 2)
            assert (await refused(line, "VITALESIM.3"))["reason"] == "limit_exceeded"
            counter.resolver.gate.set()
            for request in waiting:
                assert "result" in await line.answer(request)

        counter.run(work, counter.config(rest="[limits]\nrequests = 2"))


@pytest.mark.parametrize(
    ("payload", "reason", "medium"),
    [
        ("", "payload_invalid", None),
        ("277010115400329", "medium_unsupported", "nir"),
        ("mdoc:owBjMS4w", "medium_unsupported", "mdoc"),
        ("openid4vp://authorize?client_id=x", "medium_unsupported", "openid4vp"),
        ("x" * 4097, "payload_invalid", None),
        ("qbcdefghijkl&é\"'(-è_çàrstuvx", "payload_invalid", None),
    ],
)
def test_what_is_no_medium_is_refused_with_a_remedy(
    counter: Any, payload: str, reason: str, medium: str | None
) -> None:
    async def work(line: Any) -> None:
        told = await refused(line, payload)
        assert (told["reason"], told.get("medium")) == (reason, medium)
        assert told["remedy"]

    counter.run(work)
    assert audit(counter) == [("presentation.submit", reason, None, None)]
    assert counter.resolver.calls == []


def test_the_format_that_a_licence_names_goes_to_the_resolver(counter: Any) -> None:
    string = '{"jeton": "0123456789abcdef0123"}'

    async def work(line: Any) -> None:
        # The resolver is the simulator's, and answered for a string that is not.
        assert "mixed_origin" == (await refused(line, string))["reason"]
        assert counter.resolver.calls
        counter.resolver.calls.clear()
        assert "medium_unsupported" == (await refused(line, "<jeton>0123456789abcdef0123</jeton>"))["reason"]

    counter.run(work, counter.config(apcv='timeout = 60.0\nformats = ["json"]'))
    assert [] == [call for call in counter.resolver.calls if "resolve" in call]


class TestWhileTheServiceIsAsked:
    def test_a_submission_can_be_cancelled(self, counter: Any) -> None:
        counter.resolver.gate.clear()

        async def work(line: Any) -> None:
            request = line.send_call("presentation.submit", submission(PHONE))
            await counter.step(line, "resolving", request)
            cancel = line.send_call("presentation.cancel", {"request": request})
            answers = {(told := await line.receive())["id"]: told for _ in range(2)}
            assert answers[request]["error"]["data"]["reason"] == "cancelled"
            assert answers[cancel]["result"] == {"cancelled": True}
            counter.resolver.gate.set()
            await counter.resolver.wait_for("release")
            assert counter.resolver.open_contexts == {}

        counter.run(work)

    def test_a_client_that_goes_leaves_no_context_behind(self, counter: Any) -> None:
        counter.resolver.gate.clear()

        async def main() -> None:
            async with counter.station() as endpoints, counter.tools.unix_line(endpoints) as stays:
                await stays.open()
                async with counter.tools.unix_line(endpoints) as goes:
                    await goes.open()
                    goes.send_call("presentation.submit", submission(PHONE, scopes=["identity", "context"]))
                    await counter.resolver.wait_for("resolve")
                async with asyncio.timeout(20):
                    while counter.desk._deliveries._under_way:
                        await stays.result("session.ping")
                counter.resolver.gate.set()
                await counter.resolver.wait_for("release")
                assert await stays.result("outbox.list") == {"tokens": []}

        asyncio.run(main())

    def test_nobody_elses_request_waits(self, counter: Any) -> None:
        counter.resolver.gate.clear()

        async def work(line: Any) -> None:
            slow = line.send_call("presentation.submit", submission(PHONE))
            await counter.step(line, "resolving", slow)
            assert (await submit(line, INS))["medium"] == "ins-datamatrix"
            counter.resolver.gate.set()
            assert "result" in await line.answer(slow)

        counter.run(work)


def test_a_string_that_was_sent_to_nobody_can_be_submitted_again(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.resolver.fault = ResolverUnavailable("no route", data={"sent": False})
        assert (await refused(line, PHONE))["reason"] == "resolver_unavailable"
        counter.resolver.fault = None
        assert (await submit(line, PHONE))["proof"]["method"] == "apcv-resolved"

    counter.run(work)


def test_what_is_submitted_takes_nobodys_turn(counter: Any) -> None:
    """A request that waits for a phone goes on waiting, though the code is of a medium that it wants."""

    async def work(line: Any) -> None:
        waiting = line.send_call("presentation.request", {"nonce": NONCE})
        await counter.step(line, "armed", waiting)
        await submit(line, OPAQUE)
        counter.tap(b"a phone's")
        claims = (await line.answer(waiting))["result"]["claims"]
        assert claims["medium"] == "apcv-nfc"

    counter.run(work, scripted=False)


def test_a_presentation_does_not_show_what_was_submitted() -> None:
    params = PresentationSubmit(nonce=NONCE, payload="SECRET-and-opaque")
    made = presentation_of(params, presentation_id="p", at=1.0)
    assert made.evidence == {"string": b"SECRET-and-opaque"}
    assert "SECRET" not in f"{params!r} {made!r}"
