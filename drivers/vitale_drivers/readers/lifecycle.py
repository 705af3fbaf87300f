"""The life of one reader: its thread, from ``start`` to ``end``, whether the device is plugged in or not.

``ReaderThread`` is any such thread. ``PluggedReader`` also finds its device, opens it, serves it, and repeats that when
it is back. A driver adds ``serve`` and says what is lost when the device goes.
"""

import abc
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from vitale_drivers.base import Emit, Report
from vitale_drivers.readers.call_timer import CallTimer
from vitale_drivers.readers.health import HealthOfReaders
from vitale_drivers.readers.status import ReaderStatus
from vitale_protocol.errors import ReaderError, ReaderGone
from vitale_protocol.events import Reader

__all__ = ["OpenDevice", "PluggedReader", "ReaderBus", "ReaderPlace", "ReaderThread"]

AddressT = TypeVar("AddressT")


@dataclass(frozen=True)
class ReaderPlace(Generic[AddressT]):
    """Place of a reader, present or awaited.

    Attributes:
        id: the reader's id for life: of its serial number, its socket, its path or URL; never an index.
        name: for people.
        address: where it was looked for, as the driver's options name it.
        where: opens it now, such as ``/dev/video2``; changes from one plugging to the next.
        simulated: whether it is a program.
    """

    id: str
    name: str
    address: AddressT
    where: str = ""
    simulated: bool = False


class OpenDevice(Protocol):
    """A device that is open. Its calls are for one thread, but ``cancel``."""

    @property
    def simulated(self) -> bool:
        """True if a program was opened.

        Its place may not have shown it, for a path may lead elsewhere by now.
        """
        ...

    def cancel(self) -> None:
        """Makes a waiting call return soon; may be called from another thread, and twice."""

    def close(self) -> None:
        """Lets go of the device; it may be gone already."""


PlaceT = TypeVar("PlaceT", bound=ReaderPlace[Any])
DeviceT = TypeVar("DeviceT", bound=OpenDevice)
AddressT_contra = TypeVar("AddressT_contra", contravariant=True)
DeviceT_co = TypeVar("DeviceT_co", covariant=True)


class ReaderBus(Protocol[AddressT_contra, PlaceT, DeviceT_co]):
    """Interface that finds and opens readers; a driver has one for its binding, and its tests have others."""

    def places(self, address: AddressT_contra) -> tuple[PlaceT, ...]:
        """The readers that are at an address now; none is opened for it."""
        ...

    def open(self, place: PlaceT) -> DeviceT_co:
        """Opens a reader, for this program alone; it may take seconds.

        Raises:
            ReaderGone: it is not there.
            ReaderBusy: something else has it; ``data.holder`` says what is known.
            ReaderUnavailable: it is there and does not answer, or may not be used.
        """
        ...


OrderT = TypeVar("OrderT")


class ReaderThread(abc.ABC, Generic[OrderT]):
    """A reader with a thread of its own, which alone works it and reports.

    Args:
        reader: what clients know it as, empty.
        emit: takes its reports.
        reader_health: takes what is the matter with it, for the driver's health.

    Attributes:
        status: reports what becomes of it.
        changed: notified when there is an order, or when it is to end.
        orders: what other threads have ordered, oldest first.
        closed: whether it is to end.
    """

    def __init__(self, reader: Reader, emit: Emit, reader_health: HealthOfReaders) -> None:
        self.id = reader.id
        self.status = ReaderStatus(reader.id, self.emit, reader_health)
        self.changed = threading.Condition()
        self.orders: deque[OrderT] = deque()
        self.closed = False
        self._emit_to = emit
        self._thread = threading.Thread(target=self.run, name=f"reader {reader.id}", daemon=True)

    @abc.abstractmethod
    def run(self) -> None:
        """Works until ``closed``; called once, in the reader's thread."""

    @abc.abstractmethod
    def is_stuck(self, now: float) -> bool:
        """True if a call holds it that should have returned long ago; ``now`` is of the monotonic clock."""

    def start(self) -> None:
        """Starts the reader's thread."""
        self._thread.start()

    def order(self, order: OrderT) -> None:
        """Queues an order for the thread; returns at once."""
        with self.changed:
            self.orders.append(order)
            self.changed.notify_all()

    def end(self) -> None:
        """Makes the thread end; nothing is reported any more."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def join(self, timeout: float) -> None:
        """Waits for the thread; one that is inside a binding ends with the process."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    @property
    def is_alive(self) -> bool:
        """True if the thread was started and has not ended."""
        return self._thread.is_alive()

    def emit(self, report: Report) -> None:
        """Reports, until the reader is to end."""
        if not self.closed:
            self._emit_to(report)

    def rest(self, seconds: float) -> None:
        """Sleeps for so long, unless an order comes or it is to end."""
        if seconds > 0:
            with self.changed:
                self.changed.wait_for(lambda: self.closed or self.orders, seconds)


class PluggedReader(ReaderThread[OrderT], Generic[OrderT, PlaceT, DeviceT]):
    """A reader whose device is open for as long as it is plugged in.

    Args:
        place: where it was found.
        bus: finds and opens it.
        reader: what clients know it as, empty.
        look: seconds between two attempts to find or open it.
        emit: takes its reports.
        reader_health: takes what is the matter with it.

    Attributes:
        reader: what clients know it as, empty.
        timer: encloses the calls of the binding.
    """

    stuck_after: ClassVar[float] = 10.0
    """Seconds in one call of the binding: far beyond what any of them may take."""

    def __init__(
        self,
        place: PlaceT,
        bus: ReaderBus[Any, PlaceT, DeviceT],
        reader: Reader,
        look: float,
        emit: Emit,
        reader_health: HealthOfReaders,
    ) -> None:
        super().__init__(reader, emit, reader_health)
        self.reader = reader
        self.timer = CallTimer()
        self._place = place
        self._bus = bus
        self._look = look
        self._device: DeviceT | None = None

    @abc.abstractmethod
    def serve(self, device: DeviceT) -> None:
        """Works the open device until ``closed``.

        Raises:
            ReaderError: it is gone, or cannot be used any more.
        """

    @abc.abstractmethod
    def abandon(self, error: ReaderError) -> bool:
        """Drops what waited for the device, and answers it; returns whether a request was armed for it meanwhile."""

    @property
    @abc.abstractmethod
    def wanted(self) -> bool:
        """True if a request waits for this reader."""

    def is_stuck(self, now: float) -> bool:
        """True if it has been in one call for longer than any may take."""
        return self.timer.elapsed(now) > self.stuck_after

    def end(self) -> None:
        """Makes the thread end, also one that waits for the device."""
        with self.changed:
            super().end()
            if self._device is not None:
                self._device.cancel()

    def is_there(self) -> bool:
        """True if the device is plugged in."""
        return self._found() is not None

    def run(self) -> None:
        """Opens, serves and closes the device, again and again."""
        while not self.closed:
            try:
                device = self._open()
                try:
                    self.serve(device)
                finally:
                    self._keep(None)
                    with self.timer.call():
                        device.close()
            except ReaderError as error:
                self._fail(error)
                self.rest(self._look)

    def _open(self) -> DeviceT:
        place = self._found()
        if place is None:
            raise ReaderGone("the reader is not there")
        with self.timer.call():
            device = self._bus.open(place)
        # Only the open device shows it; a reader once simulated is never reported as real.
        simulated = self.reader.simulated or place.simulated or device.simulated
        self.reader = msgspec.structs.replace(self.reader, simulated=simulated)
        self._keep(device)
        return device

    def _found(self) -> PlaceT | None:
        return next((one for one in self._bus.places(self._place.address) if one.id == self.id), None)

    def _keep(self, device: DeviceT | None) -> None:
        with self.changed:
            self._device = device

    def _fail(self, error: ReaderError) -> None:
        gone = isinstance(error, ReaderGone) or not self.is_there()
        with self.changed:
            armed = self.abandon(error)
            if gone:
                self.status.gone()
            elif (self.status.ill(self.reader, error) or armed) and self.wanted:
                self.status.remind()
