"""Lines of the audit trail, and the keyed hash that links each with the one before it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from vitale_reader.daemon.keystore.store_keys import Vault

__all__ = ["LOST", "PIECE", "RESUMED", "AuditEntry", "link", "number_of", "start"]

#: The action of a row that follows on the loss of what came before, and of one that lets such a trail go on.
LOST, RESUMED = "audit.lost", "audit.resumed"

#: Rows that are held in memory at a time.
PIECE = 2_000

COLUMNS = ("station", "number", "at", "client_id", "action", "outcome", "medium", "reader", "jti")


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line: ``action`` is a method of the wire, ``outcome`` ``ok`` or a catalogue reason; ``at`` epoch seconds."""

    at: float
    action: str
    outcome: str
    client_id: str | None = None
    medium: str | None = None
    reader: str | None = None
    jti: str | None = None
    reason: str | None = None


def start(vault: Vault, station: str) -> bytes:
    """The hash before the first row of a station."""
    return vault.link(b"start", station.encode())


def link(vault: Vault, before: bytes, row: Mapping[Any, Any]) -> bytes:
    """The hash of a row, over itself and over that of the row before it."""
    members = [row[name] for name in COLUMNS]
    # Rows of versions before bear none, and are linked as they were.
    if row["reason"] is not None:
        members.append(row["reason"])
    return vault.link(before, msgspec.json.encode(members))


def number_of(value: object) -> int:
    """The number of a row; 0 where SQLite kept something else in its place."""
    return value if isinstance(value, int) else 0
