"""Base of simulated devices on a serial line: a pseudo-terminal while they are plugged in, and its link."""

import abc
from pathlib import Path
from types import TracebackType
from typing import Self

from vitale_firmware_sim.serial.line import Baud, SerialLine
from vitale_protocol.errors import ConfigurationInvalid, LocalMisuse

__all__ = ["SerialDevice"]


class SerialDevice(abc.ABC):
    """A device, from ``with`` or ``open`` to ``unplug``.

    Args:
        baud: the speed of the wire in bits a second, "agreed" for what host and device agree upon. None is for at once.
        link: where a symbolic link to the pseudo-terminal is made; nothing may be there yet. None for no link.
    """

    def __init__(self, baud: Baud, link: Path | None) -> None:
        self._baud: Baud = baud
        self._link = link
        self._path = ""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.unplug()

    @abc.abstractmethod
    def open(self) -> None:
        """Plugs it in, with a new pseudo-terminal; does nothing where it is plugged in.

        Raises:
            ConfigurationInvalid: the link cannot be made.
        """

    @abc.abstractmethod
    def unplug(self) -> None:
        """Takes it away from its host, in the middle of whatever it does.

        Does nothing where it is not plugged in.
        """

    @property
    def path(self) -> str:
        """The serial device, such as ``/dev/pts/4``.

        Raises:
            LocalMisuse: it was never plugged in.
        """
        if not self._path:
            raise LocalMisuse("the device is not open")
        return self._path

    # ── for the devices ──

    def _line_of_its_own(self) -> SerialLine:
        """A new line, with its link."""
        line = SerialLine(self._baud)
        if self._link is not None:
            try:
                self._link.symlink_to(line.path)
            except OSError as error:
                line.close()
                raise ConfigurationInvalid("the link cannot be made", data={"path": "link"}) from error
        self._path = line.path
        return line

    def _close(self, line: SerialLine) -> None:
        """Removes the link, then closes the line: from then on another program's pseudo-terminal may have its path."""
        try:
            if self._link is not None:
                self._link.unlink(missing_ok=True)
        finally:
            line.close()
