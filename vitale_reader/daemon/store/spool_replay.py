"""Transfer of a station's spool to the database of its site, piece by piece, once that is back.

A piece is written at the site in one transaction. It is forgotten in the spool in another one after it. After a crash
in between it is brought again, without duplicates. Tokens and marks are known by their keys. Lines of the audit trail
are known by the number that the site has noted for this spool.

- A string that was used here and elsewhere while nobody could know is told. The log and the audit trail both say so.
- A row that was changed or damaged is told, and forgotten. It hinders nothing.
- Neither does one whose content the site refuses: the others of its piece are brought one by one.
- A token whose line the site has was kept there before: the answer was lost. It is not brought again, since its client
  may have acknowledged it at another desk. Therefore a token and its line are brought together.
"""

import hashlib
import itertools
import logging
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, Table, bindparam, delete, insert, select, tuple_, update

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.database.database_errors import explained, refuses_content
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.clock import time_of
from vitale_reader.daemon.store.row_seals import holds, name_of, sealed
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import ROWID, audit, audit_heads, contexts, outbox, seen, site

__all__ = ["ACKNOWLEDGED", "Bringing", "Piece", "note_acknowledged", "spool_name"]

logger = logging.getLogger(__name__)

#: Rows of a table in one transaction: to begin with, at least, and at most.
FEW, MOST = 10, 500
BEGIN = 100

#: In front of what the spool knows of tokens that were acknowledged while the database was away.
ACKNOWLEDGED = "ack:"

#: Seconds that such a note is kept at the site: no token lasts longer than ten minutes.
NOTED = 1_200.0

#: Seconds between two words in the log about how far it has come.
TOLD = 5.0

#: What the name of a spool looks like.
NAME = re.compile(r"[0-9a-f]{16}")

#: What a token's id looks like; whatever else is acknowledged, no site holds it.
JTI = re.compile(r"[0-9A-Za-z-]{1,36}")

_SETTLE = (
    update(seen)
    .where(seen.c.digest == bindparam("of_digest"))
    .values(state=bindparam("now"), seal=bindparam("now_seal"))
)

Row = dict[str, Any]


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Some of what is in the spool; ``acknowledged`` are names of notes, each with the client whose it is.

    Attributes:
        damaged: by table, how many rows were forgotten instead of brought.
    """

    seen: list[Row] = msgspec.field(default_factory=list[Row])
    outbox: list[Row] = msgspec.field(default_factory=list[Row])
    contexts: list[Row] = msgspec.field(default_factory=list[Row])
    lines: list[tuple[int, AuditEntry]] = msgspec.field(default_factory=list[tuple[int, AuditEntry]])
    acknowledged: list[tuple[str, str]] = msgspec.field(default_factory=list[tuple[str, str]])
    damaged: dict[str, int] = msgspec.field(default_factory=dict[str, int])

    def __len__(self) -> int:
        rows = len(self.seen) + len(self.outbox) + len(self.contexts)
        return rows + len(self.lines) + len(self.acknowledged) + sum(self.damaged.values())

    def singly(self) -> Iterator[tuple[str, "Piece"]]:
        """The rows one by one, each with the name of its table.

        A token comes with its line. The line comes once more by itself, where the token may have been refused.
        """
        yield from ((name_of(seen), Piece(seen=[row])) for row in self.seen)
        tokens = {row["jti"]: row for row in self.outbox}
        for line in self.lines:
            if (token := tokens.pop(line[1].jti, None)) is not None:
                yield name_of(outbox), Piece(lines=[line], outbox=[token])
            yield name_of(audit), Piece(lines=[line])  # one that is there is known by its number
        yield from ((name_of(outbox), Piece(outbox=[row])) for row in tokens.values())
        yield from ((name_of(contexts), Piece(contexts=[row])) for row in self.contexts)
        yield from ((name_of(site), Piece(acknowledged=[note])) for note in self.acknowledged)


class Bringing:
    """Brings the spool of a station, in pieces as large as the line takes.

    A piece that does not arrive is halved, one that does lets the next one grow.

    Args:
        chain: of this station.
        clock: epoch seconds, for a store without a clock of its own.
    """

    def __init__(self, chain: Chain, *, clock: Callable[[], float]) -> None:
        self._chain = chain
        self._clock = clock
        self._most = BEGIN
        self._brought = 0
        self._told_at = time.monotonic()

    async def bring(self, spool: Store, site_store: Store) -> int:
        """Brings one piece; how many rows it had, 0 where there is nothing left.

        Raises:
            StoreUnavailable: the site does not take it; it is in the spool still.
            IntegrityError: another station wrote the same at the same moment; the next time it is seen.
        """
        name = await spool.run(spool_name)
        piece = await spool.run(lambda connection: _take(connection, self._chain, self._most, self._clock()))
        for table, count in piece.damaged.items():
            logger.error("%d rows of %s were changed or damaged in the spool: they are forgotten", count, table)
        if not piece:
            self._brought = 0
            return 0
        try:
            await site_store.run(partial(_write, chain=self._chain, piece=piece, name=name, clock=self._clock))
        except StoreUnavailable as error:
            if not refuses_content(error):
                self._most = max(FEW, self._most // 2)
                raise
            await self._bring_singly(site_store, piece, name)
        await spool.run(lambda connection: _forget(connection, self._chain, piece))
        self._most = min(MOST, self._most * 2)
        self._tell(len(piece))
        return len(piece)

    async def _bring_singly(self, site_store: Store, piece: Piece, name: str) -> None:
        """Brings the rows that the site takes; one whose content it refuses would be refused for ever."""
        for table, row in piece.singly():
            try:
                await site_store.run(partial(_write, chain=self._chain, piece=row, name=name, clock=self._clock))
            except StoreUnavailable as error:
                if not refuses_content(error):
                    raise
                logger.error("the site refuses a row of %s of the spool, it is forgotten: %s", table, explained(error))
                await site_store.run(self._note_refused)

    def _note_refused(self, connection: Connection) -> None:
        at = time_of(connection, self._clock)
        self._chain.append(connection, AuditEntry(at=at, action="site.reconcile", outcome="store_unavailable"))

    def _tell(self, rows: int) -> None:
        self._brought += rows
        if time.monotonic() - self._told_at > TOLD:
            self._told_at = time.monotonic()
            logger.info("of the spool, %d rows were brought to the database of the site so far", self._brought)


def note_acknowledged(connection: Connection, client_id: str, jtis: Collection[str]) -> int:
    """Notes in the spool that a client has acknowledged tokens that the site may hold.

    Gives how many ids can be of such tokens.
    """
    names = [_note_name(jti, client_id) for jti in jtis if JTI.fullmatch(jti)]
    if names:
        connection.execute(delete(site).where(site.c.name.in_(names)))
        connection.execute(insert(site), [{"name": name, "value": client_id} for name in names])
    return len(names)


def _note_name(jti: str, client_id: str) -> str:
    """Name of the row that says that this client acknowledged a token; another client's is another row.

    Nobody knows yet whose the token is. The column takes 50 characters: an id of 36, and 8 that tell clients apart.
    """
    return f"{ACKNOWLEDGED}{jti}:{hashlib.sha256(client_id.encode()).hexdigest()[:8]}"


def _jti_of(name: str) -> str:
    return name.removeprefix(ACKNOWLEDGED).partition(":")[0]


def spool_name(connection: Connection) -> str:
    """Identity of this spool, unlike that of one begun anew at the same station."""
    found = connection.execute(select(site.c.value).where(site.c.name == "spool")).scalar()
    if not isinstance(found, str) or not NAME.fullmatch(found):
        found = secrets.token_hex(8)
        connection.execute(delete(site).where(site.c.name == "spool"))
        connection.execute(insert(site), {"name": "spool", "value": found})
    return found


def _take(connection: Connection, chain: Chain, most: int, at: float) -> Piece:
    damaged: dict[str, int] = {}

    def rows(table: Table, query: Select[Any], is_whole: Callable[[Row], bool]) -> list[Row]:
        found = [dict(row) for row in connection.execute(query.add_columns(ROWID).limit(most)).mappings()]
        if wrong := {row["rowid"] for row in found if not is_whole(row)}:
            connection.execute(delete(table).where(ROWID.in_(wrong)))
            damaged[name_of(table)] = len(wrong)
        return [
            {column.name: row[column.name] for column in table.columns} for row in found if row["rowid"] not in wrong
        ]

    def sealed_rows(table: Table, query: Select[Any]) -> list[Row]:
        return rows(table, query, lambda row: holds(chain.vault, table, row))

    lines, damaged_lines = chain.take(connection, most, at=at)
    told = [entry.jti for _, entry in lines if entry.jti is not None]
    tokens = select(outbox).where(outbox.c.jti.in_(told)) if lines else select(outbox)
    if damaged_lines:
        damaged[name_of(audit)] = damaged_lines
    noted = select(site).where(site.c.name.startswith(ACKNOWLEDGED, autoescape=True))
    return Piece(
        seen=sealed_rows(seen, select(seen)),
        outbox=sealed_rows(outbox, tokens),
        contexts=sealed_rows(contexts, select(contexts)),
        lines=lines,
        acknowledged=[(row["name"], row["value"]) for row in rows(site, noted, _is_note)],
        damaged=damaged,
    )


def _is_note(row: Row) -> bool:
    """True if a row of ``site`` is what ``note_acknowledged`` wrote."""
    name, client = row["name"], row["value"]
    if not isinstance(name, str) or not isinstance(client, str):
        return False
    return bool(JTI.fullmatch(_jti_of(name))) and name == _note_name(_jti_of(name), client)


def _write(connection: Connection, chain: Chain, piece: Piece, name: str, clock: Callable[[], float]) -> None:
    """Writes a piece in a number of statements that does not depend on its size."""
    # The lock on the head makes two connections of this station wait for one another before either looks.
    connection.execute(select(audit_heads).where(audit_heads.c.station == chain.station).with_for_update())
    now = time_of(connection, clock)
    there = _kept_before(connection, chain, piece)
    _write_lines(connection, chain, piece.lines, f"spool:{name}", there)
    twice = _mark(connection, piece.seen)
    there |= _acknowledged_elsewhere(connection, chain, piece.outbox)
    if tokens := [row for row in piece.outbox if row["exp"] > now and row["jti"] not in there]:
        # A row that somebody else wrote for the presentation holds up nothing.
        of_presentation = tuple_(outbox.c.presentation, outbox.c.client_id)
        keys = [(row["presentation"], row["client_id"]) for row in tokens]
        connection.execute(delete(outbox).where(of_presentation.in_(keys)))
        _insert(connection, outbox, tokens)
    if piece.contexts:
        connection.execute(delete(contexts).where(contexts.c.digest.in_([row["digest"] for row in piece.contexts])))
        _insert(connection, contexts, piece.contexts)
    if piece.acknowledged:
        _acknowledge(connection, chain, piece.acknowledged, now)
    if twice:
        logger.error("%d strings were used at this station and elsewhere while the database was away", twice)
        replayed = AuditEntry(at=now, action="site.reconcile", outcome="replayed")
        chain.append(connection, *itertools.repeat(replayed, twice))


def _kept_before(connection: Connection, chain: Chain, piece: Piece) -> set[str]:
    """The tokens of a piece that the site has kept, or had, as their lines tell."""
    told = {entry.jti: entry.at for _, entry in piece.lines if entry.jti is not None}
    if not told:
        return set()
    known = select(audit.c.jti).where(
        # The time is that of the very line, and has an index.
        audit.c.at.between(min(told.values()), max(told.values())),
        audit.c.station == chain.station,
        audit.c.jti.in_(told),
    )
    return set(connection.execute(known).scalars())


def _acknowledge(connection: Connection, chain: Chain, told: Sequence[tuple[str, str]], now: float) -> None:
    """Forgets tokens that clients have acknowledged.

    One that is not there may wait in the spool of another desk. It is noted for when it comes.
    """
    pairs = [(_jti_of(name), client) for name, client in told]
    of_pairs = tuple_(outbox.c.jti, outbox.c.client_id).in_(pairs)
    gone = set(connection.execute(delete(outbox).where(of_pairs).returning(outbox.c.jti)).scalars())
    noted = connection.execute(select(site.c.name, site.c.value).where(site.c.name.startswith(ACKNOWLEDGED))).all()
    old = [name for name, value in noted if not now - NOTED < _seconds(value)]
    notes = {_note_name(jti, client): f"{round(now)} {client}" for jti, client in pairs if jti not in gone}
    connection.execute(delete(site).where(site.c.name.in_([*old, *notes])))
    _insert(
        connection, site, [sealed(chain.vault, site, {"name": name, "value": value}) for name, value in notes.items()]
    )


def _acknowledged_elsewhere(connection: Connection, chain: Chain, rows: Sequence[Row]) -> set[str]:
    """The tokens among these that their clients have acknowledged at another desk."""
    if not rows:
        return set()
    clients = {_note_name(row["jti"], row["client_id"]): row["client_id"] for row in rows}
    noted = connection.execute(select(site).where(site.c.name.in_(clients))).mappings()
    return {
        _jti_of(note["name"])
        for note in noted
        if holds(chain.vault, site, note) and note["value"].partition(" ")[2] == clients[note["name"]]
    }


def _seconds(value: str) -> float:
    at = value.partition(" ")[0]
    return float(at) if at.isdecimal() else 0.0


def _insert(connection: Connection, table: Table, rows: list[Row]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _write_lines(
    connection: Connection, chain: Chain, lines: Sequence[tuple[int, AuditEntry]], name: str, there: Collection[str]
) -> None:
    if not lines:
        return
    row = connection.execute(select(site).where(site.c.name == name)).mappings().first()
    # A number that somebody else wrote counts as none: rather is a line there twice than not at all.
    done = row["value"] if row is not None and holds(chain.vault, site, row) else None
    new = [(number, entry) for number, entry in lines if number > int(done or 0)]
    if not new:
        return
    if missing := [entry for _, entry in new if entry.jti is None or entry.jti not in there]:
        chain.append(connection, *missing)
    connection.execute(delete(site).where(site.c.name == name))
    connection.execute(insert(site), sealed(chain.vault, site, {"name": name, "value": str(new[-1][0])}))


def _mark(connection: Connection, rows: list[Row]) -> int:
    """Marks strings as used; how many were used by other presentations than those here."""
    if not rows:
        return 0
    known = select(seen.c.digest, seen.c.claim).where(seen.c.digest.in_([row["digest"] for row in rows]))
    there: dict[str, str | None] = {row.digest: row.claim for row in connection.execute(known)}
    _insert(connection, seen, [row for row in rows if row["digest"] not in there])
    ours = [row for row in rows if row["digest"] in there and there[row["digest"]] == row["claim"]]
    if ours:
        changes = [{"of_digest": row["digest"], "now": row["state"], "now_seal": row["seal"]} for row in ours]
        connection.execute(_SETTLE, changes)
    return len([row for row in rows if row["digest"] in there]) - len(ours)


def _forget(connection: Connection, chain: Chain, piece: Piece) -> None:
    for table, rows in ((seen, piece.seen), (outbox, piece.outbox), (contexts, piece.contexts)):
        for row in rows:
            # As it was taken: what was changed meanwhile is brought again.
            unchanged = [column == row[column.name] for column in (*table.primary_key.columns, table.c.seal)]
            connection.execute(delete(table).where(*unchanged))
    if piece.acknowledged:
        connection.execute(delete(site).where(site.c.name.in_([name for name, _ in piece.acknowledged])))
    if piece.lines:
        chain.drop(connection, piece.lines[-1][0])
