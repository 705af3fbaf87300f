"""Deliveries: what it costs to make a token and to hand it over is charged to the client that gets it."""

import functools
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from vitale_protocol import signing
from vitale_reader.daemon import app
from vitale_reader.daemon.fairness.processor_shares import CLIENT_SHARE, Shares
from vitale_reader.daemon.issuing import issuer
from vitale_reader.daemon.store.store import Store

pytestmark = pytest.mark.posix

NONCE = "c" * 22
WANTED = {"nonce": NONCE, "media": ["apcv-nfc"], "scopes": ["identity"]}

#: Seconds that are more than a client has at once.
MUCH = CLIENT_SHARE.burst + 0.3


class Processor:
    """A processor whose time passes by one thing alone."""

    def __init__(self) -> None:
        self.used = 0.0
        self.all: list[Shares] = []

    def shares(self) -> Shares:
        self.all.append(Shares(used=lambda: self.used))
        return self.all[-1]

    def costly(self, work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def costs(*arguments: Any, **options: Any) -> Any:
            self.used += MUCH
            return work(*arguments, **options)

        return costs

    def owes(self, owner: str) -> bool:
        return self.all[-1].wait(owner, None) > 0


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Processor:
    made = Processor()
    monkeypatch.setattr(app, "Shares", made.shares)
    monkeypatch.setattr(issuer, "sign", made.costly(signing.sign))
    return made


async def by_request(counter: Any, line: Any) -> None:
    await counter.claims(line, b"VITALESIM.requested", **WANTED)


async def by_subscription(counter: Any, line: Any) -> None:
    await line.result("presentations.subscribe", WANTED)
    counter.tap(b"VITALESIM.unasked")
    while (message := await line.receive()) and message.get("method") != "presentation.token":
        pass


async def by_submission(counter: Any, line: Any) -> None:
    await line.result("presentation.submit", {"nonce": NONCE, "payload": "VITALESIM.submitted", "scopes": ["identity"]})


@pytest.mark.parametrize("asked", [by_request, by_subscription, by_submission])
def test_a_token_is_charged_to_the_client_that_gets_it(
    counter: Any, processor: Processor, asked: Callable[[Any, Any], Awaitable[None]]
) -> None:
    async def work(line: Any) -> None:
        pairing = await counter.paired(line)
        async with counter.tools.unix_line(counter.home.endpoints()) as paired:
            await paired.open(credential=pairing["credential"])
            assert not processor.owes(pairing["client_id"])
            await asked(counter, paired)
            assert processor.owes(pairing["client_id"])

    counter.run(work)


def test_what_keeps_a_token_is_charged_to_the_client_that_gets_it(
    counter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged: list[str] = []
    shares = Shares()
    spend = shares.spend

    def noted(owner: Any, group: Any, seconds: float) -> None:
        charged.append(owner)
        spend(owner, group, seconds)

    monkeypatch.setattr(shares, "spend", noted)
    monkeypatch.setattr(app, "Shares", lambda: shares)
    run = Store.run

    async def marked(self: Store, work: Callable[..., Any], **options: Any) -> Any:
        result = await run(self, work, **options)
        charged.append("in the store")
        return result

    monkeypatch.setattr(Store, "run", marked)

    async def work(line: Any) -> None:
        pairing = await counter.paired(line)
        async with counter.tools.unix_line(counter.home.endpoints()) as paired:
            await paired.open(credential=pairing["credential"])
            request = await counter.ask(paired, scopes=["identity"])
            charged.clear()
            counter.tap(b"VITALESIM.kept")
            await paired.answer(request)
            assert "in the store" in charged
            behind = [after for before, after in itertools.pairwise(charged) if before == "in the store"]
            assert pairing["client_id"] in behind

    counter.run(work)
