"""The exchanges of a simulated card, shown as they happen: headers, lengths and status words, never data."""

import threading
import time
from typing import TYPE_CHECKING

import click

from vitale_protocol.errors import MediumUnreadable
from vitale_reader.cli.frame import output

if TYPE_CHECKING:
    from vitale_firmware_sim.card.card import VirtualCard

__all__ = ["ShownCard"]


class ShownCard:
    """A card whose exchanges are shown: headers, lengths and status words, never data."""

    def __init__(self, card: "VirtualCard", *, as_json: bool) -> None:
        self._card = card
        self._as_json = as_json
        self._lock = threading.Lock()

    def reset(self) -> bytes:
        """Resets the card behind it."""
        return self._card.reset()

    def release(self) -> None:
        """Lets go of a call that is kept waiting."""
        self._card.release()

    def transmit(self, apdu: bytes) -> bytes:
        """Answers a command, and shows it."""
        began = time.perf_counter()
        answer = self._card.transmit(apdu)
        self._show(apdu, answer, (time.perf_counter() - began) * 1000)
        return answer

    def _show(self, apdu: bytes, answer: bytes, milliseconds: float) -> None:
        from vitale_protocol.apdu import Response, status_name

        command_text, response = _header(apdu), Response.parse(answer)
        with self._lock:
            if self._as_json:
                exchange = {"command": command_text, "sw": f"{response.sw:04X}", "bytes": len(response.data)}
                output.print_json({**exchange, "ms": round(milliseconds, 3)}, pretty=False)
                return
            colour = "green" if response.sw1 in {0x90, 0x61, 0x6C} else "yellow"
            status = click.style(f"{response.sw:04X}", fg=colour)
            click.echo(f"{command_text:<24} → {status} {status_name(response.sw)}, +{len(response.data)}")


def _header(apdu: bytes) -> str:
    from vitale_protocol.apdu import Command

    try:
        return str(Command.parse(apdu))
    except MediumUnreadable:
        return apdu[:4].hex().upper() + " ?"
