"""Billing software on a web page: paired by a person at the desk, over the gateway, with a key of its own."""

import asyncio

from cryptography.hazmat.primitives.asymmetric import ec

from tests.daemon.web.socket_pages import SocketPage, socket_page
from tests.situations.counter import FIRST_SLOT, Counter, Heard
from vitale_protocol.catalogue import Language
from vitale_protocol.events import PresentationProgress

__all__ = ["asks_twice"]

WISH = {"nonce": "n" * 22, "media": ["vitale-card"], "readers": [FIRST_SLOT], "timeout_ms": 600_000}


def asks_twice(counter: Counter, language: Language) -> Heard:
    """A page has its token of a card, and asks again while the card is there still; then it is put in again."""
    return asyncio.run(_asks_twice(counter, language))


async def _asks_twice(counter: Counter, language: Language) -> Heard:
    endpoints, key, heard = counter.endpoints, ec.generate_private_key(ec.SECP256R1()), Heard()
    assert endpoints.web is not None
    with counter.client() as desk:
        await asyncio.to_thread(desk.open_pairing)
        async with socket_page(endpoints.web.port, key) as asking:
            revealed = await asking.ask(("identity",))
            await asyncio.to_thread(desk.pairing_asked)
            await asyncio.to_thread(desk.accept_pairing, asking.code, scopes=("identity",))
            await asking.answer(revealed)
    async with socket_page(endpoints.web.port, key) as page:
        await page.open(language)
        counter.slot.insert(counter.card())
        await page.result("presentation.request", WISH)
        page.notifications.clear()
        second = page.send_call("presentation.request", WISH)
        while (progress := await _progress(page)).step != "reinsert":
            heard.step(progress, language, ("vitale-card",))
        heard.step(progress, language, ("vitale-card",))
        counter.slot.remove()
        counter.slot.insert(counter.card())
        claims = (await page.answer(second))["result"]["claims"]
        heard.given(tuple(claims.get("warnings", ())), language)
    return heard


async def _progress(page: SocketPage) -> PresentationProgress:
    message = await page.receive()
    assert message is not None
    assert "presentation.progress" == message["method"]
    told = message["params"]
    return PresentationProgress(step=told["step"], message=told["message"], remedy=told.get("remedy"))
