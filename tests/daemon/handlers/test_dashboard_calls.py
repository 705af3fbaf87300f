"""What the dashboard does with a patient's medium, with simulators and with the settings."""

import asyncio
import contextlib
import json
import logging
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.posix import OWN_DOOR, open_unix_connection
from vitale_reader.daemon.config import parse

Json = dict[str, Any]

#: What stands on the phone: on the page that asked, and nowhere else.
CANARIES = ("MERLE-ESSAI", "CLAIRE", "2840613990412", "once-only-string")


@pytest.fixture
def left_behind(counter: Any, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Where a canary is found: files of the station, and the log."""
    caplog.set_level(logging.DEBUG)

    def find() -> list[str]:
        files = {str(file): file.read_bytes() for file in counter.home.config.parent.rglob("*") if file.is_file()}
        assert any(name.endswith("store.db") for name in files)
        found = [name for name, content in files.items() for each in CANARIES if each.encode() in content]
        return found + [each for each in CANARIES if each in caplog.text]

    return find


@asynccontextmanager
async def another_line(counter: Any) -> AsyncGenerator[Any]:
    reader, writer = await open_unix_connection(str(counter.home.socket), limit=4_000_000)
    line = counter.tools.Line(reader, writer)
    try:
        yield line
    finally:
        await line.close()


async def armed(counter: Any, line: Any, **params: Any) -> int:
    request: int = line.send_call("reading.once", {"scopes": ["identity"]} | params)
    await counter.step(line, "armed", request)
    return request


def test_a_reading_is_shown_once_and_is_nowhere_afterwards(counter: Any, left_behind: Callable[[], list[str]]) -> None:
    async def work(line: Any) -> None:
        watched: Json = await line.result("desk.watch")
        assert not watched["desk"].get("simulators")
        request = await armed(counter, line, scopes=["identity", "nir", "dependants", "rights"])
        counter.tap(b"once-only-string")
        told: Json = (await line.answer(request))["result"]
        assert ["CLAIRE", "TOM"] == [each["prenom"] for each in told["record"]["beneficiaires"]]
        assert "2840613990412" == told["record"]["assure"]["nir"]
        assert ("apcv-nfc", "simulated", "nfc:counter") == (told["medium"], told["origin"], told["reader"])
        assert not {"token", "claims", "context", "payload", "payload_b64"} & told.keys()

        # The context that the service opened is given back: nobody could use it.
        await counter.resolver.wait_for("release")
        assert {} == counter.resolver.open_contexts
        assert [] == (await line.result("outbox.list"))["tokens"]
        assert not any(each in json.dumps(line.notifications) for each in CANARIES)
        desk = (await line.result("desk.watch"))["desk"]
        assert "reason" not in desk["last"]
        assert not any(each in json.dumps(desk) for each in CANARIES)

    counter.run(work)
    assert [] == left_behind()


def test_the_trail_has_that_it_took_place(counter: Any) -> None:
    async def work(line: Any) -> None:
        request = await armed(counter, line)
        counter.tap(b"once-only-string")
        await line.answer(request)

    counter.run(work)
    with contextlib.closing(sqlite3.connect(counter.home.state / "store.db")) as store:
        rows = store.execute("select outcome, medium, reader from audit where action = 'reading.once'").fetchall()
    assert [("ok", "apcv-nfc", "nfc:counter")] == rows


def test_nothing_is_told_beyond_what_was_ticked(counter: Any) -> None:
    async def work(line: Any) -> None:
        request = await armed(counter, line)
        counter.tap(b"once-only-string")
        record = (await line.answer(request))["result"]["record"]
        assert [{"nom_usuel": "MERLE-ESSAI", "prenom": "CLAIRE", "qualite": "0"}] == record["beneficiaires"]
        assert {} == record["assure"]
        for scopes in ([], ["context"], ["payload"], ["identity", "apdu"]):
            assert "invalid_params" == await line.reason("reading.once", {"scopes": scopes})

    counter.run(work)


def test_a_string_that_was_shown_and_sent_nowhere_is_a_program_s_still(counter: Any) -> None:
    async def work(line: Any) -> None:
        request = await armed(counter, line)
        counter.tap(b"once-only-string")
        assert "apcv-transported" == (await line.answer(request))["result"]["proof"]["method"]
        claims = await counter.claims(line, b"once-only-string")
        assert "apcv-transported" == claims["proof"]["method"]

    counter.run(work, counter.config('resolver = "none"'), scripted=False)


def test_a_string_that_the_service_has_seen_counts_as_used(counter: Any) -> None:
    async def work(line: Any) -> None:
        request = await armed(counter, line)
        counter.tap(b"once-only-string")
        await line.answer(request)
        assert "replayed" == (await counter.refusal(line, b"once-only-string"))["reason"]

    counter.run(work)


def test_a_look_at_one_patient_ends_no_context_of_another(counter: Any) -> None:
    async def work(line: Any) -> None:
        held: Json = (await counter.claims(line, b"in progress", scopes=["identity", "context"]))["context"]
        request = await armed(counter, line)
        counter.tap(b"once-only-string")
        await line.answer(request)
        assert (await line.result("context.restore", {"identifiant": held["identifiant"]}))["confirmed"]
        await counter.resolver.wait_for("release")
        assert [held["identifiant"]] == [*counter.resolver.open_contexts]

    counter.run(work)


def test_whoever_waits_to_look_can_leave(counter: Any) -> None:
    async def work(line: Any) -> None:
        request = await armed(counter, line)
        cancelling = line.send_call("presentation.cancel", {"request": request})
        ended, cancelled = await line.answers(request, cancelling)
        assert "cancelled" == ended["error"]["data"]["reason"]
        assert cancelled["result"]["cancelled"]

    counter.run(work)


def test_a_paired_program_neither_looks_nor_plays_nor_sets(counter: Any) -> None:
    async def work(line: Any) -> None:
        paired = await counter.paired(line)
        async with another_line(counter) as other:
            await other.open(credential=paired["credential"])
            calls: tuple[tuple[str, Json], ...] = (
                ("reading.once", {"scopes": ["identity"]}),
                ("desk.show", {}),
                ("sim.play", {"place": "slot"}),
                ("sim.attach", {"places": []}),
                ("sim.acted", {"act": 1, "places": []}),
                ("config.set", {"key": "log.level", "value": "debug", "confirmed": "log.level"}),
            )
            for method, params in calls:
                assert "not_authorised" == await other.reason(method, params)

    counter.run(work)


SLOT = {"place": "slot", "kind": "card", "things": ["adulte"]}


def test_a_simulator_is_played_by_another_session(counter: Any) -> None:
    async def work(line: Any) -> None:
        async with another_line(counter) as holder:
            await holder.open()
            await line.result("desk.watch")
            await holder.result("sim.attach", {"places": [SLOT]})
            request = line.send_call("sim.play", {"place": "slot", "thing": "adulte"})
            told: Json = await holder.receive()
            assert ("simulator.act", "slot", "adulte") == (
                told["method"],
                told["params"]["place"],
                told["params"]["thing"],
            )
            full = SLOT | {"holds": "adulte"}
            await holder.result("sim.acted", {"act": told["params"]["act"], "places": [full]})
            assert "result" in await line.answer(request)
            assert [full] == (await line.result("desk.watch"))["desk"]["simulators"]
        while (await line.result("desk.watch"))["desk"].get("simulators"):
            pass
        assert "invalid_params" == await line.reason("sim.play", {"place": "slot"})

    counter.run(work)


def test_whoever_plays_is_told_that_the_daemon_stops(counter: Any) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            async with counter.station() as endpoints:
                line = await stack.enter_async_context(counter.tools.unix_line(endpoints))
                holder = await stack.enter_async_context(counter.tools.unix_line(endpoints))
                for each in (line, holder):
                    await each.open()
                await holder.result("sim.attach", {"places": [SLOT]})
                request = line.send_call("sim.play", {"place": "slot", "thing": "adulte"})
                assert "simulator.act" == (await holder.receive())["method"]
            assert "shutting_down" == (await line.answer(request))["error"]["data"]["reason"]

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["production", "test"])
def test_no_simulator_comes_near_a_station_that_is_none(counter: Any, mode: str) -> None:
    async def work(line: Any) -> None:
        for method, params in (
            ("sim.attach", {"places": [SLOT]}),
            ("sim.acted", {"act": 1, "places": [SLOT]}),
            ("sim.play", {"place": "slot", "thing": "adulte"}),
        ):
            answer: Json = (await line.call(method, params))["error"]
            assert ("simulated_refused", "control") == (answer["data"]["reason"], answer["data"]["variant"])
        assert not (await line.result("desk.watch"))["desk"].get("simulators")

    counter.run(work, counter.config(station=f'mode = "{mode}"'))


def test_a_setting_is_changed_as_the_command_does(counter: Any) -> None:
    text = f"# Du propriétaire.\n[station]\nmode = 'simulated'\n{OWN_DOOR}[drivers]\nenabled = []\n"
    counter.home.config.parent.mkdir(parents=True, exist_ok=True)
    counter.home.config.write_text(text, "utf-8")
    counter.home.config.chmod(0o600)

    async def put(line: Any, key: str, value: str, confirmed: str | None = None) -> Json:
        answer: Json = await line.call(
            "config.set", {"key": key, "value": value, "confirmed": key if confirmed is None else confirmed}
        )
        return answer

    async def work(line: Any) -> None:
        settable = {each["key"] for each in (await line.result("config.check"))["settable"]}
        assert {"station.language", "log.level"} <= settable
        assert {"station.mode", "seals.once", "site.url"}.isdisjoint(settable), "checks, and who gets in"
        for key in ("station.mode", "unix.enabled", "store", "tls.lan", "web.enabled", "apcv.options.password", "x"):
            refused = (await put(line, key, "false"))["result"]
            assert (False, "This setting") == (refused["changed"], refused["problem"]["cause"][:12])
        assert "invalid_params" == (await put(line, "log.level", "debug", "log"))["error"]["data"]["reason"]
        wrong = (await put(line, "log.level", "loud"))["result"]
        assert (False, "Setting refused") == (wrong["changed"], wrong["problem"]["title"])
        assert text == counter.home.config.read_text("utf-8")
        assert (await put(line, "log.level", "debug"))["result"]["changed"]
        assert not (await put(line, "log.level", "debug"))["result"]["changed"]

    counter.run(work)
    after = counter.home.config.read_text("utf-8")
    assert after.startswith(text)
    assert "debug" == parse(after).log.level
