"""Watching PC/SC: readers that come and go, cards put in and taken out, and the service itself.

One thread blocks in ``SCardGetStatusChange`` over all readers and the plug-and-play pseudo-reader. It looks again by
itself only where the platform cannot block:

- every ``RETRY`` seconds or more while there is no service to wait in;
- every ``RELIST`` seconds where the pseudo-reader is not known (macOS);
- every ``RELIST`` seconds with as many readers as one call may watch, which leaves the pseudo-reader no place;
- at the start, after each change of the list, and after each call that a vanished reader ended. A reader plugged
  between two calls would be missed for ever.
"""

import threading
from typing import Protocol

from vitale_drivers.pcsc.api import NO_SERVICE, PNP, Pcsc, PcscContext
from vitale_drivers.pcsc.state import ReaderState
from vitale_drivers.pcsc.system import SERVICE_COMES_WITH_READERS
from vitale_protocol.errors import ReaderGone, ReaderUnavailable, VitaleError

__all__ = [
    "MAX_WATCHED",
    "RELIST",
    "RETRY",
    "RETRY_REFUSED",
    "RETRY_WITHOUT_READERS",
    "Monitor",
    "MonitorListener",
]

RETRY = 0.5
"""Seconds: a service that came back is found within them, a quarter of the two seconds promised for all of it."""

RETRY_REFUSED = 10.0
"""Seconds at most between two attempts while the service refuses this user: each leaves a line in the journal."""

RETRY_WITHOUT_READERS = 1.0
"""Seconds between two attempts while there is no reader, and therefore no service (Windows)."""

RELIST = 1.0

MAX_WATCHED = 16
"""States that one call takes: pcsc-lite's ``PCSCLITE_MAX_READERS_CONTEXTS``, the pseudo-reader among them."""

BREATH = 0.05
"""Seconds: some terminal servers answer at once for ever though nothing changed, and would take a whole core."""


class MonitorListener(Protocol):
    """Receiver of the monitor's notifications, called from the monitor's thread."""

    def service_up(self) -> None:
        """Notifies that the service answers."""
        ...

    def service_down(self, error: ReaderUnavailable) -> None:
        """Notifies at each attempt that the service does not answer."""
        ...

    def plugged(self, context: PcscContext, state: ReaderState) -> None:
        """Notifies of a new reader."""
        ...

    def unplugged(self, name: str, error: VitaleError) -> None:
        """Notifies that a reader is gone; ``error`` is the reason."""
        ...

    def observed(self, state: ReaderState) -> None:
        """Notifies of a reader's present state."""
        ...

    def looked(self) -> None:
        """Notifies that the readers that are there now have been notified of."""
        ...


class Monitor:
    """The thread that watches."""

    def __init__(
        self,
        pcsc: Pcsc,
        watcher: MonitorListener,
        *,
        service_comes_with_readers: bool = SERVICE_COMES_WITH_READERS,
    ) -> None:
        self._service_comes_with_readers = service_comes_with_readers
        self._pcsc = pcsc
        self._watcher = watcher
        self._closing = threading.Event()
        self._context: PcscContext | None = None
        self._states: dict[str, ReaderState] = {}
        self._thread = threading.Thread(target=self._run, name="PC/SC monitor", daemon=True)

    def start(self) -> None:
        """Starts the monitor's thread."""
        self._thread.start()

    def look(self) -> None:
        """Looks at once; for changes that the service does not signal.

        A call that comes just before the thread begins to wait is lost: who needs an answer asks again.
        """
        if context := self._context:
            context.cancel()

    def close(self, timeout: float) -> None:
        """Ends the thread, within ``timeout`` seconds if the service lets it go."""
        self._closing.set()
        waited = 0.0
        while self._thread.is_alive() and waited < timeout:
            self.look()
            self._thread.join(BREATH)
            waited += BREATH

    def _run(self) -> None:
        refused = RETRY
        while not self._closing.is_set():
            try:
                self._session()
            except ReaderUnavailable as error:
                if self._service_comes_with_readers and error.data.get("code") in NO_SERVICE:
                    self._without_readers()
                    continue
                self._watcher.service_down(error)
                for name in tuple(self._states):
                    self._forget(name, error)
                self._watcher.looked()
                refused = min(2 * refused, RETRY_REFUSED) if error.variant == "pcsc-refused" else RETRY
                self._closing.wait(refused)

    def _without_readers(self) -> None:
        """The service has ended with its last reader, and comes with the next: nobody need start it."""
        self._watcher.service_up()
        for name in tuple(self._states):
            self._forget(name, ReaderGone("the reader was unplugged"))
        self._watcher.looked()
        self._closing.wait(RETRY_WITHOUT_READERS)

    def _session(self) -> None:
        """One life of the service. The context of a service that went says that it is valid, and is not."""
        context = self._pcsc.establish()
        try:
            self._context = context
            context.readers()
            self._watcher.service_up()
            self._watch(context)
        finally:
            self._context = None
            context.release()

    def _watch(self, context: PcscContext) -> None:
        pnp = ReaderState(PNP)
        self._relist(context)
        self._watcher.looked()
        timeout: float | None = RELIST
        while not self._closing.is_set():
            full = len(self._states) >= MAX_WATCHED
            watched = (*self._states.values(), *(() if full else (pnp,)))
            try:
                found = context.wait(watched, RELIST if full else timeout)
            except ReaderGone:
                self._closing.wait(BREATH)
                self._relist(context)
                timeout = RELIST
                continue
            readers = found if full else found[:-1]
            pnp = pnp if full else found[-1]
            observed = [self._observe(state) for state in readers]
            if full or pnp.changed or timeout is not None or any(state.unknown for state in readers):
                timeout = self._relist(context)
            if not any(observed) and not pnp.changed and (full or timeout is None):
                self._closing.wait(BREATH)
            if pnp.unknown:
                timeout = RELIST

    def _observe(self, state: ReaderState) -> bool:
        if state.unknown or state == self._states[state.name]:
            return False
        self._states[state.name] = state
        self._watcher.observed(state)
        return True

    def _relist(self, context: PcscContext) -> float | None:
        """Compares the list with what is known; the time after which to look again, if it has just changed."""
        names = context.readers()
        gone = [name for name in self._states if name not in names]
        new = [ReaderState(name) for name in sorted(names) if name not in self._states]
        for name in gone:
            self._forget(name, ReaderGone("the reader was unplugged"))
        try:
            states = context.wait(new, 0) if new else ()
        except ReaderGone:
            return RELIST  # unplugged before it could be looked at
        for state in states:
            if not state.unknown:
                self._states[state.name] = state
                self._watcher.plugged(context, state)
        return RELIST if gone or new else None

    def _forget(self, name: str, error: VitaleError) -> None:
        del self._states[name]
        self._watcher.unplugged(name, error)
