"""The firmware of an NXP PN532 as a card reader, by the manual (UM0701-02, firmware 1.6).

A command goes in and a response comes out. Both begin with the command's code: ``02`` is answered by ``03 32 01 06
07``. The frames and the line are elsewhere (``frames``, ``reader``); so is what lies in the field (``field``). The chip
as a card, NFC-DEP and FeliCa are not here: as initiator it finds nobody of the kind.
"""

from collections.abc import Callable
from typing import Final

from vitale_firmware_sim.pn532.field import TIMEOUT, RfError, RfField, Wait
from vitale_firmware_sim.pn532.registers import Registers
from vitale_firmware_sim.pn532.targets import RfSettings, Targets

__all__ = ["BAUD_RATES", "Pn532Firmware", "SyntaxRefused"]

# §7.2.8, by BR.
BAUD_RATES: Final = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)

# §7.2.2: PN532, firmware 1.6, supports ISO/IEC 18092, 14443 type B and A.
_VERSION: Final = bytes.fromhex("32010607")
# The lengths of the items of RFConfiguration, §7.3.1.
_RF_ITEMS: Final = {0x01: 1, 0x02: 3, 0x04: 1, 0x05: 3, 0x0A: 11, 0x0B: 8, 0x0C: 3, 0x0D: 9}
_NO_ACTIVE_PEER: Final = 0x0A
_WRONG_CONTEXT: Final = 0x27

Handler = Callable[[bytes], bytes]


class SyntaxRefused(Exception):
    """No such command, or not with these parameters: the chip answers with an error frame."""


class Pn532Firmware:
    """The chip behind its host interface.

    Args:
        field: what lies in front of the antenna.
        wait: how to wait for cards; whatever it raises ends the command.

    Attributes:
        asleep: whether the next frame must come with a wake-up, as after power-on and PowerDown.
        baud: the speed of the line that the host asked for. It is in force once the host has acknowledged the answer.
    """

    def __init__(self, field: RfField, wait: Wait) -> None:
        self.asleep = True
        self.baud = 115_200
        self._field = field
        self._wait = wait
        self._registers = Registers()
        self._settings = RfSettings()
        self._targets = Targets(field, self._registers, self._settings, wait)
        self._gpio = bytes((0x3F, 0x06, 0x00))
        self._handlers: dict[int, Handler] = {
            0x00: self._diagnose,
            0x02: lambda _: _VERSION,
            0x04: self._general_status,
            0x06: self._read_registers,
            0x08: self._write_registers,
            0x0C: lambda _: self._gpio,
            0x0E: self._write_gpio,
            0x10: self._set_baud_rate,
            0x12: self._set_parameters,
            0x14: self._configure_sam,
            0x16: self._power_down,
            0x32: self._configure_rf,
            0x40: self._data_exchange,
            0x42: self._communicate_thru,
            0x44: self._deselect,
            0x46: lambda _: bytes((_NO_ACTIVE_PEER,)),
            0x4A: self._list_passive_target,
            0x4E: self._parameter_selection,
            0x50: lambda _: bytes((_WRONG_CONTEXT,)),
            0x52: self._release,
            0x54: self._select,
            0x56: lambda _: bytes((_NO_ACTIVE_PEER,)),
            0x60: self._auto_poll,
        }

    def execute(self, command: bytes) -> bytes:
        """Does what a command says.

        Raises:
            SyntaxRefused: there is no such command.
        """
        handler = self._handlers.get(command[0]) if command else None
        if handler is None:
            raise SyntaxRefused
        return bytes((command[0] + 1,)) + handler(command[1:])

    # ── miscellaneous, §7.2 ──────────────────────────────────────────────────────────────────────────────────────

    def _diagnose(self, parameters: bytes) -> bytes:
        _least(parameters, 1)
        match parameters[0]:
            case 0x00:
                # Communication line: the same bytes back.
                return parameters
            case 0x01 | 0x02 | 0x07:
                # ROM, RAM, antenna: sound.
                return b"\x00"
            case 0x04:
                # Polling for FeliCa: all 128 fail.
                return b"\x80"
            case 0x06:
                return _status(self._targets.attention)
            case _:
                raise SyntaxRefused

    def _general_status(self, parameters: bytes) -> bytes:
        _exactly(parameters, 0)
        numbers = self._targets.numbers
        # Both speeds 106 kbit/s, type 00 (ISO/IEC 14443-3); 80: the SAM line is idle.
        listed = b"".join(bytes((number, 0, 0, 0)) for number in numbers)
        return bytes((self._settings.last_error, self._registers.field, len(numbers))) + listed + b"\x80"

    def _read_registers(self, parameters: bytes) -> bytes:
        if not parameters or len(parameters) % 2:
            raise SyntaxRefused
        pairs = zip(parameters[::2], parameters[1::2], strict=True)
        return bytes(self._registers.read(high << 8 | low) for high, low in pairs)

    def _write_registers(self, parameters: bytes) -> bytes:
        if not parameters or len(parameters) % 3:
            raise SyntaxRefused
        for high, low, value in zip(parameters[::3], parameters[1::3], parameters[2::3], strict=True):
            self._registers.write(high << 8 | low, value)
        self._field.power(on=self._registers.field)
        return b""

    def _write_gpio(self, parameters: bytes) -> bytes:
        _exactly(parameters, 2)
        # Bit 8 of a port says that the others are to be taken.
        ports = [new & 0x3F if new & 0x80 else old for new, old in zip(parameters, self._gpio[:2], strict=True)]
        self._gpio = bytes(ports) + self._gpio[2:]
        return b""

    def _set_baud_rate(self, parameters: bytes) -> bytes:
        _exactly(parameters, 1)
        if parameters[0] >= len(BAUD_RATES):
            raise SyntaxRefused
        self.baud = BAUD_RATES[parameters[0]]
        return b""

    def _set_parameters(self, parameters: bytes) -> bytes:
        _exactly(parameters, 1)
        self._settings.automatic_rats = bool(parameters[0] & 0x10)
        return b""

    def _configure_sam(self, parameters: bytes) -> bytes:
        if not 1 <= len(parameters) <= 3 or not 1 <= parameters[0] <= 4:
            raise SyntaxRefused
        return b""

    def _power_down(self, parameters: bytes) -> bytes:
        if not 1 <= len(parameters) <= 2:
            raise SyntaxRefused
        self._power(on=False)
        self.asleep = True
        return b"\x00"

    # ── radio, §7.3 ──────────────────────────────────────────────────────────────────────────────────────────────

    def _configure_rf(self, parameters: bytes) -> bytes:
        _least(parameters, 2)
        item, values = parameters[0], parameters[1:]
        if _RF_ITEMS.get(item) != len(values):
            raise SyntaxRefused
        match item:
            case 0x01:
                self._power(on=bool(values[0] & 0x01))
            case 0x02:
                self._settings.retry_timeout = values[2]
            case 0x04:
                self._settings.communication_retries = values[0]
            case 0x05:
                self._settings.activation_retries = values[2]
            case _:
                # Analogue settings: nothing here would be heard of them.
                pass
        return b""

    def _power(self, *, on: bool) -> None:
        self._field.power(on=on)
        self._registers.show_field(on=on)
        if not on:
            self._targets.forget()

    def _list_passive_target(self, parameters: bytes) -> bytes:
        _least(parameters, 2)
        if not 1 <= parameters[0] <= 2 or parameters[1] > 4:
            raise SyntaxRefused
        self._power(on=True)
        found = self._targets.list_passive(parameters[0], parameters[1], parameters[2:])
        return bytes((len(found),)) + b"".join(bytes((n,)) + data for n, data in enumerate(found, 1))

    def _auto_poll(self, parameters: bytes) -> bytes:
        _least(parameters, 3)
        self._power(on=True)
        found = self._targets.auto_poll(parameters[0], parameters[1], parameters[2:])
        listed = (bytes((kind, len(data) + 1, n)) + data for n, (kind, data) in enumerate(found, 1))
        return bytes((len(found),)) + b"".join(listed)

    def _data_exchange(self, parameters: bytes) -> bytes:
        _least(parameters, 1)
        more = bool(parameters[0] & 0x40)
        try:
            answer, rest = self._targets.exchange(parameters[0] & 0x3F, parameters[1:], more=more)
        except RfError as error:
            self._settings.last_error = error.code
            return bytes((error.code,))
        return bytes((0x40 if rest else 0x00,)) + answer

    def _communicate_thru(self, parameters: bytes) -> bytes:
        return _status(lambda: self._targets.communicate(parameters))

    def _select(self, parameters: bytes) -> bytes:
        _exactly(parameters, 1)
        return _status(lambda: self._targets.select(parameters[0]))

    def _deselect(self, parameters: bytes) -> bytes:
        _exactly(parameters, 1)
        return _status(lambda: self._targets.deselect(parameters[0]))

    def _release(self, parameters: bytes) -> bytes:
        _exactly(parameters, 1)
        return _status(lambda: self._targets.release(parameters[0]))

    def _parameter_selection(self, parameters: bytes) -> bytes:
        """InPSL: other speeds than 106 kbit/s are not modelled; the card says nothing to them."""
        _exactly(parameters, 3)
        if parameters[0] not in self._targets.numbers:
            return bytes((_WRONG_CONTEXT,))
        return b"\x00" if parameters[1:] == b"\x00\x00" else bytes((TIMEOUT,))


def _status(act: Callable[[], bytes]) -> bytes:
    try:
        return b"\x00" + act()
    except RfError as error:
        return bytes((error.code,))


def _least(parameters: bytes, count: int) -> None:
    if len(parameters) < count:
        raise SyntaxRefused


def _exactly(parameters: bytes, count: int) -> None:
    if len(parameters) != count:
        raise SyntaxRefused
