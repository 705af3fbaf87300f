"""The interface between the driver ``scanner`` and the binding that works an imager's port."""

from typing import Protocol, TypeAlias

from vitale_drivers.readers.lifecycle import ReaderBus, ReaderPlace
from vitale_drivers.scanner.settings import ScannerAddress

__all__ = ["ScannerBus", "ScannerPlace", "SerialTransport"]

ScannerPlace: TypeAlias = ReaderPlace[ScannerAddress]


class SerialTransport(Protocol):
    """An imager's port that is open. Its calls are for one thread, but ``cancel``.

    Attributes:
        simulated: whether what was opened is a program. Its place may not have shown that: a path may lead elsewhere
            from one moment to the next.
    """

    simulated: bool

    def read(self, seconds: float | None) -> bytes:
        """Waits for bytes, at most for so long; empty when that is over, or when it was cancelled.

        Raises:
            ReaderGone: the port is no more.
        """
        ...

    def cancel(self) -> None:
        """Makes ``read`` return, also one that begins right after; may be called from another thread, and twice."""
        ...

    def close(self) -> None:
        """Lets go of the port; it may be gone already."""
        ...


ScannerBus: TypeAlias = ReaderBus[ScannerAddress, ScannerPlace, SerialTransport]
