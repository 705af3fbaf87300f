"""Stand-ins for what names the programs that have a device open."""

from vitale_drivers.base import FindHolders

__all__ = ["held_by", "nobody"]


def nobody(_device: str) -> tuple[str, ...]:
    """Nothing is known."""
    return ()


def held_by(device: str, *programs: str) -> FindHolders:
    """These programs have this device open, and no other."""
    return lambda asked: programs if asked == device else ()
