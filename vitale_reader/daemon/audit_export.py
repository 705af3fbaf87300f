"""Export of the ends of the audit trail from the machine: to another disk, to syslog, or by plug-ins.

A plug-in may take them to a time-stamp authority.

- One end is one line of JSON, sealed with the key of the store. A line that somebody else wrote is no evidence.
- ``compare`` holds such lines against the store. Whoever has every key of a desk can write its trail anew, not the
  lines that have left it.
- Exporting holds up nothing: a thread of its own writes the latest end. A disk or a server that hangs costs exports.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from logging.handlers import SysLogHandler
from pathlib import Path
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection

from vitale_protocol.configuration.settings import refusal
from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ParseError, VitaleError
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.audit_trail.verification import Verifier
from vitale_reader.daemon.store.local_anchor import Anchor
from vitale_reader.resolvers.registry import load_class

__all__ = [
    "DESTINATIONS",
    "Compared",
    "Destination",
    "Exporter",
    "Missed",
    "compare",
    "destinations",
    "line_of",
    "same_disk",
]

logger = logging.getLogger(__name__)

#: The entry-point group of plug-ins.
DESTINATIONS = "vitale_reader.audit_exports"

#: Where syslog is by default on this machine, and its port elsewhere (RFC 5426).
SYSLOG, SYSLOG_PORT = "/dev/log", 514

#: Bytes of a line that is read; an end has fewer than 300.
MOST = 4_096

#: Seconds that the last end has to be written when the daemon stops.
LAST = 1.0


class Destination(Protocol):
    """Place that takes ends of the trail. A plug-in is a class of this form, made with its options."""

    def export(self, line: str) -> None:
        """Takes one line, and returns when it is kept there. It is called in a thread of its own, and may block.

        Raises:
            OSError, VitaleError: it is not kept. The log says so, and the next end is exported all the same.
        """
        ...


class ExportFile:
    """A file to which lines are added, each on the disk before the next one."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def export(self, line: str) -> None:
        """Adds a line, which is on the disk then."""
        handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            os.write(handle, line.encode() + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)


class Syslog:
    """Syslog of this machine or of another one, with the facility ``authpriv``."""

    def __init__(self, address: str | tuple[str, int]) -> None:
        self._address = address

    def export(self, line: str) -> None:
        """Sends a line, of which no receipt comes."""
        with closing(_Sending(self._address, facility=SysLogHandler.LOG_AUTHPRIV)) as handler:
            handler.ident = "vitale-reader: audit head "
            handler.emit(logging.makeLogRecord({"msg": line, "levelno": logging.INFO, "levelname": "INFO"}))


class _Sending(SysLogHandler):
    """A handler that raises, instead of writing a traceback to standard error."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        """Raises what was raised: logging calls it while it handles the error."""
        raise  # noqa: PLE0704


class _Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of a line: an end of a station's chain, and a keyed hash over it."""

    station: str
    number: int
    mac: str
    seal: str


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """An end that was exported, through which the chain of its station does not pass any more."""

    station: str
    number: int


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a comparison.

    Attributes:
        heads: how many lines were compared.
        foreign: how many were not written with the key of this store, or cannot be read.
        missed: those through which the trail does not pass.
    """

    heads: int
    foreign: int
    missed: tuple[Missed, ...]


def line_of(vault: Vault, station: str, end: Anchor) -> str:
    """The line of JSON that says where a chain ends."""
    seal = _seal(vault, station, end.number, end.mac)
    return msgspec.json.encode(_Head(station=station, number=end.number, mac=end.mac, seal=seal)).decode()


def compare(connection: Connection, vault: Vault, lines: Iterable[str]) -> Compared:
    """Compares lines that were exported with the trail, also where syslog has put something before them."""
    heads = foreign = 0
    missed: list[Missed] = []
    verifiers: dict[str, Verifier] = {}
    for line in lines:
        if not line.strip():
            continue
        head = _parsed(line)
        if head is None or head.seal != _seal(vault, head.station, head.number, head.mac):
            foreign += 1
            continue
        heads += 1
        verifier = verifiers.setdefault(head.station, Verifier(vault, head.station))
        if not verifier.passes(connection, Anchor(number=head.number, mac=head.mac)):
            missed.append(Missed(station=head.station, number=head.number))
    return Compared(heads=heads, foreign=foreign, missed=tuple(missed))


def destinations(names: Sequence[str], options: Mapping[str, Mapping[str, object]]) -> list[tuple[str, Destination]]:
    """The destinations of a configuration, none of which is used yet.

    Raises:
        ConfigurationInvalid: there is no such plug-in, or its options cannot be used.
        ToolMissing: it cannot be imported.
    """
    made = [(name, _destination(name, options)) for name in names]
    unused = options.keys() - set(names)
    if unused:
        raise refusal(f"audit.options.{min(unused)}", "no such destination in audit.export")
    return made


class Exporter:
    """Exports the ends of a station's chain.

    Args:
        vault: the keys of the store.
        station: whose chain it is.
        places: the destinations, by their names.
    """

    def __init__(self, vault: Vault, station: str, places: Sequence[tuple[str, Destination]]) -> None:
        self._vault = vault
        self._station = station
        self._places = places
        self._latest: queue.Queue[Anchor | None] = queue.Queue()
        self._exported: dict[str, Anchor] = {}
        self._failing: dict[str, str] = {}
        self._thread = threading.Thread(target=self._work, name="audit export", daemon=True)

    def open(self) -> None:
        """Begins, where there is a destination."""
        if self._places:
            self._thread.start()

    def export(self, end: Anchor) -> None:
        """Has an end exported soon; where several wait, the latest."""
        if self._thread.is_alive():
            self._latest.put(end)

    def close(self) -> None:
        """Ends, once the last end is exported or its time is over."""
        if self._thread.is_alive():
            self._latest.put(None)
            self._thread.join(LAST)

    def _work(self) -> None:
        last = False
        while not last:
            ends = [self._latest.get()]
            while not self._latest.empty():
                ends.append(self._latest.get())
            last = None in ends
            if known := [end for end in ends if end is not None]:
                self._export(known[-1])

    def _export(self, end: Anchor) -> None:
        line = line_of(self._vault, self._station, end)
        for name, place in self._places:
            before = self._exported.get(name)
            if before is not None and (before.number, before.mac) == (end.number, end.mac):
                continue
            try:
                place.export(line)
            except Exception as error:  # noqa: BLE001  an edge: whatever a plug-in raises, the other destinations are served
                self._tell(name, _said(error))
            else:
                self._exported[name] = end
                self._tell(name, "")

    def _tell(self, name: str, fault: str) -> None:
        """Says what is new about a destination."""
        if fault == self._failing.get(name, ""):
            return
        self._failing[name] = fault
        if fault:
            logger.error("the end of the audit trail could not be exported to %s: %s", name, fault)
        else:
            logger.info("the end of the audit trail is exported to %s again", name)


def _said(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return error.reason if isinstance(error, VitaleError) else type(error).__name__


def _destination(name: str, options: Mapping[str, Mapping[str, object]]) -> Destination:
    kind, _, rest = name.partition(":")
    if kind == "syslog":
        return Syslog(_address(name, rest))
    if Path(name).is_absolute():
        return ExportFile(Path(name))
    made: Callable[[Mapping[str, object]], Any] = load_class(DESTINATIONS, name, "audit.export")
    destination: Destination = made(options.get(name, {}))
    return destination


def _address(name: str, rest: str) -> str | tuple[str, int]:
    if not rest or rest.startswith("/"):
        return rest or SYSLOG
    host, _, port = rest.rpartition(":") if rest.count(":") == 1 or "]:" in rest else (rest, "", "")
    try:
        return host.strip("[]"), int(port) if port else SYSLOG_PORT
    except ValueError as error:
        raise refusal("audit.export", f"{name} is not syslog:HOST:PORT") from error


def _parsed(line: str) -> _Head | None:
    begin = line.find("{")
    if begin < 0 or len(line) > MOST:
        return None
    try:
        return decode_document(line[begin:].strip().encode("utf-8", "surrogateescape"), _Head)
    except ParseError:
        return None


def _seal(vault: Vault, station: str, number: int, mac: str) -> str:
    return vault.link(b"exported", msgspec.json.encode([station, number, mac])).hex()


def same_disk(one: Path, other: Path) -> bool:
    """True if a file would be on the same disk as a folder, whose loss it is to survive."""
    try:
        return one.parent.stat().st_dev == other.stat().st_dev
    except OSError:
        return False
