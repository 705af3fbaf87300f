"""The system below a client: Unix sockets, and waits that Ctrl-C interrupts."""

import sys

__all__ = ["SLICE", "UNIX_SOCKETS"]

UNIX_SOCKETS = sys.platform != "win32"
"""True if asyncio has Unix sockets here."""

# Waiting without end cannot be interrupted by Ctrl-C on Windows; elsewhere it can, and costs nothing.
SLICE = 0.2 if sys.platform == "win32" else None
"""Seconds after which a wait is begun anew; None for one wait without end."""
