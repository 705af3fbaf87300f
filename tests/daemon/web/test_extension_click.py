"""The button of the extension, pressed in real browsers: one site is granted, and no other."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.web.browsers import Browser, Chromium, Firefox, browser, is_installed
from tests.daemon.web.pages import PATIENCE
from tests.daemon.web.shops import serving
from tests.daemon.web.test_extension import HOST, IS_THERE, unpack
from vitale_protocol.web.extensions import CHROMIUM_ID, FIREFOX_ID

#: Browsers that start and stop on a busy machine.
pytestmark = [pytest.mark.posix, pytest.mark.timeout(600)]

#: Pages here have no certificates; everything else of the manifest is as it is given to users.
SITES = ["http://*/*"]

REGISTERED = "chrome.scripting.getRegisteredContentScripts().then((all) => all.flatMap((each) => each.matches))"

BUTTON = f"document.getElementById('{FIREFOX_ID.replace('@', '_')}-BAP')"
#: Its background page has run, and the window is in front: a press before is nobody's, and nothing is asked behind.
LISTENS = (
    f"WebExtensionPolicy.getByID('{FIREFOX_ID}').extension.backgroundState === 'running'"
    " && (window.focus(), Services.focus.activeWindow === window)"
)
#: A question comes at once, or not at all: whoever presses looks for so long, and presses again.
LOOK = 5.0
#: The question of the browser, once it is shown and takes an answer.
QUESTION = "PopupNotifications.panel.firstElementChild"
#: Nobody is there who could be tricked into an answer: the question takes it at once.
PROMPT = 'user_pref("security.notification_enable_delay", 0);\nuser_pref("security.dialog_enable_delay", 0);\n'


@pytest.mark.skipif(not is_installed(Firefox), reason="firefox-esr is not installed")
def test_a_press_and_a_consent_grant_one_site_in_firefox(tmp_path: Path) -> None:
    extension = tmp_path / "extension"
    unpack(extension, "firefox", granted=())
    manifest: dict[str, Any] = json.loads((extension / "manifest.json").read_text("utf-8"))
    (extension / "manifest.json").write_text(json.dumps(manifest | {"optional_host_permissions": SITES}))

    async def work(shown: Firefox, port: int) -> None:
        await shown.add(extension)
        await shown.evaluate_in_window(
            f"void CustomizableUI.addWidgetToArea('{FIREFOX_ID.replace('@', '_')}-browser-action', 'nav-bar')"
        )
        assert not await shown.evaluate(IS_THERE)
        await until(shown, LISTENS)

        await answered(shown, "secondaryButton")
        assert not await shown.evaluate(IS_THERE)

        await answered(shown, "button")
        await until_there(shown)
        await shown.reload()
        assert await shown.evaluate(IS_THERE)
        await shown.show(f"http://other.localhost:{port}/")
        assert not await shown.evaluate(IS_THERE)

    play(tmp_path, Firefox, work, "--remote-allow-system-access")


@pytest.mark.skipif(not is_installed(Chromium), reason="chromium is not installed")
def test_a_press_brings_the_extension_into_the_page_in_chromium(tmp_path: Path) -> None:
    """The site is granted in the manifest: where nobody sees it, Chromium never answers its own question."""
    extension = tmp_path / "extension"
    unpack(extension, "chromium")

    async def work(shown: Chromium, port: int) -> None:
        await until_there(shown, reloading=True)
        await shown.evaluate_in_background(CHROMIUM_ID, "chrome.scripting.unregisterContentScripts()")
        await shown.reload()
        assert not await shown.evaluate(IS_THERE)

        await shown.press_action(CHROMIUM_ID)
        await until_there(shown)
        await shown.reload()
        assert await shown.evaluate(IS_THERE)
        await shown.show(f"http://other.localhost:{port}/")
        assert not await shown.evaluate(IS_THERE)
        assert [f"http://{HOST}/*"] == await shown.evaluate_in_background(
            CHROMIUM_ID,
            "chrome.scripting.getRegisteredContentScripts().then((all) => all.flatMap((each) => each.matches))",
        )

    loaded = (f"--disable-extensions-except={extension}", f"--load-extension={extension}")
    play(tmp_path, Chromium, work, "--enable-unsafe-extension-debugging", *loaded)


def play(folder: Path, kind: type[Browser], work: Any, *arguments: str) -> None:
    """Shows a page of a site, and works there."""
    site = folder / "site"
    site.mkdir()
    (site / "index.html").write_text("<!doctype html><title>Facturation</title>")

    async def run() -> None:
        with serving(site, {}) as port:
            async with browser(kind, folder / "profile", *arguments, files={"user.js": PROMPT}) as shown:
                await shown.show(f"http://{HOST}:{port}/")
                await work(shown, port)

    asyncio.run(run())


async def answered(shown: Firefox, answer: str) -> None:
    """Presses the button until the browser asks, and answers its question by one of its buttons."""
    async with asyncio.timeout(PATIENCE):
        while True:
            await shown.evaluate_in_window(f"void (window.focus(), {BUTTON}.click())")  # another may come in front
            with contextlib.suppress(TimeoutError):
                await until(shown, f"PopupNotifications.panel.state === 'open' && {QUESTION}", within=LOOK)
                break
    asked = await shown.evaluate_in_window(f"{QUESTION}.textContent + {QUESTION}.getAttribute('name')")
    await shown.evaluate_in_window(f"void {QUESTION}.{answer}.click()")
    await until(shown, "PopupNotifications.panel.state === 'closed'")
    assert HOST in asked


async def until(shown: Firefox, condition: str, *, within: float = PATIENCE) -> None:
    """Waits until an expression is true in the window around the page, some seconds at most."""
    async with asyncio.timeout(within):
        while not await shown.evaluate_in_window(f"Boolean({condition})"):  # noqa: ASYNC110  it tells of no such event
            await asyncio.sleep(0.05)


async def until_there(shown: Browser, *, reloading: bool = False) -> None:
    """Waits until the extension is in the page."""
    async with asyncio.timeout(PATIENCE):
        while not await shown.evaluate(IS_THERE):
            if reloading:  # it is added while the browser starts
                await shown.reload()
            await asyncio.sleep(0.05)
