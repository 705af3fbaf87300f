"""Contexts belong to their client, are sealed in the store, are told of before they end, and end."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

import vitale_reader
from vitale_protocol.errors import ContextUnknown, ResolverRefused, ResolverUnavailable
from vitale_protocol.events import ContextExpiring, PresentationProgress
from vitale_reader.daemon.issuing import contexts
from vitale_reader.daemon.issuing.outbox import Outbox

WANTED = ["identity", "context"]


async def context(counter: Any, line: Any, string: bytes = b"opaque") -> dict[str, Any]:
    return dict((await counter.claims(line, string, scopes=WANTED))["context"])


def test_a_context_is_restored_and_released_by_its_owner(counter: Any) -> None:
    async def work(line: Any) -> None:
        made = await context(counter, line)
        named = {"identifiant": made["identifiant"]}
        assert await line.result("context.restore", named) == made | {"confirmed": True}
        assert await line.result("context.release", named) == {"released": True}
        for method in ("context.restore", "context.release"):
            assert await line.reason(method, named) == "context_unknown"
        assert counter.resolver.open_contexts == {}

    counter.run(work)


@pytest.mark.posix("a client comes with a credential, which is good for a Unix socket alone")
def test_to_every_other_client_it_is_unknown(counter: Any) -> None:
    async def main() -> None:
        config = counter.config()
        async with counter.station(config) as endpoints, counter.tools.unix_line(endpoints) as line:
            await line.open()
            made = await context(counter, line)
            added = await line.result(
                "clients.add", {"name": "other", "scopes": ["context", "identity"], "transports": ["unix"]}
            )
            async with counter.tools.unix_line(endpoints) as other:
                await other.open(credential=added["credential"])
                for method in ("context.restore", "context.release"):
                    assert await other.reason(method, {"identifiant": made["identifiant"]}) == "context_unknown"
            assert counter.resolver.count("restore") == counter.resolver.count("release") == 0
            assert (await line.result("context.restore", {"identifiant": made["identifiant"]}))["token"]

    asyncio.run(main())


@pytest.mark.posix("a client comes with a credential, which is good for a Unix socket alone")
def test_the_contexts_of_a_revoked_client_are_released(counter: Any) -> None:
    async def main() -> None:
        async with counter.station() as endpoints, counter.tools.unix_line(endpoints) as line:
            await line.open()
            added = await line.result("clients.add", {"name": "x", "scopes": WANTED, "transports": ["unix"]})
            async with counter.tools.unix_line(endpoints) as client:
                await client.open(credential=added["credential"])
                await context(counter, client)
                await line.result("clients.revoke", {"client_id": added["client_id"]})
                await counter.resolver.wait_for("release")
                assert counter.resolver.open_contexts == {}

    asyncio.run(main())


@pytest.mark.posix("a client comes with a credential, which is good for a Unix socket alone")
def test_contexts_need_their_scope(counter: Any) -> None:
    async def main() -> None:
        async with counter.station() as endpoints, counter.tools.unix_line(endpoints) as line:
            await line.open()
            added = await line.result("clients.add", {"name": "x", "scopes": ["identity"], "transports": ["unix"]})
            async with counter.tools.unix_line(endpoints) as other:
                await other.open(credential=added["credential"])
                assert await other.reason("context.restore", {"identifiant": "ctx"}) == "not_authorised"
                assert await other.reason("context.release", {"identifiant": "ctx"}) == "not_authorised"

    asyncio.run(main())


def test_a_new_reading_releases_the_former_context_first(counter: Any) -> None:
    async def work(line: Any) -> None:
        former = await context(counter, line, b"one")
        await context(counter, line, b"two")
        assert [call for call, _ in counter.resolver.calls] == ["resolve", "release", "resolve"]
        assert ("release", former["identifiant"]) in counter.resolver.calls
        assert await line.reason("context.restore", {"identifiant": former["identifiant"]}) == "context_unknown"

    counter.run(work)


def test_a_former_context_that_cannot_be_released_keeps_nobody_waiting(counter: Any) -> None:
    async def work(line: Any) -> None:
        former = await context(counter, line, b"one")
        counter.resolver.release_fault = ResolverRefused("no")
        await context(counter, line, b"two")
        assert await line.reason("context.restore", {"identifiant": former["identifiant"]}) == "context_unknown"

    counter.run(work)


def test_a_release_that_is_not_answered_keeps_nobody_waiting(counter: Any) -> None:
    async def work(line: Any) -> None:
        former = await context(counter, line, b"one")
        release, gate = counter.resolver.release, asyncio.Event()

        async def slow(identifiant: str) -> None:
            await release(identifiant)
            await gate.wait()

        counter.resolver.release = slow
        assert former != await context(counter, line, b"two")
        assert [call for call, _ in counter.resolver.calls][:3] == ["resolve", "release", "resolve"]
        gate.set()

    counter.run(work)


def test_a_reading_that_was_refused_keeps_the_former_context(counter: Any) -> None:
    async def work(line: Any) -> None:
        made = await context(counter, line, b"one")
        assert (await counter.refusal(line, b"one"))["reason"] == "replayed"
        assert (await line.result("context.restore", {"identifiant": made["identifiant"]}))["confirmed"]

    counter.run(work)


def test_where_the_service_does_not_answer_the_copy_is_given_and_said_to_be_one(counter: Any) -> None:
    async def work(line: Any) -> None:
        made = await context(counter, line)
        named = {"identifiant": made["identifiant"]}
        counter.resolver.restore_fault = ResolverUnavailable("gone")
        assert await line.result("context.restore", named) == made | {"confirmed": False}
        counter.resolver.restore_fault = ResolverRefused("no", data={"code": "NO"})
        assert await line.reason("context.restore", named) == "resolver_refused"
        counter.resolver.release_fault = ResolverUnavailable("gone")
        assert await line.reason("context.release", named) == "resolver_unavailable"
        counter.resolver.release_fault = None
        assert await line.result("context.release", named) == {"released": True}

    counter.run(work)


def test_a_context_that_the_service_forgot_is_forgotten(counter: Any) -> None:
    async def work(line: Any) -> None:
        one = await context(counter, line, b"one")
        counter.resolver.open_contexts.clear()
        assert await line.reason("context.restore", {"identifiant": one["identifiant"]}) == "context_unknown"
        assert counter.resolver.count("restore") == 1
        assert await line.reason("context.restore", {"identifiant": one["identifiant"]}) == "context_unknown"
        assert counter.resolver.count("restore") == 1
        two = await context(counter, line, b"two")
        counter.resolver.open_contexts.clear()
        assert await line.result("context.release", {"identifiant": two["identifiant"]}) == {"released": False}

    counter.run(work)


def test_a_context_survives_a_restart_and_is_sealed(counter: Any) -> None:
    made: dict[str, Any] = {}

    async def first(line: Any) -> None:
        made.update(await context(counter, line))

    async def second(line: Any) -> None:
        counter.resolver.restore_fault = ResolverUnavailable("gone")
        restored = await line.result("context.restore", {"identifiant": made["identifiant"]})
        assert restored == made | {"confirmed": False}

    counter.run(first)
    content = b"".join(file.read_bytes() for file in counter.home.state.glob("store.db*"))
    for secret in (made["token"], made["identifiant"]):
        assert secret.encode() not in content
    counter.run(second)


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the daemon look at the clock, which the test sets, many times a second."""
    monkeypatch.setattr(contexts, "LOOK", 0.02)


@pytest.mark.usefixtures("looks_often")
@pytest.mark.parametrize(("life", "told_after"), [(1800.0, 1500.0), (400.0, 300.0)])
def test_its_end_is_told_once_and_in_time(counter: Any, life: float, told_after: float) -> None:
    counter.resolver.life = life

    async def work(line: Any) -> None:
        made = await context(counter, line)
        (held,) = counter.contexts._held.values()
        # A quarter of the time that the test took so far, on whatever machine.
        assert held.notice_at == pytest.approx(held.ends_at - (life - told_after), abs=25)
        counter.set_ahead(told_after)
        told = await line.receive()
        assert told["method"] == "context.expiring"
        assert told["params"] == {name: made[name] for name in ("identifiant", "date_fin_validite")}
        async with counter.tools.unix_line(counter.home.endpoints()) as later:
            await later.open()
            await later.result("session.ping")
            assert later.notifications == []

    counter.run(work)


@pytest.mark.posix("a client comes with a credential, which is good for a Unix socket alone")
def test_whoever_was_not_there_is_told_at_the_next_session(counter: Any) -> None:
    async def main() -> None:
        async with counter.station() as endpoints, counter.tools.unix_line(endpoints) as line:
            await line.open()
            added = await line.result("clients.add", {"name": "x", "scopes": WANTED, "transports": ["unix"]})
            async with counter.tools.unix_line(endpoints) as client:
                await client.open(credential=added["credential"])
                made = await context(counter, client)
            (held,) = counter.contexts._held.values()
            counter.contexts._held[held.digest] = replace(held, notice_at=0.0)
            for expected in ([made["identifiant"]], []):
                async with counter.tools.unix_line(endpoints) as again:
                    await again.open(credential=added["credential"])
                    await again.result("session.ping")
                    await again.result("readers.list")
                    heard = [each["params"]["identifiant"] for each in again.notifications]
                    assert heard == expected

    asyncio.run(main())


@pytest.mark.usefixtures("looks_often")
def test_at_its_end_a_context_is_gone(counter: Any) -> None:
    async def work(line: Any) -> None:
        made = await context(counter, line)
        counter.set_ahead(counter.resolver.life)
        async with asyncio.timeout(60):
            while counter.contexts._held:
                await line.result("session.ping")
        assert await line.reason("context.restore", {"identifiant": made["identifiant"]}) == "context_unknown"
        assert counter.resolver.count("restore") == 0

    counter.run(work)


@pytest.mark.usefixtures("looks_often")
def test_by_the_sdk(counter: Any) -> None:
    async def main() -> None:
        heard: asyncio.Queue[ContextExpiring] = asyncio.Queue()
        async with (
            counter.station(),
            vitale_reader.aio.connect(
                home=counter.home.config.parent,
                on_context_expiring=heard.put_nowait,
                connect_timeout=60,
                call_timeout=60,
            ) as reader,
        ):

            def tap(step: PresentationProgress) -> None:
                if step.step == "armed":
                    counter.tap(b"opaque")

            found = await reader.read(media=["apcv-nfc"], scopes=["identity", "context"], on_progress=tap)
            assert found.context is not None
            assert found.delegate is None
            restored = await reader.restore_context(found.context.identifiant)
            assert (restored.token, restored.confirmed) == (found.context.token, True)
            counter.set_ahead(counter.resolver.life - contexts.NOTICE)
            async with asyncio.timeout(60):
                assert (await heard.get()).identifiant == found.context.identifiant
            assert await reader.release_context(found.context.identifiant) is True
            with pytest.raises(ContextUnknown):
                await reader.release_context(found.context.identifiant)
            assert heard.empty()

    asyncio.run(main())


@pytest.mark.posix("a client comes with a credential, which is good for a Unix socket alone")
def test_what_is_released_while_others_are_told_stays_released(counter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    writing, gate = asyncio.Event(), asyncio.Event()

    async def slow(*_: object, **__: object) -> None:
        writing.set()
        await gate.wait()

    async def main() -> None:
        async with counter.station() as endpoints, counter.tools.unix_line(endpoints) as line:
            await line.open()
            added = await counter.paired(line)
            async with counter.tools.unix_line(endpoints) as other:
                await other.open(credential=added["credential"])
                await context(counter, line, b"first")
                second = {"identifiant": (await context(counter, other, b"second"))["identifiant"]}
                held = counter.contexts._held
                held.update({digest: replace(each, notice_at=0.0) for digest, each in held.items()})
                monkeypatch.setattr(counter.contexts, "_update", slow)
                telling = asyncio.create_task(counter.contexts._attend())
                await writing.wait()
                assert await other.result("context.release", second) == {"released": True}
                gate.set()
                await telling
                counter.resolver.restore_fault = ResolverUnavailable("gone")
                assert await other.reason("context.restore", second) == "context_unknown"
                assert [each for each in other.notifications if each["method"] == "context.expiring"] == []
                assert len(held) == 1

    asyncio.run(main())


def test_two_restores_at_once_and_a_notice_between_do_not_disturb_each_other(
    counter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(line: Any) -> None:
        named = {"identifiant": (await context(counter, line))["identifiant"]}
        restore, gate = counter.resolver.restore, asyncio.Event()

        async def slow(identifiant: str) -> Any:
            answer = await restore(identifiant)
            await gate.wait()
            return answer

        monkeypatch.setattr(counter.resolver, "restore", slow)
        calls = [line.send_call("context.restore", named) for _ in range(2)]
        await counter.resolver.wait_for("restore", 2)
        (held,) = counter.contexts._held.values()
        counter.contexts._held[held.digest] = replace(held, notice_at=0.0)
        await counter.contexts._attend()
        gate.set()
        answers = {message["id"]: message for message in [await answer_of(line), await answer_of(line)]}
        assert all(answers[call]["result"]["confirmed"] for call in calls)
        assert [each["method"] for each in line.notifications].count("context.expiring") == 1

    counter.run(work)


async def answer_of(line: Any) -> Any:
    """The next message that is an answer; notifications on the way are kept."""
    while "method" in (message := await line.receive()):
        line.notifications.append(message)
    return message


def test_a_context_that_is_released_while_it_is_restored_is_unknown(
    counter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(line: Any) -> None:
        named = {"identifiant": (await context(counter, line))["identifiant"]}
        gate = asyncio.Event()

        async def slow(identifiant: str) -> Any:
            await counter.resolver._note("restore", identifiant)
            await gate.wait()
            raise ResolverUnavailable("gone")

        monkeypatch.setattr(counter.resolver, "restore", slow)
        restoring = line.send_call("context.restore", named)
        await counter.resolver.wait_for("restore")
        assert await line.result("context.release", named) == {"released": True}
        gate.set()
        assert (await line.answer(restoring))["error"]["data"]["reason"] == "context_unknown"

    counter.run(work)


def test_where_nothing_comes_of_a_new_reading_the_former_context_is_held_on(counter: Any) -> None:
    async def work(line: Any) -> None:
        former = await context(counter, line, b"one")
        counter.resolver.fault = counter.resolver.release_fault = ResolverRefused("no")
        assert (await counter.refusal(line, b"two"))["reason"] == "resolver_refused"
        named = {"identifiant": former["identifiant"]}
        assert await line.result("context.restore", named) == former | {"confirmed": True}

    counter.run(work)


def test_a_context_that_comes_back_under_another_name_is_none(counter: Any) -> None:
    async def work(line: Any) -> None:
        made = await context(counter, line)
        known = counter.resolver.open_contexts
        known[made["identifiant"]] = replace(known[made["identifiant"]], identifiant="another", token="OF-ANOTHER")
        named = {"identifiant": made["identifiant"]}
        assert await line.result("context.restore", named) == made | {"confirmed": False}
        assert (await line.result("station.info"))["resolver"]["state"] == "ready"

    counter.run(work)


def test_a_simulated_context_does_not_become_a_real_one(counter: Any) -> None:
    async def work(line: Any) -> None:
        made = await context(counter, line)
        known = counter.resolver.open_contexts
        known[made["identifiant"]] = replace(known[made["identifiant"]], origin="production", token="REAL")
        named = {"identifiant": made["identifiant"]}
        assert await line.reason("context.restore", named) == "mixed_origin"

    counter.run(work)


def test_a_simulated_context_is_unknown_once_the_station_is_in_production(counter: Any) -> None:
    made: dict[str, Any] = {}

    async def first(line: Any) -> None:
        made.update(await context(counter, line))

    async def second(line: Any) -> None:
        assert await line.reason("context.restore", {"identifiant": made["identifiant"]}) == "context_unknown"

    counter.run(first)
    counter.run(second, counter.config(station='mode = "production"'))


@pytest.mark.posix("a client comes with a credential, which is good for a Unix socket alone")
def test_a_client_that_is_revoked_while_its_context_is_kept_holds_none(
    counter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, keeping, gate = Outbox.put, asyncio.Event(), asyncio.Event()

    async def slow(*arguments: Any, **options: Any) -> None:
        keeping.set()
        await gate.wait()
        await put(*arguments, **options)

    monkeypatch.setattr(Outbox, "put", slow)

    async def main() -> None:
        async with counter.station() as endpoints, counter.tools.unix_line(endpoints) as line:
            await line.open()
            added = await counter.paired(line)
            async with counter.tools.unix_line(endpoints) as client:
                await client.open(credential=added["credential"])
                await counter.ask(client, scopes=WANTED)
                counter.tap(b"opaque")
                await keeping.wait()
                await line.result("clients.revoke", {"client_id": added["client_id"]})
            gate.set()
            await counter.resolver.wait_for("release")
            assert counter.resolver.open_contexts == counter.contexts._held == {}

    asyncio.run(main())
