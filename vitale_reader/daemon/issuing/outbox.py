"""Tokens kept, sealed, until their client acknowledges them or they expire."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from sqlalchemy import Connection, Integer, RowMapping, bindparam, delete, select, tuple_

from vitale_protocol.methods import OutboxToken
from vitale_reader.daemon.database.combined_writes import Write, inserted
from vitale_reader.daemon.database.expiry import forget_ended, of_ended
from vitale_reader.daemon.fairness.processor_shares import give_way
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.observation.told_once import ToldOnce
from vitale_reader.daemon.store import row_seals
from vitale_reader.daemon.store.audit_trail.audit import append
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.store.tables import outbox

__all__ = ["MOST_LISTED", "PAGE", "SLICE", "TRIP", "Outbox"]

logger = logging.getLogger(__name__)

#: Bytes of tokens in one listing: with what surrounds them they fit into one message of the wire (1 MiB).
MOST_LISTED = 786_432

#: Tokens that are opened before others have their turn: half a millisecond of the processor.
SLICE = 32

#: Rows that are read or forgotten by one statement, in a thread of the store: a page, or what it acknowledges, is one
#: trip to the database of a site.
TRIP = 128

#: Tokens on a page that nobody asked to be shorter or longer.
PAGE = 100

# Statements are constants: to build one anew costs more than to run it.
_OF_CLIENT = outbox.c.client_id == bindparam("of_client")
_LIST = (
    select(outbox)
    .where(
        _OF_CLIENT,
        # One comparison of both, which an index answers; of two, it would answer the first and read on for the other.
        tuple_(outbox.c.exp, outbox.c.jti) > tuple_(bindparam("after_exp", type_=Integer), bindparam("after_jti")),
    )
    # As the index has them: a page costs what it holds, and not what the outbox holds.
    .order_by(outbox.c.exp, outbox.c.jti)
    .limit(bindparam("most"))
    .offset(bindparam("skipped"))
)
_ACKNOWLEDGE = delete(outbox).where(_OF_CLIENT, outbox.c.jti.in_(bindparam("jtis", expanding=True)))
_PURGE = of_ended(outbox.c.exp)


class _Place(NamedTuple):
    """A place in the order of the rows: behind one, and so many that have none."""

    exp: int
    jti: str
    skipped: int = 0

    def after(self, row: RowMapping) -> "_Place":
        """The place behind the next row; a damaged value does not compare as it is stored."""
        if isinstance(row["exp"], int) and isinstance(row["jti"], str):
            return _Place(row["exp"], row["jti"])
        return self._replace(skipped=self.skipped + 1)


class Outbox:
    """The tokens of this station that are not acknowledged; every method is one transaction."""

    def __init__(self, store: Database, vault: Vault, chain: Chain, *, clock: StoreClock) -> None:
        self._store = store
        self._vault = vault
        self._chain = chain
        self._clock = clock
        self._refused = ToldOnce()

    @property
    def degraded(self) -> bool:
        """True if a token kept now is kept at this station only, since the site's database is away."""
        return self._store.degraded

    async def put(
        self,
        token: OutboxToken,
        *,
        client_id: str,
        presentation: str,
        entry: AuditEntry,
        writes: Sequence[Write] = (),
        also: Sequence[Callable[[Connection], object]] = (),
    ) -> None:
        """Keeps a token before it is handed over, together with its line in the audit trail.

        Args:
            token: the token.
            client_id: whose it is.
            presentation: what it is of.
            entry: the line in the audit trail.
            writes: what is to be written in the same transaction, or not at all.
            also: likewise, where it cannot be said as a statement.

        Raises:
            IntegrityError: this presentation already gave this client a token.
            StoreUnavailable: it could not be kept, or the clock of the desk is wrong. It must not be handed over.
        """
        self._clock.right()
        sealed = self._vault.seal(token.token.encode(), token.jti)
        told = {
            "jti": token.jti,
            "client_id": client_id,
            "presentation": presentation,
            "exp": token.exp,
            "sealed": sealed,
        }
        row = row_seals.sealed(self._vault, outbox, told)

        await append(self._store, self._chain, entry, (inserted(outbox, row), *writes), also)

    async def page(
        self, client_id: str, *, after: str | None = None, limit: int = PAGE
    ) -> tuple[tuple[OutboxToken, ...], str | None]:
        """The tokens of a client that neither were acknowledged nor expired, those that end first before the others.

        Args:
            client_id: whose they are.
            after: where the page before ended, as it was told then.
            limit: how many at most, whatever is damaged between them; no more than ``MOST_LISTED`` bytes in any case.

        Returns:
            The tokens, and where the next page begins; None where there is none.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        exp, _, jti = (after or "0~").partition("~")
        soonest = int(self._clock.now()) + 1
        place = _Place(int(exp), jti) if int(exp) >= soonest else _Place(soonest, "")
        tokens: list[OutboxToken] = []
        size = 0
        while True:
            await give_way()
            most = min(TRIP, limit - len(tokens))
            rows = await self._rows(client_id, place, most + 1)
            for number, row in enumerate(rows[:most]):
                if number and number % SLICE == 0:
                    await give_way()
                if (token := self._opened(row)) is not None:
                    size += len(row["sealed"])
                    if size > MOST_LISTED:
                        return tuple(tokens), _end(tokens)
                    tokens.append(token)
                place = place.after(row)
            if len(rows) <= most:
                return tuple(tokens), None
            if len(tokens) >= limit:
                return tuple(tokens), _end(tokens)

    async def _rows(self, client_id: str, place: _Place, most: int) -> Sequence[RowMapping]:
        values = {
            "of_client": client_id,
            "after_exp": place.exp,
            "after_jti": place.jti,
            "skipped": place.skipped,
            "most": most,
        }
        return await self._store.run(lambda connection: connection.execute(_LIST, values).mappings().all(), single=True)

    async def list(self, client_id: str) -> tuple[OutboxToken, ...]:
        """The first page; whoever acknowledges what was listed is told of the rest the next time.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        return (await self.page(client_id))[0]

    async def acknowledge(self, client_id: str, jtis: Sequence[str]) -> int:
        """Forgets tokens of a client; returns how many there were.

        While the database of the site is away, nobody knows which of them it holds. What is in the spool may be on its
        way. They are noted there and count as forgotten, and are so before they could be listed again.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        return sum([await self._acknowledge(client_id, some) for some in _trips(jtis)])

    async def _acknowledge(self, client_id: str, jtis: Sequence[str]) -> int:
        await give_way()
        values = {"of_client": client_id, "jtis": jtis}

        def work(connection: Connection) -> int:
            return connection.execute(_ACKNOWLEDGE, values).rowcount

        def in_spool(connection: Connection) -> int:
            from vitale_reader.daemon.store.spool_replay import note_acknowledged  # noqa: PLC0415  for a site

            work(connection)
            return note_acknowledged(connection, client_id, set(jtis))

        return await self._store.run(work, single=True, in_spool=in_spool)

    async def purge(self) -> int:
        """Forgets what has expired; returns how many there were.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        return await forget_ended(self._store.run, self._clock.purging, _PURGE)

    def _opened(self, row: RowMapping) -> OutboxToken | None:
        """The token in a row; None for a row that is damaged or that somebody else wrote."""
        if row_seals.holds(self._vault, outbox, row):
            with contextlib.suppress(InvalidTag):
                token = self._vault.unseal(row["sealed"], row["jti"]).decode()
                return OutboxToken(jti=row["jti"], exp=row["exp"], token=token)
        if self._refused.is_due(row["jti"]):
            logger.error("token %s of the outbox was changed or damaged in the store: it is refused", row["jti"])
        return None


def _end(tokens: Sequence[OutboxToken]) -> str | None:
    """The end of a page, as its client is told: at a token, never at a damaged row."""
    return f"{tokens[-1].exp}~{tokens[-1].jti}" if tokens else None


def _trips(jtis: Sequence[str]) -> Iterator[Sequence[str]]:
    return (jtis[begin : begin + TRIP] for begin in range(0, len(jtis), TRIP))
