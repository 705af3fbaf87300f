"""The interface between the driver ``nfc`` and the binding that works a reader, and the values that cross it."""

import abc
from dataclasses import dataclass, field
from typing import TypeAlias

from vitale_drivers.nfc.settings import NfcAddress
from vitale_drivers.readers.lifecycle import ReaderBus, ReaderPlace

__all__ = ["MAX_ANSWER", "NfcBus", "NfcPlace", "NfcTarget", "ReaderTransport"]

MAX_ANSWER = 65_538
"""Bytes: the longest response APDU there can be (ISO/IEC 7816-4 §5.1); a phone that gives more never ends."""

_RANDOM = 0x08


@dataclass(frozen=True, slots=True)
class NfcTarget:
    """NfcTarget in the field.

    Attributes:
        uid: its identifier (PUPI of type B).
        iso_dep: whether it speaks ISO/IEC 14443-4, and so takes APDUs.
        traits: what it says of itself that stays: SENS_RES, SEL_RES and ATS of type A.
        number: how the reader knows it among what it found.
    """

    uid: bytes
    iso_dep: bool
    traits: bytes = b""
    number: int = field(default=1, compare=False)

    def may_be(self, other: "NfcTarget") -> bool:
        """True if both may be the same thing.

        Phones have another UID each time, with 08 first (ISO/IEC 14443-3 §6.5.4).
        """
        return self.traits == other.traits and (self.uid == other.uid or (self.random and other.random))

    @property
    def random(self) -> bool:
        """True if the identifier is drawn anew each time.

        What is not four bytes beginning with 08 is for life.
        """
        return len(self.uid) == 4 and self.uid[0] == _RANDOM


@dataclass(frozen=True)
class NfcPlace(ReaderPlace[NfcAddress]):
    """Place of an NFC reader; ``usb`` is its vendor, product, bus and device number, empty for a serial line."""

    usb: tuple[int, ...] = ()


class ReaderTransport(abc.ABC):
    """A reader that is open. Its calls are for one thread.

    Whatever a call does takes a bounded time. ``ReaderGone`` or ``ReaderUnavailable`` from any of them means that the
    reader does not answer any more. It is to be closed.

    Attributes:
        simulated: whether what was opened is a program. Its place may not have shown that: a path may lead elsewhere
            from one moment to the next.
    """

    simulated: bool = False

    @abc.abstractmethod
    def find(self) -> tuple[NfcTarget, ...]:
        """Turns the field on and looks what is in it: nothing, one, or several.

        One of them is ready for APDUs then.
        """

    @abc.abstractmethod
    def choose(self, target: NfcTarget) -> None:
        """Makes one of several that were found the one of the next calls; without it that is the first."""

    @abc.abstractmethod
    def transmit(self, apdu: bytes, limit: float) -> bytes:
        """Exchanges one APDU with what was found, within ``limit`` seconds.

        Raises:
            MediumRemoved: it is not in the field any more.
            MediumUnreadable: it does not keep to its protocol, or does not end.
        """

    @abc.abstractmethod
    def present(self) -> bool:
        """True if what was found is still there."""

    @abc.abstractmethod
    def quiet(self) -> None:
        """Turns the field off; whatever was in it starts anew when it comes back on."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Makes a waiting call return soon; may be called from another thread."""

    @abc.abstractmethod
    def close(self) -> None:
        """Turns the field off and lets go of the reader; it may be gone already."""


NfcBus: TypeAlias = ReaderBus[NfcAddress, NfcPlace, ReaderTransport]
