"""Duration of a thread's current call of a binding.

Another thread detects by it a call that does not return.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["CallTimer"]


class CallTimer:
    """Timer of the current call of a reader's thread."""

    def __init__(self) -> None:
        self._since: float | None = None

    def elapsed(self, now: float) -> float:
        """Seconds of the monotonic clock since the call began; 0 where there is none."""
        since = self._since
        return 0.0 if since is None else now - since

    @contextmanager
    def call(self) -> Generator[None]:
        """Times one call, as a context."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None
