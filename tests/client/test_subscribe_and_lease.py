"""Subscriptions and leases in the SDK: across losses, in both shapes, over a real Unix socket."""

# The moment between two steps of the SDK has no public door.
# pyright: reportPrivateUsage=false

import asyncio
import contextlib
import threading
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

import vitale_reader
from tests.client.connections import not_again
from tests.client.fake_daemon import FakeDaemon, Talk
from vitale_protocol.errors import CardError, DaemonUnreachable, LeaseConflict, LeaseExpired, LocalMisuse, NotAuthorised
from vitale_protocol.events import (
    CodeRead,
    Gs1,
    LeaseEnded,
    PresentationFailed,
    PresentationProgress,
    PresentationToken,
)
from vitale_protocol.methods import (
    CardTransmit,
    CardTransmitted,
    CodesSubscribe,
    CodesSubscribed,
    CodesUnsubscribe,
    Done,
    LeaseAcquire,
    LeaseAcquired,
    LeaseReleased,
    LeaseRenewed,
    PresentationsSubscribe,
    PresentationsSubscribed,
    Result,
)
from vitale_protocol.session.session import Called


def event(daemon: FakeDaemon, name: str, nonce: str) -> PresentationToken:
    issued = daemon.issue(nonce)
    return PresentationToken(
        subscription=name, presentation=issued.presentation, token=issued.token, claims=issued.claims
    )


@pytest.fixture
def subscribed(daemon: FakeDaemon) -> FakeDaemon:
    """Each subscription gets a token at once, in the same breath as its name; the first one gets it twice."""

    def subscribe(talk: Talk, call: Called) -> Result | None:
        assert isinstance(call.params, PresentationsSubscribe)
        name = f"sub-{len(daemon.named('presentations.subscribe'))}"
        told = event(daemon, name, call.params.nonce)
        talk.session.reply(call.id, PresentationsSubscribed(subscription=name))
        talk.session.notify("presentation.token", told)
        if name == "sub-0":
            talk.session.notify("presentation.token", told)
        talk.flush()
        return None

    daemon.handlers["presentations.subscribe"] = subscribe
    daemon.handlers["presentations.unsubscribe"] = lambda _, __: Done()
    return daemon


def test_tokens_come_one_after_the_other_and_the_end_is_told(subscribed: FakeDaemon, home: Path) -> None:
    with vitale_reader.connect(home=home) as reader:
        stream = reader.subscribe(scopes=["identity"])
        found = next(stream)
        assert found.holder is not None
        assert found.holder.prenom == "Zoé"
        nonce = found.claims.nonce
        subscribed.later(lambda: subscribed.talks[0].notify("presentation.token", event(subscribed, "sub-0", nonce)))
        second = next(stream)
        assert second.jti != found.jti, "one that is told twice is given once"
        stream.close()
        subscribed.wait_for("presentations.unsubscribe")
        reader.ping()
    assert subscribed.outbox == {}, "acknowledged"


def test_after_a_loss_it_goes_on_with_what_was_not_delivered(subscribed: FakeDaemon, home: Path) -> None:
    async def work() -> None:
        async with (
            vitale_reader.aio.connect(home=home) as reader,
            aclosing(reader.subscribe(acknowledge=False)) as stream,
        ):
            first = await anext(stream)
            await asyncio.to_thread(subscribed.stop)
            missed = subscribed.issue(first.claims.nonce)
            subscribed.issue("n" * 22)  # somebody else's request
            await asyncio.to_thread(subscribed.start)
            later = [await anext(stream), await anext(stream)]
            assert missed.claims.jti in {found.jti for found in later}
            assert first.jti not in {found.jti for found in later}

    asyncio.run(work())
    wishes = [call.params for call in subscribed.named("presentations.subscribe")]
    nonces = {wish.nonce for wish in wishes if isinstance(wish, PresentationsSubscribe)}
    assert len(nonces) == 1, "one subscription, one nonce"


@pytest.fixture
def scanned(daemon: FakeDaemon) -> FakeDaemon:
    """Each subscription to codes gets one at once, in the same breath as its name."""

    def subscribe(talk: Talk, call: Called) -> Result | None:
        name = f"codes-{len(daemon.named('codes.subscribe'))}"
        talk.session.reply(call.id, CodesSubscribed(subscription=name))
        talk.session.notify("code.read", CodeRead(subscription=name, reader="scanner:one", symbology="ean", data=name))
        talk.flush()
        return None

    daemon.handlers["codes.subscribe"] = subscribe
    daemon.handlers["codes.unsubscribe"] = lambda _, __: Done()
    return daemon


def test_codes_come_one_after_the_other_and_the_end_is_told(scanned: FakeDaemon, home: Path) -> None:
    with vitale_reader.connect(home=home) as reader:
        stream = reader.codes(readers="scanner:one")
        assert next(stream).data == "codes-0"
        box = CodeRead(subscription="codes-0", reader="scanner:one", data="01…", gs1=Gs1(gtin="03400930000120"))
        scanned.later(lambda: scanned.talks[0].notify("code.read", box))
        assert box == next(stream)
        stream.close()
        scanned.wait_for("codes.unsubscribe")
        reader.ping()
    assert [call.params for call in scanned.named("codes.subscribe")] == [CodesSubscribe(readers=("scanner:one",))]
    assert [call.params for call in scanned.named("codes.unsubscribe")] == [CodesUnsubscribe(subscription="codes-0")]


def test_codes_go_on_after_a_loss_and_end_with_the_connection(scanned: FakeDaemon, home: Path) -> None:
    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as reader:
            stream = reader.codes()
            assert (await anext(stream)).data == "codes-0"
            await asyncio.to_thread(scanned.stop)
            await asyncio.to_thread(scanned.start)
            assert (await anext(stream)).data == "codes-1"
            assert scanned.named("codes.subscribe")[-1].params == CodesSubscribe()
            waiting = asyncio.ensure_future(anext(stream, None))
            await asyncio.sleep(0)
        assert await waiting is None

    asyncio.run(work())


def test_progress_and_failures_are_told(daemon: FakeDaemon, home: Path) -> None:
    def subscribe(talk: Talk, call: Called) -> Result | None:
        assert isinstance(call.params, PresentationsSubscribe)
        talk.session.reply(call.id, PresentationsSubscribed(subscription="s"))
        talk.session.notify(
            "presentation.progress", PresentationProgress(subscription="s", step="reading", message="…")
        )
        failed = PresentationFailed(subscription="s", reason="medium_mute", message="Muette", remedy="Retournez-la.")
        talk.session.notify("presentation.failed", failed)
        talk.session.notify("presentation.token", event(daemon, "s", call.params.nonce))
        talk.flush()
        return None

    daemon.handlers["presentations.subscribe"] = subscribe
    daemon.handlers["presentations.unsubscribe"] = lambda _, __: Done()
    told: list[str] = []
    with vitale_reader.connect(home=home) as reader:
        stream = reader.subscribe(
            on_progress=lambda step: told.append(step.step), on_failure=lambda failure: told.append(failure.reason)
        )
        next(stream)
        stream.close()
    assert told == ["reading", "medium_mute"]


def test_who_asks_for_tokens_alone_hears_of_nothing_else(daemon: FakeDaemon, home: Path) -> None:
    def subscribe(talk: Talk, call: Called) -> Result | None:
        assert isinstance(call.params, PresentationsSubscribe)
        talk.session.reply(call.id, PresentationsSubscribed(subscription="s"))
        told = event(daemon, "s", call.params.nonce)
        failed = PresentationFailed(subscription="s", reason="medium_mute", message="Muette", remedy="Retournez-la.")
        progress = PresentationProgress(subscription="s", step="reading", message="…")
        code = CodeRead(subscription="s", reader="scanner:one", data="3400930000120")
        for name, heard in [("failed", failed), ("progress", progress), ("token", told)]:
            talk.session.notify(f"presentation.{name}", heard)
        talk.session.notify("code.read", code)
        talk.session.notify("presentation.token", event(daemon, "s", call.params.nonce))
        talk.flush()
        return None

    daemon.handlers["presentations.subscribe"] = subscribe
    daemon.handlers["presentations.unsubscribe"] = lambda _, __: Done()
    with vitale_reader.connect(home=home) as reader:
        stream = reader.subscribe()
        assert 2 == len({next(stream).jti, next(stream).jti})
        stream.close()


def test_who_asks_for_codes_hears_of_codes(daemon: FakeDaemon, home: Path) -> None:
    def subscribe(talk: Talk, call: Called) -> Result | None:
        talk.session.reply(call.id, CodesSubscribed(subscription="c"))
        progress = PresentationProgress(subscription="c", step="reading", message="…")
        talk.session.notify("presentation.progress", progress)
        talk.session.notify("code.read", CodeRead(subscription="c", reader="scanner:one", data="3400930000120"))
        talk.flush()
        return None

    daemon.handlers["codes.subscribe"] = subscribe
    daemon.handlers["codes.unsubscribe"] = lambda _, __: Done()
    with vitale_reader.connect(home=home) as reader:
        stream = reader.codes()
        assert "3400930000120" == next(stream).data
        stream.close()


def test_a_stream_of_a_closed_connection_says_so(scanned: FakeDaemon, home: Path) -> None:
    with vitale_reader.connect(home=home) as reader:
        stream = reader.codes()
        assert "codes-0" == next(stream).data
    with pytest.raises(LocalMisuse, match="closed"):
        next(stream)


def test_a_subscription_that_is_refused_says_why(daemon: FakeDaemon, home: Path) -> None:
    daemon.handlers["presentations.subscribe"] = lambda _, __: NotAuthorised("no")
    with vitale_reader.connect(home=home) as reader, pytest.raises(NotAuthorised):
        next(reader.subscribe(scopes=["nir"]))


def test_a_daemon_that_does_not_come_back_ends_it(subscribed: FakeDaemon, home: Path) -> None:
    with vitale_reader.Connection(not_again(home)) as reader:
        stream = reader.subscribe()
        next(stream)
        subscribed.stop()
        with pytest.raises(DaemonUnreachable):
            next(stream)


def test_closing_the_connection_ends_the_loop(subscribed: FakeDaemon, home: Path) -> None:
    begun = threading.Event()
    reader = vitale_reader.connect(home=home)
    reader.open()
    stream = reader.subscribe(on_progress=lambda _: begun.set())
    next(stream)

    def close() -> None:
        assert begun.wait(60)
        reader.close()

    closing = threading.Thread(target=close)
    closing.start()
    # It is told while somebody waits for the next token, and not before.
    progress = PresentationProgress(subscription="sub-0", step="reading", message="…")
    subscribed.later(lambda: subscribed.talks[0].notify("presentation.progress", progress))
    assert list(stream) == []
    closing.join(60)
    assert not closing.is_alive()


@pytest.mark.parametrize("what", ["stream", "lease"])
def test_what_ends_just_as_the_connection_is_closed_has_ended(
    subscribed: FakeDaemon, slot: FakeDaemon, home: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    reader = vitale_reader.connect(home=home)
    reader.open()
    schedule = reader._schedule

    def closed_before(*arguments: Any) -> None:
        reader.close()
        schedule(*arguments)

    with contextlib.ExitStack() as stack:
        if what == "stream":
            next(stack.enter_context(contextlib.closing(reader.subscribe())))
        else:
            stack.enter_context(reader.lease("pcsc:one"))
        monkeypatch.setattr(reader, "_schedule", closed_before)


# ── leases ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def slot(daemon: FakeDaemon) -> FakeDaemon:
    """A daemon with a card that answers with what it was sent."""

    def transmit(talk: Talk, call: Called) -> Any:
        assert isinstance(call.params, CardTransmit)
        if "00ff000000" in call.params.apdus:
            return CardError("refused", data={"sw": "6D00", "index": 1})
        return CardTransmitted(responses=tuple(apdu.upper() + "9000" for apdu in call.params.apdus))

    daemon.handlers["lease.acquire"] = lambda _, __: LeaseAcquired(lease="l1", atr="3B00", expires_at=5.0)
    daemon.handlers["lease.renew"] = lambda _, __: LeaseRenewed(expires_at=9.0)
    daemon.handlers["lease.release"] = lambda _, __: LeaseReleased(released=True)
    daemon.handlers["card.transmit"] = transmit
    return daemon


def test_a_card_is_held_and_given_back(slot: FakeDaemon, home: Path) -> None:
    with vitale_reader.connect(home=home) as reader:
        with reader.lease("pcsc:one", ttl=2.5) as lease:
            assert (lease.id, lease.reader, lease.atr, lease.expires_at) == ("l1", "pcsc:one", b"\x3b\x00", 5.0)
            assert lease.transmit(bytes(5), b"\x00\xb0\x00\x00") == (
                bytes(5) + b"\x90\x00",
                b"\x00\xb0\x00\x00\x90\x00",
            )
            with pytest.raises(CardError) as refused:
                lease.transmit(bytes(5), bytes.fromhex("00FF000000"))
            assert (refused.value.data["sw"], refused.value.data["index"]) == ("6D00", 1)
            assert lease.renew(9.0) == lease.expires_at == 9.0
        assert lease.ended == "released"
    (asked,) = slot.named("lease.acquire")
    assert asked.params == LeaseAcquire(reader="pcsc:one", previous=None, ttl_ms=2500)
    assert len(slot.named("lease.release")) == 1


def test_its_end_is_known(slot: FakeDaemon, home: Path) -> None:
    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as reader, reader.lease("pcsc:one") as lease:
            slot.later(lambda: slot.talks[0].notify("lease.ended", LeaseEnded(lease="l1", why="card")))
            while lease.ended is None:
                await reader.ping()
            assert lease.ended == "card"
            slot.handlers["card.transmit"] = lambda _, __: LeaseExpired("over", variant="card", data={"why": "card"})
            with pytest.raises(LeaseExpired) as over:
                await lease.transmit(bytes(5))
            assert over.value.data["why"] == "card"

    asyncio.run(work())


def test_a_lost_connection_ends_it(slot: FakeDaemon, home: Path) -> None:
    slot.handlers["card.transmit"] = lambda talk, _: talk.drop()
    with (
        vitale_reader.connect(home=home) as reader,
        reader.lease("pcsc:one") as lease,
        pytest.raises(DaemonUnreachable),
    ):
        lease.transmit(bytes(5))
    assert lease.ended == "client"
    assert slot.named("lease.release") == []
    assert len(slot.named("card.transmit")) == 1, "what a card did is not done twice"


def test_a_refusal_is_raised_by_with(slot: FakeDaemon, home: Path) -> None:
    slot.handlers["lease.acquire"] = lambda _, __: LeaseConflict("leased")
    with (
        vitale_reader.connect(home=home) as reader,
        pytest.raises(LeaseConflict),
        reader.lease("pcsc:one", previous="l0"),
    ):
        pass


@pytest.mark.parametrize("ttl", [0.05, 61.0])
def test_times_have_limits(slot: FakeDaemon, home: Path, ttl: float) -> None:
    with vitale_reader.connect(home=home) as reader, pytest.raises(LocalMisuse), reader.lease("pcsc:one", ttl=ttl):
        pass
    assert slot.named("lease.acquire") == []
