"""The heads of the chains: a sealed row for each station says where its chain begins and ends."""

from typing import Any

import msgspec
from msgspec.structs import asdict, astuple, replace
from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, update

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.audit_trail.entries import start
from vitale_reader.daemon.store.tables import HIGHEST, ROWID, audit, audit_heads

__all__ = [
    "ChainHead",
    "first_head",
    "forget_forged",
    "genuine",
    "head_of",
    "last_number",
    "locked_row",
    "move",
    "put",
    "row_of",
]

# Statements are constants: to build one anew costs more than to run it.
_FIND = select(audit_heads).where(audit_heads.c.station == bindparam("of_station"))
_LAST_NUMBER = select(func.max(audit.c.number)).where(
    audit.c.station == bindparam("of_station"), audit.c.number <= HIGHEST
)
_END_MAC = select(audit.c.mac).where(audit.c.station == audit_heads.c.station, audit.c.number == audit_heads.c.last)
# Where the head was waited for, its row is younger than what the rest of the statement sees.
_LOCK = _FIND.add_columns(
    _LAST_NUMBER.scalar_subquery().label("highest"), _END_MAC.scalar_subquery().label("end_mac")
).with_for_update(of=audit_heads)
_MOVE = update(audit_heads).where(audit_heads.c.station == bindparam("of_station"))


class ChainHead(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``audit_heads``: the first kept row with the hash before it, the last row with its hash."""

    station: str
    first: int
    before: bytes
    last: int
    mac: bytes

    def sealed(self, vault: Vault) -> dict[str, Any]:
        """The row with its seal."""
        return asdict(self) | {"seal": self.seal(vault)}

    def seal(self, vault: Vault) -> bytes:
        """A keyed hash over the rest."""
        return vault.link(b"head", msgspec.json.encode([self.station, self.first, self.before, self.last, self.mac]))


def first_head(vault: Vault, station: str, number: int) -> ChainHead:
    """The head of a chain that begins at a number, and has no row yet."""
    before = start(vault, station)
    return ChainHead(station=station, first=number, before=before, last=number - 1, mac=before)


def row_of(connection: Connection, station: str) -> RowMapping | None:
    """The head of a station as it stands there; None where it has none."""
    return connection.execute(_FIND, {"of_station": station}).mappings().first()


def locked_row(connection: Connection, station: str) -> RowMapping | None:
    """The same, locked, with the highest number of the station's rows and the hash of the last (``end_mac``)."""
    return connection.execute(_LOCK, {"of_station": station}).mappings().first()


def last_number(connection: Connection, station: str) -> object:
    """The highest number of the rows of a station, as it stands there; None where it has no row."""
    return connection.execute(_LAST_NUMBER, {"of_station": station}).scalar()


def head_of(row: RowMapping) -> ChainHead:
    """The head in a row."""
    return ChainHead(**{name: row[name] for name in ChainHead.__struct_fields__})


def genuine(vault: Vault, row: RowMapping | None) -> bool:
    """True if a head bears its seal; values of wrong types, which SQLite takes, never do."""
    if row is None:
        return False
    head = head_of(row)
    kinds = (str, int, bytes, int, bytes)
    if not all(isinstance(value, kind) for value, kind in zip(astuple(head), kinds, strict=True)):
        return False
    return bool(head.seal(vault) == row["seal"])


def forget_forged(connection: Connection, vault: Vault) -> int:
    """Forgets the heads of a SQLite file that do not bear their seals; how many there were."""
    rows = connection.execute(select(audit_heads, ROWID)).mappings().all()
    forged = [row["rowid"] for row in rows if not genuine(vault, row)]
    connection.execute(delete(audit_heads).where(ROWID.in_(forged)))
    return len(forged)


def put(connection: Connection, vault: Vault, head: ChainHead) -> None:
    """Writes the head of a station that has none."""
    connection.execute(insert(audit_heads), head.sealed(vault))


def move(connection: Connection, vault: Vault, head: ChainHead, **changes: Any) -> ChainHead:
    """Moves the begin or the end of a chain."""
    moved = replace(head, **changes)
    connection.execute(_MOVE, {"of_station": head.station} | moved.sealed(vault))
    return moved
