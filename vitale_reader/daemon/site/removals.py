"""Stations that were removed from their site: a row in ``site`` for each, which bears its seal."""

from sqlalchemy import Connection, select

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store import row_seals
from vitale_reader.daemon.store.tables import site

__all__ = ["BARRED", "barred"]

#: What such a row is called, before the id of the station.
BARRED = "removed:"


def barred(connection: Connection, vault: Vault) -> tuple[str, ...]:
    """The stations that were removed, by rows that bear their seal."""
    rows = connection.execute(select(site).where(site.c.name.startswith(BARRED)).order_by(site.c.name)).mappings()
    return tuple(row["name"].removeprefix(BARRED) for row in rows if row_seals.holds(vault, site, row))
