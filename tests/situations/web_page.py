"""Billing software on a web page: paired by a person at the desk, over the gateway, with a key of its own."""

import asyncio

from cryptography.hazmat.primitives.asymmetric import ec

from tests.daemon.web.socket_pages import SocketPage, socket_page
from tests.situations.counter import Counter, Heard
from tests.situations.deeds import Deed, Hearing
from vitale_protocol.catalogue import Language
from vitale_protocol.events import PresentationProgress
from vitale_protocol.records import Medium

__all__ = ["asks_twice"]


def asks_twice(medium: Medium, present: Deed, then: Deed) -> Hearing:
    """A page has its token of what is presented, and asks again while it is there; ``then`` it is presented again."""
    return lambda counter, language: asyncio.run(_asks_twice(counter, language, medium, present, then))


async def _asks_twice(counter: Counter, language: Language, medium: Medium, present: Deed, then: Deed) -> Heard:
    wish = {"nonce": "n" * 22, "media": [medium], "timeout_ms": 600_000}
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
        present(counter)
        await page.result("presentation.request", wish)
        page.notifications.clear()
        second = page.send_call("presentation.request", wish)
        while (progress := await _progress(page)).step != "reinsert":
            heard.step(progress, language, (medium,))
        heard.step(progress, language, (medium,))
        then(counter)
        claims = (await page.answer(second))["result"]["claims"]
        heard.given(tuple(claims.get("warnings", ())), language)
    return heard


async def _progress(page: SocketPage) -> PresentationProgress:
    message = await page.receive()
    assert message is not None
    assert "presentation.progress" == message["method"]
    told = message["params"]
    return PresentationProgress(step=told["step"], message=told["message"], remedy=told.get("remedy"))
