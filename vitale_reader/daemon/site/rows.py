"""The rows through which the desks of a site speak: who is there, who asks for what, how it goes, what came of it.

- Rows are the truth and notifications only hasten: a desk looks at the rows once a beat, whatever it hears.
- A notification holds one word and one id.
- An announcement is sealed with the key of the site, bound to its row and to its desk. A row made without that key is
  no row of this site. An answer is sealed for the desk that asked (``sealing``).
- An incarnation is one run of a daemon: what a desk left behind when it died is not taken for its own when it is back.
- Times are those of the database's clock, which all desks share.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from sqlalchemy import Connection, delete, extract, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import Cancelled, ParseError, StoreUnavailable
from vitale_protocol.events import Step
from vitale_protocol.methods import StationMode
from vitale_protocol.privacy import concealed
from vitale_protocol.problems import Problem
from vitale_reader.daemon.keystore.vault import Vault
from vitale_reader.daemon.site.remote_readers import DeskStatus, DeskTold, Names
from vitale_reader.daemon.store.notify import call
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.store.tables import site_desks, site_requests, site_steps

__all__ = ["LOST", "DeskRow", "RequestRow", "Seen", "SiteRows", "StepTold", "Wanted"]

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)

#: Seconds after its last beat from which a desk counts as gone: it may miss two.
LOST = 7.0

#: Seconds after its end from which anybody clears a request away, and beats between two clearings.
LEFT_BEHIND, CLEARING = 30.0, 10

#: Rows of strangers that are told once each.
MOST_STRANGE = 100

NOW = extract("epoch", func.clock_timestamp())


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Request of a desk to the others, in the name of one of its clients."""

    __repr__ = concealed

    station: str
    mode: StationMode
    client_id: str
    nonce: str
    scopes: tuple[str, ...]
    purpose: tuple[str, ...] | None
    media: frozenset[str]
    names: Names
    timeout: float


class StepTold(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a request at a desk; ``reader`` is the name that holds for the whole site."""

    step: Step
    reader: str | None
    problem: Problem | None = None
    medium: str = ""


class DeskRow(msgspec.Struct, frozen=True):
    """A desk that is there."""

    station: str
    incarnation: str
    version: int
    told: DeskTold


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """A request: its id, who asks, for how many seconds more, and who is at it; its answer where it is ours."""

    id: str
    asked_by: str
    left: float
    taken_by: str | None
    answered: bool
    answer: bytes | None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Result of one look: the desks, the requests in the order in which they were asked, new steps of ours."""

    desks: Mapping[str, DeskRow]
    requests: tuple[RequestRow, ...]
    steps: tuple[tuple[str, StepTold], ...]


class SiteRows:
    """Reads and writes them for one incarnation of a station."""

    def __init__(self, store: Database, vault: Vault, *, station: str, incarnation: str) -> None:
        self._store = store
        self._vault = vault
        self._station = station
        self._desks: dict[str, DeskRow] = {}
        self._unknown_card: set[str] = set()
        self._beats = 0
        self._started = 0.0
        self._rival = ""
        self.incarnation = incarnation

    # ── desks ──

    async def tell(self, told: DeskTold, version: int) -> DeskRow | None:
        """Says what this desk is and has; gives the row of another daemon that stood there under this station's id.

        Such a row may be of a run that died, or of a living copy of this station. The announcement names that run
        (``rival``), so that a living copy learns of this one.

        Raises:
            StoreUnavailable: it cannot be said.
        """

        def work(connection: Connection) -> DeskRow | None:
            now = float(connection.execute(select(NOW)).scalar_one())
            self._started = self._started or now
            found = self._take_place(connection)
            self._rival = found.incarnation if found is not None else self._rival
            status = msgspec.structs.replace(told.status or DeskStatus(), clock_offset=round(time.time() - now, 1))
            said = msgspec.structs.replace(told, started=self._started, rival=self._rival, status=status)
            sealed = self._vault.seal(
                msgspec.json.encode(said), self._bound_to(self._station, self.incarnation, version)
            )
            row = {"station": self._station, "incarnation": self.incarnation, "version": version, "sealed": sealed}
            connection.execute(insert(site_desks).values(**row, beat_at=NOW))
            call(connection, "desk", self._station)
            return found

        try:
            return await self._store.run(work, needs="site")
        except IntegrityError as error:
            raise StoreUnavailable("another daemon speaks as this station at this moment") from error

    def is_elder(self, other: DeskRow) -> bool:
        """True if another daemon with this station's id was there first, and knows of this one."""
        was_first = (other.told.started, other.incarnation) < (self._started, self.incarnation)
        return was_first and other.told.rival == self.incarnation

    async def leave(self) -> None:
        """Says that this desk is no more."""
        mine = site_desks.c.incarnation == self.incarnation

        def work(connection: Connection) -> None:
            connection.execute(delete(site_requests).where(site_requests.c.asked_by == self.incarnation))
            connection.execute(delete(site_desks).where(mine))
            call(connection, "desk", self._station)

        await self._store.run(work, needs="site")

    async def look(self, asked: Collection[str], *, beat: bool) -> tuple[bool, Seen]:
        """Looks at all rows, and says that this desk is there if it is time for a ``beat``.

        Args:
            asked: the ids of the requests of this desk.
            beat: whether to say so, and to clear away what others left behind.

        Returns:
            Whether the row of this desk is there still, and what there is.
        """
        known = dict(self._desks)

        def work(connection: Connection) -> tuple[bool, dict[str, DeskRow], Seen]:
            there = not beat or self._beat(connection)
            desks = self._look_at_desks(connection, known)
            steps = self._take_steps(connection, asked) if asked else ()
            return there, desks, Seen(desks=desks, requests=self._look_at_requests(connection), steps=steps)

        there, self._desks, seen = await self._store.run(work, needs="site")
        return there, seen

    # ── requests ──

    async def ask(self, request: str, wanted: Wanted) -> None:
        """Asks the other desks."""
        sealed = self._vault.seal(msgspec.json.encode(wanted), f"request:{request}:{self.incarnation}")

        def work(connection: Connection) -> None:
            connection.execute(
                insert(site_requests).values(
                    id=request, asked_by=self.incarnation, asked_at=NOW, ends_at=NOW + wanted.timeout, sealed=sealed
                )
            )
            call(connection, "asked", request)

        await self._store.run(work, needs="site")

    async def wanted(self, row: RequestRow) -> Wanted | None:
        """Content of a request; None where no desk of this site asked, or it is over."""
        query = select(site_requests.c.sealed).where(site_requests.c.id == row.id)
        sealed = await self._store.run(lambda connection: connection.execute(query).scalar(), needs="site")
        return None if sealed is None else self._opened(sealed, f"request:{row.id}:{row.asked_by}", Wanted)

    async def end(self, requests: Collection[str]) -> dict[str, bytes]:
        """Ends requests of this desk; gives the answers of those that had one already."""
        statement = (
            delete(site_requests)
            .where(site_requests.c.id.in_(list(requests)))
            .returning(site_requests.c.id, site_requests.c.answer)
        )

        def work(connection: Connection) -> dict[str, bytes]:
            ended = connection.execute(statement).all()
            for request, _ in ended:
                call(connection, "ended", request)
            return {request: answer for request, answer in ended if answer is not None}

        return await self._store.run(work, needs="site")

    async def take(self, request: str) -> None:
        """Takes a request for this desk alone.

        Raises:
            Cancelled: it is over, or another desk has it.
        """
        statement = (
            update(site_requests)
            .where(
                site_requests.c.id == request,
                site_requests.c.taken_by.is_(None),
                site_requests.c.answer.is_(None),
                site_requests.c.ends_at > NOW,
            )
            .values(taken_by=self.incarnation)
        )

        def work(connection: Connection) -> None:
            if connection.execute(statement).rowcount != 1:
                raise Cancelled("the request is over, or another desk has it")
            call(connection, "ended", request)

        await self._store.run(work, needs="site")

    def answer(self, request: str, sealed: bytes, *, taken: bool) -> Callable[[Connection], None]:
        """Returns the write that answers a request; it raises ``Cancelled`` where that is over.

        Args:
            request: its id.
            sealed: the answer.
            taken: whether this desk has taken it; else nobody may have.
        """
        holder = site_requests.c.taken_by
        mine = holder == self.incarnation if taken else holder.is_(None)
        statement = (
            update(site_requests)
            .where(site_requests.c.id == request, site_requests.c.answer.is_(None), mine)
            .values(answer=sealed, taken_by=self.incarnation)
        )

        def work(connection: Connection) -> None:
            if connection.execute(statement).rowcount != 1:
                raise Cancelled("the request is over")
            call(connection, "told", request)

        return work

    async def answer_alone(self, request: str, sealed: bytes, *, taken: bool) -> None:
        """Answers a request with nothing besides.

        Raises:
            Cancelled: it is over.
        """
        await self._store.run(self.answer(request, sealed, taken=taken), needs="site")

    async def tell_steps(self, steps: Iterable[tuple[str, StepTold]]) -> None:
        """Says how requests get on, as far as they are there."""
        rows = [
            {"request": request, "sealed": self._vault.seal(msgspec.json.encode(step), f"step:{request}")}
            for request, step in steps
        ]
        names = {row["request"] for row in rows}

        def work(connection: Connection) -> None:
            query = select(site_requests.c.id).where(site_requests.c.id.in_(names)).with_for_update(key_share=True)
            there = set(connection.execute(query).scalars())
            if found := [row for row in rows if row["request"] in there]:
                connection.execute(insert(site_steps), found)
            for request in there:
                call(connection, "told", request)

        await self._store.run(work, needs="site")

    # ── within a transaction ──

    def _take_place(self, connection: Connection) -> DeskRow | None:
        """Removes the row of this station; gives it where another run of a daemon told it."""
        columns = (site_desks.c.incarnation, site_desks.c.version, site_desks.c.sealed)
        statement = delete(site_desks).where(site_desks.c.station == self._station).returning(*columns)
        row = connection.execute(statement).first()
        if row is None or row.incarnation == self.incarnation:
            return None
        told = self._opened(row.sealed, self._bound_to(self._station, row.incarnation, row.version), DeskTold)
        return None if told is None else DeskRow(self._station, row.incarnation, row.version, told)

    @staticmethod
    def _bound_to(station: str, incarnation: str, version: int) -> str:
        return f"desk:{station}:{incarnation}:{version}"

    def _beat(self, connection: Connection) -> bool:
        self._beats += 1
        if self._beats % CLEARING == 0:
            connection.execute(delete(site_requests).where(site_requests.c.ends_at < NOW - LEFT_BEHIND))
        mine = site_desks.c.incarnation == self.incarnation
        return connection.execute(update(site_desks).where(mine).values(beat_at=NOW)).rowcount == 1

    def _look_at_desks(self, connection: Connection, known: Mapping[str, DeskRow]) -> dict[str, DeskRow]:
        columns = (site_desks.c.station, site_desks.c.incarnation, site_desks.c.version)
        there = connection.execute(select(*columns).where(site_desks.c.beat_at > NOW - LOST)).all()
        desks = {
            station: known[station]
            for station, incarnation, version in there
            if station in known and (known[station].incarnation, known[station].version) == (incarnation, version)
        }
        news = [station for station, _, _ in there if station not in desks]
        if news:
            query = select(*columns, site_desks.c.sealed).where(site_desks.c.station.in_(news))
            for station, incarnation, version, sealed in connection.execute(query).all():
                told = self._opened(sealed, self._bound_to(station, incarnation, version), DeskTold)
                if told is not None:
                    desks[station] = DeskRow(station, incarnation, version, told)
        return desks

    def _look_at_requests(self, connection: Connection) -> tuple[RequestRow, ...]:
        table = site_requests.c
        query = select(
            table.id, table.asked_by, table.ends_at - NOW, table.taken_by, table.answer.is_not(None)
        ).order_by(table.asked_at, table.id)
        rows = connection.execute(query).all()
        ours = [row[0] for row in rows if row[1] == self.incarnation and row[4]]
        answers: dict[str, bytes] = {}
        if ours:
            found = connection.execute(select(table.id, table.answer).where(table.id.in_(ours))).all()
            answers = {name: answer for name, answer in found if answer is not None}
        return tuple(
            RequestRow(
                id=name,
                asked_by=asked_by,
                left=float(left),
                taken_by=taken_by,
                answered=answered,
                answer=answers.get(name),
            )
            for name, asked_by, left, taken_by, answered in rows
        )

    def _take_steps(self, connection: Connection, asked: Collection[str]) -> tuple[tuple[str, StepTold], ...]:
        statement = (
            delete(site_steps)
            .where(site_steps.c.request.in_(list(asked)))
            .returning(site_steps.c.id, site_steps.c.request, site_steps.c.sealed)
        )
        rows = sorted(connection.execute(statement).all(), key=lambda row: row[0])
        opened = ((request, self._opened(sealed, f"step:{request}", StepTold)) for _, request, sealed in rows)
        return tuple((request, step) for request, step in opened if step is not None)

    def _opened(self, sealed: bytes, bound_to: str, kind: type[T]) -> T | None:
        try:
            return decode_document(self._vault.unseal(sealed, bound_to), kind)
        except (InvalidTag, ParseError):
            if bound_to not in self._unknown_card:
                logger.error("a row of the site was not written by one of its desks: %s", bound_to)
                self._unknown_card = {bound_to, *tuple(self._unknown_card)[:MOST_STRANGE]}
            return None
