"""Passthrough: codes that are no patient's are written on to a program that reads a serial port.

Old billing programs open the imager's port themselves. That port is the daemon's now. They are given another one, a
pseudo-terminal here or a real port (``ports``). They get the boxes there, as they did from the imager.

- A code is written whole or not at all, and never waits for the program. One that does not read loses codes.
- Nothing is kept for a program that is not there, which would find old boxes when it comes.
- What the program writes, as to an imager, is read and dropped. So the program is not held up.
"""

import contextlib
import os
import threading
from pathlib import Path
from typing import Protocol

from vitale_drivers.readers.terminals import is_open_elsewhere, names_pseudo_terminal, open_pseudo_terminal
from vitale_protocol.configuration.settings import refusal

__all__ = ["OutputPort", "Passthrough", "PseudoTerminalOutput"]

PLACE = "drivers.options.scanner.passthrough"

_CHUNK = 4096


class OutputPort(Protocol):
    """A port that a program reads at its other end."""

    def write(self, data: bytes) -> bool:
        """Writes without waiting; whether all of it is on its way."""
        ...

    def close(self) -> None:
        """Lets go of the port."""
        ...


class Passthrough:
    """The way to the other program, for all imagers of the driver, each with a thread of its own.

    Args:
        port: its port.
        suffix: what ends each code there.
    """

    def __init__(self, port: OutputPort, suffix: bytes) -> None:
        self._port = port
        self._suffix = suffix
        self._lock = threading.Lock()
        self._closed = False

    def pass_on(self, data: bytes) -> bool:
        """Writes a code on; whether a program gets it."""
        with self._lock:
            return not self._closed and self._port.write(data + self._suffix)

    def close(self) -> None:
        """Lets go of the port; harmless to repeat."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._port.close()


class PseudoTerminalOutput:
    """A pseudo-terminal, and the link by which the other program opens it.

    Args:
        link: where the link is made; one of a former run is replaced, anything else is left alone.

    Raises:
        ConfigurationInvalid: the link cannot be made, or the system has no pseudo-terminals.
    """

    def __init__(self, link: Path) -> None:
        self._link = link
        self._rest = b""
        try:
            self._line, self._path = open_pseudo_terminal()
        except OSError as error:
            raise refusal(PLACE, f"no pseudo-terminal is to be had ({error}); name a port such as COM5") from error
        try:
            _replace(link, self._path)
        except OSError as error:
            os.close(self._line)
            raise refusal(PLACE, f"{link} cannot be made ({error.strerror}); below /dev/shm it can") from error

    def write(self, data: bytes) -> bool:
        """Writes without waiting; whether all of it is on its way."""
        if not is_open_elsewhere(self._line):
            self._rest = b""
            return False
        self._drop_what_is_written()
        self._rest = self._rest[self._written(self._rest) :]
        if self._rest:
            return False
        written = self._written(data)
        # The end of a code whose beginning is on its way goes before the next one.
        self._rest = data[written:] if written else b""
        return written > 0

    def close(self) -> None:
        """Lets go of it, and takes the link away if it is still this one's."""
        with contextlib.suppress(OSError):
            if str(self._link.readlink()) == self._path:
                self._link.unlink()
        os.close(self._line)

    def _written(self, data: bytes) -> int:
        try:
            return os.write(self._line, data) if data else 0
        except OSError:  # full; or the program left at this moment
            return 0

    def _drop_what_is_written(self) -> None:
        with contextlib.suppress(OSError):
            while os.read(self._line, _CHUNK):
                pass


def _replace(link: Path, path: str) -> None:
    with contextlib.suppress(OSError):
        if names_pseudo_terminal(str(link.readlink())):
            link.unlink()
    link.symlink_to(path)
