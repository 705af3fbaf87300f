"""``galss.ini``: which ports and readers the GALSS takes, the old way of the profession to share a reader.

It is an INI file with a section for each channel: ``[CANAL1]`` is the CPS, ``[CANAL2]`` the carte Vitale.
``Caracteristiques`` names a PC/SC reader or a serial port. On a serial line it may have the line's settings instead,
``9600,1,8,0,0``. ``Index`` then numbers the port. Windows keeps it in its own folder, macOS in ``/Library/Preferences``
(public scripts of integrators, which repair it there).

It is read as Windows reads such files (``GetPrivateProfileString``). The first of two sections or settings of a name
counts. What is neither is passed over.
"""

import codecs
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_reader.diagnosis.machine import InspectedMachine

__all__ = ["Channel", "channels", "look", "places"]

_WINDOWS = ("galss.ini",)
_ELSEWHERE = (
    "/Library/Preferences/galss.ini",
    "/etc/galss.ini",
    "/etc/opt/santesocial/galss/galss.ini",
    "/usr/local/galss/galss.ini",
)
_SECTION = re.compile(r"CANAL\d+\Z", re.IGNORECASE)
_LINE_SETTINGS = re.compile(r"\d+(?:\s*,\s*\w+)+\Z")
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_PORT = re.compile(r"(?:\\\\\.\\)?(COM\d{1,3}|/dev/\S+)", re.IGNORECASE)

#: A channel of the GALSS, such as ``CANAL1``, and the reader or port that it names.
Channel = tuple[str, str]


def places(machine: InspectedMachine) -> tuple[Path, ...]:
    """The files that are there."""
    if machine.system == "win32":
        folder = Path(machine.environ.get("SystemRoot", r"C:\Windows"))
        candidates = [folder / name for name in _WINDOWS]
    else:
        candidates = [machine.at(path) for path in _ELSEWHERE]
    return tuple(one for one in candidates if one.is_file())


def channels(text: str) -> tuple[Channel, ...]:
    """The channels of a file; none where it is something else."""
    return tuple((name, _what(section)) for name, section in _sections(text).items() if _SECTION.match(name))


def _sections(text: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            name, section = line[1:-1].strip(), {}
            if name.lower() not in map(str.lower, found):
                found[name] = section
        elif not line.startswith((";", "#")):
            key, equals, value = line.partition("=")
            if equals:
                section.setdefault(key.strip().lower(), value.strip().strip("\"'").strip())
    return found


def _what(section: Mapping[str, str]) -> str:
    """The reader or the port of a channel."""
    what, index = section.get("caracteristiques", ""), section.get("index", "")
    return f"COM{index}" if _LINE_SETTINGS.match(what) and index.isdecimal() else what


def _decoded(content: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")  # as Windows has it in France


def look(machine: InspectedMachine, shown: Collection[str] | None, ports: Mapping[str, str]) -> Iterator[CheckResult]:
    """Looks at the files.

    Args:
        machine: the one that is looked at.
        shown: the names of the readers that PC/SC shows; None where it could not be asked.
        ports: the serial ports in the options of drivers, and the driver of each.
    """
    for file in places(machine):
        try:
            found = channels(_decoded(file.read_bytes()))
        except OSError:
            found = ()
        if not found:
            yield CheckResult(id="galss_unreadable", subject="galss", state="note", values={"file": str(file)})
            continue
        told = ", ".join(f"{name} {what or '–'}" for name, what in found)
        yield CheckResult(id="galss_found", subject="galss", state="ok", values={"file": str(file), "channels": told})
        for channel in found:
            yield from _channel(file, channel, shown, ports)


def _channel(
    file: Path, channel: Channel, shown: Collection[str] | None, ports: Mapping[str, str]
) -> Iterator[CheckResult]:
    name, what = channel
    values = {"file": str(file), "channel": name}
    if port := _PORT.match(what):
        taken = next((mine for mine in ports if mine.lower() == port[1].lower()), None)
        if taken is not None:
            more = {"port": taken, "driver": ports[taken]}
            yield CheckResult(id="galss_takes_port", subject="galss", state="wrong", values=values | more)
    elif (
        what
        and not _LINE_SETTINGS.match(what)
        and shown is not None
        and not any(what.lower() in one.lower() for one in shown)
    ):
        yield CheckResult(id="galss_absent", subject="galss", state="note", values=values | {"name": what})
