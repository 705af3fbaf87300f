"""Link from a simulated card to a real PC/SC service: the card's end of vsmartcard's ``vpcd`` protocol.

vpcd is a reader driver that listens on one TCP port for each slot. A connection is a card in the slot. Every message is
a 2-byte big-endian length and a body. One byte from vpcd is a control: 00 power off, 01 power on, 02 reset, 04 ATR
request. Anything longer is a command APDU. Only the ATR and command APDUs are answered.
"""

import socket
import threading
from types import TracebackType
from typing import Final, Self

from vitale_firmware_sim.card.card import VirtualCard
from vitale_protocol.errors import MediumRemoved

__all__ = ["DEFAULT_PORT", "VpcdLink"]

# 0x8C7B, compiled into vpcd and used by Debian's reader configuration.
DEFAULT_PORT: Final = 35963

# The shortest ATR there is; seen by vpcd only.
_UNPOWERED_ATR = b"\x3b\x00"
_FIRST_PAUSE, _LAST_PAUSE = 0.02, 0.5
_CONNECT_TIMEOUT = 2.0

# vpcd writes length and body apart, with Nagle's algorithm on: without quick acknowledgements every APDU takes 44 ms
# instead of 0.15 ms. Linux only; elsewhere the delay remains.
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)


class VpcdLink:
    """A card in a slot of vpcd, or beside it. While inserted it connects again by itself when the service restarts.

    ``insert`` and ``remove`` return at once, from any thread; ``connected`` tells when the service has the card.

    Args:
        card: the card.
        host: where pcscd runs.
        port: the slot's port.
    """

    def __init__(self, card: VirtualCard, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> None:
        self.connected = threading.Event()
        self._card = card
        self._address = (host, port)
        self._changed = threading.Condition()
        self._inserted = False
        self._presences = 0
        self._closed = False
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name=f"vpcd-{port}", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def inserted(self) -> bool:
        """True if the card is in the slot; a card that withdrew itself is not."""
        return self._inserted

    def insert(self, card: VirtualCard | None = None) -> None:
        """Puts the card into the slot, or another card, which takes the place of the first."""
        if card is not None:
            self.remove()
        with self._changed:
            self._card = card or self._card
            self._presences += not self._inserted
            self._inserted = True
            if self._thread.ident is None and not self._closed:
                self._thread.start()
            self._changed.notify_all()

    def remove(self) -> None:
        """Takes the card out, in the middle of whatever it does."""
        with self._changed:
            self._inserted = False
            self._hang_up()
            self._changed.notify_all()
        self._card.release()

    def wait_removed(self, timeout: float | None = None) -> bool:
        """Waits until the card is out, by ``remove`` or because it withdrew itself.

        Args:
            timeout: seconds, or None to wait for ever.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._inserted, timeout)

    def close(self) -> None:
        """Takes the card out for good and ends the thread."""
        with self._changed:
            self._closed = True
        self.remove()
        if self._thread.ident is not None:
            self._thread.join()

    # ── the link's own thread ────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while self._wait_until_inserted():
            try:
                connection: socket.socket | None = self._connect()
                while connection is not None:
                    pause = _FIRST_PAUSE
                    with connection:
                        connection = self._serve(connection)
            except OSError:
                # No service, or it went away: ask again, less and less often.
                with self._changed:
                    self._changed.wait_for(lambda: not self._inserted, pause)
                pause = min(2 * pause, _LAST_PAUSE)

    def _wait_until_inserted(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._inserted or self._closed)
            return not self._closed

    def _connect(self) -> socket.socket:
        return socket.create_connection(self._address, timeout=_CONNECT_TIMEOUT)

    def _serve(self, connection: socket.socket) -> socket.socket | None:
        """Serves the card until it is out, or has no ATR to give.

        Returns the connection to go on with in the second case, and None in the first.
        """
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._changed:
            if not self._inserted:
                return None
            self._socket = connection
            card, presence = self._card, self._presences
        self.connected.set()
        slot = _Slot(card)
        try:
            while True:
                answer = slot.answer(_receive(connection))
                if answer is not None:
                    connection.sendall(len(answer).to_bytes(2, "big") + answer)
        except _Mute:
            # Made before the other is closed: else the service, looking between the two, would miss the card.
            return self._connect()
        except MediumRemoved:
            self._withdrew(presence)
            return None
        finally:
            self.connected.clear()
            with self._changed:
                self._socket = None

    def _withdrew(self, presence: int) -> None:
        with self._changed:
            # Unless the next card is in the slot already.
            if self._presences == presence:
                self._inserted = False
                self._changed.notify_all()

    def _hang_up(self) -> None:
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                # The other end was faster.
                return


class _Mute(Exception):
    """The card has no ATR to give."""


class _Slot:
    """The contacts of a slot: what vpcd's messages do to a card.

    vpcd asks for the ATR over and over, to detect a card, powered or not. The card itself is only reset with the power.
    vpcd has no word for a card without ATR. Such a card is there until it has to answer under power, then hangs up and
    comes back. PC/SC takes that for a mute card.
    """

    def __init__(self, card: VirtualCard) -> None:
        self._card = card
        self._atr: bytes | None = None

    def answer(self, message: bytes) -> bytes | None:
        """Handles one message; None where vpcd expects no answer."""
        if len(message) > 1:
            return self._card.transmit(message)
        match message:
            case b"\x00":
                self._atr = None
            case b"\x01" | b"\x02":
                self._atr = self._card.reset()
            case b"\x04":
                if self._atr == b"":
                    raise _Mute
                return self._atr or _UNPOWERED_ATR
            case _:
                # Not in the protocol, as of vsmartcard 3.3.
                pass
        return None


def _receive(connection: socket.socket) -> bytes:
    return _exactly(connection, int.from_bytes(_exactly(connection, 2), "big"))


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        if _QUICKACK is not None:
            # Not sticky: the kernel leaves the quick mode by itself.
            connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        part = connection.recv(count - len(received))
        if not part:
            raise ConnectionAbortedError("vpcd hung up")
        received += part
    return received
