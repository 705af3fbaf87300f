"""The dashboard in real browsers, beside a daemon with simulated devices and with a smart card service that is away.

One session of each browser sees everything: who comes in, each view in both languages, every simulator played with the
mouse, a reading that is shown once, a reader that is unplugged, a driver that dies, a remedy, a bundle, a setting, a
pairing. With ``VITALE_READER_PICTURES=docs/pictures`` the pictures of the
documentation are made anew. The rules of axe-core and of html-validate are put to each view, where `make setup` could
install them.
"""

import asyncio
import contextlib
import json
import os
import re
import zipfile
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.daemon.web.browsers import STARTING, Browser, Chromium, Firefox, browser
from tests.daemon.web.pages import SITE, page
from tests.daemon.web.shops import BROWSERS, asked, serving
from tests.node_programs import HTML_RULES, node_program, run_node
from vitale_firmware_sim.card.control import control
from vitale_protocol.documents import decode_document
from vitale_reader.cli.demo.code_devices import code_devices
from vitale_reader.cli.demo.environment import ControlSlot, DemoEnvironment
from vitale_reader.cli.demo.phone_devices import phone_devices
from vitale_reader.cli.demo.simulator_controls import SimulatorControls, places_of, played
from vitale_reader.client.reconnecting import Settings
from vitale_reader.daemon import diagnostics
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.diagnostics import Question, Task
from vitale_reader.daemon.process import kill
from vitale_reader.diagnosis.__main__ import answer
from vitale_reader.home import Home

pytestmark = [pytest.mark.posix, pytest.mark.timeout(600)]

VIEWS = {
    "overview": ("Vue d’ensemble", "Overview"),
    "present": ("Écran patient", "Patient screen"),
    "once": ("Lecture ponctuelle", "One reading"),
    "clients": ("Logiciels", "Software"),
    "camera": ("Caméra", "Camera"),
    "doctor": ("Diagnostic", "Diagnosis"),
    "trail": ("Journal d’audit", "Audit trail"),
    "settings": ("Configuration", "Configuration"),
    "play": ("Simulateurs", "Simulators"),
}
#: Width and height of windows, and whether they are dark: a phone, a counter's large screen, a laptop.
SCREENS = ((320, 640, True), (3840, 2160, False), (1280, 860, True), (1280, 860, False))
#: Of these, those at which axe-core looks: the smallest, and one in the other colours.
EXAMINED = {(320, True), (1280, False)}
#: The last of them alone, with the words of the other language, or in the browser that is not the first.
LAPTOP = SCREENS[-1:]
READER = "comptoir"
PICTURES = os.environ.get("VITALE_READER_PICTURES", "")
AXE = node_program("axe-core", "axe.min.js")
VALIDATOR = node_program("html-validate", "bin", "html-validate.mjs")
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
KEY = ec.derive_private_key(11, ec.SECP256R1())

#: The words of the page that were not found would be shown by their names.
NAMES = (
    r"/\b(nav|hero|last|attention|reader|driver|drivers|pair|clients|doctor|support|trail|settings|present|once|play"
    r"|change)\.[a-z]/"
)

#: Each button of a table has one line.
WHOLE = """(() => {
  const line = 2.5 * parseFloat(getComputedStyle(document.documentElement).fontSize);
  return [...document.querySelectorAll("td > button")].every((each) => each.offsetHeight < line);
})()"""

#: What moves by itself is still after five seconds (WCAG 2.2.2): it would take a share of a core all day as well.
SHORT = "(each) => each.effect.getComputedTiming().endTime <= 5000"


class Desk:
    """A station, its owner's session, and a browser."""

    def __init__(
        self, shown: Browser, owner: Any, folder: Path, controls: SimulatorControls, control_socket: Path, home: Home
    ) -> None:
        self.browser, self.owner, self.folder, self.controls = shown, owner, folder, controls
        self.control_socket, self.home = control_socket, home
        #: Whether the rules of axe-core and html-validate are put to what is seen.
        self.by_the_rules = True
        self.violations: list[tuple[str, Any]] = []
        self.seen: dict[str, str] = {}

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
        """Nothing is wider than the window, and no word on a button of a table is broken."""
        assert await self.browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        assert await self.browser.evaluate(WHOLE), view

    async def is_accessible(self, view: str) -> None:
        """Notes what is in somebody's way, by axe-core's rules, and the HTML as it is now."""
        if not self.by_the_rules:
            return
        self.seen[view] = await self.browser.evaluate("document.documentElement.outerHTML")
        if AXE is None:
            return
        if not await self.browser.evaluate("'axe' in window"):
            await self.browser.evaluate(f"(() => {{ {AXE.read_text('utf-8')} }})()")
        found = await self.browser.evaluate(
            f"axe.run({{ runOnly: {json.dumps(RULES)} }})"
            ".then((told) => told.violations.map((each) => [each.id, each.nodes.map((node) => node.html).slice(0, 3)]))"
        )
        self.violations += [(view, each) for each in found if (view, each) not in self.violations]

    def examined(self) -> None:
        """Nothing was in anybody's way, and all that was seen is HTML by the standard."""
        assert [] == self.violations
        if VALIDATOR is not None and self.by_the_rules:
            folder = self.folder / "seen"
            folder.mkdir()
            for view, html in self.seen.items():
                (folder / f"{view}.html").write_text(f"<!doctype html>\n{html}\n", "utf-8")
            assert "" == run_node(VALIDATOR, "--config", HTML_RULES, "--formatter", "text", str(folder))

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

    async def comes(self, condition: str) -> None:
        """Waits until something holds of whatever is loaded next; between two pages there is nothing to ask."""
        async with asyncio.timeout(STARTING):
            while True:
                with contextlib.suppress(AssertionError):
                    if await self.browser.evaluate(condition):
                        return
                await asyncio.sleep(0.05)

    async def arrives(self, condition: str) -> None:
        """Waits until something holds of the page of a desk that is loaded next."""
        await self.comes(f"location.protocol === 'http:' && !window.before && ({condition})")

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
    with phone_devices() as phones, code_devices() as codes:
        drivers = ["simulated-card", "pcsc", *phones.drivers, *codes.drivers]
        config = parse(
            "[station]\nmode = 'simulated'\nname = 'Pharmacie des Essais'\n[tls]\nenabled = false\n[web]\n"
            f"enabled = true\nport = 0\n[drivers]\nenabled = {json.dumps(drivers)}\n"
            f"[drivers.options.simulated-card]\ncontrol = {json.dumps(str(control_socket))}\npresent = false\n"
            f"{phones.configuration}{codes.configuration}"
        )
        async with tools.running(tools.home, config) as endpoints, tools.unix_line(endpoints) as owner:
            await owner.open(language="fr")
            environment = DemoEnvironment(
                tools.home.config.parent,
                endpoints,
                ControlSlot(control_socket),
                "simulated-card",
                phones=phones,
                codes=codes,
                restart=lambda: None,
            )
            controls = SimulatorControls(places_of(environment))
            async with holding(controls, Settings(home=tools.home)), browser(kind, folder / "profile") as shown:
                await shown.resize(1280, 860)
                yield Desk(shown, owner, folder, controls, control_socket, tools.home)


@asynccontextmanager
async def holding(controls: SimulatorControls, settings: Settings) -> AsyncGenerator[None]:
    """The simulators are held by a session of their own."""
    ready = asyncio.Event()
    playing = asyncio.create_task(played(settings, controls, ready.set))
    try:
        async with asyncio.timeout(STARTING):
            await ready.wait()
        yield
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


async def comes_in(desk: Desk) -> None:
    """By the file, once; what is kept in the browser, and what the address tells."""
    opened = await desk.enter()
    assert opened["url"] == await desk.browser.evaluate("location.href.replace(/#.*/, '')")
    kept = await desk.browser.evaluate("[localStorage.length, document.cookie, Object.keys(sessionStorage)]")
    assert [0, "", ["bearer"]] == kept
    assert not Path(opened["file"]).exists()
    await desk.browser.reload()
    await desk.browser.until("document.querySelector('nav') !== null")


#: What comes of all that a page of another origin asks for; it knows the name, and has the ticket.
ASKED = """((desk, ticket) => Promise.all([
  ...["", "app.js", "words.fr.json"].map((file) => fetch(desk + file).then(() => file, () => "nothing")),
  ...[["script", "app.js"], ["img", "icon.svg"]].map(([name, file]) => new Promise((came) => {
    const made = Object.assign(document.createElement(name), { src: desk + file });
    made.onload = () => came(file);
    made.onerror = () => came("nothing");
    document.body.append(made);
  })),
  new Promise((came) => {
    const socket = new WebSocket(desk.replace("http", "ws") + "v1", "vitale-reader.1");
    socket.onopen = () => came("socket");
    socket.onerror = () => came("nothing");
  }),
  fetch(desk + "enter", { method: "POST", body: new URLSearchParams({ ticket }) }).then(() => "enter", () => "nothing"),
]))"""

#: The same ticket, as the file of the owner hands it in.
HANDED_IN = """((desk, ticket) => {
  const form = Object.assign(document.createElement("form"), { method: "post", action: desk + "enter" });
  form.append(Object.assign(document.createElement("input"), { name: "ticket", value: ticket }));
  document.body.append(form);
  form.submit();
})"""


async def shows_nothing_to_a_page_of_another_origin(desk: Desk) -> None:
    """Whatever it does, the ticket is good for its owner afterwards."""
    opened = await desk.owner.result("dashboard.open")
    ticket = re.search(r'value="([^"]+)"', Path(opened["file"]).read_text("utf-8"))
    assert ticket is not None
    known = f"({json.dumps(opened['url'])}, {json.dumps(ticket[1])})"
    folder = desk.folder / "other"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>other</title><body>", "utf-8")
    with serving(folder, {}) as port:
        await desk.browser.show(f"http://127.0.0.1:{port}/")
        assert {"nothing"} == set(await desk.browser.evaluate(ASKED + known))
        await desk.browser.evaluate(f"void {HANDED_IN}{known}")
        await desk.comes("document.title !== 'other' && document.querySelector('nav') === null")
    await desk.browser.visit(Path(opened["file"]).as_uri())
    await desk.arrives("document.querySelector('nav') !== null")
    await desk.browser.show("about:blank")


async def speaks_both_languages(desk: Desk, screens: Mapping[int, Sequence[tuple[int, int, bool]]]) -> None:
    """Each view in each language, 0 and 1, on some screens; reports, for which processes start, are made once."""
    if await desk.browser.evaluate("document.documentElement.lang") != "fr":
        await desk.click("Français")
        await desk.browser.until("document.documentElement.lang === 'fr' && document.querySelector('nav') !== null")
    for language in (0, 1):
        for view in VIEWS:
            await desk.go(view)
            await desk.is_named(view, language)
            for width, height, dark in screens[language]:
                await desk.window(width, height, dark=dark)
                await desk.fits(view)
                if (width, dark) in EXAMINED:
                    await desk.is_accessible(f"{view}-{'fr' if language == 0 else 'en'}")
        await desk.go("overview")
        await desk.is_named("overview", language)
        await desk.click(("English", "Français")[language])
    await desk.is_named("overview", 0)


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
    await desk.sees("Cet écran se tourne vers les patients")
    await desk.click("Afficher pour les patients")
    await desk.sees("Insérez votre carte Vitale")
    assert await desk.browser.evaluate(f"document.getAnimations().every({SHORT})")
    assert not await desk.browser.evaluate("document.querySelector('nav').checkVisibility()")
    await desk.is_accessible("present-shown")
    await desk.picture("present")
    await desk.play(f"insert {READER} adulte")
    token = (await desk.owner.answer(request))["result"]
    await desk.sees("Vous pouvez reprendre votre carte.")
    names = [each["nom_usuel"] for each in token["claims"]["record"]["beneficiaires"] if each.get("nom_usuel")]
    assert names
    await desk.click("Quitter l’écran patient")
    await desk.sees("Dernière lecture réussie")
    assert not await desk.browser.evaluate(
        f"{json.dumps(names)}.some((name) => document.documentElement.outerHTML.includes(name))"
    )
    await desk.play(f"remove {READER}")


#: What is clicked at each place of the counter, what comes of it, and the button that takes it away.
CLICKS = {
    "slot": ("famille", "vitale-card", "Retirer la carte"),
    "antenna": ("claire", "apcv-nfc", "Reprendre le téléphone"),
    "camera": ("claire", "apcv-qr", "Cacher le code"),
    "imager": ("INS paul", "ins-datamatrix", ""),
}


async def plays_everything_with_the_mouse(desk: Desk) -> None:
    await desk.go("play")
    await desk.is_named("play", 0)
    assert len(desk.controls.places) == await desk.browser.evaluate(
        "document.querySelectorAll('.cards > .card').length"
    )
    for place, (thing, medium, take) in CLICKS.items():
        if place not in desk.controls.places:
            continue
        request = desk.owner.send_call("presentation.request", {"nonce": "n" * 22, "media": [medium]})
        await desk.sees("attend")
        within = f".card:has([data-key^='{place} '])"
        await desk.click(thing, within)
        assert medium == (await desk.owner.answer(request))["result"]["claims"]["medium"]
        if take:
            await desk.browser.until(
                f"document.querySelector({json.dumps(within)} + ' [aria-pressed=\"true\"]')?.textContent === '{thing}'"
            )
            await desk.is_accessible("play-played")
            await desk.picture("simulators")
            await desk.click(take, within)
        await desk.browser.until(f"!document.querySelector({json.dumps(within)} + ' [aria-pressed=\"true\"]')")


async def sees_where_a_code_is(desk: Desk) -> None:
    """The camera waits for another code than the one before it, so that it stays open."""
    if "camera" not in desk.controls.places:
        return
    await desk.go("camera")
    request = desk.owner.send_call("presentation.request", {"nonce": "n" * 22, "media": ["2d-doc"]})
    await desk.owner.result("sim.play", {"place": "camera", "thing": "claire"})
    await desk.sees("Un code est en vue.")
    outlines = "[...document.querySelectorAll('.outlines polygon')].map((each) => each.points.length)"
    assert [4] == await desk.browser.evaluate(outlines)
    # On the picture, where the code is: neither a point nor all of it.
    across = await desk.browser.evaluate(
        "(() => { const code = document.querySelector('.outlines polygon').getBoundingClientRect();"
        " return code.width / document.querySelector('.preview img').getBoundingClientRect().width; })()"
    )
    assert 0.05 < across < 0.95
    await desk.is_accessible("camera-outlined")
    await desk.picture("camera")
    await desk.owner.result("sim.play", {"place": "camera"})
    await desk.browser.until("document.querySelectorAll('.outlines polygon').length === 0")
    await desk.owner.answers(request, desk.owner.send_call("presentation.cancel", {"request": request}))


async def reads_once_and_keeps_nothing(desk: Desk) -> None:
    before = await desk.owner.result("outbox.list")
    await desk.go("once")
    await desk.click("Lire une fois")
    await desk.sees("Présentez la carte, le téléphone ou le code")
    await desk.play(f"insert {READER} famille")
    await desk.sees("Prénom")
    names = await desk.browser.evaluate("[...document.querySelectorAll('.told dd')].map((each) => each.textContent)")
    family = next(name for name in names if name.isupper())
    assert not any(re.fullmatch(r"\d{8}", name) for name in names), "dates as cards have them"
    await desk.is_accessible("once-told")
    await desk.picture("once")
    assert before == await desk.owner.result("outbox.list")
    await desk.go("overview")
    await desk.is_named("overview", 0)
    left = "document.documentElement.outerHTML + JSON.stringify([{...sessionStorage}, {...localStorage}])"
    assert family not in await desk.browser.evaluate(left)
    files = [file for file in desk.home.state.rglob("*") if file.is_file()]
    assert files
    assert [] == [file for file in files if family.encode() in file.read_bytes()]
    await desk.play(f"remove {READER}")


async def changes_a_setting(desk: Desk) -> None:
    desk.home.config.write_text("# De la main de son propriétaire.\n[tls]\nenabled = false\n", "utf-8")
    desk.home.config.chmod(0o600)
    await desk.go("settings")
    await desk.sees("Modifier un réglage")

    async def send(key: str, value: str) -> None:
        for at, written in (("setting", key), ("value", value), ("typed", key)):
            await desk.browser.until(f"document.getElementById({json.dumps(at)}) !== null")
            await desk.browser.evaluate(
                f"(() => {{ const at = document.getElementById({json.dumps(at)}); at.value = {json.dumps(written)};"
                " for (const kind of ['input', 'change']) at.dispatchEvent(new Event(kind, { bubbles: true })); })()"
            )
        await desk.click("Modifier", "form")

    await send("tokens.lifetime", "12000")
    await desk.sees("Réglage refusé")
    await send("log.level", "debug")
    await desk.sees("log.level est modifié")
    text = desk.home.config.read_text("utf-8")
    assert text.startswith("# De la main de son propriétaire.\n")
    assert "debug" == parse(text).log.level
    await desk.go("overview")
    await desk.is_named("overview", 0)


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
    folder = await desk.browser.saving(desk.folder / "profile")
    await desk.click("Préparer le fichier")
    await desk.sees("report.txt")
    await desk.click("Enregistrer le fichier")
    async with asyncio.timeout(STARTING):
        # Until it is whole, it has another name, or nothing in it.
        while not (saved := [each for each in folder.glob("*.zip") if zipfile.is_zipfile(each)]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    with zipfile.ZipFile(saved[0]) as bundle:
        assert {"report.txt", "findings.json", "configuration.json"} <= {*bundle.namelist()}


async def shows_names_as_text(desk: Desk) -> None:
    name = "<img src=x onerror=document.title='owned'> מרפאה"
    added = {"name": name, "scopes": ["identity"], "transports": ["unix"]}
    await desk.owner.result("clients.add", added)
    await desk.go("clients")
    await desk.sees(name)
    assert 0 == await desk.browser.evaluate("document.images.length")
    await desk.click("Révoquer", "table")
    isolated = json.dumps(f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}")
    # Firefox leaves such marks out of what it gives as innerText.
    await desk.browser.until(f"document.querySelector('dialog')?.textContent.includes({isolated})")
    await desk.click("Révoquer", "dialog")
    await desk.sees("Aucun logiciel n’est appairé")
    await desk.go("overview")
    await desk.is_named("overview", 0)


async def pairs_and_revokes_a_page(desk: Desk) -> None:
    await desk.go("clients")
    await desk.click("Ouvrir la fenêtre d’appairage")
    await desk.sees("En attente d’une page")
    async with page(desk.home.host_socket, KEY) as asking:
        revealed = await asking.ask(("identity", "nir"), name="Logiciel de facturation")
        await desk.sees("demande à être appairée")
        assert "example.fr" == await desk.browser.evaluate("document.querySelector('.site strong').textContent")
        assert [True, False] == await desk.browser.evaluate(
            "[...document.querySelectorAll('fieldset input')].map((each) => each.checked)"
        )
        assert not await desk.browser.evaluate(f"document.body.innerHTML.includes({json.dumps(asking.code)})")
        await desk.is_accessible("clients-pairing")
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
    async with page(desk.home.host_socket, KEY) as reading:
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
    assert await desk.browser.evaluate("document.documentElement.scrollHeight <= innerHeight")
    typed = f"(document.getElementById('code').value = {json.dumps(opened['code'])}, document.forms[0].requestSubmit())"
    await desk.leaves_by(typed)
    await desk.arrives("document.querySelector('nav') !== null")
    await desk.leaves_by("sessionStorage.clear(), location.reload()")
    await desk.arrives("document.getElementById('code') !== null")
    await desk.leaves_by(typed)
    await desk.arrives("document.body.innerText.includes('it serves once')")
    assert 0 == await desk.browser.evaluate("Number(sessionStorage.getItem('bearer') ?? 0)")


async def finds_nothing_to_play_in_production(desk: Desk, tools: Any) -> None:
    """The dashboard of another station, which serves patients, until its daemon stops."""
    home = Home.under(desk.folder / "p")
    config = parse("[station]\nmode = 'production'\n[tls]\nenabled = false\n[drivers]\nenabled = []\n")
    async with tools.running(home, config) as endpoints, tools.unix_line(endpoints) as owner:
        await owner.open()
        other = Desk(desk.browser, owner, desk.folder, SimulatorControls({}), desk.control_socket, home)
        await other.enter()
        await other.browser.until("document.querySelector('nav') !== null")
        views = await other.browser.evaluate("[...document.querySelectorAll('nav a')].map((each) => each.dataset.view)")
        assert [name for name in VIEWS if name != "play"] == views
        await other.go("play")
        await other.go("trail")
        await other.browser.until("document.querySelector('nav a[aria-current]').dataset.view === 'trail'")
        assert await other.browser.evaluate("document.querySelector('h1').textContent") in VIEWS["trail"]
        assert "simulated_refused" == await owner.reason("sim.play", {"place": "slot"})
    # A daemon that starts again listens elsewhere: this page says how to come back, and offers no form to hand in.
    await desk.sees("vitale-reader dashboard", "main.door")
    assert [0, 0] == await desk.browser.evaluate("[document.forms.length, sessionStorage.length]")


Made = dict[tuple[Task, str], Any]


class Reports:
    """Reports of stations: for the first browser by processes, as ever, and for the second by this one.

    While they are kept, each kind is made once in each language, for both browsers.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[Browser], made: Made) -> None:
        self._made, self._keeps = made, False
        by_process = diagnostics._answer  # pyright: ignore[reportPrivateUsage]
        self._make = by_process if kind is Chromium else self._make_here
        monkeypatch.setattr(diagnostics, "_answer", self._answer)

    @contextlib.contextmanager
    def kept(self) -> Generator[None]:
        self._keeps = True
        yield
        self._keeps = False

    async def _answer(self, question: Question, kind: Any) -> Any:
        if not self._keeps:
            return await self._make(question, kind)
        asked = question.task, question.language
        if asked not in self._made:
            self._made[asked] = await self._make(question, kind)
        return self._made[asked]

    async def _make_here(self, question: Question, kind: Any) -> Any:
        return decode_document(await asyncio.to_thread(answer, msgspec.json.encode(question)), kind)


@pytest.fixture(scope="module")
def made() -> Made:
    return {}


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch, kind: type[Browser], made: Made) -> Reports:
    return Reports(monkeypatch, kind, made)


@pytest.mark.soak
@BROWSERS
def test_every_view_in_both_languages_on_every_screen(
    kind: type[Browser], tools: Any, tmp_path: Path, reports: Reports
) -> None:
    async def main() -> None:
        async with at_the_desk(kind, tools, tmp_path) as desk:
            await desk.enter()
            with reports.kept():
                await speaks_both_languages(desk, {0: SCREENS, 1: SCREENS})
            desk.examined()

    asyncio.run(main())


#: The rules find the same in both browsers, and take Firefox most of its time: there, they wait for the soak.
EITHER = pytest.mark.parametrize(
    ("kind", "by_the_rules"),
    [
        asked(Chromium, more={"by the rules": True}),
        asked(Firefox, more={"without the rules": False}),
        asked(Firefox, pytest.mark.soak, more={"by the rules": True}),
    ],
)


@EITHER
def test_a_person_at_the_dashboard(
    kind: type[Browser], by_the_rules: bool, tools: Any, tmp_path: Path, reports: Reports
) -> None:
    async def main() -> None:
        async with at_the_desk(kind, tools, tmp_path) as desk:
            desk.by_the_rules = by_the_rules
            await shows_nothing_to_a_page_of_another_origin(desk)
            await comes_in(desk)
            with reports.kept():
                await speaks_both_languages(desk, {0: SCREENS if kind is Chromium else LAPTOP, 1: LAPTOP})
            await sees_readers_come_and_go(desk)
            await sees_a_presentation(desk)
            await plays_everything_with_the_mouse(desk)
            await sees_where_a_code_is(desk)
            await reads_once_and_keeps_nothing(desk)
            await changes_a_setting(desk)
            await lives_through_a_driver_that_dies(desk)
            await does_as_the_doctor_says(desk)
            await saves_the_bundle(desk)
            await shows_names_as_text(desk)
            await pairs_and_revokes_a_page(desk)
            await stays_out_with_a_ticket_that_was_used(desk)
            await finds_nothing_to_play_in_production(desk, tools)
            desk.examined()

    asyncio.run(main())
    if by_the_rules and (AXE is None or VALIDATOR is None):
        pytest.skip("all was seen, but by the rules of axe-core and html-validate: `make setup` installs them")
