"""Nothing about a person gets out: a whole run, then a search through all that it wrote.

The canaries are the names, NIRs and birth dates of the card images, every token and every credential. They may be in
the answers to whoever asked, and nowhere else.
"""

import base64
import json
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.posix import posix_only
from vitale_firmware_sim.camera.live import LiveCamera
from vitale_firmware_sim.card.images import load_image
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.imager.keyboard import typed
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.scenario import load_scenario
from vitale_protocol.errors import VitaleError
from vitale_protocol.methods import Scope
from vitale_reader import Connection, Presentation, PresentationProgress

pytestmark = posix_only()
assert sys.platform != "win32"

IMAGES = ("adulte", "famille", "date-fictive")


def canaries_of(image: str) -> set[str]:
    """What must not be found, as text; short given names are left out, being words of other things."""
    found: set[str] = set()
    for person in load_image(image).beneficiaires:
        for text in (person.nom, person.prenom, person.date_naissance, person.nir, (person.nir or "")[:13]):
            if text and len(text) > 4:
                found |= {text, text.encode("latin-1").hex(), text.encode("latin-1").hex(" ")}
    return found


def test_nothing_about_a_person_is_written_anywhere(
    daemon: Any, virtual_card: Callable[..., Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets: set[str] = set()
    told: list[str] = []

    def listen(progress: PresentationProgress) -> None:
        told.append(f"{progress.message} {progress.remedy} {progress.reader}")

    with daemon.connect() as reader:
        added = reader.add_client("Officine", scopes=["identity"], transports=["unix", "tls"])
        secrets |= {added.credential or "", (added.private_key or "").splitlines()[1]}
        for image in IMAGES:
            card = virtual_card(image)
            readings = [
                reader.read(
                    scopes=["identity", "nir", "dependants"], timeout=60, on_progress=listen, acknowledge=acknowledge
                )
                for acknowledge in (False, True)
            ]
            for found in readings:
                secrets |= {found.token, found.token.split(".")[1], found.token.split(".")[2]}
                told.append(repr(found))
            card.remove()
            reader.wait_until_empty(readings[0].claims.reader.id)
        for faults in ("wrong-length", "truncated-tlv", "withdrawn@60", "hiccup=99", "mute"):
            card = virtual_card("famille", faults=faults)
            with pytest.raises(VitaleError) as refused:
                reader.read(timeout=60, on_progress=listen)
            told.append(f"{refused.value!r} {refused.value} {refused.value.data}")
            card.close()
            for one in reader.readers():
                reader.wait_until_empty(one.id)
    for token in secrets:
        # Each on a connection of its own: none may take long to open its session.
        with socket.socket(socket.AF_UNIX) as hostile:
            hostile.connect(daemon.endpoints.unix)
            hostile.sendall(
                json.dumps({"jsonrpc": "2.0", "id": token, "method": token, "params": {token: token}}).encode() + b"\n"
            )
            told.append("" if hostile.recv(65_536) else "no answer")
    assert daemon.stop() == 0
    secrets |= set[str]().union(*(canaries_of(image) for image in IMAGES))
    secrets.discard("")
    output = capfd.readouterr()
    written = {"told to the client": "\n".join(told), "standard output": output.out, "standard error": output.err}
    for file in (path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in {".pem", ".key"}):
        written[file.name] = file.read_bytes().decode("latin-1")
    assert {"daemon.log", "store.db", "station.json"} <= written.keys()
    leaks = {(where, secret[:4]) for where, text in written.items() for secret in secrets if secret in text}
    assert not leaks
    assert "Presented" in daemon.log, "the log was not at its most talkative"


def test_the_search_would_find_a_leak() -> None:
    assert any(text in "le patient EXEMPLE-MARCHAND est là" for text in canaries_of("adulte"))


# ── codes ────────────────────────────────────────────────────────────────────────────────────────────────────────

INS = (
    b"IS01" + b"0" * 22 + b"S1277010115400329S21.2.250.1.213.1.4.10\x1dS3SARAH-LOU ANNA\x1dS4GARCIA-HAMMADI\x1d"
    b"S5FS601-01-1977S701154"
)
#: What is scanned, and refused or told to be scanned again. (An opaque string is a presentation, whatever it says.)
REFUSED = (
    b"2770101154003",  # a NIR that was typed
    b"mdoc:CANARY-WALLET",
    b"CANARY-LONG" * 500,
    INS[:60] + b"\xff\xfe",
)
#: Too short for a secret, therefore no patient's where a reader sees it; what a program hands in is taken.
SHORT = "CANARY 😀 \u202e".encode()
#: What is no patient's: it ends no read.
OTHERS = (b"]d2010340093574412821CANARY-BOX\x1d17270101", b"https://127.0.0.1:1/?CANARY-ADDRESS", SHORT)
SCOPES: tuple[Scope, ...] = ("identity", "payload")
OPAQUE = b"CANARY %s %n {0} \x1b[2J <script>"


def spellings(secret: bytes) -> set[str]:
    """How bytes look in a log, a repr or a file; of what is long, its beginning is enough."""
    part = secret[:40]
    whole = len(part) // 3 * 3
    return {
        part.decode("latin-1"),
        part.decode("utf-8", "replace"),
        part.hex(),
        part.hex(" "),
        repr(part)[2:-1],
        base64.b64encode(part[:whole]).decode(),
    }


class Optics:
    """A client of a daemon with a camera and an imager; all that was told to it is kept."""

    def __init__(self, client: Connection, imager: Imager, camera: LiveCamera) -> None:
        self.client = client
        self.imager = imager
        self.camera = camera
        self.told: list[str] = []
        self.tokens: set[str] = set()

    def wait(self) -> None:
        end, pause = time.monotonic() + 60, threading.Event()
        while {reader.driver for reader in self.client.readers()} != {"camera", "scanner"}:
            assert time.monotonic() < end
            pause.wait(0.02)

    def read(self, reader: str, act: Callable[[], None], timeout: float = 60) -> None:
        """Asks for what is shown to a reader, and shows it once the daemon waits."""

        def follow(progress: PresentationProgress) -> None:
            self.told.append(f"{progress.message} {progress.remedy} {progress.reader}")
            if progress.step == "armed":
                act()

        self._keep(lambda: self.client.read(readers=[reader], scopes=SCOPES, timeout=timeout, on_progress=follow))

    def submit(self, payload: str | bytes) -> None:
        self._keep(lambda: self.client.submit(payload, scopes=SCOPES))

    def _keep(self, present: Callable[[], Presentation]) -> None:
        try:
            found = present()
        except VitaleError as error:
            self.told.append(f"{error!r} {error} {error.data}")
        else:
            self.told.append(repr(found))
            self.tokens |= set(found.token.split(".")[1:])


def test_nothing_of_a_code_is_written_anywhere(
    start_daemon: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    phone_user = PhoneUser(load_scenario("famille"), "claire", clock=time.time, random=secrets.token_bytes)
    shown, scanned, submitted = phone_user.tap(), phone_user.tap(), phone_user.tap()
    link = tmp_path / "imager"
    with LiveCamera() as camera, Imager(link=link) as imager:
        camera.prepare(shown)
        daemon = start_daemon(
            "camera scanner",
            rest=f'[drivers.options.camera]\ndevices = ["{camera.url}"]\n'
            f'[drivers.options.scanner]\ndevices = ["{link}"]\nrepeat = 0\nline_timeout = 10',
        )
        with daemon.connect() as client:
            optics = Optics(client, imager, camera)
            optics.wait()
            for code in (scanned, INS, *REFUSED[:-1], OPAQUE):
                optics.read(f"scanner:{link}", partial(imager.scan, code))
            for code in OTHERS:
                optics.read(f"scanner:{link}", partial(imager.scan, code), timeout=1)
            optics.read(f"camera:{camera.url}", partial(camera.show, shown))
            for payload in (submitted, scanned, INS, *REFUSED, *OTHERS, OPAQUE):
                optics.submit(payload)
            for code in (phone_user.tap(), INS):
                optics.submit(typed(code, "fr"))
    assert daemon.stop() == 0
    assert len(optics.tokens) >= 2 * 8, "what is opaque is read, and refused by nobody"
    canaries = {"CANARY", "SARAH-LOU", "GARCIA-HAMMADI", "277010115400", *optics.tokens}.union(
        *(spellings(code) for code in (shown, scanned, submitted, INS, *REFUSED, *OTHERS, OPAQUE))
    )
    output = capfd.readouterr()
    written = {"told": "\n".join(optics.told), "standard output": output.out, "standard error": output.err}
    for file in (path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in {".pem", ".key"}):
        written[file.name] = file.read_bytes().decode("latin-1")
    assert {"daemon.log", "store.db"} <= written.keys()
    leaks = {(where, secret[:8]) for where, text in written.items() for secret in canaries if secret in text}
    assert not leaks
    assert "Presented scanner:" in daemon.log
    assert "CodeScanned scanner:" in daemon.log
    assert "Presented camera:" in daemon.log
