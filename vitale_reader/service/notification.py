"""States of the daemon told to systemd, which started it as a service of ``Type=notify`` (sd_notify(3))."""

import logging
import os
import socket
from collections.abc import MutableMapping

__all__ = ["ServiceNotification"]

logger = logging.getLogger(__name__)

#: None on Windows, which has no service manager of this kind.
_UNIX: int | None = getattr(socket, "AF_UNIX", None)


class ServiceNotification:
    """The line to whoever waits for the daemon to be ready; silent where nobody does.

    Args:
        environ: the environment. What names the socket is taken out of it: drivers have nothing to tell there.
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        self._address = (os.environ if environ is None else environ).pop("NOTIFY_SOCKET", "")

    def ready(self) -> None:
        """Tells that clients can come."""
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
