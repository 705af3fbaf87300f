"""The rows through which the desks of a site speak: who is there, who asks for what, how it goes, what came of it.

- Rows are the truth and notifications only hasten: a desk looks at the rows once a beat, whatever it hears.
- A notification holds one word and one id. Of a step, which is no more than news, it holds the sealed step. Of a
  request it holds what is asked for, sealed: a desk arms its readers for it at once. Whether it may answer, the row
  decides when it is taken. A notification goes to the desks that it concerns (``notifications``).
- A statement is a transaction by itself, and does all that belongs together: each round trip is felt by who waits.
- An announcement is sealed with the key of the site, bound to its row and to its desk. A row made without that key is
  no row of this site. An answer is sealed for the desk that asked (``station_encryption``).
- An incarnation is one run of a daemon: what a desk left behind when it died is not taken for its own when it is back.
- Times are those of the database's clock, which all desks share.
"""

import asyncio
import contextlib
import logging
import time
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from sqlalchemy import (
    ARRAY,
    Connection,
    LargeBinary,
    String,
    TextClause,
    bindparam,
    delete,
    extract,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import Cancelled, ParseError, StoreUnavailable
from vitale_protocol.events import Step
from vitale_protocol.methods import StationMode
from vitale_protocol.privacy import concealed
from vitale_protocol.problems import Problem
from vitale_reader.daemon.database.combined_writes import Write
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site.remote_readers import DeskStatus, DeskTold, Names
from vitale_reader.daemon.store.clock import ahead_of
from vitale_reader.daemon.store.notifications import MOST, Call, call, calling, desk_channel
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.store.tables import site_desks, site_requests, site_steps

__all__ = ["LOST", "DeskRow", "RequestRow", "Seen", "SiteRows", "StepTold", "Wanted"]

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)

#: Seconds after its last beat from which a desk counts as gone: it may miss two.
LOST = 7.0

#: Seconds after its end from which anybody clears a request away, and beats between two clearings.
LEFT_BEHIND, CLEARING = 30.0, 10

#: Seconds for which the end of a desk waits for what that desk is just saying of itself.
LAST_WORDS = 0.5

#: Rows of strangers that are told once each.
MOST_STRANGE = 100

NOW = extract("epoch", func.clock_timestamp())

# One round trip each: what is written, and who is told of it. The arrays are those of ``_called``.
_CALLED = """
    called AS (SELECT pg_notify(channel, payload) FROM unnest(:channels, :payloads) AS call(channel, payload)
               WHERE EXISTS (SELECT FROM done))
    SELECT (SELECT count(*) FROM done) + 0 * (SELECT count(*) FROM called)
"""


def _statement(done: str) -> TextClause:
    """A statement that does something, tells of it if it concerned a row, and gives how many it concerned."""
    return text(
        f"WITH done AS ({done}), {_CALLED}".replace("<now>", "extract(epoch FROM clock_timestamp())")
    ).bindparams(bindparam("channels", type_=ARRAY(String)), bindparam("payloads", type_=ARRAY(String)))


def _called(calls: Iterable[Call]) -> dict[str, list[str]]:
    told = list(calls)
    return {"channels": [channel for channel, _ in told], "payloads": [payload for _, payload in told]}


_BEAT = _statement("UPDATE site_desks SET beat_at = <now> WHERE incarnation = :incarnation RETURNING 1")
_ASK = _statement(
    "INSERT INTO site_requests (id, asked_by, asked_at, ends_at, sealed) "
    "VALUES (:request, :asked_by, <now>, <now> + :timeout, :sealed) RETURNING 1"
)
_TAKE = _statement(
    "UPDATE site_requests SET taken_by = :taken_by "
    "WHERE id = :request AND taken_by IS NULL AND answer IS NULL AND ends_at > <now> RETURNING 1"
)
_GIVE_BACK = _statement(
    "UPDATE site_requests SET taken_by = NULL "
    "WHERE id = :request AND taken_by = :taken_by AND answer IS NULL RETURNING 1"
)
_ANSWER_ALONE = _statement(
    "UPDATE site_requests SET answer = :answered, taken_by = :answered_by WHERE id = :request AND answer IS NULL "
    "AND (CASE WHEN :taken THEN taken_by = :answered_by ELSE taken_by IS NULL END) RETURNING 1"
).bindparams(bindparam("answered", type_=LargeBinary))
_TELL_STEPS = _statement(
    "INSERT INTO site_steps (request, sealed) SELECT told.request, told.sealed "
    "FROM unnest(:requests, :sealed) WITH ORDINALITY AS told(request, sealed, place) "
    "JOIN site_requests ON site_requests.id = told.request ORDER BY place RETURNING 1"
).bindparams(bindparam("requests", type_=ARRAY(String)), bindparam("sealed", type_=ARRAY(LargeBinary)))
_END = text(
    "WITH ended AS (DELETE FROM site_requests WHERE id = ANY(:requests) RETURNING id, answer), "
    "called AS (SELECT pg_notify(channel, 'ended:' || id) FROM ended, unnest(:channels) AS channel "
    "WHERE answer IS NULL) SELECT id, answer, (SELECT count(*) FROM called) FROM ended"
).bindparams(bindparam("requests", type_=ARRAY(String)), bindparam("channels", type_=ARRAY(String)))
_OPEN_REQUEST = update(site_requests).where(
    site_requests.c.id == bindparam("of_request"), site_requests.c.answer.is_(None)
)
_ANSWERED: dict[str, Any] = {"answer": bindparam("answered"), "taken_by": bindparam("answered_by")}
_ANSWER_TAKEN = _OPEN_REQUEST.where(site_requests.c.taken_by == bindparam("answered_by")).values(_ANSWERED)
_ANSWER_FREE = _OPEN_REQUEST.where(site_requests.c.taken_by.is_(None)).values(_ANSWERED)
_REQUEST = select(
    site_requests.c.id,
    site_requests.c.asked_by,
    site_requests.c.ends_at - NOW,
    site_requests.c.taken_by,
    site_requests.c.answer.is_not(None),
    site_requests.c.sealed,
).where(site_requests.c.id == bindparam("of_request"))


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
    site: str = ""


class StepTold(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a request at a desk.

    Attributes:
        reader: under the name that holds for the whole site.
        by: the incarnation of the desk that tells it.
        number: tells a step that was heard from one that is new: those of a desk count upwards.
    """

    step: Step
    reader: str | None
    problem: Problem | None = None
    medium: str = ""
    by: str = ""
    number: int = 0


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
    sealed: bytes | None = None


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
        self._telling: asyncio.Task[DeskRow | None] | None = None
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
            before = time.time()
            now = float(connection.execute(select(NOW)).scalar_one())
            offset = ahead_of(now, before, time.time())
            self._started = self._started or now
            found = self._take_place(connection)
            self._rival = found.incarnation if found is not None else self._rival
            status = msgspec.structs.replace(told.status or DeskStatus(), clock_offset=round(offset, 1))
            said = msgspec.structs.replace(told, started=self._started, rival=self._rival, status=status)
            sealed = self._vault.seal(
                msgspec.json.encode(said), self._bound_to(self._station, self.incarnation, version)
            )
            row = {"station": self._station, "incarnation": self.incarnation, "version": version, "sealed": sealed}
            connection.execute(insert(site_desks).values(**row, beat_at=NOW))
            call(connection, "desk", self._station)
            return found

        self._telling = asyncio.create_task(self._store.run(work, needs="site"))
        try:
            return await asyncio.shield(self._telling)
        except IntegrityError as error:
            raise StoreUnavailable("another daemon speaks as this station at this moment") from error

    def is_elder(self, other: DeskRow) -> bool:
        """True if another daemon with this station's id was there first, and knows of this one."""
        was_first = (other.told.started, other.incarnation) < (self._started, self.incarnation)
        return was_first and other.told.rival == self.incarnation

    async def leave(self) -> None:
        """Says that this desk is no more; what it is just saying of itself comes before that."""
        if self._telling is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await asyncio.gather(self._telling, return_exceptions=True)
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

        there, self._desks, seen = await self._store.run(work, needs="site", single=True)
        return there, seen

    async def look_at(self, request: str) -> RequestRow | None:
        """Looks at one request; None where it is over."""
        row = await self._store.run(
            lambda connection: connection.execute(_REQUEST, {"of_request": request}).first(), needs="site", single=True
        )
        if row is None:
            return None
        name, asked_by, left, taken_by, answered, sealed = row
        return RequestRow(
            id=name,
            asked_by=asked_by,
            left=float(left),
            taken_by=taken_by,
            answered=answered,
            answer=None,
            sealed=sealed,
        )

    # ── requests ──

    async def ask(self, request: str, wanted: Wanted, audience: Collection[str]) -> None:
        """Asks the other desks.

        Args:
            request: its id.
            wanted: what is asked for.
            audience: the stations that can answer it; whoever comes later finds it.
        """
        sealed = self._vault.seal(msgspec.json.encode(wanted), f"request:{request}:{self.incarnation}")
        values = {"request": request, "asked_by": self.incarnation, "timeout": wanted.timeout, "sealed": sealed}
        payload = f"asked:{request}:{self.incarnation}:{b64encode(sealed).decode()}"
        if len(payload) > MOST:
            payload = f"asked:{request}"
        await self._do(_ASK, values | _called((desk_channel(station), payload) for station in audience))

    def heard_request(self, request: str, told: str) -> tuple[RequestRow, Wanted] | None:
        """The request in a call, as it was asked; None where the call has none of this site in it."""
        asked_by, _, encoded = told.partition(":")
        try:
            sealed = b64decode(encoded, validate=True)
        except ValueError:
            return None
        wanted = self._opened(sealed, f"request:{request}:{asked_by}", Wanted) if sealed else None
        if wanted is None:
            return None
        row = RequestRow(
            id=request,
            asked_by=asked_by,
            left=wanted.timeout,
            taken_by=None,
            answered=False,
            answer=None,
            sealed=sealed,
        )
        return row, wanted

    async def wanted(self, row: RequestRow) -> Wanted | None:
        """Content of a request; None where no desk of this site asked, or it is over."""
        sealed = row.sealed
        if sealed is None:
            query = select(site_requests.c.sealed).where(site_requests.c.id == row.id)
            sealed = await self._store.run(
                lambda connection: connection.execute(query).scalar(), needs="site", single=True
            )
        return None if sealed is None else self._opened(sealed, f"request:{row.id}:{row.asked_by}", Wanted)

    async def end(self, requests: Collection[str], audience: Collection[str]) -> dict[str, bytes]:
        """Ends requests of this desk; gives the answers of those that had one already.

        Args:
            requests: their ids.
            audience: the stations at which they may wait.
        """
        values = {"requests": list(requests), "channels": [desk_channel(station) for station in audience]}
        ended = await self._store.run(
            lambda connection: connection.execute(_END, values).all(), needs="site", single=True
        )
        return {request: answer for request, answer, _ in ended if answer is not None}

    async def take(self, request: str, asker: str, audience: Collection[str]) -> None:
        """Takes a request for this desk alone.

        Args:
            request: its id.
            asker: the station that asked.
            audience: the stations at which it may wait.

        Raises:
            Cancelled: it is over, or another desk has it.
        """
        told = ((desk_channel(station), f"taken:{request}:{self.incarnation}") for station in {asker, *audience})
        if not await self._do(_TAKE, {"request": request, "taken_by": self.incarnation} | _called(told)):
            raise Cancelled("the request is over, or another desk has it")

    async def give_back(self, request: str, audience: Collection[str]) -> None:
        """Leaves a request to whoever takes it: that this desk took it was not known here, and nothing was done."""
        told = ((desk_channel(station), f"asked:{request}") for station in audience)
        await self._do(_GIVE_BACK, {"request": request, "taken_by": self.incarnation} | _called(told))

    def answer(
        self, request: str, asker: str, sealed: bytes, *, taken: bool, steps: Iterable[StepTold] = ()
    ) -> tuple[Write, ...]:
        """Returns the writes that answer a request; one raises ``Cancelled`` where that is over.

        Args:
            request: its id.
            asker: the station that asked.
            sealed: the answer.
            taken: whether this desk has taken it; else nobody may have.
            steps: what is told on the way.
        """
        values = {"of_request": request, "answered": sealed, "answered_by": self.incarnation}
        calls = [self._step_called(request, asker, step, self._sealed_step(request, step)) for step in steps]
        return (
            Write(_ANSWER_TAKEN if taken else _ANSWER_FREE, values, lambda: Cancelled("the request is over")),
            calling([*calls, (desk_channel(asker), f"answered:{request}")]),
        )

    async def answer_alone(self, request: str, asker: str, sealed: bytes, *, taken: bool) -> None:
        """Answers a request with nothing besides.

        Raises:
            Cancelled: it is over.
        """
        values = {"request": request, "answered": sealed, "answered_by": self.incarnation, "taken": taken}
        told = [(desk_channel(asker), f"answered:{request}")]
        if not await self._do(_ANSWER_ALONE, values | _called(told)):
            raise Cancelled("the request is over")

    async def tell_steps(self, steps: Iterable[tuple[str, str, StepTold]]) -> None:
        """Says how requests get on, as far as they are there: each with the station that asked."""
        sealed = [(request, asker, step, self._sealed_step(request, step)) for request, asker, step in steps]
        values = {"requests": [one[0] for one in sealed], "sealed": [one[3] for one in sealed]}
        await self._do(_TELL_STEPS, values | _called(self._step_called(*one) for one in sealed))

    def opened_step(self, request: str, told: str) -> StepTold | None:
        """The step in a call; None where no desk of this site told it."""
        try:
            sealed = b64decode(told, validate=True)
        except ValueError:
            return None
        return self._opened(sealed, f"step:{request}", StepTold)

    # ── inside ──

    def _sealed_step(self, request: str, step: StepTold) -> bytes:
        return self._vault.seal(msgspec.json.encode(step), f"step:{request}")

    def _step_called(self, request: str, asker: str, step: StepTold, sealed: bytes) -> Call:
        payload = f"step:{request}:{b64encode(sealed).decode()}"
        return desk_channel(asker), payload if len(payload) <= MOST else f"told:{request}"

    async def _do(self, statement: TextClause, values: Mapping[str, Any]) -> int:
        """Does one statement; how many rows it concerned."""

        def work(connection: Connection) -> int:
            return int(connection.execute(statement, dict(values)).scalar_one())

        return await self._store.run(work, needs="site", single=True)

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
        values = {"incarnation": self.incarnation, **_called([(desk_channel(self._station), f"beat:{self._beats}")])}
        return bool(connection.execute(_BEAT, values).scalar_one())

    @property
    def beats(self) -> int:
        """The number of the last beat, which is called to this desk itself."""
        return self._beats

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
