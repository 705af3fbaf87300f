"""The billing page in real browsers, with its server, its desk of simulators, a person's keys and hands."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import vitale_reader
from tests.daemon.web.browsers import Browser, Chromium, browser
from tests.daemon.web.shops import FIREFOX_IN_THE_SOAK
from tests.examples import pictures
from vitale_firmware_sim.card.images import load_image
from vitale_reader.daemon.process import kill

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "pharmacie-web"
PATIENCE = 120.0

pytestmark = pytest.mark.timeout(900)


class Desk:
    """The terminal of ``serve.py --simulated``, and who sits before it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self._heard = ""

    async def hears(self, pattern: str) -> re.Match[str]:
        """Waits for words in the terminal."""
        async with asyncio.timeout(PATIENCE):
            while (found := re.search(pattern, self._heard)) is None:
                said = await self._out.read(65_536)
                assert said, self._heard
                self._heard += said.decode(errors="replace")
        self._heard = self._heard[found.end() :]
        return found

    async def types(self, line: str, until: str = "comptoir> ") -> re.Match[str]:
        """Types a line, and waits for what comes of it."""
        await self.answers(line)
        return await self.hears(until)

    async def answers(self, line: str) -> None:
        """Types a line, and goes on."""
        self._in.write(f"{line}\n".encode())
        await self._in.drain()


@asynccontextmanager
async def desk() -> AsyncGenerator[tuple[Desk, str, Path]]:
    """The example, its page's address, and its daemon's home; it ends with its terminal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLE / "serve.py"),
        *("--simulated", "--port", "0"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
    )
    assert process.stdin is not None
    try:
        terminal = Desk(process)
        home = (await terminal.hears(r"Dossier du service : (\S+)"))[1]
        address = (await terminal.hears(r"La page : (\S+)"))[1]
        await terminal.hears("comptoir> ")
        yield terminal, address, Path(home)
        process.stdin.close()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


class Counter:
    """A pharmacist before the page, with a terminal of the desk at hand."""

    def __init__(self, shown: Browser, terminal: Desk, home: Path) -> None:
        self.browser, self.terminal, self.home = shown, terminal, home
        self.pictures: dict[str, bytes] = {}

    async def until_shown(self, part: str) -> None:
        await self.browser.until(f"document.getElementById('{part}')?.checkVisibility()")

    async def text(self, part: str) -> str:
        return str(await self.browser.evaluate(f"document.getElementById('{part}').innerText"))

    async def press(self, part: str, *keys: str) -> None:
        """Presses keys, the first of them where one is with the Tab key."""
        await self.browser.evaluate(f"document.getElementById('{part}').focus()")
        assert part == await self.browser.evaluate("document.activeElement.id"), "it cannot be reached by keys"
        for key in keys or ("Enter",):
            await self.browser.press(key)

    async def opened(self) -> None:
        await self.browser.until("document.getElementById('poste').dataset.etat === 'ouvert'")

    async def pair(self) -> None:
        """Pairs the page, and compares the key that its server was told with the desk's own."""
        await self.terminal.types("appairer", "Fenêtre ouverte")
        await self.press("appairer")
        await self.browser.until("document.getElementById('code').hasAttribute('data-montre')")
        await self.picture("pharmacie-appairage.png")
        code = (await self.text("code")).replace("\n", "")
        assert re.fullmatch(r"\d{6}", code)
        for _ in ("identity", "nir", "dependants"):
            await self.terminal.hears(r"\[(?:Y/n|y/N)\]: ")
            await self.terminal.answers("y")
        await self.terminal.hears("six chiffres")
        await self.terminal.types(code)
        await self.until_shown("confirmation")
        shown = await self.text("empreintes")
        keys = await self.terminal.types("cles", r"(\S{43})[^\n]*P-256")
        assert keys[1] == shown.strip()
        await self.terminal.hears("comptoir> ")
        await self.press("identique")
        await self.until_shown("dossier")

    async def read(self, gesture: str, support: str = "") -> None:
        """Reads what a hand presents once the page asks for it."""
        await self.browser.evaluate(f"document.querySelector('input[name=support][value=\"{support}\"]').click()")
        button = (
            "lire" if await self.browser.evaluate("document.getElementById('lire').checkVisibility()") else "relire"
        )
        await self.press(button)
        await self.browser.until("document.querySelector('#avancement li')")
        if gesture:
            await self.terminal.types(gesture)

    async def picture(self, name: str, width: int = 1200) -> None:
        """Takes a picture of the whole page; that of Chromium is the one in the documents."""
        if isinstance(self.browser, Chromium):
            await self.browser.resize(width, 600)
            height = await self.browser.evaluate("document.documentElement.scrollHeight")
            await self.browser.resize(width, height)
            self.pictures[name] = await self.browser.picture()


@FIREFOX_IN_THE_SOAK
def test_a_morning_at_the_counter(kind: type[Browser], tmp_path: Path, pcsc_service: Any) -> None:
    """Patients come with cards and phones, pages are loaded again, the desk is restarted, and nothing is kept."""
    pcsc_service.kill()  # skipped where there is none; the example starts one of its own
    profile = tmp_path / "profile"
    tokens: list[str] = []

    async def main() -> dict[str, bytes]:
        async with desk() as (terminal, address, home), browser(kind, profile) as shown:
            counter = Counter(shown, terminal, home)
            await shown.resize(1200, 800)
            if isinstance(shown, Chromium):
                await shown.colours("light")
            await shown.show(address)
            await counter.until_shown("appairage")
            await counter.pair()
            await reads_a_card(counter)
            await reads_a_code(counter, tokens)
            await tells_what_helps(counter)
            await lives_through_a_reload(counter)
            await lives_through_restarts(counter)
            await is_readable_on_a_phone(counter)
            await ends_when_it_is_revoked(counter)
            left = [home.parent / "daemon.log", *(each for each in home.rglob("*") if each.is_file())]
            assert {"daemon.log", "store.db"} <= {each.name for each in left}
            nothing_is_kept(tokens, [each for each in left if each.suffix not in {".key", ".pem"}])
            return counter.pictures

    taken = asyncio.run(main())
    nothing_is_kept(tokens, [each for each in profile.rglob("*") if each.is_file()])
    if kind is Chromium:
        compare(taken)


async def reads_a_card(counter: Counter) -> None:
    """A card of a family behind a real pcscd; the beneficiary is chosen by keys."""
    await counter.read("")
    await counter.picture("pharmacie-lecture.png")
    assert "carte" in (await counter.text("avancement")).lower()
    await counter.terminal.types("carte famille")
    await counter.until_shown("lecture")
    verdict = await counter.text("verdict")
    assert ("Carte Vitale", "Jeton vérifié par le serveur", "Données lues, non authentifiées") == tuple(
        verdict.split("\n")[:3]
    )
    people = await counter.text("patients")
    for person in load_image("famille").beneficiaires:
        assert f"{person.nom} {person.prenom}" in people
    assert "2 81 06 75 990 442 41" in people
    await counter.picture("pharmacie-beneficiaires.png")
    # The first beneficiary has the focus after the reading: arrows choose, Enter bills.
    await counter.browser.press("ArrowDown")
    await counter.browser.press("ArrowDown")
    await counter.browser.press("Enter")
    await counter.until_shown("facture")
    assert "ZOÉ LEFÈVRE-ESSAI" in await counter.text("facture")
    await counter.terminal.types("retirer")
    await counter.press("suivant")


async def reads_a_code(counter: Counter, tokens: list[str]) -> None:
    """A phone's QR code, vouched for by the service of the simulator; the token is caught for the search at the end."""
    await counter.browser.evaluate(
        "(() => { const send = window.fetch; window.tokens = [];"
        " window.fetch = (url, init) => { if (url === '/api/jeton') tokens.push(JSON.parse(init.body).jeton);"
        " return send(url, init); }; })()"
    )
    await counter.read("code claire", "code")
    await counter.until_shown("lecture")
    assert "Données authentifiées" in await counter.text("verdict")
    assert "MERLE-ESSAI LÉA" in await counter.text("patients")
    if isinstance(counter.browser, Chromium):
        await counter.browser.colours("dark")
        await counter.picture("pharmacie-sombre.png")
        await counter.browser.colours("light")
    tokens += await counter.browser.evaluate("tokens")
    assert 1 == len(tokens)


async def tells_what_helps(counter: Counter) -> None:
    """A code that was used: the desk's words, with their remedy; Escape gives a reading up."""
    await counter.read("copie", "code")
    await counter.until_shown("avis")
    assert "déjà" in (await counter.text("avis-titre")).lower()
    assert len(await counter.text("avis-remedes")) > 20
    await counter.picture("pharmacie-erreur.png")
    await counter.terminal.types("retirer")
    await counter.press("avis-fermer")
    await counter.read("", "code")
    await counter.browser.press("Escape")
    await counter.until_shown("lecture")
    assert not await counter.browser.evaluate("document.getElementById('avis').checkVisibility()")


async def lives_through_a_reload(counter: Counter) -> None:
    """A page that is loaded again between a reading and its server gets the token from the desk."""
    await counter.browser.evaluate("document.querySelector('#file [data-etat=attend]').click()")
    number = await counter.text("dossier-numero")
    await counter.read("", "code")
    await counter.browser.evaluate("void (window.fetch = (url) => (window.asked = url, new Promise(() => {})))")
    await counter.terminal.types("code paul")
    await counter.browser.until("window.asked === '/api/jeton'")
    await counter.browser.reload()
    await counter.browser.until("document.getElementById('patients').innerText.includes('MERLE-ESSAI PAUL')")
    assert number == await counter.text("dossier-numero")


async def lives_through_restarts(counter: Counter) -> None:
    """The daemon is restarted, and its gateway killed: the page opens its session again by itself."""
    await counter.terminal.types("redemarrer")
    await counter.opened()
    gateway = await asyncio.to_thread(gateway_of, counter.home)
    limits = Path(f"/proc/{gateway}/limits")
    if limits.exists():
        assert re.search(r"Max core file size +0 +0", limits.read_text()), "it could leave a core dump"
    await counter.browser.evaluate(
        "void (window.waited = new Promise((done) => new MutationObserver(() =>"
        " document.getElementById('poste').dataset.etat === 'cherche' && done()).observe("
        "document.getElementById('poste'), { attributes: true })))"
    )
    kill(gateway)
    await counter.browser.evaluate("waited")
    await counter.opened()
    await counter.read("carte adulte", "carte")
    await counter.browser.until("document.getElementById('patients').innerText.includes('EXEMPLE-MARCHAND')")
    await counter.terminal.types("retirer")


async def is_readable_on_a_phone(counter: Counter) -> None:
    """At 320 pixels nothing has to be scrolled sideways, and what is pressed is large enough for a finger."""
    await counter.picture("pharmacie-etroit.png", 320)
    await counter.browser.resize(320, 700)
    await counter.browser.until("innerWidth === 320 && document.documentElement.scrollWidth <= 320")
    small = await counter.browser.evaluate(
        "[...document.querySelectorAll('button')].filter((each) => each.checkVisibility()"
        " && each.getBoundingClientRect().height < 32).map((each) => each.id)"
    )
    assert [] == small
    await counter.browser.resize(1200, 800)


async def ends_when_it_is_revoked(counter: Counter) -> None:
    """The page is told what has happened, and asks for a pairing."""
    await asyncio.to_thread(revoke_pages, counter.home)
    await counter.until_shown("avis")
    assert "révoqué" in await counter.text("avis-titre")
    await counter.press("avis-geste")
    await counter.until_shown("appairage")


def gateway_of(home: Path) -> int:
    """The process of the gateway, as soon as there is one: it starts beside the daemon."""
    until = time.monotonic() + PATIENCE
    with vitale_reader.connect(home=home) as admin:
        while (gateway := admin.station().gateway) is None or gateway.pid is None:
            assert time.monotonic() < until, "no gateway runs"
            time.sleep(0.05)
        return gateway.pid


def revoke_pages(home: Path) -> None:
    """Ends every pairing of a page."""
    with vitale_reader.connect(home=home) as admin:
        for client in admin.clients():
            if client.site:
                admin.revoke_client(client.client_id)


def nothing_is_kept(tokens: list[str], files: list[Path]) -> None:
    """Searches files for tokens, names and numbers of those who were read, in the encodings of browsers."""
    people = [load_image(image).beneficiaires for image in ("famille", "adulte")]
    words = {text for one in (*people[0], *people[1]) for text in (one.nom, (one.nir or "")[:13]) if text}
    words |= {"MERLE-ESSAI", "2840613990412"}
    parts = {part for token in tokens for part in token.split(".")[1:]}
    assert parts
    canaries = {each.encode(code) for each in words | parts for code in ("utf-8", "utf-16-le")}
    assert files
    leaks = [(file.name, each[:6]) for file in files for each in canaries if each in read(file)]
    assert [] == leaks


def read(file: Path) -> bytes:
    """A file's content; a browser takes some of its files away while it ends."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def compare(taken: dict[str, bytes]) -> None:
    """Keeps the pictures if that is wanted; else those that are kept show a page of this size."""
    assert pictures.NAMES.keys() == taken.keys()
    for name, png in taken.items():
        if pictures.is_to_be_written():
            pictures.write(name, png)
        (width, height), (kept_width, kept_height) = pictures.size_of(png), pictures.size_of(pictures.FOLDER / name)
        assert (name, kept_width) == (name, width)
        # Fonts of other machines are a little taller.
        assert abs(height - kept_height) < 0.3 * height, name


@pytest.mark.parametrize("name", pictures.NAMES)
def test_pictures_show_the_page_as_it_is(name: str) -> None:
    assert pictures.NAMES[name] == pictures.size_of(pictures.FOLDER / name)[0]
    assert pictures.digest() == pictures.made_from(name), "make pictures"


def test_every_picture_is_shown() -> None:
    pages = [*(pictures.ROOT / "docs").rglob("*.md"), EXAMPLE / "README.md"]
    shown = " ".join(page.read_text("utf-8") for page in pages)
    assert [] == [name for name in pictures.NAMES if name not in shown]
