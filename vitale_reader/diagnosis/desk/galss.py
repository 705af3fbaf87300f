"""``galss.ini``: which ports and readers the GALSS takes, the old way of the profession to share a reader.

It is an INI file with a section a channel: ``[CANAL1]`` is the CPS, ``[CANAL2]`` the carte Vitale, and
``Caracteristiques`` names a PC/SC reader or a serial port. Windows keeps it in its own folder, macOS in
``/Library/Preferences`` (public scripts of integrators, which repair it there).
"""

import configparser
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from vitale_protocol.diagnosis.rows import Row
from vitale_reader.diagnosis.machine import Machine

__all__ = ["Channel", "channels", "look", "places"]

_WINDOWS = ("galss.ini",)
_ELSEWHERE = (
    "/Library/Preferences/galss.ini",
    "/etc/galss.ini",
    "/etc/opt/santesocial/galss/galss.ini",
    "/usr/local/galss/galss.ini",
)
_SECTION = re.compile(r"CANAL\d+\Z", re.IGNORECASE)
_PORT = re.compile(r"(?:\\\\\.\\)?(COM\d{1,3}|/dev/\S+)", re.IGNORECASE)

#: A channel of the GALSS, such as ``CANAL1``, and the reader or port that it names.
Channel = tuple[str, str]


def places(machine: Machine) -> tuple[Path, ...]:
    """The files that are there."""
    if machine.system == "win32":
        folder = Path(machine.environ.get("SystemRoot", r"C:\Windows"))
        candidates = [folder / name for name in _WINDOWS]
    else:
        candidates = [machine.at(path) for path in _ELSEWHERE]
    return tuple(one for one in candidates if one.is_file())


def channels(text: str) -> tuple[Channel, ...]:
    """The channels of a file.

    Raises:
        configparser.Error: it is no INI file.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False, comment_prefixes=(";", "#"))
    parser.read_string(text)
    named = ((name, parser[name].get("caracteristiques", "").strip()) for name in parser.sections())
    return tuple((name, what) for name, what in named if _SECTION.match(name))


def look(machine: Machine, shown: Collection[str] | None, ports: Mapping[str, str]) -> Iterator[Row]:
    """Looks at the files.

    Args:
        machine: the one that is looked at.
        shown: the names of the readers that PC/SC shows; None where it could not be asked.
        ports: the serial ports in the options of drivers, and the driver of each.
    """
    for file in places(machine):
        try:
            found = channels(file.read_bytes().decode("utf-8-sig", errors="replace").replace("\r", "\n"))
        except (OSError, configparser.Error):
            found = ()
        if not found:
            yield Row(id="galss_unreadable", subject="galss", state="note", values={"file": str(file)})
            continue
        told = ", ".join(f"{name} {what or '–'}" for name, what in found)
        yield Row(id="galss_found", subject="galss", state="ok", values={"file": str(file), "channels": told})
        for channel in found:
            yield from _channel(file, channel, shown, ports)


def _channel(file: Path, channel: Channel, shown: Collection[str] | None, ports: Mapping[str, str]) -> Iterator[Row]:
    name, what = channel
    values = {"file": str(file), "channel": name}
    if port := _PORT.match(what):
        taken = next((mine for mine in ports if mine.lower() == port[1].lower()), None)
        if taken is not None:
            more = {"port": taken, "driver": ports[taken]}
            yield Row(id="galss_takes_port", subject="galss", state="wrong", values=values | more)
    elif what and shown is not None and not any(what.lower() in one.lower() for one in shown):
        yield Row(id="galss_absent", subject="galss", state="note", values=values | {"name": what})
