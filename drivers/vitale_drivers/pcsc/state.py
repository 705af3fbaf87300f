"""What PC/SC says of a reader at one instant, and what follows from two such states; pure."""

from dataclasses import dataclass, field

from smartcard import scard

__all__ = ["ReaderState"]


@dataclass(frozen=True, slots=True)
class ReaderState:
    """What ``SCardGetStatusChange`` says of a reader.

    Attributes:
        name: the PC/SC name.
        bits: ``dwEventState``: flags below, the count of insertions and removals above.
        atr: empty without a card, or for one that is mute.
        changed: whether this was a change when it was told; no part of the state.
    """

    name: str
    bits: int = scard.SCARD_STATE_UNAWARE
    atr: bytes = b""
    changed: bool = field(default=False, compare=False)

    @property
    def count(self) -> int:
        """Insertions and removals so far: two cards that follow each other unseen still differ in it."""
        return self.bits >> 16

    @property
    def present(self) -> bool:
        """Whether there is a card."""
        return bool(self.bits & scard.SCARD_STATE_PRESENT)

    @property
    def mute(self) -> bool:
        """Whether the card does not answer."""
        return bool(self.bits & scard.SCARD_STATE_MUTE)

    @property
    def exclusive(self) -> bool:
        """Whether another program has the card for itself alone."""
        return bool(self.bits & scard.SCARD_STATE_EXCLUSIVE)

    @property
    def unknown(self) -> bool:
        """Whether PC/SC no longer knows this reader, or never did."""
        return bool(self.bits & scard.SCARD_STATE_UNKNOWN)

    @property
    def unavailable(self) -> bool:
        """Whether the reader does not work."""
        return bool(self.bits & scard.SCARD_STATE_UNAVAILABLE)

    @property
    def card(self) -> tuple[int, bytes, bool] | None:
        """What tells one presence from another; None without a card, or while it is still being powered."""
        return (self.count, self.atr, self.mute) if self.present and (self.atr or self.mute) else None

    def uncounted(self, since: "ReaderState") -> bool:
        """Whether nothing was put in or taken out since that state; unknown, so not, where PC/SC does not count."""
        return self.count == since.count > 0

    def silenced(self, since: "ReaderState") -> bool:
        """Whether the card is the one of that state and answers no more, as a reset can leave it."""
        return self.uncounted(since) and self.present and not self.atr and since.present and bool(since.atr)
