"""Driver ``pcsc``: chip cards in PC/SC readers, and phones on those with an antenna.

The parts are put together here; each documents its own rules. ``monitor`` watches the service. For each reader a
``slot`` decides, and ``access`` gets at the card. ``contention`` ends the wait for the card, and ``cards.tasks`` works
with it. ``names`` gives lasting ids, ``state`` is a reader's state in PC/SC. ``contactless`` detects phones, and
``phone_attempts`` judges what came of one. Only ``api`` calls the binding.
"""

import logging
import threading
import time
from dataclasses import replace
from importlib.metadata import version

import msgspec

from vitale_drivers.base import (
    Arm,
    Driver,
    Emit,
    Health,
    LeaseCommand,
    Leased,
    Options,
    Report,
    Settled,
    Sighting,
    Started,
    Tell,
    Transmit,
    Transmitted,
    Unlease,
)
from vitale_drivers.cards.tasks import PHONE
from vitale_drivers.pcsc.api import Pcsc, PcscContext, PcscLibrary
from vitale_drivers.pcsc.device_examination import examine
from vitale_drivers.pcsc.monitor import Monitor
from vitale_drivers.pcsc.names import StableIds, is_simulated, parse_name, shown_name
from vitale_drivers.pcsc.settings import TABLE, PcscSettings
from vitale_drivers.pcsc.slot import MEDIA, PcscSlot
from vitale_drivers.pcsc.state import ReaderState
from vitale_drivers.pcsc.survey import survey
from vitale_protocol.configuration.settings import convert_settings
from vitale_protocol.errors import ReaderGone, ReaderUnavailable, VitaleError
from vitale_protocol.events import Reader
from vitale_protocol.media.apcv_profile import parse_profile
from vitale_protocol.problems import Problem

__all__ = ["PcscDriver"]

logger = logging.getLogger(__name__)

CLOSE_LIMIT = 2.0
"""Seconds to end the threads in; one that is inside PC/SC cannot be ended, and goes with the process."""


class PcscDriver(Driver):
    """All PC/SC readers of the machine; its options are those of ``PcscSettings``."""

    name = "pcsc"
    media = MEDIA

    def __init__(self, options: Options, pcsc: Pcsc | None = None) -> None:
        """Checks the options; ``pcsc`` is the library, unless a test brings another.

        Raises:
            ConfigurationInvalid: an option is unknown, or its value makes no sense.
        """
        super().__init__(options)
        self._settings = convert_settings(options, PcscSettings, table=TABLE)
        texts = enumerate(self._settings.profiles, 1)
        self._profiles = tuple(parse_profile(text, source=f"profile {at}") for at, text in texts)
        self._media = (*MEDIA, PHONE) if self._profiles else MEDIA
        self._pcsc = pcsc or PcscLibrary()
        self._lock = threading.Lock()
        self._closed = False
        self._armed: Arm | None = None
        self._slots: dict[str, PcscSlot] = {}
        self._ids = StableIds()
        self._well = True
        self._trouble = ""
        self._settled = False
        self._emit_to: Emit | None = None
        self._monitor = Monitor(self._pcsc, self)

    # ── calls of the worker ──

    def survey(self) -> tuple[Sighting, ...]:
        """The service, the readers and what lies in them, as PC/SC tells without a card being used."""
        try:
            return survey(self._pcsc)
        except ReaderUnavailable as error:
            return (Sighting(kind="service", name="PC/SC", problem=Problem.of(error)),)

    def examine(self, tell: Tell, seconds: float, reader: str = "") -> None:
        """Tries the card or phone that lies in a reader, or comes."""
        examine(self._pcsc, self._profiles, tell, seconds, reader)

    def open(self, emit: Emit) -> None:
        """Starts to watch; the readers are told as they are found."""
        self._emit_to = emit
        self._emit(Started(driver=self.name, media=self._media, version=f"pyscard {version('pyscard')}"))
        self._monitor.start()

    def arm(self, command: Arm) -> None:
        """Reads what is in the readers, and what comes."""
        with self._lock:
            # ``again`` is said once, of what lies there now.
            self._armed = msgspec.structs.replace(command, again=())
            slots = tuple(self._slots.values())
        for slot in slots:
            slot.arm(command)

    def disarm(self) -> None:
        """Stops reading what is presented."""
        with self._lock:
            self._armed = None
            slots = tuple(self._slots.values())
        for slot in slots:
            slot.disarm()

    def transmit(self, command: Transmit) -> None:
        """Passes raw APDUs; ``61xx`` and ``6Cxx`` are the caller's to handle."""
        if (slot := self._slot(command.reader)) is None:
            self._emit(Transmitted(id=command.id, responses=(), problem=Problem(ReaderGone.reason)))
        else:
            slot.transmit(command)

    def lease(self, command: LeaseCommand) -> None:
        """Holds the card in a reader; the transaction lasts as long as the lease."""
        if (slot := self._slot(command.reader)) is None:
            self._emit(Leased(id=command.id, problem=Problem(ReaderGone.reason)))
        else:
            slot.lease(command)

    def unlease(self, command: Unlease) -> None:
        """Ends a lease of a card."""
        if slot := self._slot(command.reader):
            slot.unlease(command)

    def stuck(self) -> str:
        """Names an exchange that takes longer than ``transmit_limit``."""
        with self._lock:
            slots = tuple(self._slots.values())
        return next((operation for slot in slots if (operation := slot.stuck())), "")

    def close(self) -> None:
        """Ends the threads that can be ended."""
        with self._lock:
            self._closed = True
            slots = tuple(self._slots.values())
        end = time.monotonic() + CLOSE_LIMIT
        if self._emit_to is not None:
            self._monitor.close(CLOSE_LIMIT)
        for slot in slots:
            slot.remove(ReaderUnavailable("the driver is closing"))
        for slot in slots:
            slot.join(max(0.0, end - time.monotonic()))

    # ── calls of the monitor: the interface MonitorListener ──

    def service_up(self) -> None:
        """Reports that the service answers."""
        if not self._well:
            self._well, self._trouble = True, ""
            logger.info("the PC/SC service is back")
            self._emit(Health(state="ok"))

    def service_down(self, error: ReaderUnavailable) -> None:
        """The service does not answer."""
        if self._well or self._trouble != error.variant:
            self._well, self._trouble = False, error.variant
            logger.info("the PC/SC service cannot be used: %s", error.detail)
            self._emit(Health(state="degraded", problem=Problem.of(error)))

    def plugged(self, context: PcscContext, state: ReaderState) -> None:
        """Adds a reader that was plugged in."""
        name = parse_name(state.name)
        if not name.serial and not name.complete:
            # Not on pcsc-lite: it puts the serial number of a reader that has one into the name, and a direct
            # connection would wait there for whoever holds a transaction.
            name = replace(name, serial=context.serial_number(state.name))
        reader = Reader(
            id=self._ids.assign(name),
            name=shown_name(name.full, redirected=context.redirected(state.name)),
            driver=self.name,
            media=self._media,
            state="empty",
            simulated=is_simulated(name.full),
        )
        logger.info("reader found: %s", name.full)
        slot = PcscSlot(
            state.name,
            reader,
            self._settings,
            self._pcsc,
            self._emit,
            self._monitor.look,
            self.find_holders,
            self._profiles,
        )
        with self._lock:  # to the end: an order to arm that comes now must not be overtaken by the one before it
            self._slots[state.name] = slot
            slot.start(state, self._armed)

    def unplugged(self, name: str, error: VitaleError) -> None:
        """Removes the slot of a reader that is gone."""
        logger.info("reader lost: %s", name)
        with self._lock:
            slot = self._slots.pop(name)
        self._ids.release(name)
        slot.remove(error)

    def observed(self, state: ReaderState) -> None:
        """Handles a change of a reader's state."""
        with self._lock:
            slot = self._slots[state.name]
        slot.observe(state)

    def looked(self) -> None:
        """Reports, after the first look, that the readers are told."""
        if not self._settled:
            self._settled = True
            self._emit(Settled())

    def _slot(self, reader: str) -> PcscSlot | None:
        with self._lock:
            return next((slot for slot in self._slots.values() if slot.id == reader), None)

    def _emit(self, report: Report) -> None:
        if self._emit_to is not None and not self._closed:
            self._emit_to(report)
