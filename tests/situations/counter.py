"""A counter with everything on it: a slot for cards, a reader for phones, a camera, an imager, a daemon that runs."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

import vitale_reader
from tests.practice import apcv_options
from vitale_firmware_sim.apcv_service.service import ApcvService
from vitale_firmware_sim.camera.live import LiveCamera
from vitale_firmware_sim.card.card import Card, VirtualCard
from vitale_firmware_sim.card.faults import FaultyCard, parse_faults
from vitale_firmware_sim.card.images import Image, load_image
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_firmware_sim.card.vpcd import VpcdLink
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.phone.card import PhoneCard
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.pn532.reader import Pn532Reader
from vitale_firmware_sim.scenario import Scenario, load_scenario
from vitale_protocol.catalogue import Language, text
from vitale_protocol.errors import Cancelled, VitaleError
from vitale_protocol.events import PresentationProgress
from vitale_protocol.records import Medium
from vitale_reader.home import Home

__all__ = ["Counter", "Heard", "counter"]

PATIENCE = 60.0
READERS = 5
#: Steps that tell that something is wrong, or what is to be done; the others come with every reading.
TELLING = frozenset({"retry", "ambiguous", "remove_card"})

CONFIGURATION = """
[station]
mode = "simulated"
[tls]
port = 0
[drivers]
enabled = ["pcsc", "nfc", "camera", "scanner"]
[drivers.options.nfc]
devices = [{reader}]
exchange_limit = 3.0
[drivers.options.camera]
devices = [{camera}]
open_limit = 30
frame_limit = 30
slow_limit = 30
[drivers.options.scanner]
devices = [{imager}]
repeat = 0
line_timeout = 10
[apcv]
profiles = ["simulator"]
resolver = "apcv-soap"
timeout = 5.0
"""


@dataclass
class Heard:
    """What a request was told: the texts of its steps, each once, and its end.

    Attributes:
        told: texts.
        title: of the error that it ended with; empty for a token, and while it waits.
        remedy: likewise.
        warnings: texts of the token's warnings.
        token: whether there is one.
    """

    told: list[str] = field(default_factory=list[str])
    title: str = ""
    remedy: str = ""
    warnings: list[str] = field(default_factory=list[str])
    token: bool = False


class Counter:
    """The devices, and clients of the daemon."""

    def __init__(self, slot: VpcdLink, second: VpcdLink, pcsc: PcscService, home: Path, scenario: Scenario) -> None:
        self.slot, self.second, self.pcsc, self.home, self.scenario = slot, second, pcsc, home, scenario
        self.reader: Pn532Reader
        self.camera: LiveCamera
        self.imager: Imager
        self.service: ApcvService

    def client(self, language: Language = "en") -> vitale_reader.Connection:
        """Billing software, which has as much patience as a busy machine needs."""
        return vitale_reader.connect(home=self.home, language=language, connect_timeout=PATIENCE, call_timeout=PATIENCE)

    def user(self, owner: str, **options: object) -> PhoneUser:
        """Somebody with a phone."""
        return PhoneUser(self.scenario, owner, clock=time.time, random=secrets.token_bytes, **options)  # type: ignore[arg-type]  # passed through

    def phone(self, owner: str = "claire", **options: object) -> PhoneCard:
        """Somebody's phone, for the reader."""
        return PhoneCard(self.user(owner, **options).tap, uid=b"\x08" + secrets.token_bytes(3))

    def code(self, owner: str = "claire") -> bytes:
        """The code that somebody's phone shows now."""
        user = self.user(owner)
        user.unlock()
        return user.phone.qr(time.time()).string

    def card(self, image: str | Image = "adulte", faults: str = "") -> VirtualCard:
        """A card."""
        return FaultyCard(Card(load_image(image) if isinstance(image, str) else image), parse_faults(faults))

    def hear(
        self,
        media: tuple[Medium, ...],
        present: Callable[[], object],
        language: Language,
        enough: Callable[[Heard], bool] = lambda _: False,
        timeout: float = PATIENCE,
        readers: tuple[str, ...] | None = None,
    ) -> Heard:
        """Asks, has something presented once the daemon is armed, and listens until that is enough."""
        heard, presented = Heard(), False

        def follow(step: PresentationProgress) -> None:
            nonlocal presented
            if step.step in TELLING and step.message not in heard.told:
                heard.told.append(step.message)
            if step.step == "armed" and not presented:
                presented = True
                present()
            if enough(heard):
                read.cancel()

        with (
            self.client(language) as client,
            client.reading(
                media=media, scopes=("identity", "rights"), timeout=timeout, readers=readers, on_progress=follow
            ) as read,
        ):
            try:
                found = read.result()
            except Cancelled:
                return heard
            except VitaleError as error:
                heard.title, heard.remedy = error.title, error.remedy
            else:
                heard.token, heard.warnings = True, [text(warning, language).title for warning in found.warnings]
        return heard

    def settle(self, lying: int = 0) -> None:
        """Waits until the daemon knows that something lies at so many places."""
        states = dict[str, str]()
        with self.client() as client:
            for change in client.watch():
                states[change.reader.id] = "" if change.kind == "removed" else change.reader.state
                here = [state for state in states.values() if state]
                if len(here) == READERS and sum(state != "empty" for state in here) == lying:
                    return


@contextmanager
def counter() -> Generator[Counter]:
    """A counter that is open.

    Raises:
        ToolMissing, ReaderUnavailable: there is no PC/SC service here, or it cannot run.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vitale-counter-")))
        incidents, family = load_scenario("incidents"), load_scenario("famille")
        scenario = msgspec.structs.replace(incidents, phones=incidents.phones + family.phones)
        pcsc = stack.enter_context(PcscService(folder / "pcsc", ("Virtual PCD",)))
        slots = [stack.enter_context(VpcdLink(Card(load_image("adulte")), port=port)) for port in pcsc.ports[:2]]
        made = Counter(slots[0], slots[1], pcsc, folder / "home", scenario)
        made.service = stack.enter_context(ApcvService(scenario))
        made.reader = stack.enter_context(Pn532Reader(baud="agreed"))
        made.camera = stack.enter_context(LiveCamera())
        made.imager = Imager(link=folder / "imager")
        made.imager.open()
        stack.callback(made.imager.unplug)
        places = {
            "reader": made.reader.path,
            "camera": made.camera.url,
            "imager": str(folder / "imager"),
        }
        made.home.mkdir(mode=0o700)
        home = Home.under(made.home)
        home.config.touch(mode=0o600)
        tables = CONFIGURATION.format(**{name: json.dumps(place) for name, place in places.items()})
        home.config.write_text(tables + apcv_options(made.service.url))
        daemon = subprocess.Popen(
            [sys.executable, "-m", "vitale_reader", "serve", "--json", "--home", str(made.home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **pcsc.environment},
        )
        try:
            assert daemon.stdout is not None
            assert "endpoints" in json.loads(daemon.stdout.readline())
            made.settle()
            yield made
        finally:
            daemon.terminate()
            daemon.communicate(timeout=PATIENCE)
