"""What the driver ``scanner`` needs of an imager's port: the interface between it and the binding."""

from dataclasses import dataclass
from typing import Protocol

from vitale_drivers.scanner.settings import Address

__all__ = ["Bus", "Line", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an imager is, or may be again.

    Attributes:
        id: the reader's id for life: of its serial number, of its socket or of its path; never an index.
        name: for people.
        address: where it was looked for.
        device: what opens it now; changes from one plugging to the next.
        simulated: whether it is a program.
    """

    id: str
    name: str
    address: Address
    device: str
    simulated: bool = False


class Line(Protocol):
    """An imager's port that is open. Its calls are for one thread, but ``cancel``.

    Attributes:
        simulated: whether what was opened is a program, which its place may not have shown: a path may lead elsewhere
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
        """Has ``read`` return, also one that begins right after; may be called from another thread, and twice."""
        ...

    def close(self) -> None:
        """Lets go of the port; it may be gone already."""
        ...


class Bus(Protocol):
    """How imagers are found and opened; there is one for pyserial, and tests have others."""

    def places(self, address: Address) -> tuple[Place, ...]:
        """The imagers that are at an address now."""
        ...

    def open(self, place: Place) -> Line:
        """Opens the port of an imager, for this program alone.

        Raises:
            ReaderGone: it is not there.
            ReaderBusy: something else has it; ``data.holder`` says what is known.
            ReaderUnavailable: it is there and does not answer, or may not be used.
        """
        ...
