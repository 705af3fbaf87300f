"""State of a reader in PC/SC at one instant, and comparisons of two such states; pure."""

from dataclasses import dataclass, field

from smartcard import scard

from vitale_protocol.diagnosis.atr import parse_atr

__all__ = ["ReaderState"]


@dataclass(frozen=True, slots=True)
class ReaderState:
    """State of a reader, from ``SCardGetStatusChange``.

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
        """True if there is a card."""
        return bool(self.bits & scard.SCARD_STATE_PRESENT)

    @property
    def mute(self) -> bool:
        """True if the card gives no answer to reset, or none that is whole: half inserted, dirty, upside down."""
        return bool(self.bits & scard.SCARD_STATE_MUTE or (self.atr and not parse_atr(self.atr).complete))

    @property
    def exclusive(self) -> bool:
        """True if another program has the card for itself alone."""
        return bool(self.bits & scard.SCARD_STATE_EXCLUSIVE)

    @property
    def in_use(self) -> bool:
        """True if a program is connected to the card, shared or not; without one nobody has a transaction."""
        return bool(self.bits & (scard.SCARD_STATE_INUSE | scard.SCARD_STATE_EXCLUSIVE))

    @property
    def unknown(self) -> bool:
        """True if PC/SC no longer knows this reader, or never did."""
        return bool(self.bits & scard.SCARD_STATE_UNKNOWN)

    @property
    def unavailable(self) -> bool:
        """True if the reader does not work."""
        return bool(self.bits & scard.SCARD_STATE_UNAVAILABLE)

    @property
    def card(self) -> tuple[int, bytes, bool] | None:
        """Identity of the presence; None without a card, or while it is still being powered."""
        if not self.present or not (self.atr or self.mute):
            return None
        return self.count, b"" if self.mute else self.atr, self.mute

    def uncounted(self, since: "ReaderState") -> bool:
        """True if no card was inserted or removed since that state; false where PC/SC does not count."""
        return self.count == since.count > 0

    def revived(self, since: "ReaderState") -> bool:
        """True if the card is the one of that state, was mute then and is not now."""
        return since.present and since.mute and self.present and not self.mute and self.count == since.count

    def silenced(self, since: "ReaderState") -> bool:
        """True if the card is the one of ``since`` and is silent now, as a reset can leave it."""
        silent = self.present and (self.mute or not self.atr)
        return self.uncounted(since) and silent and since.present and bool(since.atr)
