"""Looks after a site, beside its daemons: the state of its desks, and the removal of one.

A desk that was stolen has the key of the site. Its removal ends what the others believe of it. The key is to be changed
as well, and the password of the database.
"""

import time
from math import inf, isfinite

import msgspec
from cryptography.exceptions import InvalidTag
from sqlalchemy import Connection, RowMapping, delete, extract, func, insert, select

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ParseError
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site.remote_readers import DeskStatus, DeskTold
from vitale_reader.daemon.site.removals import BARRED, barred
from vitale_reader.daemon.site.rows.desks import LOST
from vitale_reader.daemon.store import row_seals
from vitale_reader.daemon.store.clock import ahead_of
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.notifications import call
from vitale_reader.daemon.store.sealed_table import SealedTable
from vitale_reader.daemon.store.tables import audit_heads, contexts, site, site_desks, site_requests, stations

__all__ = ["Removed", "SiteDeskState", "SiteState", "remove_station", "site_state"]

NOW = extract("epoch", func.clock_timestamp())


class SiteDeskState(msgspec.Struct, frozen=True, kw_only=True):
    """State of a desk of the site.

    Attributes:
        station: its id.
        name: its name.
        serves: whether it said within the last seconds that it is there.
        seen: seconds since it said so last; absent where it has stopped.
        version: of its software.
        host: the machine that it runs on.
        started: when this run of its daemon began, epoch seconds.
        listens: whether it hears notifications; absent where it does not tell.
        clock_offset: seconds by which its clock is ahead of the database's; absent where it does not tell.
        away_since: when it lost the database last since its start; 0 for never.
        away_until: when it had it back.
        away_why: the variant of ``store_unavailable`` that says why it lost it.
        away_sqlstate: the answer of the database then, where it gave one.
        readers: how many readers it has.
        last_row: the number of the last row of its audit trail.
    """

    station: str
    name: str
    serves: bool = False
    seen: float | None = None
    version: str = ""
    host: str = ""
    started: float = 0.0
    listens: bool | None = None
    clock_offset: float | None = None
    away_since: float = 0.0
    away_until: float = 0.0
    away_why: str = ""
    away_sqlstate: str = ""
    readers: int = 0
    last_row: int = 0


class SiteState(msgspec.Struct, frozen=True, kw_only=True):
    """State of a site, seen from one machine.

    Attributes:
        clock_offset: seconds by which the clock of this machine is ahead of the database's.
        desks: its desks.
        removed: the stations that were removed from it.
    """

    clock_offset: float
    desks: tuple[SiteDeskState, ...]
    removed: tuple[str, ...]


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """Effects of the removal of a station."""

    station: str
    known: bool
    contexts: int
    requests: int


def site_state(connection: Connection, vault: Vault, remembered: Remembered) -> SiteState:
    """Reads the state of the site from its rows."""
    before = time.time()
    now = float(connection.execute(select(NOW)).scalar_one())
    offset = ahead_of(now, before, time.time())
    names = {row["station"]: row["name"] for row in SealedTable(stations, vault, remembered).read(connection).rows}
    query = select(site_desks, (NOW - site_desks.c.beat_at).label("seen")).where(site_desks.c.station.is_not(None))
    told = {row["station"]: row for row in connection.execute(query).mappings()}
    ends = connection.execute(select(audit_heads.c.station, audit_heads.c.last)).mappings()
    last = {row["station"]: row["last"] for row in ends}
    desks = tuple(
        _state(vault, station, names.get(station, ""), told.get(station), last.get(station) or 0)
        for station in sorted({*names, *told})
    )
    return SiteState(clock_offset=round(offset, 3), desks=desks, removed=barred(connection, vault))


def remove_station(connection: Connection, vault: Vault, remembered: Remembered, station: str) -> Removed:
    """Ends what the desks of the site believe of a station, and tells them.

    It does not come back by itself.

    Raises:
        StoreUnavailable: the table of the stations was changed by somebody else.
    """
    table = SealedTable(stations, vault, remembered)
    known = any(row["station"] == station for row in table.read(connection).rows)
    table.remove(connection, {"station": station})
    runs = select(site_desks.c.incarnation).where(site_desks.c.station == station)
    asked = connection.execute(delete(site_requests).where(site_requests.c.asked_by.in_(runs))).rowcount
    connection.execute(delete(site_desks).where(site_desks.c.station == station))
    held = connection.execute(delete(contexts).where(contexts.c.station == station)).rowcount
    bar = {"name": f"{BARRED}{station}", "value": str(round(float(connection.execute(select(NOW)).scalar_one())))}
    connection.execute(delete(site).where(site.c.name == bar["name"]))
    connection.execute(insert(site), row_seals.sealed(vault, site, bar))
    call(connection, "news")
    return Removed(station=station, known=known, contexts=held, requests=asked)


def _state(vault: Vault, station: str, name: str, row: RowMapping | None, last: int) -> SiteDeskState:
    """One desk; what a row says that nobody of the site wrote is left out."""
    seen = inf if row is None or row["seen"] is None else round(float(row["seen"]), 1)
    if row is None or not isfinite(seen):
        return SiteDeskState(station=station, name=name, last_row=last)
    try:
        bound_to = f"desk:{station}:{row['incarnation']}:{row['version']}"
        told = decode_document(vault.unseal(row["sealed"], bound_to), DeskTold)
    except (InvalidTag, ParseError):
        return SiteDeskState(station=station, name=name, last_row=last)
    status = told.status or DeskStatus()
    return SiteDeskState(
        station=station,
        name=told.name,
        serves=abs(seen) < LOST,
        seen=seen,
        version=told.version,
        host=told.host,
        started=told.started,
        listens=None if told.status is None else status.listens,
        clock_offset=None if told.status is None else status.clock_offset,
        away_since=status.away_since,
        away_until=status.away_until,
        away_why=status.away_why,
        away_sqlstate=status.away_sqlstate,
        readers=len(told.readers),
        last_row=last,
    )
