"""The answer to reset taken apart (ISO/IEC 7816-3 §8.2): convention, protocols, historical bytes."""

import msgspec

__all__ = ["Atr", "parse_atr"]

_CONVENTIONS = {0x3B: "direct", 0x3F: "inverse"}


class Atr(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to reset.

    Attributes:
        convention: ``direct``, ``inverse``, or empty for neither.
        protocols: the values of T that the card offers, in its order.
        historical: the historical bytes.
        complete: whether it has all the bytes that it announces.
    """

    convention: str
    protocols: tuple[int, ...]
    historical: bytes
    complete: bool


def parse_atr(atr: bytes) -> Atr:
    """Takes an answer to reset apart, as far as it goes."""
    convention = _CONVENTIONS.get(atr[0], "") if atr else ""
    if len(atr) < 2:
        return Atr(convention=convention, protocols=(), historical=b"", complete=False)
    wanted, at, protocols, more = atr[1] & 0x0F, 2, list[int](), atr[1] >> 4
    while more:
        at += (more & 0b0111).bit_count()  # TA, TB and TC
        if not more & 0b1000:
            break
        if at >= len(atr):
            return Atr(convention=convention, protocols=_offered(protocols), historical=b"", complete=False)
        protocols.append(atr[at] & 0x0F)
        more = atr[at] >> 4
        at += 1
    historical = atr[at : at + wanted]
    complete = bool(convention) and len(atr) >= at + wanted
    return Atr(convention=convention, protocols=_offered(protocols), historical=historical, complete=complete)


def _offered(protocols: list[int]) -> tuple[int, ...]:
    """Without an interface byte TD a card offers T=0 alone; T=15 announces global interface bytes only."""
    return tuple(dict.fromkeys(one for one in protocols if one != 15)) or (0,)
