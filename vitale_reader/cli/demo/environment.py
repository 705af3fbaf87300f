"""The setting of the demonstration: a station in a temporary home, with places for cards, phones and codes."""

import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from vitale_drivers.host.programs import itself, own_program
from vitale_firmware_sim.card.card import Card, VirtualCard
from vitale_firmware_sim.card.control import control
from vitale_firmware_sim.card.images import DEFAULT_IMAGE, load_image
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_firmware_sim.card.vpcd import VpcdLink
from vitale_protocol.documents import decode_document
from vitale_protocol.errors import DaemonUnreachable, ParseError, ReaderUnavailable, ToolMissing
from vitale_protocol.extras import missing_part
from vitale_reader.cli.demo.code_devices import CodeDevices, code_devices
from vitale_reader.cli.demo.phone_devices import PhoneDevices, phone_devices
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.signals import OWN_GROUP, ask_to_end, ending_in_good_order
from vitale_reader.home import Endpoints

__all__ = ["PAGES", "CardSlot", "DemoEnvironment", "demo_environment"]

#: Pages of this machine may come, to whatever port is free: 7817 may be that of another daemon.
PAGES = "[web]\nenabled = true\nport = 0\n"

READY_WITHIN = 60.0
STOP_WITHIN = 10.0


class CardSlot(Protocol):
    """Slot in which cards are put."""

    def insert(self, image: str) -> None:
        """Puts a card in."""
        ...

    def remove(self) -> None:
        """Takes the card out."""
        ...


@dataclass(frozen=True)
class DemoEnvironment:
    """A daemon that runs, and its slot.

    Attributes:
        home: the daemon's home.
        endpoints: its addresses, when it was started first.
        slot: the slot that it reads, or None where its driver has its card in it already.
        driver: the driver that reads.
        why: why it is not the real PC/SC service, or empty.
        service: the private PC/SC service, or None where there is none.
        phones: where phones can be laid, or None where none were wanted.
        codes: where codes can be shown, or None where none were wanted.
        contactless: the slot of the PC/SC service, as a contactless reader; or None.
        restart: ends the daemon and starts it again, with what it had.
    """

    home: Path
    endpoints: Endpoints
    slot: CardSlot | None
    driver: str
    why: str = ""
    service: PcscService | None = None
    phones: PhoneDevices | None = None
    codes: CodeDevices | None = None
    contactless: "VpcdSlot | None" = None
    restart: Callable[[], None] = field(kw_only=True)


class Ready(msgspec.Struct, frozen=True):
    """The first line of ``serve --json``."""

    endpoints: Endpoints


class VpcdSlot:
    """A slot of a real PC/SC service."""

    def __init__(self, link: VpcdLink) -> None:
        self._link = link

    def insert(self, image: str) -> None:
        """Puts a card in."""
        self.lay(Card(load_image(image)))

    def lay(self, card: VirtualCard) -> None:
        """Puts in, or lays upon, what is a card to the reader."""
        self._link.insert(card)

    def remove(self) -> None:
        """Takes the card out."""
        self._link.remove()


class ControlSlot:
    """The first slot of the driver ``simulated-card``."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    def insert(self, image: str) -> None:
        """Puts a card in."""
        control(self._path, f"insert {self._reader()} {image}")

    def remove(self) -> None:
        """Takes the card out."""
        control(self._path, f"remove {self._reader()}")

    def wait(self) -> None:
        """Returns when the driver listens; it starts beside the daemon.

        Raises:
            DaemonUnreachable: it did not start.
        """
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                self._reader()
            except DaemonUnreachable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                return

    def _reader(self) -> str:
        return control(self._path, "readers").split()[0]


@dataclass(frozen=True)
class _Besides:
    """Devices besides the slot for cards."""

    phones: PhoneDevices | None
    codes: CodeDevices | None

    @property
    def drivers(self) -> tuple[str, ...]:
        return tuple(driver for each in (self.phones, self.codes) if each is not None for driver in each.drivers)

    @property
    def configuration(self) -> str:
        return "".join(each.configuration for each in (self.codes, self.phones) if each is not None)


@contextmanager
def demo_environment(
    *,
    simulated_driver: bool = False,
    phones: bool = False,
    codes: bool = False,
    configuration: str = "",
    store: str = "",
) -> Generator[DemoEnvironment, None, None]:
    """A daemon in mode ``simulated``, with a real pcscd where there is one.

    Args:
        simulated_driver: does without the PC/SC service, even where there is one.
        phones: with the driver ``nfc`` and its reader too, and an apCV service.
        codes: with the drivers ``camera`` and ``scanner`` too, and what they read with.
        configuration: more tables of the daemon's configuration.
        store: the URL of a site's database; a SQLite file otherwise.

    Raises:
        DaemonUnreachable: the daemon did not start.
        ToolMissing: the daemon is not installed.
    """
    if error := missing_part("daemon", "the daemon", extra="all"):
        raise error
    with ExitStack() as stack:
        stack.enter_context(ending_in_good_order())
        # A short path: a Unix socket's is bounded to some 100 bytes.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vitale-demo-")))
        besides = _Besides(
            stack.enter_context(phone_devices()) if phones else None,
            stack.enter_context(code_devices()) if codes else None,
        )
        why = ""
        configuration = f"{besides.configuration}{configuration}"
        top = f"store = {json.dumps(store)}\n" if store else ""
        if not simulated_driver:
            try:
                service = stack.enter_context(PcscService(_made(folder / "pcsc")))
            except (ToolMissing, ReaderUnavailable) as error:
                why = _why_not(error)
            else:
                slot = VpcdSlot(stack.enter_context(VpcdLink(Card(load_image(DEFAULT_IMAGE)), port=service.ports[0])))
                _configure(folder, f"{top}{configuration}")
                daemon = _DaemonProcess(folder, ("pcsc", *besides.drivers), service.environment)
                endpoints = stack.enter_context(daemon)
                yield DemoEnvironment(
                    folder / "home",
                    endpoints,
                    slot,
                    "pcsc",
                    service=service,
                    phones=besides.phones,
                    codes=besides.codes,
                    contactless=slot,
                    restart=daemon.restart,
                )
                return
        place = folder / "home" / "control"
        # Windows has no control socket: there, the one card lies in the reader from the start.
        by_hand = hasattr(socket, "AF_UNIX")
        options = f"control = {json.dumps(str(place))}\npresent = false" if by_hand else "present = true"
        _configure(folder, f"{top}[drivers.options.simulated-card]\n{options}\n{configuration}")
        daemon = _DaemonProcess(folder, ("simulated-card", *besides.drivers), {})
        endpoints = stack.enter_context(daemon)
        control_slot = ControlSlot(place) if by_hand else None
        if control_slot is not None:
            control_slot.wait()
        yield DemoEnvironment(
            folder / "home",
            endpoints,
            control_slot,
            "simulated-card",
            why,
            phones=besides.phones,
            codes=besides.codes,
            restart=daemon.restart,
        )


def _why_not(error: ToolMissing | ReaderUnavailable) -> str:
    """Returns the reason for demonstrating without pcscd."""
    said = error.data.get("said", "")
    if error.data.get("refused") == "namespace":
        return t(
            f"le système refuse à pcscd un espace de montage : {said} ; dans un conteneur, il y faut CAP_SYS_ADMIN",
            f"the system refuses pcscd a mount namespace: {said}; in a container that takes CAP_SYS_ADMIN",
        )
    if isinstance(error, ToolMissing):
        tool, remedy = error.data["tool"], error.data["remedy"]
        return t(f"{tool} n’est pas installé : {remedy}", f"{tool} is not installed: {remedy}")
    return t(f"pcscd n’a pas démarré : {said}", f"pcscd did not start: {said}") if said else error.detail


def _configure(folder: Path, text: str) -> None:
    config = _made(folder / "home") / "config.toml"
    config.touch(mode=0o600)  # it may hold the password of a database
    config.write_text(text, "utf-8")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


class _DaemonProcess:
    """The daemon of the demonstration, ended with it."""

    def __init__(self, folder: Path, drivers: Sequence[str], environment: Mapping[str, str]) -> None:
        enabled = [option for driver in drivers for option in ("--driver", driver)]
        options = ("--json", "--mode", "simulated", *enabled, "--tls-port", "0", "--home", str(folder / "home"))
        command = (*own_program("vitale_reader"), "serve", *options)
        self._command, self._environment = itself(command, {**os.environ, **environment})
        self._log = folder / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Endpoints:
        return self._start()

    def __exit__(self, *_: object) -> None:
        self._end()

    def restart(self) -> None:
        """Ends it, and starts it again.

        Raises:
            DaemonUnreachable: it did not start.
        """
        self._end()
        self._start()

    def _start(self) -> Endpoints:
        with self._log.open("ab") as stream:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=self._environment,
                creationflags=OWN_GROUP,
            )
        try:
            return _ready(self._process, self._log)
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        ask_to_end(process)
        try:
            process.communicate(timeout=STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _ready(process: "subprocess.Popen[bytes]", log: Path) -> Endpoints:
    if process.stdout is None:
        raise TypeError("the daemon's output is to be a pipe")
    # Where the daemon hangs at its start, its end is what ends the wait for its first line.
    patience = threading.Timer(READY_WITHIN, process.kill)
    patience.start()
    try:
        line = process.stdout.readline()
    finally:
        patience.cancel()
    try:
        return decode_document(line, Ready).endpoints
    except ParseError as error:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise DaemonUnreachable(f"the daemon did not start: {said[-1] if said else 'no word'}") from error
