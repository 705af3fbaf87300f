"""The replay guard: an apCV string counts once, at all the stations of a store, across restarts.

A string is reserved before it is resolved and marked as used together with its token. Whatever dies in between, it
counts as used: nobody can know how far the service got. Kept is the keyed digest of its canonical form, never the
string. That form is the same however the string was dressed.

A desk also knows by itself what was used there since it was started. Whoever removes the row makes it forget nothing.

After a restore nobody may know which strings were used since the backup. After a new key of the site nobody can know
which were used before. Then none is taken until those that were in circulation have ended (``close_until``).
"""

import logging
import secrets
from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from vitale_protocol.errors import Replayed
from vitale_reader.daemon.database.combined_writes import COUNTED, Write
from vitale_reader.daemon.database.database_errors import swallowed
from vitale_reader.daemon.database.expiry import forget_ended, of_ended
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store import row_seals
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.store.tables import seen, site

__all__ = ["CLOSED", "Claimed", "Closed", "Reason", "ReplayGuard", "close_until", "closed"]

logger = logging.getLogger(__name__)

DAY = 86_400.0

#: Strings that a desk knows by itself: those of months, and some megabytes.
MOST_KNOWN = 50_000

#: The row of ``site`` that says until when no string is taken, epoch seconds, and why.
CLOSED = "apcv:closed-until"

#: Why no string is taken: a variant of ``replayed``.
Reason = Literal["restored", "rekeyed"]

# Statements are constants: to build one anew costs more than to run it.
_OF_DIGEST = seen.c.digest == bindparam("of_digest")
_ROW = tuple(column.name for column in seen.columns)
_CLAIM = insert(seen).from_select(
    _ROW,
    # The key of the table says so as well, as long as nobody takes it away.
    select(*(bindparam(name, type_=seen.c[name].type) for name in _ROW)).where(
        ~select(seen.c.digest).where(seen.c.digest == bindparam("digest")).exists()
    ),
)
_FIND = select(seen.c.digest).where(_OF_DIGEST)
_SETTLE = update(seen).where(_OF_DIGEST).values(state=bindparam("settled"), seal=bindparam("settled_seal"))
_WITHDRAW = delete(seen).where(_OF_DIGEST, seen.c.state == "reserved")
_FIND_CLOSED = select(site).where(site.c.name == CLOSED)
_PURGE = of_ended(seen.c.expires_at)

#: Under this name a connection knows until when no string is taken.
_ASKED = "vitale-reader closed"


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A string reserved for one presentation: the row that says so, without its state and its seal."""

    digest: str
    expires_at: float
    claim: str


class Closed(NamedTuple):
    """A time in which no string is taken.

    Attributes:
        until: when it ends, epoch seconds; 0 where there is none.
        why: why.
    """

    until: float
    why: Reason = "restored"


class ReplayGuard:
    """The strings that were used, in the store."""

    def __init__(self, store: Database, vault: Vault, *, days: int, printed: bool = False, clock: StoreClock) -> None:
        self._store = store
        self._printed = printed
        self._vault = vault
        self._days = days
        self._clock = clock
        self._known: dict[str, float] = {}

    def digest(self, evidence: Mapping[str, bytes]) -> str | None:
        """Digest by which evidence is recognised; None where it may be presented any number of times.

        The string of an apCV counts once. A printed code is shown again and again, unless the site wants otherwise; a
        card is read, not replayed.
        """
        for kind in ("string", "code") if self._printed else ("string",):
            if (shown := evidence.get(kind)) is not None:
                # Its parsers come with the first presentation.
                from vitale_protocol.media.apcv import canonical  # noqa: PLC0415

                return self._vault.digest(kind, canonical(shown))
        return None

    async def require_open(self) -> None:
        """Refuses strings of which nobody can know whether they were used.

        Raises:
            Replayed: with the variant ``restored`` or ``rekeyed``, until its time is over.
            StoreUnavailable: the store cannot be read.
        """
        found = await self._store.run(
            lambda connection: _closed_here(connection, self._vault), needs="guard", single=True
        )
        if self._clock.believed() < found.until:
            raise Replayed("which strings were used is unknown", variant=found.why, data={"until": round(found.until)})

    async def claim(self, digest: str) -> Claimed:
        """Claims what is known by a digest for one presentation; of several that race for it, one gets it.

        Raises:
            Replayed: the string was used before, or is being used.
            StoreUnavailable: it cannot be kept, or the database does otherwise: it must not be used.
        """
        expires_at = self._clock.lasting() + self._days * DAY
        claimed = Claimed(digest=digest, expires_at=expires_at, claim=secrets.token_hex(16))
        row = self._row(claimed, "reserved")

        def work(connection: Connection) -> None:
            if connection.execute(_CLAIM, row, execution_options=COUNTED).rowcount == 1:
                return
            if connection.execute(_FIND, {"of_digest": digest}).first() is None:
                raise swallowed("seen")
            raise Replayed("it was used before")

        try:
            await self._store.run(work, needs="guard", single=True)
        except IntegrityError as error:  # by another one at this very moment
            raise Replayed("it was used before") from error
        if digest in self._known:
            logger.error("a string that was used here was forgotten by the database: somebody removed its row")
            raise Replayed("it was used before")
        self._know(claimed)
        return claimed

    def _know(self, claimed: Claimed) -> None:
        self._known[claimed.digest] = claimed.expires_at
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    async def knows(self, digest: str) -> bool:
        """True if the evidence of a digest was used, or is being used.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        values = {"of_digest": digest}
        row = await self._store.run(
            lambda connection: connection.execute(_FIND, values).first(), needs="guard", single=True
        )
        return row is not None

    def settle(self, claimed: Claimed) -> Write:
        """Returns the write that marks a reserved string as used, within the transaction that keeps its token.

        It is the same however often asked for: a token not taken by the database goes to the spool.
        """
        seal = self._row(claimed, "used")["seal"]
        return Write(_SETTLE, {"of_digest": claimed.digest, "settled": "used", "settled_seal": seal})

    async def withdraw(self, digest: str) -> None:
        """Gives a reserved string back: it is certain that it was sent to nobody.

        Raises:
            StoreUnavailable: the store cannot be written; the string counts as used.
        """
        await self._store.run(lambda connection: connection.execute(_WITHDRAW, {"of_digest": digest}), single=True)
        self._known.pop(digest, None)

    async def purge(self) -> int:
        """Forgets the strings whose time is over; returns how many there were.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        now = self._clock.believed()
        self._known = {digest: ends_at for digest, ends_at in self._known.items() if ends_at > now}
        return await forget_ended(self._store.run, self._clock.purging, _PURGE)

    def _row(self, claimed: Claimed, state: str) -> dict[str, object]:
        return row_seals.sealed(self._vault, seen, msgspec.structs.asdict(claimed) | {"state": state})


def closed(connection: Connection, vault: Vault) -> Closed:
    """Reads until when no string is taken; a row that nobody of the store wrote closes nothing."""
    row = connection.execute(_FIND_CLOSED).mappings().first()
    if row is None or not row_seals.holds(vault, site, row):
        return Closed(0.0)
    until, _, why = row["value"].partition(" ")
    return Closed(float(until), "rekeyed" if why == "rekeyed" else "restored")


def _closed_here(connection: Connection, vault: Vault) -> Closed:
    """The same, at a desk that serves: at a site each connection asks once.

    Whatever closes it needs the lock that a serving connection shares for as long as it lasts. A desk may have been
    without one meanwhile, on its spool or suspended.
    """
    if connection.dialect.name != "postgresql":
        return closed(connection, vault)
    if _ASKED not in connection.info:
        connection.info[_ASKED] = closed(connection, vault)
    found: Closed = connection.info[_ASKED]
    return found


def close_until(connection: Connection, vault: Vault, until: float, why: Reason) -> Closed:
    """Has no string taken until then, by any daemon that starts from now on.

    A longer time that already runs goes on.

    Returns:
        What holds now.
    """
    known = closed(connection, vault)
    if known.until >= until:
        return known
    connection.execute(delete(site).where(site.c.name == CLOSED))
    connection.execute(insert(site), row_seals.sealed(vault, site, {"name": CLOSED, "value": f"{until!r} {why}"}))
    return Closed(until, why)
