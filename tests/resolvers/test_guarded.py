"""A resolver that can be relied on to end: limits, retries where they are safe, and a circuit that opens and closes."""

import asyncio
import contextlib
import datetime as dt
import selectors
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from vitale_protocol.errors import (
    ContextUnknown,
    PayloadInvalid,
    ResolverRefused,
    ResolverUnavailable,
    SignatureUnsupported,
    VitaleError,
)
from vitale_protocol.records import Beneficiaire, Record
from vitale_reader.resolvers.base import Resolution, Resolver, Signature
from vitale_reader.resolvers.guarded import ATTEMPTS, FAILURES, FIRST_WAIT, PAUSE, GuardedResolver

CONTEXT = Resolution(identifiant="ctx", token="t", date_fin_validite=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
DOWN = ResolverUnavailable("down")
UNREACHED = ResolverUnavailable("refused", data={"sent": False})
NO = ResolverRefused("no")


class Listed(Resolver):
    """Gives what is on its list, in order; the last for ever."""

    name = "listed"

    def __init__(self, outcomes: Iterable[Exception | Resolution]) -> None:
        super().__init__({}, "simulated")
        self.outcomes = list(outcomes)
        self.calls: list[str] = []
        self.signature = b"signed"

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def resolve(self, string: bytes, *, nonce: str) -> Resolution:
        return await self._next("resolve")

    async def restore(self, identifiant: str) -> Resolution:
        return await self._next("restore")

    async def release(self, identifiant: str) -> None:
        await self._next("release")

    @property
    def signs(self) -> bool:
        return True

    async def sign(self, identifiant: str, invoice: bytes) -> Signature:
        await self._next("sign")
        return Signature(content=self.signature)

    async def _next(self, what: str) -> Resolution:
        self.calls.append(what)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class World:
    """A guarded resolver, with a clock and waits that the test sees."""

    def __init__(self, *outcomes: Exception | Resolution, limit: float = 10.0) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.listed = Listed(outcomes)
        self.guarded = GuardedResolver(
            self.listed, limit=limit, random=lambda: 0.5, clock=lambda: self.now, sleep=self.sleep
        )

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    @property
    def state(self) -> str:
        return self.guarded.health.state

    async def fails(self, error: type[VitaleError] = ResolverUnavailable) -> VitaleError:
        with pytest.raises(error) as raised:
            await self.guarded.resolve(b"s", nonce="n")
        return raised.value


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_an_answer_is_handed_on() -> None:
    world = World(CONTEXT)

    async def work() -> None:
        assert await world.guarded.resolve(b"s", nonce="n") is CONTEXT
        assert await world.guarded.restore("ctx") is CONTEXT
        await world.guarded.release("ctx")
        assert world.listed.calls == ["resolve", "restore", "release"]
        assert world.waits == []
        assert world.guarded.health.name == "listed"

    run(work)


def test_a_string_that_may_have_been_sent_is_not_sent_again() -> None:
    world = World(DOWN, CONTEXT)

    async def work() -> None:
        await world.fails()
        assert world.listed.calls == ["resolve"]

    run(work)


def test_a_string_that_was_not_sent_is_tried_again_with_jitter() -> None:
    world = World(UNREACHED, UNREACHED, CONTEXT)

    async def work() -> None:
        assert await world.guarded.resolve(b"s", nonce="n") is CONTEXT
        assert world.waits == [0.5 * FIRST_WAIT, 0.5 * FIRST_WAIT * 2]

    run(work)


def test_not_for_ever() -> None:
    world = World(UNREACHED)

    async def work() -> None:
        assert (await world.fails()).data == {"sent": False}
        assert world.listed.calls == ["resolve"] * ATTEMPTS

    run(work)


def test_an_invoice_is_sent_once_and_again_only_where_it_was_not_sent() -> None:
    async def work() -> None:
        world = World(UNREACHED, CONTEXT)
        assert (await world.guarded.sign("ctx", b"i")).content == b"signed"
        assert ["sign"] * 2 == world.listed.calls
        world = World(DOWN, CONTEXT)
        with pytest.raises(ResolverUnavailable) as raised:
            await world.guarded.sign("ctx", b"i")
        assert ("signature", "down") == (raised.value.variant, raised.value.detail)
        assert ["sign"] == world.listed.calls

    run(work)


@pytest.mark.parametrize("signature", [b"", b"s" * 65_537])
def test_a_signature_that_is_none_is_unreadable(signature: bytes) -> None:
    async def work() -> None:
        world = World(CONTEXT)
        world.listed.signature = signature
        with pytest.raises(ResolverUnavailable) as raised:
            await world.guarded.sign("ctx", b"i")
        assert raised.value.variant == "signature"

    run(work)


def test_a_refused_invoice_is_said_to_be_one_unless_more_is_known() -> None:
    async def work() -> None:
        for error, variant in ((NO, "signature"), (ResolverRefused("no", variant="delegation"), "delegation")):
            with pytest.raises(ResolverRefused) as raised:
                await World(error).guarded.sign("ctx", b"i")
            assert variant == raised.value.variant

    run(work)


@pytest.mark.parametrize("call", ["restore", "release"])
def test_what_changes_nothing_is_repeated(call: str) -> None:
    world = World(DOWN, DOWN, CONTEXT)

    async def work() -> None:
        await getattr(world.guarded, call)("ctx")
        assert world.listed.calls == [call] * 3

    run(work)


@pytest.mark.parametrize("error", [NO, ContextUnknown("gone")], ids=lambda error: error.reason)
def test_a_refusal_is_an_answer(error: VitaleError) -> None:
    world = World(error)

    async def work() -> None:
        for _ in range(FAILURES + 1):
            with pytest.raises(type(error)):
                await world.guarded.restore("ctx")
        assert world.listed.calls == ["restore"] * (FAILURES + 1)
        assert world.state == "ready"

    run(work)


def test_the_limit_ends_whatever_takes_too_long() -> None:
    world = World(CONTEXT, limit=0.02)
    never = asyncio.Event()

    async def hang(*_: object, **__: object) -> Any:
        await never.wait()

    async def work() -> None:
        world.listed.resolve = hang  # type: ignore[method-assign]  # a resolver that hangs
        assert "sent" not in (await world.fails()).data
        assert world.state == "degraded"

    run(work)


def test_a_time_out_of_the_plug_ins_own_is_its_fault() -> None:
    world = World(TimeoutError("of a lock in the plug-in"))

    async def work() -> None:
        with pytest.raises(ResolverUnavailable) as raised:
            await world.guarded.resolve(b"s", nonce="n")
        assert (raised.value.variant, "sent" in raised.value.data) == ("plug-in", False)
        assert "lock" not in str(raised.value)
        assert world.state == "degraded"

    run(work)


def test_the_circuit_opens_and_a_probe_closes_it() -> None:
    world = World(*[DOWN] * (FAILURES + 1), CONTEXT)

    async def work() -> None:
        for number in range(FAILURES):
            assert world.state == ("degraded" if number else "ready")
            await world.fails()
        assert world.state == "open"
        assert (await world.fails()).data == {"sent": False}
        assert len(world.listed.calls) == FAILURES, "nothing is sent while it is open"
        world.now += PAUSE
        await world.fails()
        assert len(world.listed.calls) == FAILURES + 1, "one probe"
        await world.fails()
        assert len(world.listed.calls) == FAILURES + 1, "which opened it for another pause"
        world.now += PAUSE
        assert await world.guarded.resolve(b"s", nonce="n") is CONTEXT
        assert world.state == "ready"

    run(work)


def test_only_one_call_is_the_probe_and_a_cancelled_one_is_none() -> None:
    world = World(*[DOWN] * FAILURES, CONTEXT)
    asked, gate = asyncio.Event(), asyncio.Event()

    async def slow(string: bytes, *, nonce: str) -> Resolution:
        asked.set()
        await gate.wait()
        return CONTEXT

    async def work() -> None:
        for _ in range(FAILURES):
            await world.fails()
        world.now += PAUSE
        world.listed.resolve = slow  # type: ignore[method-assign]  # a resolver that takes its time
        probe = asyncio.create_task(world.guarded.resolve(b"s", nonce="n"))
        await asked.wait()
        await world.fails()
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        gate.set()
        assert await world.guarded.resolve(b"s", nonce="n") is CONTEXT

    run(work)


class BlackHole(Listed):
    """A service that swallows what comes, and a plug-in that gives up reaching it in time."""

    reach = 4.0

    async def _next(self, what: str) -> Resolution:
        self.calls.append(what)
        try:
            async with asyncio.timeout(self.reach):
                await asyncio.Event().wait()
        except TimeoutError:
            pass
        raise UNREACHED


class JumpingSelector(selectors.DefaultSelector):
    """A selector that waits for nothing, and counts for how long it would have waited."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.waited += timeout or 0.0
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to what is due next, however long a busy machine takes."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.waited


def test_a_service_that_cannot_be_reached_uses_up_no_string() -> None:
    hole = BlackHole([UNREACHED])

    async def work() -> float:
        clock = asyncio.get_running_loop().time
        guarded = GuardedResolver(hole, limit=10.0, random=lambda: 0.05, clock=clock)
        with pytest.raises(ResolverUnavailable) as raised:
            await guarded.resolve(b"s", nonce="n")
        assert raised.value.data == {"sent": False}
        assert hole.calls == ["resolve"] * 2
        return clock()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        took = runner.run(work())
    assert took == pytest.approx(2 * BlackHole.reach + 0.05 * FIRST_WAIT)


@pytest.mark.parametrize("kind", [PayloadInvalid, SignatureUnsupported])
def test_what_was_sent_nowhere_says_nothing_of_the_service(kind: type[VitaleError]) -> None:
    world = World(*[DOWN] * FAILURES, kind("not this one", data={"sent": False}), CONTEXT)

    async def work() -> None:
        for _ in range(FAILURES):
            await world.fails()
        world.now += PAUSE
        with pytest.raises(kind):
            await world.guarded.sign("ctx", b"i")
        assert "open" == world.state
        assert await world.guarded.resolve(b"s", nonce="n") is CONTEXT
        assert "ready" == world.state

    run(work)


def test_a_release_is_never_the_probe() -> None:
    world = World(*[DOWN] * FAILURES, CONTEXT)

    async def work() -> None:
        for _ in range(FAILURES):
            await world.fails()
        world.now += PAUSE
        with pytest.raises(ResolverUnavailable):
            await world.guarded.release("ctx")
        assert "release" not in world.listed.calls
        assert await world.guarded.resolve(b"s", nonce="n") is CONTEXT
        await world.guarded.release("ctx")

    run(work)


def test_another_context_than_was_asked_for_is_unreadable() -> None:
    world = World(CONTEXT)

    async def work() -> None:
        for _ in range(FAILURES + 1):
            with pytest.raises(ResolverUnavailable) as raised:
                await world.guarded.restore("another")
            assert raised.value.variant == "unreadable"
        # The service has answered each time: neither is it asked again, nor do patients find it left alone.
        assert ["restore"] * (FAILURES + 1) == world.listed.calls
        assert await world.guarded.resolve(b"s", nonce="n") is CONTEXT

    run(work)


@pytest.mark.parametrize(
    "changes",
    [
        {"record": Record(beneficiaires=(Beneficiaire(prenom="TOM"),) * 31)},
        {"record": Record(beneficiaires=(Beneficiaire(prenom="T" * 40_000),))},
        {"delegate": "P" * 201},
    ],
    ids=["people", "bytes", "delegate"],
)
def test_what_is_too_large_is_unreadable(changes: dict[str, Any]) -> None:
    world = World(replace(CONTEXT, **changes))

    async def work() -> None:
        assert (await world.fails()).variant == "unreadable"
        with pytest.raises(ResolverUnavailable):
            await world.guarded.restore("ctx")

    run(work)


def test_the_largest_family_is_not() -> None:
    largest = replace(CONTEXT, record=Record(beneficiaires=(Beneficiaire(prenom="T" * 900),) * 30))
    world = World(largest)

    async def work() -> None:
        assert await world.guarded.resolve(b"s", nonce="n") is largest

    run(work)


def test_each_loss_of_the_service_and_each_return_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    world = World(CONTEXT, DOWN, DOWN, CONTEXT, DOWN, NO)

    async def work() -> None:
        for _ in range(6):
            with contextlib.suppress(VitaleError):
                await world.guarded.resolve(b"string", nonce="n")

    asyncio.run(work())
    lost, back = "the apCV service cannot be used: resolver_unavailable: down", "the apCV service is back"
    assert [lost, back, lost, back] == caplog.messages
