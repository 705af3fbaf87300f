"""Real browsers, without a driver between: Chromium by its DevTools protocol, Firefox by WebDriver BiDi."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.daemon.web.pages import PATIENCE, Json
from vitale_reader.daemon.workers.offspring import Offspring

#: A browser that starts on a busy machine.
STARTING = 3 * PATIENCE


#: Keys by their names: code of Windows, text, character of WebDriver.
KEYS = {
    "Enter": (13, "\r", "\ue007"),
    "Escape": (27, "", "\ue00c"),
    "Tab": (9, "", "\ue004"),
    "ArrowDown": (40, "", "\ue015"),
    " ": (32, " ", " "),
}


class Browser(ABC):
    """A browser with one page."""

    program: str

    def __init__(self, line: ClientConnection) -> None:
        self.line = line
        self._numbers = itertools.count(1)

    @classmethod
    @abstractmethod
    def arguments(cls, folder: Path) -> Sequence[str]:
        """Its command line."""

    @classmethod
    @abstractmethod
    def address(cls, folder: Path, log: Path) -> str:
        """Where it is driven, once it says so; empty before."""

    @abstractmethod
    async def begin(self, *, apart: bool = False) -> None:
        """Takes its page over; one that shares nothing with other pages is made for it where it is to be apart."""

    @abstractmethod
    async def end(self) -> None:
        """Leaves its page."""

    @abstractmethod
    async def show(self, url: str) -> None:
        """Loads a page, to its end."""

    @abstractmethod
    async def visit(self, url: str) -> None:
        """Begins to load a page, which may lead to another."""

    @abstractmethod
    async def saving(self, profile: Path) -> Path:
        """Has files saved unasked, and says to which folder.

        Args:
            profile: the folder of its profile, and home of its user.
        """

    @abstractmethod
    async def reload(self) -> None:
        """Loads the page again, to its end."""

    @abstractmethod
    async def evaluate(self, text: str) -> Any:
        """What an expression of JavaScript comes to; promises are waited for."""

    @abstractmethod
    async def press(self, key: str) -> None:
        """Presses a key: one of ``KEYS``."""

    @abstractmethod
    async def resize(self, width: int, height: int) -> None:
        """Gives the page so many pixels."""

    @abstractmethod
    async def picture(self) -> bytes:
        """What the page looks like, as a PNG."""

    async def until(self, condition: str) -> None:
        """Waits until an expression of JavaScript is true."""
        try:
            async with asyncio.timeout(STARTING):
                while not await self.evaluate(f"Boolean({condition})"):  # noqa: ASYNC110  a page has no event for it
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            shown = await self.evaluate("document.body.innerText")
            raise AssertionError(f"never came: {condition}; the page shows:\n{shown}") from error

    async def command(self, method: str, params: Json, **more: Any) -> Json:
        """Sends a command; its answer."""
        number = next(self._numbers)
        async with asyncio.timeout(STARTING):
            await self.line.send(json.dumps({"id": number, "method": method, "params": params, **more}))
            while True:
                message = json.loads(await self.line.recv())
                if message.get("id") == number:
                    assert message.get("type") != "error", message
                    assert "error" not in message, message
                    return dict(message["result"])


#: A name that its owner has lead to this machine, in Chromium.
REBOUND = "rebound.example"


class Chromium(Browser):
    """Chromium, in its new headless mode."""

    program = "chromium"
    _session = ""

    @classmethod
    def arguments(cls, folder: Path) -> Sequence[str]:
        quiet = ("background-networking", "component-update", "sync", "quic", "gpu", "dev-shm-usage")
        return (
            "--headless=new",
            "--no-sandbox",  # root has no other
            "--no-first-run",
            *(f"--disable-{each}" for each in quiet),
            f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
            "about:blank",
        )

    @classmethod
    def address(cls, folder: Path, log: Path) -> str:
        file = folder / "DevToolsActivePort"
        told = file.read_text().splitlines() if file.exists() else []
        return "ws://127.0.0.1:{}{}".format(*told) if len(told) == 2 else ""

    def __init__(self, line: ClientConnection) -> None:
        super().__init__(line)
        self._tab = ""

    async def begin(self, *, apart: bool = False) -> None:
        if apart:
            # A private one would keep nothing. What pages keep is apart by their origins: each site is another one.
            page = self._tab = (await self.command("Target.createTarget", {"url": "about:blank"}))["targetId"]
        else:
            targets = (await self.command("Target.getTargets", {}))["targetInfos"]
            (page,) = (each["targetId"] for each in targets if each["type"] == "page")
        attached = await self.command("Target.attachToTarget", {"targetId": page, "flatten": True})
        self._session = attached["sessionId"]

    async def end(self) -> None:
        if self._tab:
            await self.command("Browser.resetPermissions", {})
            await self.command("Target.closeTarget", {"targetId": self._tab})

    async def show(self, url: str) -> None:
        await self.command("Page.navigate", {"url": url}, sessionId=self._session)
        await self._loaded(url)

    async def visit(self, url: str) -> None:
        await self.command("Page.navigate", {"url": url}, sessionId=self._session)

    async def saving(self, profile: Path) -> Path:
        folder = profile / "Downloads"
        await self.command("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        return folder

    async def reload(self) -> None:
        await self.evaluate("window.before = true")
        await self.command("Page.reload", {}, sessionId=self._session)
        await self._loaded("")

    async def press(self, key: str) -> None:
        code, text, _ = KEYS[key]
        pressed = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        for kind in ("keyDown", "keyUp"):
            await self.command(
                "Input.dispatchKeyEvent",
                {"type": kind, **pressed, **({"text": text} if text and kind == "keyDown" else {})},
                sessionId=self._session,
            )

    async def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.command("Emulation.setDeviceMetricsOverride", size, sessionId=self._session)

    async def colours(self, scheme: str) -> None:
        """Prefers the ``light`` or the ``dark`` colours, and nothing that moves."""
        wanted = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        await self.command("Emulation.setEmulatedMedia", {"features": wanted}, sessionId=self._session)

    async def picture(self) -> bytes:
        told = await self.command("Page.captureScreenshot", {"format": "png"}, sessionId=self._session)
        return base64.b64decode(told["data"])

    async def permit(self, setting: str) -> None:
        """Decides whether pages reach programs of this machine: ``granted``, ``denied`` or ``prompt``."""
        for name in ("loopback-network", "local-network-access"):
            await self.command("Browser.setPermission", {"permission": {"name": name}, "setting": setting})

    async def evaluate(self, text: str) -> Any:
        return await self._evaluate(text, self._session)

    async def press_action(self, extension: str) -> None:
        """Presses the button of an extension in the toolbar; it needs ``--enable-unsafe-extension-debugging``."""
        (tab,) = (await self.command("Target.getTargets", {"filter": [{"type": "tab"}]}))["targetInfos"]
        await self.command("Extensions.triggerAction", {"id": extension, "targetId": tab["targetId"]})

    async def evaluate_in_background(self, extension: str, text: str) -> Any:
        """What an expression comes to in the service worker of an extension that is awake."""
        address = f"chrome-extension://{extension}/"
        targets = (await self.command("Target.getTargets", {}))["targetInfos"]
        (worker,) = (each for each in targets if each["type"] == "service_worker" and each["url"].startswith(address))
        attached = await self.command("Target.attachToTarget", {"targetId": worker["targetId"], "flatten": True})
        found = await self._evaluate(text, attached["sessionId"])
        await self.command("Target.detachFromTarget", {"sessionId": attached["sessionId"]})
        return found

    async def _evaluate(self, text: str, session: str) -> Any:
        told = await self.command(
            "Runtime.evaluate", {"expression": text, "awaitPromise": True, "returnByValue": True}, sessionId=session
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def _loaded(self, url: str) -> None:
        ready = f"document.readyState === 'complete' && !window.before && location.href.startsWith({json.dumps(url)})"
        async with asyncio.timeout(STARTING):
            while True:
                # Between two documents there is nothing to ask.
                with contextlib.suppress(AssertionError):
                    if await self.evaluate(ready):
                        return
                await asyncio.sleep(0.05)


class Firefox(Browser):
    """Firefox ESR, headless."""

    program = "firefox-esr"
    _context = ""

    def __init__(self, line: ClientConnection) -> None:
        super().__init__(line)
        self._container: Json = {}

    @classmethod
    def arguments(cls, folder: Path) -> Sequence[str]:
        return ("--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port=0", "about:blank")

    @classmethod
    def address(cls, folder: Path, log: Path) -> str:
        found = re.search(r"WebDriver BiDi listening on (\S+)\n", log.read_text(errors="replace"))
        return f"{found[1]}/session" if found else ""

    async def begin(self, *, apart: bool = False) -> None:
        await self.command("session.new", {"capabilities": {}})
        if apart:
            self._container = await self.command("browser.createUserContext", {})
        # The window that it begins with is not the active one, on a screen that nobody sees: keys would press nothing.
        self._context = (await self.command("browsingContext.create", {"type": "window"} | self._container))["context"]
        await self.command("browsingContext.activate", {"context": self._context})

    async def end(self) -> None:
        if self._container:
            await self.command("browser.removeUserContext", self._container)
        await self.command("session.end", {})

    async def show(self, url: str) -> None:
        await self.command("browsingContext.navigate", {"context": self._context, "url": url, "wait": "complete"})

    async def visit(self, url: str) -> None:
        await self.command("browsingContext.navigate", {"context": self._context, "url": url, "wait": "none"})

    async def saving(self, profile: Path) -> Path:
        # As it does by itself; its command for another folder is younger than the oldest that the tests know.
        return profile / "Downloads"

    async def reload(self) -> None:
        await self.command("browsingContext.reload", {"context": self._context, "wait": "complete"})

    async def press(self, key: str) -> None:
        *_, value = KEYS[key]
        actions = [{"type": kind, "value": value} for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keyboard", "actions": actions}
        await self.command("input.performActions", {"context": self._context, "actions": [source]})

    async def resize(self, width: int, height: int) -> None:
        await self.command(
            "browsingContext.setViewport", {"context": self._context, "viewport": {"width": width, "height": height}}
        )

    async def picture(self) -> bytes:
        told = await self.command("browsingContext.captureScreenshot", {"context": self._context})
        return base64.b64decode(told["data"])

    async def add(self, extension: Path) -> None:
        """Adds an extension, until the end."""
        data = {"type": "path", "path": str(extension)}
        await self.command("webExtension.install", {"extensionData": data})

    async def evaluate(self, text: str) -> Any:
        return await self._evaluate(text, self._context)

    async def evaluate_in_window(self, text: str) -> Any:
        """What an expression comes to in the window around the page; it needs ``--remote-allow-system-access``."""
        contexts = (await self.command("browsingContext.getTree", {"moz:scope": "chrome"}))["contexts"]
        windows = [each["context"] for each in contexts if each.get("moz:scope") == "chrome"]
        if not windows:
            pytest.skip("this Firefox lets nobody press its own buttons; the next ESR (153) does")
        # The first is the one that it begins with.
        return await self._evaluate(text, windows[-1])

    async def _evaluate(self, text: str, context: str) -> Any:
        told = await self.command(
            "script.evaluate",
            {
                "expression": f"(async () => JSON.stringify(await ({text})))()",
                "target": {"context": context},
                "awaitPromise": True,
            },
        )
        assert "exceptionDetails" not in told, told
        value = told["result"].get("value")
        return None if value is None else json.loads(value)


def is_installed(kind: type[Browser]) -> bool:
    return shutil.which(kind.program) is not None


@contextmanager
def started(
    kind: type[Browser],
    folder: Path,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> Generator[str]:
    """A browser with a profile of its own, ended at the end with all that it started; where it is driven.

    Args:
        kind: which.
        folder: of its profile, and of its user.
        arguments: before its own.
        environ: more of its environment.
        files: of the profile, and their texts.
    """
    folder.mkdir()
    for name, text in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    log = folder / "stderr"
    with log.open("wb") as said:
        process = subprocess.Popen(
            (kind.program, *arguments, *kind.arguments(folder)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, "HOME": str(folder), "MOZ_CRASHREPORTER_DISABLE": "1", **(environ or {})},
            start_new_session=True,
        )
    try:
        end, pause = time.monotonic() + STARTING, threading.Event()
        while not (address := kind.address(folder, log)):
            assert process.poll() is None, f"it ended: {log.read_text(errors='replace')}"
            assert time.monotonic() < end, f"it does not start: {log.read_text(errors='replace')}"
            pause.wait(0.05)
        yield address
    finally:
        Offspring(process.pid).end()
        process.wait(STARTING)


@asynccontextmanager
async def driven(kind: type[Browser], address: str, *, apart: bool = False) -> AsyncGenerator[Browser]:
    """A page of a browser that runs; ``apart`` from other pages it shares no storage with them."""
    async with connect(address, max_size=None, ping_interval=None, open_timeout=STARTING) as line:
        made = kind(line)
        await made.begin(apart=apart)
        yield made
        await made.end()


@asynccontextmanager
async def browser(
    kind: type[Browser],
    folder: Path,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> AsyncGenerator[Browser]:
    """A browser of its own, with one page; see ``started``."""
    with contextlib.ExitStack() as ending:
        start = started(kind, folder, *arguments, environ=environ, files=files)
        address = await asyncio.to_thread(ending.enter_context, start)
        async with driven(kind, address) as shown:
            yield shown
