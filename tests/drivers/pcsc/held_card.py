"""A card whose reading stands still until a test has seen, and done, what it wants meanwhile."""

import threading

from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.images import load_image
from vitale_protocol.errors import MediumRemoved

__all__ = ["HeldCard"]

PATIENCE = 120.0


class HeldCard:
    """A carte Vitale that gives no answer to a command before ``let_go``.

    Attributes:
        asked: whether a command waits for its answer, or has waited.
    """

    def __init__(self, image: str = "famille") -> None:
        self.asked = threading.Event()
        self._card = Card(load_image(image))
        self._free = threading.Event()

    def reset(self) -> bytes:
        """The card's ATR."""
        return self._card.reset()

    def transmit(self, apdu: bytes) -> bytes:
        """Answers a command, once that is allowed.

        Raises:
            MediumRemoved: nobody ever allowed it.
        """
        self.asked.set()
        if not self._free.wait(PATIENCE):
            raise MediumRemoved("a test never let its card go")
        return self._card.transmit(apdu)

    def release(self) -> None:
        """Ends the wait of the command: the card is taken out."""
        self._free.set()

    def let_go(self) -> None:
        """Answers from now on."""
        self._free.set()
