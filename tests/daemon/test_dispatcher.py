"""The daemon's answers, over its real sockets, to a client that is nothing but JSON lines."""

import asyncio
import contextlib
import errno
import json
import os
import sqlite3
import ssl
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.posix import OWN_DOOR, open_unix_connection
from vitale_protocol.errors import ConfigurationInvalid, DaemonRunning
from vitale_protocol.methods import METHODS
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.fairness.token_buckets import Rate
from vitale_reader.daemon.handlers import sessions, topics
from vitale_reader.daemon.handlers.services import CLIENT_LOADS
from vitale_reader.daemon.transports import peers
from vitale_reader.home import Endpoints

pytestmark = pytest.mark.posix

NONCE = "n" * 22
OPEN = {"protocol": [1], "client": {"name": "test", "version": "1"}}


def test_a_session_opens_and_knows_its_station(tools: Any) -> None:
    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line:
            opened = await line.open()
            assert opened["client_id"] == "local"
            assert "admin" in opened["scopes"]
            assert opened["station"]["mode"] == "simulated"
            assert (await line.result("session.ping"))["time"] > 1_700_000_000
            info = await line.result("station.info")
            assert info["station"] == opened["station"]
            assert (info["media"], info["drivers"]) == ([], [])
            assert (await line.result("station.keys"))["jwks"] == opened["jwks"]
            assert await line.result("readers.list") == {"readers": []}

    tools.run(work)


def test_nothing_is_answered_before_the_session_is_open(tools: Any) -> None:
    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line:
            assert await line.reason("readers.list") == "not_authenticated"
            assert await line.reason("clients.list") == "not_authenticated"
            assert (
                await line.reason("session.open", {"protocol": [2], "client": {"name": "x"}}) == "protocol_unsupported"
            )
            assert await line.reason("session.open", {"protocol": [1]}) == "invalid_params"
            credential = {"protocol": [1], "client": {"name": "x"}, "credential": "guess"}
            assert await line.reason("session.open", credential) == "not_authenticated"
            await line.open()

    tools.run(work)


def test_a_request_without_any_reader_says_so(tools: Any) -> None:
    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line:
            await line.open(language="en")
            answer = await line.call("presentation.request", {"nonce": NONCE})
            assert answer["error"]["code"] == 1101
            assert answer["error"]["data"]["reason"] == "no_reader"
            assert answer["error"]["data"]["remedy"]
            (armed,) = line.notifications
            assert (armed["method"], armed["params"]["step"]) == ("presentation.progress", "armed")

    tools.run(work)


def test_a_request_can_be_cancelled_by_its_session_only(tools: Any) -> None:
    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line, tools.unix_line(endpoints) as other:
            await line.open()
            await other.open()
            request = line.send_call("presentation.request", {"nonce": NONCE})
            assert (await line.receive())["params"]["request"] == request
            assert await other.result("presentation.cancel", {"request": request}) == {"cancelled": False}
            cancel = line.send_call("presentation.cancel", {"request": request})
            assert (await line.answer(request))["error"]["data"]["reason"] == "cancelled"
            assert (await line.answer(cancel))["result"] == {"cancelled": True}
            assert await line.result("presentation.cancel", {"request": request}) == {"cancelled": False}

    tools.run(work)


def test_a_request_without_an_id_is_not_taken(tools: Any) -> None:
    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line:
            await line.open()
            line.send({"jsonrpc": "2.0", "method": "presentation.request", "params": {"nonce": NONCE}})
            await line.result("session.ping")
            assert line.notifications == []

    tools.run(work)


def test_limits_of_requests_and_sessions(tools: Any) -> None:
    config = parse(f"[drivers]\nenabled = []\n{OWN_DOOR}[limits]\nsessions = 2\nrequests = 2\nopen_seconds = 600")

    async def work(endpoints: Endpoints) -> None:
        assert endpoints.tls is None
        async with tools.unix_line(endpoints) as a, tools.unix_line(endpoints) as b, tools.unix_line(endpoints) as c:
            await a.open()
            await b.open()
            assert await c.reason("session.open", {"protocol": [1], "client": {"name": "x"}}) == "limit_exceeded"
            for _ in range(2):
                a.send_call("presentation.request", {"nonce": NONCE})
            assert await a.reason("presentation.request", {"nonce": NONCE}) == "limit_exceeded"
            await b.close()
            await c.open()

    tools.run(work, config)


def test_a_client_has_no_more_in_all_its_sessions_than_a_few_sessions_may_have(tools: Any) -> None:
    config = parse(f"[drivers]\nenabled = []\n{OWN_DOOR}[limits]\nrequests = 2")

    async def work(endpoints: Endpoints) -> None:
        async with contextlib.AsyncExitStack() as stack:

            async def opened(credential: str) -> Any:
                line = await stack.enter_async_context(tools.unix_line(endpoints))
                await line.open(credential=credential)
                return line

            owner = await stack.enter_async_context(tools.unix_line(endpoints))
            await owner.open()
            pairing = {"name": "program", "scopes": ["identity"], "transports": ["unix"]}
            mine, other = [(await owner.result("clients.add", pairing))["credential"] for _ in range(2)]
            lines = [await opened(mine) for _ in range(CLIENT_LOADS + 1)]
            wanted = {"nonce": NONCE}
            made = [await line.result("presentations.subscribe", wanted) for line in lines[:-1] for _ in range(2)]
            refused = (await lines[-1].call("presentations.subscribe", wanted))["error"]["data"]
            assert ("limit_exceeded", "client_requests") == (refused["reason"], refused["limit"])
            assert "subscription" in await (await opened(other)).result("presentations.subscribe", wanted)
            await lines[0].result("presentations.unsubscribe", made[0])
            assert "subscription" in await lines[-1].result("presentations.subscribe", wanted)

    tools.run(work, config)


def test_whoever_does_not_open_its_session_is_cut_off(tools: Any) -> None:
    config = parse(f"[drivers]\nenabled = []\n{OWN_DOOR}[limits]\nopen_seconds = 1")

    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line:
            assert await line.ended()

    tools.run(work, config)


def test_a_client_that_does_not_read_is_cut_off_and_slows_nobody(tools: Any) -> None:
    config = parse(f"[drivers]\nenabled = []\n{OWN_DOOR}[limits]\nsend_buffer_bytes = 65536")

    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as deaf, tools.unix_line(endpoints) as good:
            await deaf.open()
            await good.open()
            deaf.reader._transport.pause_reading()
            try:
                for _ in range(20_000):
                    deaf.send_call("station.keys")
                    await deaf.writer.drain()
            except ConnectionError:
                pass
            else:
                raise AssertionError("it was not cut off")
            await good.result("session.ping")

    tools.run(work, config)


def test_pairing_over_unix_then_speaking_over_tls(tools: Any, tmp_path: Path) -> None:
    async def work(endpoints: Endpoints) -> None:
        assert endpoints.tls is not None
        certificate = tmp_path / "client.pem"
        async with tools.unix_line(endpoints) as admin:
            await admin.open()
            added = await admin.result(
                "clients.add", {"name": "Officine", "scopes": ["identity"], "transports": ["tls"]}
            )
            certificate.write_text(added["certificate"] + added["private_key"])
            assert added["daemon_certificate_sha256"] == endpoints.tls.sha256
            async with tools.tls_line(endpoints.tls, certificate) as line:
                assert line.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
                opened = await line.open()
                assert opened["client_id"] == added["client_id"]
                assert opened["scopes"] == ["identity"]
                answer = await line.call("presentation.request", {"nonce": NONCE, "scopes": ["identity", "nir"]})
                assert answer["error"]["data"]["reason"] == "not_authorised"
                assert answer["error"]["data"]["scopes"] == ["nir"]
                for method in ("clients.list", "keys.rotate"):
                    assert await line.reason(method) == "not_authorised"
                (listed,) = (await admin.result("clients.list"))["clients"]
                assert "certificate" not in json.dumps(listed)
                revoked = await admin.result("clients.revoke", {"client_id": added["client_id"]})
                assert revoked == {"revoked": True, "sessions": 1}
                assert await line.ended(), "its sessions end at once"
            async with tools.tls_line(endpoints.tls, certificate) as line:
                assert (
                    await line.reason("session.open", {"protocol": [1], "client": {"name": "x"}}) == "not_authenticated"
                )

    tools.run(work)


def test_tls_without_a_certificate_of_this_station_gets_no_word(tools: Any) -> None:
    async def work(endpoints: Endpoints) -> None:
        assert endpoints.tls is not None
        with pytest.raises((ConnectionError, ssl.SSLError, AssertionError)):  # noqa: PT012
            async with tools.tls_line(endpoints.tls, None) as line:
                line.send_call("session.open", {"protocol": [1], "client": {"name": "x"}})
                assert await line.receive() is not None

    tools.run(work)


def test_older_tls_is_refused(tools: Any) -> None:
    async def work(endpoints: Endpoints) -> None:
        assert endpoints.tls is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await asyncio.open_connection(endpoints.tls.host, endpoints.tls.port, ssl=context)

    tools.run(work)


def test_keys_rotate_with_overlap(tools: Any) -> None:
    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line:
            former = (await line.open())["jwks"]["keys"][0]["kid"]
            current = (await line.result("keys.rotate"))["kid"]
            kids = [key["kid"] for key in (await line.result("station.keys"))["jwks"]["keys"]]
            assert kids == [current, former]

    tools.run(work)


def test_the_overlap_of_keys_goes_by_the_time_of_the_store(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real, off = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + off)

    async def work(endpoints: Endpoints) -> None:
        nonlocal off
        async with tools.unix_line(endpoints) as line:
            former = (await line.open())["jwks"]["keys"][0]["kid"]
            current = (await line.result("keys.rotate"))["kid"]
            off = 400 * 86_400.0
            kids = [key["kid"] for key in (await line.result("station.keys"))["jwks"]["keys"]]
            assert kids == [current, former]

    tools.run(work)


def test_files_are_private_and_gone_when_the_daemon_is(tools: Any) -> None:
    async def work(endpoints: Endpoints) -> None:
        assert endpoints == tools.home.endpoints()
        assert endpoints.pid == os.getpid()
        for file in (tools.home.endpoints_file, tools.home.socket, tools.home.state / "station.json"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        for file in (tools.home.state / "tls").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file

    tools.run(work)
    assert not tools.home.endpoints_file.exists()
    assert not tools.home.socket.exists()


def test_a_second_daemon_says_who_holds_the_home(tools: Any) -> None:
    async def work(_endpoints: Endpoints) -> None:
        with pytest.raises(DaemonRunning) as told:
            async with running(tools.home, tools.without_drivers):
                pytest.fail("two daemons in one home")
        assert told.value.data["pid"] == os.getpid()

    tools.run(work)
    tools.run(work)


def test_other_machines_only_by_explicit_configuration(tools: Any) -> None:
    async def work(_endpoints: Endpoints) -> None:
        pytest.fail("it should not have started")

    with pytest.raises(ConfigurationInvalid):
        tools.run(work, parse("[drivers]\nenabled = []\n[tls]\nhost = '0.0.0.0'\nport = 0"))


def test_a_port_in_use_is_told(tools: Any, tmp_path: Path) -> None:
    async def work(endpoints: Endpoints) -> None:
        assert endpoints.tls is not None
        config = parse(f"[drivers]\nenabled = []\n[tls]\nport = {endpoints.tls.port}")
        from vitale_reader.home import Home

        with pytest.raises(ConfigurationInvalid) as told:
            async with running(Home.under(tmp_path / "second"), config):
                pytest.fail("it should not have started")
        assert str(endpoints.tls.port) in str(told.value)

    tools.run(work)


def test_stopping_answers_who_waits(tools: Any) -> None:
    async def main() -> None:
        async with running(tools.home, tools.without_drivers) as endpoints:
            assert endpoints.unix is not None
            line = tools.Line(*await open_unix_connection(endpoints.unix))
            await line.open()
            request = line.send_call("presentation.request", {"nonce": NONCE})
            assert (await line.receive())["method"] == "presentation.progress"
        assert (await line.answer(request))["error"]["data"]["reason"] == "shutting_down"
        assert await line.ended()
        await line.close()

    asyncio.run(main())


def test_a_fault_of_ours_gets_an_incident_and_no_detail(
    tools: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(*_: object) -> None:
        raise ZeroDivisionError("1 55 08 14 168 025 38")

    monkeypatch.setattr("vitale_reader.daemon.desk.coordinator.Coordinator.watch", fault)

    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line:
            await line.open()
            answer = await line.call("readers.watch")
            assert answer["error"]["code"] == -32603
            incident = answer["error"]["data"]["incident"]
            assert incident in caplog.text
            assert "168 025" not in json.dumps(answer)
            await line.result("session.ping")

    tools.run(work)


def test_a_report_on_the_desk_is_for_administrators_in_their_language(tools: Any) -> None:
    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line:
            await line.open()
            report = await line.result("diagnostics.run")
        assert report["healthy"] == all(one["state"] != "wrong" for one in report["findings"])
        found = {one["id"]: one for one in report["findings"]}
        assert found["daemon_runs"]["title"].startswith("Service ")
        assert "daemon_unreachable" not in found
        assert any(one.startswith("disk_") for one in found)

    tools.run(work)


def test_who_opens_sessions_without_end_is_told_so(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "OPENINGS", Rate(0.001, 1.0))

    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line, tools.unix_line(endpoints) as other:
            await line.open()
            refused = await other.call("session.open", OPEN)
            assert ("limit_exceeded", "opens") == (
                refused["error"]["data"]["reason"],
                refused["error"]["data"]["variant"],
            )

    tools.run(work)


def test_refusals_fill_no_audit_trail(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_REFUSALS_NOTED", 2)
    monkeypatch.setattr(sessions, "REFUSALS_PERIOD", 1e12)  # the period is not over, whatever the clock does meanwhile
    wrong = OPEN | {"credential": "nobody's"}

    async def work(endpoints: Endpoints) -> None:
        for _ in range(4):
            async with tools.unix_line(endpoints) as line:
                assert "not_authenticated" == await line.reason("session.open", wrong)

    tools.run(work)
    with contextlib.closing(sqlite3.connect(tools.home.state / "store.db")) as store:
        query = "SELECT count(*) FROM audit WHERE action = 'session.open' AND outcome = 'not_authenticated'"
        assert (2,) == store.execute(query).fetchone()


def _nobody_we_know(_: object) -> int:
    return 4_000_000


def _nobody_any_more(_: object) -> int:
    raise OSError(errno.ENOTCONN, "gone")


@pytest.mark.parametrize("uid", [_nobody_we_know, _nobody_any_more])
def test_a_user_who_may_not_connect_gets_no_word(
    tools: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, uid: Callable[[object], int]
) -> None:
    """Nor one of whom the kernel does not say who it is, as macOS of one that has gone."""
    monkeypatch.setattr(peers, "_peer_uid", uid)

    async def work(endpoints: Endpoints) -> None:
        async with tools.unix_line(endpoints) as line:
            assert b"" == await line.reader.read()

    tools.run(work)
    assert [] == [record.message for record in caplog.records if record.name == "asyncio"]


def test_a_method_that_nobody_answers_is_a_fault_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "METHODS", {**METHODS, "session.sing": None})
    with pytest.raises(RuntimeError, match="sing"):
        topics.handlers(SimpleNamespace())  # type: ignore[arg-type]  # nothing is asked of it
