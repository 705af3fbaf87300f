"""The rows of requests and of their steps: one desk asks, another takes the request, and answers it."""

from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import ARRAY, Connection, LargeBinary, String, TextClause, bindparam, delete, select, text, update

from vitale_protocol.errors import Cancelled
from vitale_reader.daemon.database.combined_writes import Write
from vitale_reader.daemon.site.rows.messages import RequestRow, StepTold, Wanted
from vitale_reader.daemon.site.rows.sealing import RowSeals
from vitale_reader.daemon.site.rows.statements import NOW, called, statement
from vitale_reader.daemon.store.notifications import MOST, Call, calling, desk_channel
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.store.tables import site_requests, site_steps

__all__ = ["RequestRows"]

_ASK = statement(
    "INSERT INTO site_requests (id, asked_by, asked_at, ends_at, sealed) "
    "VALUES (:request, :asked_by, <now>, <now> + :timeout, :sealed) RETURNING 1"
)
_TAKE = statement(
    "UPDATE site_requests SET taken_by = :taken_by "
    "WHERE id = :request AND taken_by IS NULL AND answer IS NULL AND ends_at > <now> RETURNING 1"
)
_GIVE_BACK = statement(
    "UPDATE site_requests SET taken_by = NULL "
    "WHERE id = :request AND taken_by = :taken_by AND answer IS NULL RETURNING 1"
)
_ANSWER_ALONE = statement(
    "UPDATE site_requests SET answer = :answered, taken_by = :answered_by WHERE id = :request AND answer IS NULL "
    "AND (CASE WHEN :taken THEN taken_by = :answered_by ELSE taken_by IS NULL END) RETURNING 1"
).bindparams(bindparam("answered", type_=LargeBinary))
_TELL_STEPS = statement(
    "INSERT INTO site_steps (request, sealed) SELECT told.request, told.sealed "
    "FROM unnest(:requests, :sealed) WITH ORDINALITY AS told(request, sealed, place) "
    "JOIN site_requests ON site_requests.id = told.request ORDER BY place RETURNING 1"
).bindparams(bindparam("requests", type_=ARRAY(String)), bindparam("sealed", type_=ARRAY(LargeBinary)))
_END = text(
    # As ``tables.Sealed`` has it: of what is too long, enough not to open.
    "WITH ended AS (DELETE FROM site_requests WHERE id = ANY(:requests) "
    "RETURNING id, substr(answer, 1, 1048577) AS answer), "
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


class RequestRows:
    """Reads and writes the rows of requests, for one incarnation of a station."""

    def __init__(self, store: Database, seals: RowSeals, *, incarnation: str) -> None:
        self._store = store
        self._seals = seals
        self.incarnation = incarnation

    # ── of the desk that asks ──

    async def ask(self, request: str, wanted: Wanted, audience: Collection[str]) -> None:
        """Asks the other desks.

        Args:
            request: its id.
            wanted: what is asked for.
            audience: the stations that can answer it; whoever comes later finds it.
        """
        sealed = self._seals.sealed(wanted, f"request:{request}:{self.incarnation}")
        values = {"request": request, "asked_by": self.incarnation, "timeout": wanted.timeout, "sealed": sealed}
        payload = f"asked:{request}:{self.incarnation}:{b64encode(sealed).decode()}"
        if len(payload) > MOST:
            payload = f"asked:{request}"
        await self._do(_ASK, values | called((desk_channel(station), payload) for station in audience))

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

    def opened_step(self, request: str, told: str) -> StepTold | None:
        """The step in a call; None where no desk of this site told it."""
        try:
            sealed = b64decode(told, validate=True)
        except ValueError:
            return None
        return self._seals.opened(sealed, f"step:{request}", StepTold)

    # ── of the desk that answers ──

    def heard_request(self, request: str, told: str) -> tuple[RequestRow, Wanted] | None:
        """The request in a call, as it was asked; None where it holds none of this site."""
        asked_by, _, encoded = told.partition(":")
        try:
            sealed = b64decode(encoded, validate=True)
        except ValueError:
            return None
        wanted = self._seals.opened(sealed, f"request:{request}:{asked_by}", Wanted) if sealed else None
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
            left=_left(left),
            taken_by=taken_by,
            answered=answered,
            answer=None,
            sealed=sealed,
        )

    async def wanted(self, row: RequestRow) -> Wanted | None:
        """Content of a request; None where no desk of this site asked, or it is over."""
        sealed = row.sealed
        if sealed is None:
            query = select(site_requests.c.sealed).where(site_requests.c.id == row.id)
            sealed = await self._store.run(
                lambda connection: connection.execute(query).scalar(), needs="site", single=True
            )
        return None if sealed is None else self._seals.opened(sealed, f"request:{row.id}:{row.asked_by}", Wanted)

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
        if not await self._do(_TAKE, {"request": request, "taken_by": self.incarnation} | called(told)):
            raise Cancelled("the request is over, or another desk has it")

    async def give_back(self, request: str, audience: Collection[str]) -> None:
        """Leaves a request to whoever takes it: this desk did not know that it took it, and did nothing."""
        told = ((desk_channel(station), f"asked:{request}") for station in audience)
        await self._do(_GIVE_BACK, {"request": request, "taken_by": self.incarnation} | called(told))

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
        if not await self._do(_ANSWER_ALONE, values | called(told)):
            raise Cancelled("the request is over")

    async def tell_steps(self, steps: Iterable[tuple[str, str, StepTold]]) -> None:
        """Says how requests get on, as far as they are there: each with the station that asked."""
        sealed = [(request, asker, step, self._sealed_step(request, step)) for request, asker, step in steps]
        values = {"requests": [one[0] for one in sealed], "sealed": [one[3] for one in sealed]}
        await self._do(_TELL_STEPS, values | called(self._step_called(*one) for one in sealed))

    # ── within a transaction ──

    def look(self, connection: Connection) -> tuple[RequestRow, ...]:
        """All requests in the order in which they were asked, with the answers to those of this desk."""
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
                left=_left(left),
                taken_by=taken_by,
                answered=answered,
                answer=answers.get(name),
            )
            for name, asked_by, left, taken_by, answered in rows
        )

    def take_steps(self, connection: Connection, asked: Collection[str]) -> tuple[tuple[str, StepTold], ...]:
        """The new steps of requests of this desk, each once, in the order in which they were told."""
        statement = (
            delete(site_steps)
            .where(site_steps.c.request.in_(list(asked)))
            .returning(site_steps.c.id, site_steps.c.request, site_steps.c.sealed)
        )
        rows = sorted(connection.execute(statement).all(), key=lambda row: row[0] or 0)
        opened = ((request, self._seals.opened(sealed, f"step:{request}", StepTold)) for _, request, sealed in rows)
        return tuple((request, step) for request, step in opened if step is not None)

    # ── inside ──

    def _sealed_step(self, request: str, step: StepTold) -> bytes:
        return self._seals.sealed(step, f"step:{request}")

    def _step_called(self, request: str, asker: str, step: StepTold, sealed: bytes) -> Call:
        payload = f"step:{request}:{b64encode(sealed).decode()}"
        return desk_channel(asker), payload if len(payload) <= MOST else f"told:{request}"

    async def _do(self, statement: TextClause, values: Mapping[str, Any]) -> int:
        """Does one statement; how many rows it concerned."""

        def work(connection: Connection) -> int:
            return int(connection.execute(statement, dict(values)).scalar_one())

        return await self._store.run(work, needs="site", single=True)


def _left(seconds: Any) -> float:
    """Seconds until the end of a request; one without an end, which none of the desks wrote, is over."""
    return 0.0 if seconds is None else float(seconds)
