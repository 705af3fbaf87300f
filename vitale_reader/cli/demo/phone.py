"""Taps of the demonstration: a phone is laid on the reader once the daemon is armed, and taken away."""

import time
from collections.abc import Callable
from typing import Self

from vitale_firmware_sim.phone.card import PhoneCard
from vitale_protocol.errors import ReaderUnavailable, Replayed
from vitale_protocol.events import PresentationProgress
from vitale_protocol.methods import Scope
from vitale_reader import aio
from vitale_reader.cli.demo.environment import DemoEnvironment
from vitale_reader.cli.demo.phone_devices import PhoneDevices

__all__ = ["Taps"]

# The same phone is tapped as often as was asked for, but no tap begins later than so many seconds after the first one:
# readers take their time to be sure that a phone is gone.
ENOUGH = 0.7


class Taps:
    """One place where phones are laid, and one client who reads them.

    Attributes:
        phones: the phones there are.
        driver: the driver that reads there.
        laid: when the phone of the last tap was laid there. All times are those of ``time.perf_counter``.
        steps: when each step of its progress was first told.
        finished: when its verified token was here.
    """

    def __init__(
        self,
        reader: aio.Connection,
        phones: PhoneDevices,
        driver: str,
        phone_user: tuple[Callable[[PhoneCard], None], Callable[[], None]],
        request: tuple[tuple[Scope, ...], float],
    ) -> None:
        self.phones = phones
        self.driver = driver
        self.laid = 0.0
        self.steps: dict[str, float] = {}
        self.finished = 0.0
        self._reader = reader
        self._lay, self._take = phone_user
        self._scopes, self._timeout = request

    @classmethod
    def at(
        cls, reader: aio.Connection, environment: DemoEnvironment, place: str, scopes: tuple[Scope, ...], timeout: float
    ) -> Self:
        """The NFC reader of the stage, or its slot as a contactless one.

        Raises:
            ReaderUnavailable: the stage has no such place.
        """
        phones, slot = environment.phones, environment.contactless
        if phones is not None and place == "nfc" and phones.reader is not None:
            field = phones.reader.field
            return cls(reader, phones, "nfc", (field.put, field.remove), (scopes, timeout))
        if phones is not None and place == "contactless" and slot is not None:
            return cls(reader, phones, "pcsc", (slot.lay, slot.remove), (scopes, timeout))
        raise ReaderUnavailable(f"the stage has no place {place}")

    async def tap(self, phone: PhoneCard) -> aio.Presentation:
        """One tap, to the verified token and until the reader is empty again."""
        self.steps = {}

        def follow(told: PresentationProgress) -> None:
            if told.step == "armed" and "armed" not in self.steps:
                self.laid = time.perf_counter()
                self._lay(phone)
            self.steps.setdefault(told.step, time.perf_counter())

        try:
            found = await self._reader.read(
                media=["apcv-nfc"], scopes=self._scopes, timeout=self._timeout, on_progress=follow
            )
            self.finished = time.perf_counter()
            return found
        finally:
            self._take()
            # Also after a refusal: a phone that is still seen here makes the next one, elsewhere, one of two.
            for reader in await self._reader.readers():
                if reader.driver == self.driver:
                    await self._reader.wait_until_empty(reader.id)

    async def repeated(self, phone: PhoneCard, times: int) -> list[float]:
        """Taps again and again; the seconds from the phone on the reader to the verified token, at least once."""
        taken: list[float] = []
        began = time.perf_counter()
        while not taken or (len(taken) < times and time.perf_counter() - began < ENOUGH):
            await self.tap(phone)
            taken.append(self.finished - self.laid)
        return taken

    async def refusal(self, phone: PhoneCard) -> str:
        """Returns the daemon's answer to a phone with a used string: the refusal, or ``accepted``."""
        try:
            await self.tap(phone)
        except Replayed as error:
            return error.reason
        return "accepted"
