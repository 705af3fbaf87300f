"""The registers of a PN532 that programs look at.

They are plain memory, with what the chip itself leaves in a few of them.
"""

from typing import Final

__all__ = ["MODULATION_A", "MODULATION_B", "MODULATION_F", "REQA", "Registers"]

# UM0701-02 §7.2.4 and the data sheet's table of the contactless interface unit.
_TX_MODE, _RX_MODE, _TX_CONTROL, _FIFO_DATA, _FIFO_LEVEL, _VERSION = 0x6302, 0x6303, 0x6304, 0x6339, 0x633A, 0x6327
_FIELD: Final = 0x03
_CRC_ON: Final = 0x80
# How many bits of the last byte go out; 0 means all of them. A request of type A has seven.
_BIT_FRAMING, _LAST_BITS = 0x633D, 0x07
# FIFO after a request without any answer: nfcpy distinguishes "no card" from "card, but no identifier" by it.
REQA: Final = 0x26

MODULATION_A, MODULATION_F, MODULATION_B = 0b00, 0b10, 0b11


class Registers:
    """Registers of 16-bit addresses and 8-bit values."""

    def __init__(self) -> None:
        self._values: dict[int, int] = {_TX_CONTROL: 0x80, _VERSION: 0x80, _TX_MODE: _CRC_ON, _RX_MODE: _CRC_ON}

    def read(self, address: int) -> int:
        """A register's value; one that was never written is 0."""
        return self._values.get(address, 0)

    def write(self, address: int, value: int) -> None:
        """Sets a register to a value."""
        self._values[address] = value

    @property
    def field(self) -> bool:
        """True if the antenna drivers are on."""
        return bool(self.read(_TX_CONTROL) & _FIELD)

    def show_field(self, *, on: bool) -> None:
        """Records that a command switched the antenna."""
        self._values[_TX_CONTROL] = self.read(_TX_CONTROL) & ~_FIELD | (_FIELD if on else 0)

    @property
    def modulation(self) -> int:
        """The framing of what is sent, as programs set it before a raw exchange."""
        return self.read(_TX_MODE) & 0x03

    @property
    def checks_sent(self) -> bool:
        """True if the chip appends the checksum to what it sends."""
        return bool(self.read(_TX_MODE) & _CRC_ON)

    @property
    def checks_received(self) -> bool:
        """True if the chip checks and removes the checksum of what it receives."""
        return bool(self.read(_RX_MODE) & _CRC_ON)

    @property
    def last_bits(self) -> int:
        """The bits of the last byte that are sent."""
        return self.read(_BIT_FRAMING) & _LAST_BITS or 8

    def modulate(self, framing: int) -> None:
        """Records the type that a command has set, at 106 kbit/s with CRC."""
        self._values[_TX_MODE] = self._values[_RX_MODE] = _CRC_ON | framing

    def leave_in_fifo(self, value: int) -> None:
        """Leaves the last byte of an exchange in the FIFO, already read."""
        self._values[_FIFO_DATA], self._values[_FIFO_LEVEL] = value, 0
