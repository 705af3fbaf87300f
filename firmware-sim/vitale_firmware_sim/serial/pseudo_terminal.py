"""Pseudo-terminals, where the system has them: both ends, and a pipe that wakes whoever waits for the device's end."""

import os
import sys
from dataclasses import dataclass

from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["PseudoTerminal", "open_pseudo_terminal"]


@dataclass(frozen=True, slots=True)
class PseudoTerminal:
    """Open file descriptors; all but ``slave`` never block.

    Attributes:
        master: the device's end.
        slave: the end of the host, held open: with nobody there, reading from ``master`` fails.
        wake_read: becomes readable with what is written to ``wake_write``.
        wake_write: wakes.
        path: what a host opens, such as ``/dev/pts/4``.
    """

    master: int
    slave: int
    wake_read: int
    wake_write: int
    path: str


if sys.platform == "win32":

    def open_pseudo_terminal() -> PseudoTerminal:
        """Opens one; bytes pass as they are.

        Raises:
            ConfigurationInvalid: this system has none.
        """
        raise ConfigurationInvalid("this system has no pseudo-terminals", data={"path": "sim"})

else:
    import tty

    def open_pseudo_terminal() -> PseudoTerminal:
        """Opens one; bytes pass as they are.

        Raises:
            OSError: there is none to be had.
        """
        master, slave = os.openpty()
        wake_read, wake_write = os.pipe()
        for descriptor in (master, wake_read, wake_write):
            os.set_blocking(descriptor, False)
        # A terminal would echo, and change CR and LF.
        tty.setraw(slave)
        return PseudoTerminal(master, slave, wake_read, wake_write, os.ttyname(slave))
