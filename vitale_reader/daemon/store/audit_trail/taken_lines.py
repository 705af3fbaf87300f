"""Lines of a chain that is moved to another store, told from those that were changed or damaged.

A line behind one that is missing cannot be checked, and is brought nevertheless.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry, link, number_of
from vitale_reader.daemon.store.audit_trail.heads import ChainHead
from vitale_reader.daemon.store.tables import HIGHEST

__all__ = ["whole_lines"]

Row = Mapping[Any, Any]


def whole_lines(
    vault: Vault, station: str, head: ChainHead | None, rows: Sequence[Row]
) -> tuple[list[tuple[int, AuditEntry]], list[int]]:
    """The lines that hold, with their numbers, and the ids of the rows that do not.

    Args:
        vault: the keys of the store.
        station: whose lines they are.
        head: of its chain; None where it has none.
        rows: in the order of their numbers.
    """
    ends: dict[int, set[bytes]] = {} if head is None else {head.first - 1: {head.before}}
    last = HIGHEST if head is None else head.last
    lines: list[tuple[int, AuditEntry]] = []
    damaged: list[int] = []
    for row in rows:
        number = number_of(row["number"])
        links = {link(vault, mac, row) for mac in ends.get(number - 1, ())}
        # Damaged is either the line, and its hash still that of the line, or the hash.
        macs = {mac for mac in (*links, row["mac"]) if isinstance(mac, bytes)}
        entry = _entry(row) if row["station"] == station and 0 < number <= last else None
        if entry is None or row["mac"] not in (links or macs):
            damaged.append(row["id"])
        else:
            lines.append((number, entry))
        if number:
            ends[number] = ends.get(number, set()) | macs
    return lines, damaged


def _entry(row: Row) -> AuditEntry | None:
    try:
        return msgspec.convert({name: row[name] for name in AuditEntry.__struct_fields__}, AuditEntry)
    except msgspec.ValidationError:
        return None
