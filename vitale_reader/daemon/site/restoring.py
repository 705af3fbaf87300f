"""Restores the store of a station or of a site: the steps in order, with no daemon running."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, inspect

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.database.service_lock import finish_restore, reserving, still_serving
from vitale_reader.daemon.issuing.replay import close_until
from vitale_reader.daemon.keystore.station_keys import DeskClock
from vitale_reader.daemon.site import backup
from vitale_reader.daemon.site.open_store import (
    anchor_file,
    look_into,
    open_keys,
    require_own_store,
    spool_file,
    store_place,
    vault_of,
)
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import clients
from vitale_reader.home import Home

__all__ = ["restore"]

T = TypeVar("T")

#: Variants of ``store_unavailable`` of a store in which nothing can be read, and on which no desk serves: there is
#: none, it is damaged, or of a later version. One that is slow, locked or out of reach might tell another time.
UNREADABLE = frozenset({"", "file-damaged", "database-tables", "store-newer"})


def restore(
    home: Home, config: Config, file: Path, *, reason: str, trust_clients: bool, apcv_after: float, at: float
) -> backup.Restored:
    """Puts a backup in the place of the store, and closes what is unknown since.

    Args:
        home: the folders of the station.
        config: its settings.
        file: the backup.
        reason: why, in the administrator's words.
        trust_clients: whether an administrator has looked at the clients; they stay as they are in the backup.
        apcv_after: seconds after which strings are taken again, where nobody knows which were used.
        at: now, epoch seconds.

    Raises:
        LocalMisuse: the file is no backup of this store, or desks of the site serve still.
        ConfigurationInvalid: the backup is of another site's key.
        StoreUnavailable: the store cannot be written, or does not tell now who serves.
        ToolMissing: a tool of PostgreSQL is not installed.
    """
    keys = open_keys(home, config, clock=DeskClock(lambda: at))
    remembered = Remembered.read(anchor_file(home, config))

    vault = vault_of(home, config, keys)
    chain = Chain(
        vault, keys.station, remembered=remembered, dialect="sqlite" if config.store == "sqlite" else "postgresql"
    )

    def look(connection: Connection) -> backup.Former | None:
        return backup.former(connection, vault, remembered) if _has(connection, clients.name) else None

    def former() -> backup.Former | None:
        try:
            return _once(look_into(home, config, keys, reading=False)[0], look)
        except StoreUnavailable as error:
            if error.variant not in UNREADABLE:
                raise
            return None

    def close(connection: Connection, before: backup.Former | None) -> backup.Restored:
        require_own_store(connection, vault, home, config)
        finish_restore(connection)
        return backup.restored(
            connection,
            vault,
            remembered,
            chain=chain,
            before=before,
            trust_clients=trust_clients,
            apcv_after=apcv_after,
            at=at,
            reason=reason,
        )

    def close_spool(done: backup.Restored) -> None:
        if config.store != "sqlite" and spool_file(home).exists():
            spool = Store(spool_file(home))
            _once(spool, lambda connection: close_until(connection, vault, done.closed_until, "restored"))

    place = store_place(home, config)
    with _nobody_serves(place) as make_sure:
        before = former()
        with backup.put_back(place, file) as where:
            make_sure()
            store = Store(where) if isinstance(where, Path) else look_into(home, config, keys, reading=False)[0]
            done = _once(store, partial(close, before=before), prepare=True)
        remembered.write()
        close_spool(done)
    return done


def _once(store: Store, work: Callable[[Connection], T], *, prepare: bool = False) -> T:
    async def once() -> T:
        try:
            if prepare:  # the backup may be of a version before
                await store.open()
            return await store.run(work)
        finally:
            await store.close()

    return asyncio.run(once())


@contextmanager
def _nobody_serves(place: Path | str) -> Generator[Callable[[], None]]:
    """Keeps every desk from the store; gives what makes sure once more that nobody has come in.

    Of a file the lock of the home is enough, which its daemon holds until it ends.
    """
    if isinstance(place, Path):
        yield lambda: None
        return
    with reserving(place) as take:

        def make_sure() -> None:
            if serve := take():
                raise still_serving(serve)

        make_sure()
        yield make_sure


def _has(connection: Connection, table: str) -> bool:
    return inspect(connection).has_table(table)
