"""Backs a store up, and puts a backup back: SQLite by its own backup, PostgreSQL by its own tools.

A backup is a file in the database's own format (SQLite's, or ``pg_dump --format=custom``). It is worth nothing without
the keys. What happened after it is unknown when it is back, so ``restored`` closes what could be used once more:

| unknown since the backup | what is done |
|---|---|
| which tokens were acknowledged | those in the backup are removed |
| which contexts were released or renewed | all are removed |
| which clients were revoked | taken over from the store that is replaced; else every client is revoked, unless told |
| which strings were used | taken over likewise; else none is taken until those in circulation have ended |
| the audit trail | goes on after a row that says why (``audit.resumed``) |
"""

import contextlib
import errno
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from vitale_protocol.errors import LocalMisuse, StoreUnavailable, ToolMissing
from vitale_protocol.web.own_names import LOCAL
from vitale_reader.daemon.database import service_lock
from vitale_reader.daemon.issuing.replay import close_until
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site.rows.statements import NOW
from vitale_reader.daemon.store import row_seals
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.inspection import resume
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.sealed_table import SealedTable
from vitale_reader.daemon.store.tables import (
    LATEST,
    audit,
    audit_heads,
    clients,
    contexts,
    outbox,
    seen,
    site_desks,
    site_requests,
    site_steps,
)

__all__ = ["Former", "Restored", "back_up", "former", "put_back", "restored"]

SQLITE, POSTGRESQL = b"SQLite format 3\0", b"PGDMP"

# Of the rows of a chain alone: anybody who may write there can put others beside them.
_LAST_ACT = (
    select(func.max(audit.c.at))
    .join(audit_heads, audit_heads.c.station == audit.c.station)
    .where(audit.c.number.between(audit_heads.c.first, audit_heads.c.last), audit.c.at.between(0.0, LATEST))
)


class Former(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of the store that is replaced, under its seals.

    Attributes:
        revoked: the clients that were revoked, and when.
        used: the strings that were used.
        all_used: whether these are all; not where one of the rows was changed.
    """

    revoked: dict[str, float]
    used: tuple[dict[str, Any], ...]
    all_used: bool


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a restoration: what was closed, and what is unknown.

    Attributes:
        until: when the last act before the backup was, epoch seconds; 0 where there was none.
        revoked: clients that were revoked by the restore.
        tokens: tokens that were removed.
        contexts: contexts that were removed.
        used: strings that were taken over as used.
        revocations_known: whether the store before told who was revoked since.
        used_known: whether it told which strings were used since.
        closed_until: where it did not, when strings are taken again, epoch seconds; else 0.
    """

    until: float
    revoked: tuple[str, ...]
    tokens: int
    contexts: int
    used: int
    revocations_known: bool
    used_known: bool
    closed_until: float = 0.0


def back_up(store: Path | str, file: Path) -> None:
    """Writes a backup (0600), whole or not at all; daemons may go on meanwhile.

    Raises:
        LocalMisuse: the file exists.
        StoreUnavailable: the store cannot be read, or the file not be written.
        ToolMissing: ``pg_dump`` is not installed.
    """
    if file.exists():
        raise LocalMisuse("the file exists already", data={"file": str(file)})
    temporary = file.with_name(f".{file.name}.new")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        if isinstance(store, Path):
            _copy_sqlite(store, temporary)
        else:
            _run("pg_dump", store, "--format=custom", "--no-owner", "--no-privileges", f"--file={temporary}")
        temporary.replace(file)
    except OSError as error:
        raise StoreUnavailable(f"the backup cannot be written: {error.strerror}", data={"file": str(file)}) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def put_back(store: Path | str, file: Path) -> Generator[Path | str]:
    """Puts a backup in place of what the store holds, whole or not at all.

    No daemon may use the store meanwhile. Gives where it is: a file, or the database itself. The file takes the place
    of the store if all went well with it.

    Raises:
        LocalMisuse: the file is no backup of such a store.
        StoreUnavailable: it cannot be put back.
        ToolMissing: ``pg_restore`` is not installed.
    """
    wanted = SQLITE if isinstance(store, Path) else POSTGRESQL
    try:
        with file.open("rb") as stream:
            begins = stream.read(len(wanted))
    except OSError as error:
        raise LocalMisuse(f"the backup cannot be read: {error.strerror}", data={"file": str(file)}) from error
    if begins != wanted:
        raise LocalMisuse("this is no backup of such a store", data={"file": str(file)})
    if isinstance(store, Path):
        with _replaced(store, file) as new:
            try:
                yield new
            except StoreUnavailable as error:
                raise StoreUnavailable(f"the backup cannot be put back: {error.detail}", data=error.data) from error
    else:
        _require("pg_restore")
        how = ("--clean", "--if-exists", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
        with service_lock.restoring(store):
            _run("pg_restore", store, *how, str(file))
        try:
            yield store
        except StoreUnavailable as error:
            told = f"{error.detail}; no desk is let in before the restore is run again, to its end"
            raise StoreUnavailable(told, variant=error.variant, data=error.data) from error


def former(connection: Connection, vault: Vault, remembered: Remembered) -> Former | None:
    """Reads the facts of the store before it is replaced; None where it was altered, or put back before."""
    found = SealedTable(clients, vault, remembered).read(connection)
    if not found.trusted or found.faults:
        return None
    rows = [dict(row) for row in connection.execute(select(seen)).mappings()]
    used = [row for row in rows if row_seals.holds(vault, seen, row)]
    revoked = {row["client_id"]: row["revoked_at"] for row in found.rows if row["revoked_at"] is not None}
    return Former(revoked=revoked, used=tuple(used), all_used=len(used) == len(rows))


def restored(
    connection: Connection,
    vault: Vault,
    remembered: Remembered,
    *,
    chain: Chain,
    before: Former | None,
    trust_clients: bool,
    apcv_after: float,
    at: float,
    reason: str,
) -> Restored:
    """Closes what is unknown in a store that was put back, and lets it go on.

    Args:
        connection: the transaction.
        vault: the keys of the store.
        remembered: what the station knows of the store.
        chain: that of the station.
        before: what the store told before it was replaced.
        trust_clients: whether an administrator has looked at the clients; they stay as they are in the backup.
        apcv_after: seconds after which strings are taken again, where nobody knows which were used.
        at: now, epoch seconds.
        reason: why, in the administrator's words.
    """
    used_known = before is not None and before.all_used
    closed_until = 0.0
    if not used_known and apcv_after:
        shared = connection.dialect.name == "postgresql"
        now = float(connection.execute(select(NOW)).scalar_one()) if shared else max(at, remembered.latest)
        closed_until = close_until(connection, vault, now + apcv_after, "restored").until
    until = float(connection.execute(_LAST_ACT).scalar() or 0.0)
    resume(connection, vault, remembered, chain=chain, at=at, reason=reason, by=LOCAL)
    revoked = _revoke(connection, vault, remembered, before, at, everybody=before is None and not trust_clients)
    tokens = connection.execute(delete(outbox)).rowcount
    held = connection.execute(delete(contexts)).rowcount
    for table in (site_steps, site_requests, site_desks):
        connection.execute(delete(table))
    return Restored(
        until=until,
        revoked=revoked,
        tokens=tokens,
        contexts=held,
        used=_take_over(connection, before.used if before is not None else ()),
        revocations_known=before is not None,
        used_known=used_known,
        closed_until=closed_until,
    )


def _revoke(
    connection: Connection,
    vault: Vault,
    remembered: Remembered,
    before: Former | None,
    at: float,
    *,
    everybody: bool,
) -> tuple[str, ...]:
    table = SealedTable(clients, vault, remembered)
    since: Mapping[str, float] = before.revoked if before is not None else {}
    rows: list[dict[str, Any]] = [
        dict(row) | {"revoked_at": since.get(row["client_id"], at)}
        for row in table.read(connection).rows
        if row["revoked_at"] is None and (everybody or row["client_id"] in since)
    ]
    if rows:
        table.put(connection, *rows)
    return tuple(sorted(row["client_id"] for row in rows))


def _take_over(connection: Connection, used: tuple[dict[str, Any], ...]) -> int:
    known = set(connection.execute(select(seen.c.digest)).scalars())
    new = [row for row in used if row["digest"] not in known]
    if new:
        connection.execute(insert(seen), new)
    return len(new)


# ── the databases' own ways ──


def _copy_sqlite(store: Path, file: Path) -> None:
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(file)) as target,
        ):
            source.backup(target, pages=1_000)
            target.execute("PRAGMA journal_mode=DELETE").close()
    except sqlite3.Error as error:
        raise StoreUnavailable("the store cannot be backed up", data={"file": str(store)}) from error


@contextlib.contextmanager
def _replaced(store: Path, file: Path) -> Generator[Path]:
    new = store.with_name(f".{store.name}.new")
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as source:
            if source.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                raise LocalMisuse("the backup is damaged", data={"file": str(file)})
        shutil.copyfile(file, new)
        new.chmod(0o600)
        yield new
        if _journals(new)[0].exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # what was closed stands there, and not in the file
        for journal in _journals(store):
            journal.unlink(missing_ok=True)
        new.replace(store)
    except sqlite3.Error as error:
        raise LocalMisuse("the backup is damaged", data={"file": str(file)}) from error
    except OSError as error:
        raise StoreUnavailable(f"the backup cannot be put back: {error.strerror}", data={"file": str(store)}) from error
    finally:
        for each in (new, *_journals(new)):
            each.unlink(missing_ok=True)


def _journals(file: Path) -> tuple[Path, Path]:
    """The files beside one of SQLite in which there may be what it has not taken up yet."""
    return file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")


def _run(program: str, url: str, *arguments: str) -> None:
    _require(program)
    shown, password = _without_password(url)
    # The password is no argument: every user of the machine sees those.
    environ = os.environ | ({"PGPASSWORD": password} if password else {})
    done = subprocess.run(
        [program, f"--dbname={shown}", *arguments],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise StoreUnavailable(f"{program}: {said[-1] if said else 'failed'}")


def _require(program: str) -> None:
    if shutil.which(program) is None:
        raise ToolMissing(f"{program} is not installed", data={"tool": f"{program} (postgresql-client)"})


def _without_password(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "password"]
    in_query = dict(parse_qsl(parts.query)).get("password", "")
    who, at, where = parts.netloc.rpartition("@")
    user, _, password = who.partition(":")
    bare = urlunsplit(parts._replace(netloc=f"{user}{at}{where}", query=urlencode(query)))
    return bare, unquote(password) or in_query
