"""Storage of a station: a file of its own, or its site's database under the site's key.

The desks of a site share one key. It is made at the first desk, and carried to the others by their installer. The
database has a keyed digest of it, and a desk with another key is refused at its start. Such a desk would keep what the
others cannot read, and let pass what they have seen.
"""

import contextlib
import logging
import secrets
import sqlite3
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from vitale_protocol.errors import ConfigurationInvalid, StoreUnavailable
from vitale_reader.atomic_files import write_new
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.config_file import command_to_close
from vitale_reader.daemon.database.outage import OUTAGE, Outage, read_outage
from vitale_reader.daemon.issuing.replay import close_until, closed
from vitale_reader.daemon.keystore.keyring_secrets import KeyringSecrets
from vitale_reader.daemon.keystore.private_files import open_to_others
from vitale_reader.daemon.keystore.station_keys import Keys, Time
from vitale_reader.daemon.keystore.store_keys import KEY_BYTES, Vault
from vitale_reader.daemon.store.audit_trail import heads
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.row_seals import sealed
from vitale_reader.daemon.store.row_upgrade import bring_forward
from vitale_reader.daemon.store.store import Database, Store
from vitale_reader.daemon.store.tables import site
from vitale_reader.home import Home
from vitale_reader.regular_files import read_regular

__all__ = [
    "anchor_file",
    "check",
    "last_outage",
    "look_into",
    "make_site_key",
    "of_another_key",
    "open_keys",
    "open_store",
    "read_site_key",
    "require_own_store",
    "site_key_file",
    "spool_anchor",
    "spool_file",
    "spooled",
    "store_place",
    "vault_of",
]

logger = logging.getLogger(__name__)


def open_keys(home: Home, config: Config, *, clock: Time) -> Keys:
    """The station's secrets, made where there are none yet.

    Raises:
        StoreUnavailable: they cannot be read or made.
        ToolMissing: they are under a key of the keyring, whose package is not installed.
    """
    secrets_file = home.state / "station.json"
    left = [file.name for file in (home.state / "store.db", anchor_file(home, config)) if file.exists()]
    if left and not secrets_file.exists():
        logger.error(
            "the station's secrets (%s) are missing beside %s: a new station begins, which can neither read nor "
            "believe what the former one kept; put the file back from a backup if there is one",
            secrets_file,
            ", ".join(left),
        )
    box = KeyringSecrets(home.state) if config.keys.keyring else None
    keys = Keys(secrets_file, overlap=config.tokens.key_overlap, clock=clock, box=box)
    keys.open()
    return keys


async def open_store(
    stack: AsyncExitStack,
    home: Home,
    config: Config,
    keys: Keys,
    remembered: Remembered,
    told: Callable[[], None] = lambda: None,
    *,
    spooled: Remembered | None = None,
) -> tuple[Database, Vault]:
    """The store of a station, open until the stack is closed, and the keys of what is in it.

    Args:
        stack: closes it.
        home: of the station.
        config: of the station.
        keys: of the station.
        remembered: what the station knows of the store.
        told: called at each step by which a store of a version before is brought forward.
        spooled: what the station knows of its spool.

    Raises:
        ConfigurationInvalid: the key of the site cannot be used, or is not that of this database.
        StoreUnavailable: the store cannot be opened.
    """
    if config.store == "sqlite":
        if remembered.knows_store and not (home.state / "store.db").exists():
            logger.error(
                "the store is missing: clients, tokens that were not fetched, used strings and opposition lists are "
                "lost; `vitale-reader audit resume` lets the station begin anew"
            )
        own = Store(home.state / "store.db", told=told)
        stack.push_async_callback(own.close)
        await own.open()
        await bring_forward(own, keys.vault, remembered, told)
        return own, keys.vault
    # For a site alone, like PostgreSQL and what is required of the line to it.
    from vitale_reader.daemon.store.spool import SpooledStore  # noqa: PLC0415
    from vitale_reader.daemon.store.spool_replay import Bringing  # noqa: PLC0415

    file = site_key_file(home, config)
    made = make_site_key(file)
    vault = Vault.of_site(read_site_key(file))
    spooled = spooled or Remembered()
    chain = Chain(vault, keys.station, remembered=remembered, dialect="postgresql", spool=spooled)
    spool = Store(spool_file(home), told=told)

    async def join(store: Store) -> None:
        await _agree(store, vault, file)
        await bring_forward(store, vault, remembered, told)
        await _agree_on_closing(store, spool, vault)

    store = SpooledStore(
        _site_store(config, serves=keys.station, told=told),
        spool,
        join=join,
        bring=Bringing(chain, clock=time.time).bring,
        strict=config.site.when_away == "strict",
        note=partial(spooled.write, durable=False),
    )
    stack.push_async_callback(store.close)
    await spool.open()
    await spool.run(lambda connection: _require_own_spool(connection, vault, keys.station, file))
    await bring_forward(spool, vault, Remembered(), told)
    if not made:  # under a key that is new nothing was kept
        await spool.run(lambda connection: chain.begin(connection, at=time.time()))
        spooled.write(durable=False)
    try:
        await store.open()
    except (ConfigurationInvalid, StoreUnavailable):
        if made:
            file.unlink()
        raise
    if made:
        if store.degraded:
            file.unlink()
            cause = store.cause
            raise StoreUnavailable(
                f"{cause.detail}; this desk has not joined the site yet", variant=cause.variant, data=cause.data
            )
        logger.warning("the key of the site was made: every other desk needs a copy of %s", file)
    return store, vault


def check(home: Home, config: Config) -> None:
    """Checks what needs no database: its URL and line, its driver, and the site's key, if any.

    Raises:
        ConfigurationInvalid: one of them cannot be used.
        ToolMissing: the package for PostgreSQL is not installed.
    """
    if config.store != "sqlite":
        _site_store(config)
        if (file := site_key_file(home, config)).exists():
            read_site_key(file)


def site_key_file(home: Home, config: Config) -> Path:
    """Path of the key of the site."""
    return home.state / "site.key" if config.site.key_file is None else Path(config.site.key_file).expanduser()


def anchor_file(home: Home, config: Config) -> Path:
    """Path at which the station notes the end of its chain in the audit trail: one file a store."""
    return home.state / ("audit.anchor" if config.store == "sqlite" else "audit-site.anchor")


def spool_file(home: Home) -> Path:
    """Path of the spool of a station whose store is the database of a site."""
    return home.state / "spool.db"


def spool_anchor(home: Home) -> Path:
    """Path at which the station notes what is in its spool."""
    return home.state / "spool.anchor"


def look_into(home: Home, config: Config, keys: Keys, *, reading: bool) -> tuple[Store, Vault]:
    """The store of a station and the keys of its content, for work beside the daemon; nothing is made.

    Raises:
        ConfigurationInvalid: the key of the site cannot be used.
        StoreUnavailable: there is no store.
    """
    if config.store != "sqlite":
        return _site_store(config, reading=reading), Vault.of_site(read_site_key(site_key_file(home, config)))
    file = home.state / "store.db"
    if not file.exists():
        raise StoreUnavailable("there is no store yet", data={"file": str(file)})
    return Store(file, reading=reading), keys.vault


def _site_store(
    config: Config, *, reading: bool = False, serves: str = "", told: Callable[[], None] = lambda: None
) -> Store:
    return Store(_site_url(config), reading=reading, serves=serves, told=told)


def _site_url(config: Config) -> str:
    from vitale_reader.daemon.site.database_tls import require_encrypted_line  # noqa: PLC0415

    require_encrypted_line(config.store, config.site.tls)
    return config.store


def store_place(home: Home, config: Config) -> Path | str:
    """Place of the store: a file of SQLite, or the URL of PostgreSQL.

    Raises:
        ConfigurationInvalid: the line to it is not checked, as is required.
    """
    return home.state / "store.db" if config.store == "sqlite" else _site_url(config)


def vault_of(home: Home, config: Config, keys: Keys) -> Vault:
    """The keys of what is in the store.

    Raises:
        ConfigurationInvalid: the key of the site cannot be used.
    """
    return keys.vault if config.store == "sqlite" else Vault.of_site(read_site_key(site_key_file(home, config)))


def require_own_store(connection: Connection, vault: Vault, home: Home, config: Config) -> None:
    """Refuses a database that is of another site key.

    Raises:
        ConfigurationInvalid: it is.
    """
    if config.store == "sqlite":
        return
    found = connection.execute(select(site.c.value).where(site.c.name == "key")).scalar()
    if found != vault.digest("site", b"key"):
        raise of_another_key(site_key_file(home, config))


def spooled(home: Home) -> int:
    """Number of tokens and audit lines that wait at this desk for the database of its site.

    Raises:
        StoreUnavailable: the spool cannot be read.
    """
    counts = (_in_spool(home, f"SELECT count(*) FROM {name}") for name in ("outbox", "audit"))  # noqa: S608  constants
    return sum(count for count in counts if isinstance(count, int))


def last_outage(home: Home) -> Outage | None:
    """The last time that the site's database was away from this desk, and why; None if unknown.

    Raises:
        StoreUnavailable: the spool cannot be read.
    """
    return read_outage(_in_spool(home, f"SELECT value FROM site WHERE name = '{OUTAGE}'"))  # noqa: S608  a constant


def _in_spool(home: Home, query: str) -> object:
    """The one value that a query gives, beside a daemon that writes there; None where there is none."""
    file = spool_file(home)
    if not file.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute(query).fetchone()
    except sqlite3.Error as error:
        raise StoreUnavailable("the spool cannot be read", data={"file": str(file)}) from error
    return row[0] if row is not None else None


def of_another_key(file: Path) -> ConfigurationInvalid:
    """The error of a desk whose key is not that of the database."""
    remedy = "run `vitale-reader site rekey` again" if _rekeying(file) else "copy the one of the first desk"
    return ConfigurationInvalid(
        f"the database is of another site key: {remedy}",
        data={"path": "site.key_file", "file": str(file)},
    )


def _rekeying(file: Path) -> bool:
    """True if a new key was begun at this desk."""
    return file.with_name(f"{file.name}.new").exists()


def _require_own_spool(connection: Connection, vault: Vault, station: str, file: Path) -> None:
    """Leaves a spool alone that has the new key already, where this desk does not have it yet."""
    row = heads.row_of(connection, station)
    if _rekeying(file) and row is not None and not heads.genuine(vault, row):
        raise of_another_key(file)


async def _agree(store: Store, vault: Vault, file: Path) -> None:
    mine = sealed(vault, site, {"name": "key", "value": vault.digest("site", b"key")})

    def work(connection: Connection) -> str | None:
        return connection.execute(select(site.c.value).where(site.c.name == "key")).scalar()

    found = await store.run(work)
    if found is None:
        try:
            await store.run(lambda connection: connection.execute(insert(site), mine))
        except IntegrityError:  # another desk, at this very moment
            found = await store.run(work)
        else:
            return
    if found != mine["value"]:
        raise of_another_key(file)


async def _agree_on_closing(store: Store, spool: Store, vault: Vault) -> None:
    """Has site and station know, both, until when no string is taken: whichever was told so for longer.

    A station that starts on its spool would not hear of it otherwise. Nor would a site from which somebody took the
    row.
    """
    shut = await store.run(lambda connection: closed(connection, vault))
    known = await spool.run(lambda connection: close_until(connection, vault, shut.until, shut.why))
    if known != shut:
        logger.warning("apCVs wait for as long as this station was told, which the site does not say any more")
        await store.run(lambda connection: close_until(connection, vault, known.until, known.why))


def make_site_key(file: Path) -> bool:
    """Makes a key where there is none; whether there was none. Of several that share the file, one makes it."""
    try:
        write_new(file, urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n", durable=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise StoreUnavailable("the key of the site cannot be written", data={"file": str(file)}) from error
    return True


def read_site_key(file: Path) -> bytes:
    """The key in a file.

    Raises:
        ConfigurationInvalid: it cannot be used.
    """
    where = {"path": "site.key_file", "file": str(file)}
    try:
        if open_to_others(file):
            raise ConfigurationInvalid(f"others can read the key of the site: {command_to_close(file)}", data=where)
        key = urlsafe_b64decode(read_regular(file).strip())
    except (OSError, ValueError) as error:
        raise ConfigurationInvalid("the key of the site cannot be read", data=where) from error
    if len(key) != KEY_BYTES:
        raise ConfigurationInvalid(f"the key of the site is not {KEY_BYTES} bytes", data=where)
    return key
