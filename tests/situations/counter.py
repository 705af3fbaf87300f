"""A counter with everything on it: a slot for cards, a reader for phones, a camera, an imager, a daemon that runs."""

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

import vitale_reader
from tests.posix import lock_whole, somebodys_terminal
from tests.practice import apcv_options
from tests.protocol.seal_office import Office
from tests.situations.desks import DeskName, opened, write
from tests.situations.other_desk import OtherDesk, other_desk
from tests.situations.texts import error_key, step_keys
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
from vitale_firmware_sim.pn532.faults import parse_nfc_faults
from vitale_firmware_sim.pn532.reader import Pn532Reader
from vitale_firmware_sim.scenario import PhoneSettings, Scenario, load_scenario
from vitale_protocol.catalogue import Language, text
from vitale_protocol.errors import Cancelled, VitaleError
from vitale_protocol.events import PresentationProgress
from vitale_protocol.records import Medium
from vitale_reader.daemon.issuing.opposition import replace
from vitale_reader.home import Endpoints, Home

__all__ = ["FIRST_SLOT", "PATIENCE", "SECOND_SLOT", "Counter", "Heard", "Place", "counter"]

#: A desk beside the counter.
Place: TypeAlias = DeskName | Literal["other"]

PATIENCE = 60.0
READERS = 5
FIRST_SLOT, SECOND_SLOT = "pcsc:virtual-pcd", "pcsc:virtual-pcd.slot-1"

#: The serial of a card that is on the opposition list of the site.
LOST = "4242000017"

#: A program beside the daemon that has the card in the second slot for itself, until it is told to let it go.
HOLD = """
import sys
from smartcard import scard
_, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
code, card, _ = scard.SCardConnect(context, "Virtual PCD 00 01", scard.SCARD_SHARE_EXCLUSIVE, 3)
print(code, flush=True)
sys.stdin.readline()
scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
"""
#: Steps that tell that something is wrong, or what is to be done; the others come with every reading.
TELLING = frozenset({"retry", "ambiguous", "remove_card", "reinsert"})

CONFIGURATION = """
[station]
mode = "simulated"
[tls]
port = 0
[web]
enabled = true
port = 0
[seals]
trust_list = [{signers}]
[drivers]
enabled = ["pcsc", "nfc", "camera", "scanner"]
[drivers.options.pcsc]
busy_timeout = 3.0
[drivers.options.nfc]
devices = [{reader}]
exchange_limit = 3.0
[drivers.options.camera]
devices = [{camera}]
open_limit = 30
frame_limit = 30
slow_limit = 30
still = 1.0
dark = 0.5
[drivers.options.scanner]
devices = [{imager}, {second}]
repeat = 0
line_timeout = 5
[apcv]
profiles = ["simulator"]
resolver = "apcv-soap"
# What a service that answers may take on a busy machine; one situation waits for all of it.
timeout = 15.0
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
        keys: keys of all texts that were shown, also of those steps that come with every reading.
    """

    told: list[str] = field(default_factory=list[str])
    title: str = ""
    remedy: str = ""
    warnings: list[str] = field(default_factory=list[str])
    token: bool = False
    keys: set[str] = field(default_factory=set[str])

    def step(self, progress: PresentationProgress, language: Language, media: tuple[Medium, ...]) -> None:
        """Takes what a step said."""
        self.keys |= step_keys(progress, language, media)
        if progress.step in TELLING and progress.message not in self.told:
            self.told.append(progress.message)

    def failed(self, error: VitaleError, language: Language) -> None:
        """Takes the end of a request that gave no token, in the words of the catalogue and no others."""
        self.keys.add(error_key(error.reason, error.variant))
        said, last = text(error.reason, language, error.variant), error.data.get("last")
        if isinstance(last, dict):
            reason, variant = str(last["reason"]), str(last["variant"])
            said = msgspec.structs.replace(text(reason, language, variant), title=said.title)
            self.keys.add(error_key(reason, variant))
        assert (said.title, said.cause, said.remedy) == (error.title, error.cause, error.remedy)
        self.title, self.remedy = error.title, error.remedy

    def refused(self, error: dict[str, Any], language: Language) -> None:
        """Takes the end of a call that no SDK makes, as it comes over the wire."""
        data = error["data"]
        variant = str(data.get("variant", ""))
        self.keys.add(error_key(str(data["reason"]), variant))
        said = text(str(data["reason"]), language, variant)
        assert (said.title, said.cause, said.remedy) == (error["message"], data["cause"], data["remedy"])
        self.title, self.remedy = said.title, said.remedy

    def given(self, warnings: tuple[str, ...], language: Language) -> None:
        """Takes the warnings of a token."""
        self.keys |= {f"warnings.{warning}" for warning in warnings}
        self.token, self.warnings = True, [text(warning, language).title for warning in warnings]


class Counter:
    """The devices, and clients of the daemon.

    Attributes:
        acted: whether the patient has done with the phone what the screen said.
    """

    def __init__(self, slot: VpcdLink, second: VpcdLink, pcsc: PcscService, home: Path, scenario: Scenario) -> None:
        self.slot, self.second, self.pcsc, self.home, self.scenario = slot, second, pcsc, home, scenario
        self.camera: LiveCamera
        self.imager: Imager
        self.service: ApcvService
        self.reader = Pn532Reader()
        self.desks: dict[DeskName, Path] = {}
        self.other: OtherDesk
        self.acted = threading.Event()
        self.reader_link: Path
        self.imager_link: Path
        self.second_imager: Imager
        self.second_imager_link: Path
        self.places = ExitStack()
        self.office = Office()
        self.signer = self.office.signer()

    @property
    def endpoints(self) -> Endpoints:
        """The addresses of the daemon."""
        return Home.under(self.home).endpoints()

    def client(self, language: Language = "en", desk: Place | None = None) -> vitale_reader.Connection:
        """Billing software, which has as much patience as a busy machine needs; at this counter or another desk."""
        home = self.home if desk is None else self.other.home if desk == "other" else self.desks[desk]
        return vitale_reader.connect(home=home, language=language, connect_timeout=PATIENCE, call_timeout=PATIENCE)

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
        present: Callable[["Counter"], object],
        language: Language,
        enough: Callable[[Heard], bool] = lambda _: False,
        timeout: float = PATIENCE,
        readers: tuple[str, ...] | None = None,
        then: Callable[["Counter"], object] | None = None,
        until: str = "",
        desk: Place | None = None,
    ) -> Heard:
        """Asks, has something presented once the daemon is armed, and listens until that is enough.

        ``then`` is done once, when the screen has said that something is wrong: the text of the key ``until``, or any.
        """
        heard, presented, helped = Heard(), False, False

        def follow(step: PresentationProgress) -> None:
            nonlocal presented, helped
            heard.step(step, language, media)
            if step.step == "armed" and not presented:
                presented = True
                present(self)
            if then is not None and heard.told and heard.keys.issuperset({until} - {""}) and not helped:
                helped = True
                then(self)
            if enough(heard):
                read.cancel()

        with (
            self.client(language, desk) as client,
            client.reading(
                media=media, scopes=("identity", "rights"), timeout=timeout, readers=readers, on_progress=follow
            ) as read,
        ):
            try:
                found = read.result()
            except Cancelled as error:
                if not enough(heard):
                    heard.failed(error, language)
            except VitaleError as error:
                heard.failed(error, language)
            else:
                heard.given(found.warnings, language)
        return heard

    def hold_card(self) -> None:
        """Has another program take the card in the second slot for itself."""
        program = self.places.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", HOLD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **self.pcsc.environment},
            )
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "0\n"

    def take_port(self) -> None:
        """Has another program open the port of the second imager before the daemon does."""
        imager = self.places.enter_context(Imager())
        port = os.open(imager.path, os.O_RDWR)
        self.places.callback(os.close, port)
        lock_whole(port)
        self._link_to(imager.path)

    def work_at_port(self) -> None:
        """Has somebody work in the terminal that the setting of the second imager leads to."""
        self._link_to(self.places.enter_context(somebodys_terminal()))

    def _link_to(self, place: str) -> None:
        self.second_imager_link.symlink_to(place)
        self.places.callback(self.second_imager_link.unlink)

    def let_go(self) -> None:
        """Ends the other programs."""
        self.places.close()

    def take_reader(self) -> None:
        """Unplugs the reader for phones."""
        self.reader.unplug()

    def exchange_reader(self, faults: str) -> None:
        """Plugs another reader for phones in, with these faults, in place of the one that is there."""
        former, self.reader = self.reader, Pn532Reader(baud="agreed", faults=parse_nfc_faults(faults))
        self.reader.open()
        link = self.reader_link.with_suffix(".new")
        link.symlink_to(self.reader.path)
        link.replace(self.reader_link)  # at once: a look at it in between would find none
        former.unplug()

    def settle(self, lying: int = 0, readers: int = READERS) -> None:
        """Waits until the daemon knows that something lies at so many places, and that there are so many."""
        here = list[str]()
        with self.client() as client:
            late = threading.Timer(PATIENCE, client.close)
            late.start()
            try:
                for _ in client.watch():
                    here = [reader.state for reader in client.readers()]
                    if len(here) == readers and sum(state != "empty" for state in here) == lying:
                        return
            finally:
                late.cancel()
        raise AssertionError(f"the desk does not settle: {here}")


def _of_lost_card(phone: PhoneSettings) -> PhoneSettings:
    """The phone of somebody whose rights name a card that is on the opposition list."""
    assure = msgspec.structs.replace(phone.assure, numero_serie=LOST)
    return msgspec.structs.replace(phone, id="lost", assure=assure, delegations=())


@contextmanager
def counter() -> Generator[Counter]:
    """A counter that is open.

    Raises:
        ToolMissing, ReaderUnavailable: there is no PC/SC service here, or it cannot run.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vitale-counter-")))
        incidents, family = load_scenario("incidents"), load_scenario("famille")
        phones = (*incidents.phones, *family.phones, _of_lost_card(family.phone("claire")))
        scenario = msgspec.structs.replace(incidents, phones=phones)
        pcsc = stack.enter_context(PcscService(folder / "pcsc", ("Virtual PCD",)))
        slots = [stack.enter_context(VpcdLink(Card(load_image("adulte")), port=port)) for port in pcsc.ports[:2]]
        made = Counter(slots[0], slots[1], pcsc, folder / "home", scenario)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        made.service = stack.enter_context(ApcvService(scenario, port=port))
        made.reader_link, made.second_imager_link = folder / "reader", folder / "second"
        made.exchange_reader("")
        stack.callback(made.take_reader)
        made.camera = stack.enter_context(LiveCamera())
        made.imager_link = folder / "imager"
        made.imager = Imager(link=made.imager_link)
        made.imager.open()
        made.second_imager = Imager(link=made.second_imager_link)
        stack.callback(made.imager.unplug)
        stack.callback(made.second_imager.unplug)
        stack.callback(made.let_go)
        places = {
            "reader": str(made.reader_link),
            "camera": made.camera.url,
            "imager": str(made.imager_link),
            "second": str(made.second_imager_link),
            "signers": str(folder / "signers.pem"),
        }
        (folder / "signers.pem").write_bytes(made.signer.pem)
        made.home.mkdir(mode=0o700)
        home = Home.under(made.home)
        home.config.touch(mode=0o600)
        tables = CONFIGURATION.format(**{name: json.dumps(place) for name, place in places.items()})
        home.config.write_text(tables + apcv_options(made.service.url) + '\nsigning = { form = "simulator" }\n')
        asyncio.run(write(home, lambda vault: replace(vault, "site", (LOST,), at=time.time())))
        daemon = subprocess.Popen(
            [sys.executable, "-m", "vitale_reader", "serve", "--json", "--home", str(made.home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **pcsc.environment},
        )
        try:
            assert daemon.stdout is not None
            assert "endpoints" in json.loads(daemon.stdout.readline())
            with opened(folder) as made.desks, other_desk(folder / "other") as made.other:
                made.settle()
                with made.client(desk="other") as client:
                    client.readers()  # waits for drivers that start
                yield made
        finally:
            daemon.terminate()
            daemon.communicate(timeout=PATIENCE)
