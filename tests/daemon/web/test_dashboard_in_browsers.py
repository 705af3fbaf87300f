"""The dashboard in real browsers, beside a daemon with a simulated reader and with a smart card service that is away.

One session of each browser sees everything: who comes in, each view in both languages, a reader that is unplugged, a
driver that dies, a remedy, a bundle, a pairing. With ``VITALE_READER_PICTURES=docs/pictures`` the pictures of the
documentation are made anew; with ``VITALE_READER_AXE`` naming a file of axe-core, its rules are put to each view.
"""

import asyncio
import contextlib
import json
import os
import zipfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.daemon.web.browsers import STARTING, Browser, Chromium, browser
from tests.daemon.web.pages import SITE, page
from tests.daemon.web.shops import BROWSERS
from vitale_firmware_sim.card.control import control
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.process import kill

pytestmark = [pytest.mark.posix, pytest.mark.timeout(600)]

VIEWS = {
    "overview": ("Vue d’ensemble", "Overview"),
    "present": ("Écran patient", "Patient screen"),
    "clients": ("Logiciels", "Software"),
    "camera": ("Caméra", "Camera"),
    "doctor": ("Diagnostic", "Diagnosis"),
    "trail": ("Journal d’audit", "Audit trail"),
    "settings": ("Configuration", "Configuration"),
}
#: Width and height of windows, and whether they are dark: a phone, a counter's large screen, a laptop.
SCREENS = ((320, 640, True), (3840, 2160, False), (1280, 860, True), (1280, 860, False))
READER = "comptoir"
PICTURES = os.environ.get("VITALE_READER_PICTURES", "")
AXE = os.environ.get("VITALE_READER_AXE", "")
KEY = ec.derive_private_key(11, ec.SECP256R1())

#: The words of the page that were not found would be shown by their names.
NAMES = r"/\b(nav|hero|last|attention|reader|driver|drivers|pair|clients|doctor|support|trail|settings|present)\.[a-z]/"


class Desk:
    """A station, its owner's session, and a browser."""

    def __init__(self, shown: Browser, owner: Any, folder: Path, control_socket: Path, host_socket: Path) -> None:
        self.browser, self.owner, self.folder = shown, owner, folder
        self.control_socket, self.host_socket = control_socket, host_socket
        self.violations: list[tuple[str, Any]] = []

    # ── hands ──

    async def play(self, line: str) -> None:
        """The hand at the counter."""
        await asyncio.to_thread(control, self.control_socket, line)

    async def click(self, words: str, within: str = "body") -> None:
        """Presses the first button with these words, once there is one."""
        found = (
            f"[...document.querySelectorAll({json.dumps(within)} + ' :is(button, a)')]"
            f".find((each) => each.textContent.trim() === {json.dumps(words)} && !each.disabled)"
        )
        await self.browser.until(f"Boolean({found})")
        await self.browser.evaluate(f"void {found}.click()")

    async def go(self, view: str) -> None:
        await self.browser.evaluate(f"void (location.hash = {json.dumps(view)})")

    # ── eyes ──

    async def sees(self, text: str, within: str = "body") -> None:
        """Waits until a text is shown."""
        await self.browser.until(
            f"document.querySelector({json.dumps(within)})?.innerText.includes({json.dumps(text)})"
        )

    async def sees_no(self, text: str, within: str = "body") -> None:
        """Waits until a text is shown no more."""
        await self.browser.until(
            f"!document.querySelector({json.dumps(within)})?.innerText.includes({json.dumps(text)})"
        )

    async def is_named(self, view: str, language: int) -> None:
        """Waits for a view in a language; no word of it is missing."""
        await self.browser.until(f"document.querySelector('h1')?.textContent === {json.dumps(VIEWS[view][language])}")
        await self.browser.until("!document.querySelector('.live-text')")
        assert not await self.browser.evaluate(f"{NAMES}.test(document.body.innerText)"), view

    async def fits(self, view: str) -> None:
        """Nothing is wider than the window; with axe-core, nothing is in anybody's way."""
        assert await self.browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        if not AXE:
            return
        if not await self.browser.evaluate("'axe' in window"):
            await self.browser.evaluate(f"(() => {{ {Path(AXE).read_text()} }})()")
        found = await self.browser.evaluate(
            "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })"
            ".then((told) => told.violations.map((each) => [each.id, each.nodes.map((node) => node.html).slice(0, 3)]))"
        )
        self.violations += [(view, each) for each in found if (view, each) not in self.violations]

    async def window(self, width: int, height: int, *, dark: bool = False) -> None:
        """Makes the window so large; dark where the browser can be told so."""
        await self.browser.resize(width, height)
        if isinstance(self.browser, Chromium):
            await self.browser.colours("dark" if dark else "light")

    async def picture(self, name: str, width: int = 1280, height: int = 860, *, dark: bool = False) -> None:
        """A picture for the documentation, by the browser that shows it the same everywhere."""
        if PICTURES and isinstance(self.browser, Chromium):
            await self.window(width, height, dark=dark)
            await asyncio.sleep(0.5)  # fonts and transitions come to rest
            Path(PICTURES, f"dashboard-{name}.png").write_bytes(await self.browser.picture())
            await self.window(1280, 860)

    # ── ways in ──

    async def arrives(self, condition: str) -> None:
        """Waits until something holds of the page that is loaded next; between two pages there is nothing to ask."""
        async with asyncio.timeout(STARTING):
            while True:
                with contextlib.suppress(AssertionError):
                    if await self.browser.evaluate(f"location.protocol === 'http:' && !window.before && ({condition})"):
                        return
                await asyncio.sleep(0.05)

    async def leaves_by(self, act: str) -> None:
        """Does what makes the browser load another page."""
        await self.browser.evaluate(f"void (window.before = true, {act})")

    async def enter(self) -> dict[str, Any]:
        """Goes in by the file of the owner; what the daemon told of it."""
        opened: dict[str, Any] = await self.owner.result("dashboard.open")
        await self.browser.visit(Path(opened["file"]).as_uri())
        await self.arrives("document.querySelector('h1') !== null && sessionStorage.length > 0")
        return opened


@asynccontextmanager
async def at_the_desk(kind: type[Browser], tools: Any, folder: Path) -> AsyncGenerator[Desk]:
    control_socket = folder / "control"
    config = parse(
        "[station]\nmode = 'simulated'\nname = 'Pharmacie des Essais'\n[tls]\nenabled = false\n[web]\nenabled = true\n"
        "port = 0\n[drivers]\nenabled = ['simulated-card', 'pcsc']\n"
        f"[drivers.options.simulated-card]\ncontrol = {json.dumps(str(control_socket))}\npresent = false\n"
    )
    async with tools.running(tools.home, config) as endpoints, tools.unix_line(endpoints) as owner:
        await owner.open(language="fr")
        async with browser(kind, folder / "profile") as shown:
            await shown.resize(1280, 860)
            yield Desk(shown, owner, folder, control_socket, tools.home.host_socket)


async def comes_in(desk: Desk) -> None:
    """By the file, once; what is kept in the browser, and what the address tells."""
    opened = await desk.enter()
    assert opened["url"] == await desk.browser.evaluate("location.href.replace(/#.*/, '')")
    kept = await desk.browser.evaluate("[localStorage.length, document.cookie, Object.keys(sessionStorage)]")
    assert [0, "", ["bearer"]] == kept
    assert not Path(opened["file"]).exists()
    await desk.browser.reload()
    await desk.browser.until("document.querySelector('nav') !== null")


async def speaks_both_languages_on_every_screen(desk: Desk) -> None:
    """Each view once in each language, at all sizes: some of them have a process started each time."""
    if await desk.browser.evaluate("document.documentElement.lang") != "fr":
        await desk.click("Français")
        await desk.browser.until("document.documentElement.lang === 'fr' && document.querySelector('nav') !== null")
    for language in (0, 1):
        for view in VIEWS:
            await desk.go(view)
            await desk.is_named(view, language)
            for width, height, dark in SCREENS:
                await desk.window(width, height, dark=dark)
                await desk.fits(view)
        await desk.go("overview")
        await desk.is_named("overview", language)
        await desk.click(("English", "Français")[language])
    await desk.is_named("overview", 0)
    assert [] == desk.violations


async def sees_readers_come_and_go(desk: Desk) -> None:
    await desk.sees("Lecteur simulé", "#readers ~ ul")
    await desk.play(f"unplug {READER}")
    await desk.sees_no("Lecteur simulé", "main")
    await desk.play(f"plug {READER}")
    await desk.sees("Lecteur simulé", "main")


async def sees_a_presentation(desk: Desk) -> None:
    request = desk.owner.send_call("presentation.request", {"nonce": "n" * 22, "media": ["vitale-card"]})
    await desk.sees("Une présentation est attendue")
    await desk.sees("Un programme de ce poste attend\u00a0: carte Vitale")
    await desk.picture("overview")
    await desk.picture("overview-dark", dark=True)
    await desk.picture("overview-small", 390, 844)
    await desk.go("present")
    await desk.sees("Insérez votre carte Vitale")
    await desk.picture("present")
    await desk.play(f"insert {READER} adulte")
    token = (await desk.owner.answer(request))["result"]
    await desk.sees("Vous pouvez reprendre votre carte.")
    names = [each["nom_usuel"] for each in token["claims"]["record"]["beneficiaires"] if each.get("nom_usuel")]
    assert names
    await desk.go("overview")
    await desk.sees("Dernière lecture réussie")
    assert not await desk.browser.evaluate(
        f"{json.dumps(names)}.some((name) => document.documentElement.outerHTML.includes(name))"
    )
    await desk.play(f"remove {READER}")


async def lives_through_a_driver_that_dies(desk: Desk) -> None:
    row = "[...document.querySelectorAll('tbody tr')].find((each) => each.innerText.startsWith('simulated-card'))"
    restarts = f"Number({row}.cells[2].innerText)"
    before = await desk.browser.evaluate(restarts)
    drivers = (await desk.owner.result("station.info"))["drivers"]
    kill(next(each["pid"] for each in drivers if each["name"] == "simulated-card"))
    await desk.browser.until(f"{restarts} > {before}")
    await desk.sees("Lecteur simulé", "main")


async def does_as_the_doctor_says(desk: Desk) -> None:
    await desk.go("doctor")
    before = {each["name"]: each.get("pid") for each in (await desk.owner.result("station.info"))["drivers"]}
    await desk.sees("Que faire")
    await desk.picture("doctor")
    await desk.click("Rouvrir le service de cartes à puce")
    await desk.sees("Le pilote pcsc redémarre.")
    async with asyncio.timeout(STARTING):
        while True:
            after = {each["name"]: each.get("pid") for each in (await desk.owner.result("station.info"))["drivers"]}
            if after["pcsc"] not in {None, before["pcsc"]}:
                break
            await asyncio.sleep(0.05)
    assert before["simulated-card"] == after["simulated-card"]


async def saves_the_bundle(desk: Desk) -> None:
    folder = desk.folder / "saved"
    folder.mkdir()
    await desk.browser.downloads(folder)
    await desk.click("Préparer le fichier")
    await desk.sees("report.txt")
    await desk.click("Enregistrer le fichier")
    async with asyncio.timeout(STARTING):
        while not (saved := [each for each in folder.iterdir() if zipfile.is_zipfile(each)]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    with zipfile.ZipFile(saved[0]) as bundle:
        assert {"report.txt", "findings.json", "configuration.json"} <= {*bundle.namelist()}


async def shows_names_as_text(desk: Desk) -> None:
    name = "<img src=x onerror=document.title='owned'>"
    added = {"name": name, "scopes": ["identity"], "transports": ["unix"]}
    client_id = (await desk.owner.result("clients.add", added))["client_id"]
    await desk.go("clients")
    await desk.sees(name)
    assert 0 == await desk.browser.evaluate("document.images.length")
    await desk.owner.result("clients.revoke", {"client_id": client_id})
    await desk.go("overview")
    await desk.is_named("overview", 0)


async def pairs_and_revokes_a_page(desk: Desk) -> None:
    await desk.go("clients")
    await desk.click("Ouvrir la fenêtre d’appairage")
    await desk.sees("En attente d’une page")
    async with page(desk.host_socket, KEY) as asking:
        revealed = await asking.ask(("identity", "nir"), name="Logiciel de facturation")
        await desk.sees("demande à être appairée")
        assert "example.fr" == await desk.browser.evaluate("document.querySelector('.site strong').textContent")
        assert [True, False] == await desk.browser.evaluate(
            "[...document.querySelectorAll('fieldset input')].map((each) => each.checked)"
        )
        assert not await desk.browser.evaluate(f"document.body.innerHTML.includes({json.dumps(asking.code)})")
        await desk.picture("pairing")
        wrong = f"{(int(asking.code) + 1) % 1_000_000:06d}"
        for typed in (wrong, asking.code):
            await desk.browser.evaluate(
                f"(() => {{ const at = document.getElementById('digits'); at.value = {json.dumps(typed)};"
                " at.dispatchEvent(new Event('input', { bubbles: true })); })()"
            )
            await desk.click("Appairer")
            if typed == wrong:
                await desk.sees("Ce n’est pas le code que la page affiche")
        await desk.sees(f"{SITE} est appairé.")
        paired = (await asking.answer(revealed))["result"]
        assert ["identity"] == paired["scopes"]
    async with page(desk.host_socket, KEY) as reading:
        await reading.open()
        await desk.click("Révoquer", "table")
        await desk.click("Révoquer", "dialog")
        assert 4001 == await reading.closed_with()
    await desk.sees("Aucun logiciel n’est appairé")


async def stays_out_with_a_ticket_that_was_used(desk: Desk) -> None:
    """Another tab, which keeps nothing of the first: by the code that is typed, once."""
    opened = await desk.owner.result("dashboard.open")
    await desk.leaves_by("sessionStorage.clear(), location.reload()")
    await desk.arrives("document.getElementById('code') !== null")
    typed = f"(document.getElementById('code').value = {json.dumps(opened['code'])}, document.forms[0].requestSubmit())"
    await desk.leaves_by(typed)
    await desk.arrives("document.querySelector('nav') !== null")
    await desk.leaves_by("sessionStorage.clear(), location.reload()")
    await desk.arrives("document.getElementById('code') !== null")
    await desk.leaves_by(typed)
    await desk.arrives("document.body.innerText.includes('it serves once')")
    assert 0 == await desk.browser.evaluate("Number(sessionStorage.getItem('bearer') ?? 0)")


@BROWSERS
def test_a_person_at_the_dashboard(kind: type[Browser], tools: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with at_the_desk(kind, tools, tmp_path) as desk:
            await comes_in(desk)
            await speaks_both_languages_on_every_screen(desk)
            await sees_readers_come_and_go(desk)
            await sees_a_presentation(desk)
            await lives_through_a_driver_that_dies(desk)
            await does_as_the_doctor_says(desk)
            await saves_the_bundle(desk)
            await shows_names_as_text(desk)
            await pairs_and_revokes_a_page(desk)
            await stays_out_with_a_ticket_that_was_used(desk)

    asyncio.run(main())
