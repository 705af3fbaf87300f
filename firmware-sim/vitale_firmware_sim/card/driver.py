"""The driver ``simulated-card``: simulated cards in simulated readers, without PC/SC, on any system.

For demonstrations on machines without a smart-card service, and for tests of everything above the drivers. Whatever it
reads is marked simulated.
"""

import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from vitale_drivers.base import (
    Arm,
    Driver,
    Emit,
    Health,
    LeaseCommand,
    Leased,
    Options,
    Settled,
    Started,
    Transmit,
    Transmitted,
    Unlease,
)
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.control import ControlSocket
from vitale_firmware_sim.card.faults import FaultyCard, parse_faults
from vitale_firmware_sim.card.images import DEFAULT_IMAGE, load_image
from vitale_firmware_sim.card.reader import MEDIA, SimulatedReader
from vitale_protocol.configuration.settings import convert_settings
from vitale_protocol.errors import ConfigurationInvalid, ReaderGone
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem

__all__ = ["SimulatedCardDriver", "SimulatedCardSettings"]

ReaderName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,40}\Z")]


class SimulatedCardSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of the driver.

    Attributes:
        readers: the names of the readers.
        present: whether a card lies in the first reader from the start.
        image: that card's image, by name or path.
        fault: that card's faults, in the words of ``faults``.
        control: the path of a Unix socket that takes the lines of ``control``; empty for none.
        transmit_limit: seconds that one task may take before the driver calls itself stuck.
    """

    readers: Annotated[tuple[ReaderName, ...], msgspec.Meta(min_length=1, max_length=16)] = ("comptoir",)
    present: bool = True
    image: str = DEFAULT_IMAGE
    fault: str = ""
    control: str = ""
    transmit_limit: Annotated[float, msgspec.Meta(gt=0)] = 10.0


class SimulatedCardDriver(Driver):
    """Simulated readers; ``insert``, ``remove``, ``plug`` and ``unplug`` play the hand at the counter."""

    name: ClassVar[str] = "simulated-card"
    media: ClassVar[tuple[str, ...]] = MEDIA

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._settings = SimulatedCardSettings()
        self._readers: Mapping[str, SimulatedReader] = {}
        self._emit: Emit | None = None
        self._control: ControlSocket | None = None

    def check(self) -> None:
        """Checks the options, the card's image and its faults.

        Raises:
            ConfigurationInvalid: one of them cannot be used.
        """
        settings = _settings(self.options)
        if settings.present:
            _card(settings.image, settings.fault)

    def open(self, emit: Emit) -> None:
        """Makes the readers.

        Raises:
            ConfigurationInvalid: an option, an image or a fault cannot be used.
        """
        self._settings = _settings(self.options)
        card = _card(self._settings.image, self._settings.fault) if self._settings.present else None
        self._emit = emit
        self._readers = {name: SimulatedReader(_described(name), emit) for name in self._settings.readers}
        if self._settings.control:
            self._control = ControlSocket(Path(self._settings.control), self._obey)
            self._control.open()
        emit(Started(driver=self.name, media=self.media, version=version("vitale-reader")))
        emit(Health(state="ok"))
        if card is not None:
            self._readers[self._settings.readers[0]].insert(card)
        for reader in self._readers.values():
            reader.plug()
        emit(Settled())

    def arm(self, command: Arm) -> None:
        """Reads what is presented from now on."""
        for reader in self._readers.values():
            reader.arm(command)

    def disarm(self) -> None:
        """Ends the effect of ``arm``."""
        for reader in self._readers.values():
            reader.disarm()

    def transmit(self, command: Transmit) -> None:
        """Exchanges raw APDUs; emits one ``Transmitted``."""
        if reader := self._by_id(command.reader):
            reader.transmit(command)
        elif self._emit is not None:
            self._emit(Transmitted(id=command.id, responses=(), problem=Problem(ReaderGone.reason)))

    def lease(self, command: LeaseCommand) -> None:
        """Holds a card for its holder's commands; emits one ``Leased``."""
        if reader := self._by_id(command.reader):
            reader.lease(command)
        elif self._emit is not None:
            self._emit(Leased(id=command.id, problem=Problem(ReaderGone.reason)))

    def unlease(self, command: Unlease) -> None:
        """Ends a lease of a card."""
        if reader := self._by_id(command.reader):
            reader.unlease(command)

    def stuck(self) -> str:
        """Names a reader whose card has been at work for longer than ``transmit_limit``."""
        now = time.monotonic()
        for name, reader in self._readers.items():
            if reader.busy_for(now) > self._settings.transmit_limit:
                return f"transmit in {_id(name)}"
        return ""

    def close(self) -> None:
        """Ends the readers' threads."""
        if self._control is not None:
            self._control.close()
        for reader in self._readers.values():
            reader.close()

    # ── the hand at the counter ──────────────────────────────────────────────────────────────────────────────────

    def insert(self, reader: str, image: str = DEFAULT_IMAGE, fault: str = "") -> None:
        """Puts the card of an image into a reader, in place of what is there.

        Args:
            reader: the reader's name, as in the options.
            image: a name or path, as ``images.load_image`` takes it.
            fault: words as ``faults.parse_faults`` takes them.

        Raises:
            ConfigurationInvalid: no such reader, image or fault.
        """
        card = _card(image, fault)
        self._reader(reader).insert(card)

    def remove(self, reader: str) -> None:
        """Takes the card out.

        Raises:
            ConfigurationInvalid: no such reader.
        """
        self._reader(reader).remove()

    def plug(self, reader: str) -> None:
        """The reader comes back.

        Raises:
            ConfigurationInvalid: no such reader.
        """
        self._reader(reader).plug()

    def unplug(self, reader: str) -> None:
        """Unplugs a reader, with the card in it.

        Raises:
            ConfigurationInvalid: no such reader.
        """
        self._reader(reader).unplug()

    def _by_id(self, reader: str) -> SimulatedReader | None:
        return next((one for name, one in self._readers.items() if _id(name) == reader), None)

    def _reader(self, name: str) -> SimulatedReader:
        if name not in self._readers:
            raise ConfigurationInvalid("no such simulated reader", data={"choices": [*self._readers]})
        return self._readers[name]

    def _obey(self, line: str) -> str:
        match line.split():
            case ["readers"]:
                return " ".join(self._readers)
            case ["insert", reader, image]:
                self.insert(reader, image)
            case ["insert", reader, image, fault]:
                self.insert(reader, image, fault)
            case [("remove" | "plug" | "unplug") as verb, reader]:
                act: Callable[[str], None] = {"remove": self.remove, "plug": self.plug, "unplug": self.unplug}[verb]
                act(reader)
            case _:
                raise ConfigurationInvalid("insert READER IMAGE [FAULTS] | remove|plug|unplug READER | readers")
        return ""


def _settings(options: Options) -> SimulatedCardSettings:
    return convert_settings(options, SimulatedCardSettings, table="drivers.options.simulated-card")


def _card(image: str, fault: str) -> FaultyCard:
    return FaultyCard(Card(load_image(image)), parse_faults(fault))


def _id(name: str) -> str:
    return f"{SimulatedCardDriver.name}:{name}"


def _described(name: str) -> Reader:
    return Reader(
        id=_id(name),
        name=f"Lecteur simulé ({name})",
        driver=SimulatedCardDriver.name,
        media=MEDIA,
        state="empty",
        simulated=True,
    )
