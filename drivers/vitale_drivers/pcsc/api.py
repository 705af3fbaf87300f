"""PC/SC as values and narrow errors: the only module that calls pyscard, and its low-level binding only.

pyscard's own monitors end for good when the service stops, and its connection objects complain in ``__del__``. Neither
is used. Every call here releases the GIL while it waits, so a thread for each reader is enough.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from smartcard import scard

from vitale_drivers.pcsc.state import ReaderState
from vitale_drivers.pcsc.system import TELLS_INSTANCES, device_serial, is_redirected
from vitale_protocol.errors import (
    JsonValue,
    LocalError,
    MediumMute,
    MediumRemoved,
    ReaderBusy,
    ReaderGone,
    ReaderUnavailable,
    VitaleError,
)

__all__ = ["NO_SERVICE", "PNP", "CardReset", "ExchangeFailed", "Pcsc", "PcscCard", "PcscContext", "PcscLibrary"]

PNP = "\\\\?PnP?\\Notification"
"""The pseudo-reader whose state changes when a reader is plugged or unplugged."""


NO_SERVICE = frozenset({0x8010_0012, 0x8010_001D, 0x8010_001E})
"""SCARD_E_SYSTEM_CANCELLED, SCARD_E_NO_SERVICE, SCARD_E_SERVICE_STOPPED: a service that is not there, or just ends.

They are in ``data["code"]`` of ``ReaderUnavailable``."""


ESTABLISH, CONNECT = "SCardEstablishContext", "SCardConnect"
"""Calls for which pcscd asks polkit: the service as a whole, and its cards."""


class CardReset(LocalError):
    """Another program, or a sleep of the machine, reset the card: begin again. Never leaves the driver."""


class ExchangeFailed(LocalError):
    """The exchange failed and PC/SC does not say why: contact, card or removal. Never leaves the driver."""


_EITHER = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1

_ERRORS: dict[int, type[VitaleError]] = {
    scard.SCARD_E_NO_SMARTCARD & 0xFFFFFFFF: MediumRemoved,
    scard.SCARD_W_REMOVED_CARD & 0xFFFFFFFF: MediumRemoved,
    scard.SCARD_W_UNRESPONSIVE_CARD & 0xFFFFFFFF: MediumMute,
    scard.SCARD_W_UNPOWERED_CARD & 0xFFFFFFFF: MediumMute,
    scard.SCARD_W_UNSUPPORTED_CARD & 0xFFFFFFFF: MediumMute,  # its ATR contradicts itself: as good as none
    scard.SCARD_W_RESET_CARD & 0xFFFFFFFF: CardReset,
    scard.SCARD_E_SHARING_VIOLATION & 0xFFFFFFFF: ReaderBusy,
    scard.SCARD_E_UNKNOWN_READER & 0xFFFFFFFF: ReaderGone,
    scard.SCARD_E_READER_UNAVAILABLE & 0xFFFFFFFF: ReaderGone,
    # What pcscd leaves behind when it is killed: the first call fails in its transport, later ones find no service,
    # and the handles of the context that was are invalid.
    scard.SCARD_F_COMM_ERROR & 0xFFFFFFFF: ReaderUnavailable,
    scard.SCARD_F_INTERNAL_ERROR & 0xFFFFFFFF: ReaderUnavailable,
    scard.SCARD_E_NO_SERVICE & 0xFFFFFFFF: ReaderUnavailable,
    scard.SCARD_E_SERVICE_STOPPED & 0xFFFFFFFF: ReaderUnavailable,
    scard.SCARD_E_INVALID_HANDLE & 0xFFFFFFFF: ReaderUnavailable,
    scard.SCARD_W_SECURITY_VIOLATION & 0xFFFFFFFF: ReaderUnavailable,
}


class PcscCard(Protocol):
    """A card that is connected."""

    @property
    def t0(self) -> bool:
        """True if the connection speaks T=0."""
        ...

    def begin(self) -> None:
        """Waits for the transaction, as long as another program has one.

        Raises:
            VitaleError: as in ``PcscContext.connect``.
        """
        ...

    def transmit(self, apdu: bytes) -> bytes:
        """One exchange.

        Raises:
            VitaleError: as in ``PcscContext.connect``.
        """
        ...

    def keep(self) -> None:
        """Asks the service for the state of the connection, which shows that somebody uses it.

        Raises:
            VitaleError: as in ``Context.connect``.
        """
        ...

    def reset(self) -> None:
        """Resets the card, after an exchange that went wrong.

        Raises:
            VitaleError: as in ``PcscContext.connect``.
        """
        ...

    def release(self, *, reset: bool = False) -> None:
        """Ends transaction and connection, the card left as it is or reset before anybody else can get at it.

        Whatever goes wrong in it is of no consequence.
        """
        ...


class PcscContext(Protocol):
    """A connection to the PC/SC service. One thread uses it at a time; only ``cancel`` is for others."""

    def readers(self) -> tuple[str, ...]:
        """The names of the readers.

        Raises:
            ReaderUnavailable: the service is gone.
        """
        ...

    def wait(self, known: Iterable[ReaderState], timeout: float | None) -> tuple[ReaderState, ...]:
        """Waits until a reader is not as known, at most ``timeout`` seconds, or without limit; all readers' states.

        Raises:
            ReaderGone: one of the readers is no longer there.
            ReaderUnavailable: the service is gone.
        """
        ...

    def cancel(self) -> None:
        """Ends the ``wait`` that another thread is in; nothing if it is in none."""
        ...

    def connect(self, reader: str) -> PcscCard:
        """Connects to a card, shared.

        Raises:
            MediumRemoved: there is no card.
            MediumMute: the card does not answer.
            CardReset: somebody reset it.
            ReaderBusy: another program has it for itself alone.
            ReaderGone: there is no such reader.
            ReaderUnavailable: the service is gone.
            ExchangeFailed: anything else.
        """
        ...

    def rouse(self, reader: str) -> None:
        """Makes the service look for a card in a reader that it takes for empty, and power it.

        Raises:
            MediumRemoved: the reader is empty.
            VitaleError: as in ``connect``.
        """
        ...

    def serial_number(self, reader: str) -> str:
        """The serial number that the reader's driver tells, or empty."""
        ...

    def redirected(self, reader: str) -> bool:
        """True if a reader is plugged into another machine, on which this session is seen."""
        ...

    def release(self) -> None:
        """Ends the connection to the service."""
        ...


class Pcsc(Protocol):
    """Source of contexts: the library, or a fake of it."""

    def establish(self) -> PcscContext:
        """Connects to the service.

        Raises:
            ReaderUnavailable: there is no service.
        """
        ...


class PcscLibrary:
    """PC/SC library of the system, through pyscard."""

    def establish(self) -> PcscContext:
        """Connects to the service."""
        code, handle = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        if code != scard.SCARD_S_SUCCESS:
            # Whatever the code: without a context there is nothing but to try again.
            raise _unavailable(ESTABLISH, code)
        return _Context(handle)


@dataclass(frozen=True, slots=True)
class _Context:
    handle: int

    def readers(self) -> tuple[str, ...]:
        code, names = scard.SCardListReaders(self.handle, [])
        if _same(code, scard.SCARD_E_NO_READERS_AVAILABLE):
            return ()
        _check("SCardListReaders", code, otherwise=ReaderUnavailable)
        return tuple(names)

    def wait(self, known: Iterable[ReaderState], timeout: float | None) -> tuple[ReaderState, ...]:
        known = tuple(known)
        states = [(state.name, state.bits) for state in known]
        limit = scard.INFINITE if timeout is None else int(timeout * 1000)
        code, found = scard.SCardGetStatusChange(self.handle, limit, states)
        if _same(code, scard.SCARD_E_CANCELLED):
            return known  # what a cancelled call says of the readers is not defined
        if not _same(code, scard.SCARD_E_TIMEOUT):
            _check("SCardGetStatusChange", code, otherwise=ReaderUnavailable)
        changed = scard.SCARD_STATE_CHANGED
        return tuple(
            ReaderState(name, bits & ~changed, bytes(atr), changed=bool(bits & changed)) for name, bits, atr in found
        )

    def cancel(self) -> None:
        scard.SCardCancel(self.handle)

    def connect(self, reader: str) -> PcscCard:
        code, handle, protocol = scard.SCardConnect(self.handle, reader, scard.SCARD_SHARE_SHARED, _EITHER)
        _check(CONNECT, code)
        return _Card(handle, protocol)

    def rouse(self, reader: str) -> None:
        code, handle = self._connect_direct(reader)
        _check(CONNECT, code)
        try:
            code, _ = scard.SCardReconnect(handle, scard.SCARD_SHARE_SHARED, _EITHER, scard.SCARD_UNPOWER_CARD)
            _check("SCardReconnect", code)
        finally:
            scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)

    def serial_number(self, reader: str) -> str:
        if TELLS_INSTANCES:
            return device_serial(self.handle, reader)
        code, handle = self._connect_direct(reader)
        if code != scard.SCARD_S_SUCCESS:
            return ""
        code, value = scard.SCardGetAttrib(handle, scard.SCARD_ATTR_VENDOR_IFD_SERIAL_NO)
        scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)
        return bytes(value).decode("ascii", errors="replace").strip("\0 ") if code == scard.SCARD_S_SUCCESS else ""

    def redirected(self, reader: str) -> bool:
        return is_redirected(self.handle, reader)

    def release(self) -> None:
        scard.SCardReleaseContext(self.handle)

    def _connect_direct(self, reader: str) -> tuple[int, int]:
        """Connects to the reader itself, whether there is a card or not: the code, and the handle."""
        code, handle, _ = scard.SCardConnect(
            self.handle, reader, scard.SCARD_SHARE_DIRECT, scard.SCARD_PROTOCOL_UNDEFINED
        )
        return code, handle


@dataclass(slots=True)
class _Card:
    handle: int
    protocol: int
    begun: bool = False

    @property
    def t0(self) -> bool:
        return self.protocol == scard.SCARD_PROTOCOL_T0

    def begin(self) -> None:
        _check("SCardBeginTransaction", scard.SCardBeginTransaction(self.handle))
        self.begun = True

    def transmit(self, apdu: bytes) -> bytes:
        header = scard.SCARD_PCI_T0 if self.t0 else scard.SCARD_PCI_T1
        code, response = scard.SCardTransmit(self.handle, header, list(apdu))
        _check("SCardTransmit", code)
        return bytes(response)

    def keep(self) -> None:
        code, *_ = scard.SCardStatus(self.handle)
        _check("SCardStatus", code)

    def reset(self) -> None:
        code, protocol = scard.SCardReconnect(self.handle, scard.SCARD_SHARE_SHARED, _EITHER, scard.SCARD_RESET_CARD)
        _check("SCardReconnect", code)
        self.protocol = protocol

    def release(self, *, reset: bool = False) -> None:
        if self.begun:
            # Reset by the end of the transaction: a disconnection that resets comes after it, when others may be in.
            scard.SCardEndTransaction(self.handle, scard.SCARD_RESET_CARD if reset else scard.SCARD_LEAVE_CARD)
        # Left as it is: a reset would take away the state that other software on the desk relies on.
        scard.SCardDisconnect(self.handle, scard.SCARD_LEAVE_CARD)


def _same(code: int, other: int) -> bool:
    """True if two codes are equal: the binding gives them signed or unsigned, by platform."""
    return code & 0xFFFFFFFF == other & 0xFFFFFFFF


def _check(call: str, code: int, *, otherwise: type[VitaleError] = ExchangeFailed) -> None:
    """Raises what a code means; ``otherwise`` for all that is not listed.

    A context that fails at watching is of no use, whatever the code.
    """
    if code == scard.SCARD_S_SUCCESS:
        return
    error = _ERRORS.get(code & 0xFFFFFFFF, otherwise)
    raise _unavailable(call, code) if error is ReaderUnavailable else error(f"{call}: {_name(code)}")


def _unavailable(call: str, code: int) -> ReaderUnavailable:
    """Error for a service that cannot be used: it refuses this user, or is not there.

    Of other calls than those that it can refuse, pcsc-lite says "access denied" when the service was killed.
    """
    detail, number = f"{call}: {_name(code)}", code & 0xFFFFFFFF
    data: dict[str, JsonValue] = {"code": number}
    if call in {ESTABLISH, CONNECT} and number == scard.SCARD_W_SECURITY_VIOLATION & 0xFFFFFFFF:
        return ReaderUnavailable(detail, variant="pcsc-refused", data=data)
    return ReaderUnavailable(detail, variant="pcsc", data=data)


def _name(code: int) -> str:
    return f"0x{code & 0xFFFFFFFF:08X} {scard.SCardGetErrorMessage(code)}".strip()
