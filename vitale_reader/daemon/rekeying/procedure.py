"""The steps by which a site takes a new key, at each desk.

Interrupted anywhere, they go on where they were.

1. The new key lies beside the former one, as ``site.key.new``. It is made here, or brought from the desk that began.
2. The database is resealed in one transaction, by whoever comes first. From then on no desk starts with the former key.
   No string of an apCV is taken until those of before have ended. Which of them were used cannot be known any more.
3. What this desk keeps by itself is taken over: its spool, and its memory of the trail.
4. The new key takes the place of the former one, which is kept beside it under its date.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, select

from vitale_protocol.errors import ConfigurationInvalid, LocalMisuse, StoreUnavailable
from vitale_protocol.web.own_names import LOCAL
from vitale_reader.atomic_files import write_atomically
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.database.service_lock import hold_alone, still_serving
from vitale_reader.daemon.issuing.replay import Closed, close_until, closed
from vitale_reader.daemon.keystore.station_keys import DeskClock
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.rekeying.resealing import KEY_NAME, KEY_OF, Resealed, require_whole, reseal
from vitale_reader.daemon.site.open_store import (
    anchor_file,
    look_into,
    make_site_key,
    of_another_key,
    open_keys,
    read_site_key,
    site_key_file,
    spool_anchor,
    spool_file,
)
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.clock import time_of
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import site
from vitale_reader.home import Home

__all__ = ["Rekeyed", "rekey"]

T = TypeVar("T")

#: The line that each desk writes into its trail.
ACTION, BY = "site.rekey", LOCAL


class Rekeyed(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of the step at this desk.

    Attributes:
        key_file: the key that the other desks need.
        former: where the former key is kept; empty where this desk had the new one already.
        began: whether the database was resealed just now.
        resealed: what went from one key to the other there.
        spool: likewise, at this desk.
        closed_until: when strings are taken again, epoch seconds; 0 where they are now.
    """

    key_file: str
    former: str = ""
    began: bool = False
    resealed: Resealed = Resealed()
    spool: Resealed = Resealed()
    closed_until: float = 0.0


def rekey(home: Home, config: Config, *, key: Path | None, apcv_after: float, at: float) -> Rekeyed:
    """Has a desk take a new key, and the site with it where this desk is the first.

    The daemon of the desk must not run.

    Args:
        home: the desk.
        config: its settings.
        key: the key of the desk that began; None at that desk.
        apcv_after: seconds after which strings are taken again, where this desk begins.
        at: now, epoch seconds.

    Raises:
        LocalMisuse: desks of the site serve still, or another new key was begun here.
        ConfigurationInvalid: the database is of neither key, or a key cannot be used.
        StoreUnavailable: the store was changed by somebody else, or does not answer.
    """
    file = site_key_file(home, config)
    new_file = _new_key(file, key)
    former, vault = Vault.of_site(read_site_key(file)), Vault.of_site(read_site_key(new_file))
    keys = open_keys(home, config, clock=DeskClock(lambda: at))
    remembered = Remembered.read(anchor_file(home, config))
    store, _ = look_into(home, config, keys, reading=False)

    def work(connection: Connection) -> tuple[bool, Resealed, Closed, tuple[int, bytes]]:
        began = _of_former(connection, former, vault, file)
        done = Resealed()
        if began:
            if serve := hold_alone(connection):
                raise still_serving(serve)
            require_whole(connection, former, remembered, keys.station)
            done = reseal(connection, former, vault, remembered)
            if apcv_after:  # also where none is known: the spools of other desks may hold some
                close_until(connection, vault, time_of(connection, lambda: at) + apcv_after, "rekeyed")
        noted = _noted(connection, vault, remembered, keys.station, at)
        return began, done, closed(connection, vault), noted

    try:
        began, resealed, shut, (number, mac) = _run(store, work)
    except ConfigurationInvalid:
        if key is not None:
            new_file.unlink()  # it is of another site
        raise
    try:
        spool = Resealed() if former == vault else _spool(home, former, vault, shut)
        remembered.saw_end(number, mac)
        remembered.write()
        kept = _replace(file, new_file, at)
    except (StoreUnavailable, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error.detail
        raise StoreUnavailable(f"{why}; the database has the new key: run `site rekey` again") from error
    return Rekeyed(
        key_file=str(file),
        former=kept,
        began=began,
        resealed=resealed,
        spool=spool,
        closed_until=shut.until,
    )


def _new_key(file: Path, brought: Path | None) -> Path:
    """The file of the new key, made or brought where there is none yet."""
    new_file = file.with_name(f"{file.name}.new")
    if brought is None:
        make_site_key(new_file)
        return new_file
    content = read_site_key(brought)
    if new_file.exists() and read_site_key(new_file) != content:
        raise LocalMisuse("another new key was begun at this desk", data={"file": str(new_file)})
    write_atomically(new_file, brought.read_bytes())
    return new_file


def _of_former(connection: Connection, former: Vault, vault: Vault, file: Path) -> bool:
    """True if the database is of the former key still; locked, so that of two desks one begins."""
    query = select(site.c.value).where(site.c.name == KEY_NAME).with_for_update()
    found = connection.execute(query).scalar()
    if found == vault.digest("site", KEY_OF):
        return False
    if found == former.digest("site", KEY_OF):
        return True
    raise of_another_key(file)


def _noted(connection: Connection, vault: Vault, remembered: Remembered, station: str, at: float) -> tuple[int, bytes]:
    """Notes in the trail of this desk that it took the new key; where that ends.

    The hash that the desk knows is of the former key: its place alone can be compared.
    """
    chain = Chain(vault, station)
    end, known = chain.anchor(connection), remembered.anchor
    if known is not None and (end is None or end.number < known.number):
        told = "the audit trail was put back or cut: see `vitale-reader audit verify`"
        raise StoreUnavailable(told, variant="tampered", data={"table": "audit"})
    chain.append(connection, AuditEntry(at=at, action=ACTION, outcome="ok", client_id=BY))
    after = chain.anchor(connection)
    return (0, b"") if after is None else (after.number, bytes.fromhex(after.mac))


def _spool(home: Home, former: Vault, vault: Vault, shut: Closed) -> Resealed:
    """Reseals the spool of this desk, which takes no string of before either while the database is away."""
    file = spool_file(home)
    if not file.exists():
        return Resealed()
    spool_anchor(home).unlink(missing_ok=True)  # the hash that it has is of the former key

    def work(connection: Connection) -> Resealed:
        done = reseal(connection, former, vault, Remembered())
        close_until(connection, vault, shut.until, shut.why)
        return done

    return _run(Store(file), work)


def _run(store: Store, work: Callable[[Connection], T]) -> T:
    async def once() -> T:
        try:
            return await store.run(work)
        finally:
            await store.close()

    return asyncio.run(once())


def _replace(file: Path, new_file: Path, at: float) -> str:
    """Puts the new key in the place of the former one; where that one is kept."""
    if read_site_key(file) == read_site_key(new_file):
        new_file.unlink()
        return ""
    former = file.with_name(f"{file.name}.until-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(at))}")
    write_atomically(former, file.read_bytes())
    new_file.replace(file)
    return str(former)
