"""States of the daemon told to systemd, which started it as a service of ``Type=notify`` (sd_notify(3))."""

import logging
import os
import socket
from collections.abc import MutableMapping
from typing import Final

__all__ = ["START_SECONDS", "ServiceNotification"]

logger = logging.getLogger(__name__)

#: None on Windows, which has no service manager of this kind.
_UNIX: int | None = getattr(socket, "AF_UNIX", None)


#: Seconds that a start may take, and any step of it that brings a store of a version before forward.
START_SECONDS: Final = 300


class ServiceNotification:
    """The line to whoever waits for the daemon to be ready; silent where nobody does.

    Args:
        environ: the environment. What names the socket is taken out of it: drivers have nothing to tell there.
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        self._address = (os.environ if environ is None else environ).pop("NOTIFY_SOCKET", "")
        self._is_ready = False

    def extend(self) -> None:
        """Tells, from any thread, that a start that takes long gets on; nothing once clients can come.

        Whoever waits gives it ``START_SECONDS`` more from now on, instead of killing what would begin anew.
        """
        if not self._is_ready:
            self._tell(f"EXTEND_TIMEOUT_USEC={START_SECONDS * 1_000_000}")

    def ready(self) -> None:
        """Tells that clients can come."""
        self._is_ready = True
        self._tell("READY=1")

    def stopping(self) -> None:
        """Tells that the end has begun."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if not self._address or _UNIX is None:
            return
        # An address in the abstract namespace is written with an @.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(_UNIX, socket.SOCK_DGRAM) as line:
                line.sendto(state.encode(), address)
        except OSError as error:
            logger.warning("the service manager could not be told %s: %s", state, error.strerror)
