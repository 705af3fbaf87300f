"""Somebody who can write to the database, and has no key of it, changes every column of every table, one by one.

The store of a site is filled by the code that fills it. Then each value is altered, swapped with that of another row,
each row removed, added, and put back as it was before; what the daemon believes afterwards is compared with what it
believed before. Nobody may gain anything; what is told stands in ``OUTCOMES``. A column without an entry fails.
"""

import asyncio
import contextlib
import datetime as dt
import itertools
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Executable,
    Float,
    Integer,
    LargeBinary,
    Table,
    delete,
    insert,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from tests.daemon.patience import PATIENCE
from tests.postgres_server import PostgresServer
from vitale_protocol.errors import NotAuthenticated, Replayed, StoreUnavailable, VitaleError
from vitale_protocol.events import Reader
from vitale_protocol.methods import OutboxToken
from vitale_reader.daemon.clients.callers import Peer
from vitale_reader.daemon.clients.registry import ClientRegistry
from vitale_reader.daemon.issuing import opposition
from vitale_reader.daemon.issuing.contexts import Contexts
from vitale_reader.daemon.issuing.opposition import Opposition
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.replay import ReplayGuard
from vitale_reader.daemon.keystore.certificates import Certificates
from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site import backup, open_store
from vitale_reader.daemon.site.remote_readers import DeskTold, Names
from vitale_reader.daemon.site.rows.messages import Wanted
from vitale_reader.daemon.site.rows.site_rows import SiteRows
from vitale_reader.daemon.site.stations import Stations
from vitale_reader.daemon.site.upkeep import site_state
from vitale_reader.daemon.store import tables
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.inspection import inspect
from vitale_reader.daemon.store.local_anchor import Anchor, Remembered
from vitale_reader.daemon.store.row_upgrade import bring_forward
from vitale_reader.daemon.store.sealed_table import SealedTable
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import MEBIBYTE
from vitale_reader.resolvers.base import Resolution

NOW = 1_800_000_000.0
STATION = "10000000-0000-4000-8000-000000000000"
OTHER = "20000000-0000-4000-8000-000000000000"
INCARNATION = "0123456789abcdef0123456789abcdef"
REQUEST = "30000000-0000-4000-8000-000000000000"
VAULT = Vault.of_site(b"k" * 32)

Fact = tuple[str, ...]


class Outcome(NamedTuple):
    """What comes of a hand in a column.

    Attributes:
        told: whether `audit verify` tells it; ``maybe`` where it depends on which row it is.
        why: what makes it harmless, where it is not told.
    """

    told: Literal["told", "maybe", "harmless"]
    why: str = ""


TOLD = Outcome("told")
BOUND = Outcome(
    "harmless", "sealed and bound to its row: what does not open is no row of the site, and it lives for seconds"
)
ORDER = Outcome("harmless", "says only which comes first")
TIME = Outcome("harmless", "ends a request of seconds sooner or later; who waits for it has a limit of its own")


def everything(table: Table, outcome: Outcome, **others: Outcome) -> dict[str, Outcome]:
    return {column.name: others.get(column.name, outcome) for column in table.columns}


#: What is expected of each column; of ``sealed`` parts too, which are told when they are opened.
OUTCOMES: dict[str, dict[str, Outcome]] = {
    "alembic_version": {
        "version_num": Outcome("harmless", "a revision that is not known, or not true, stops the start")
    },
    "clients": everything(tables.clients, TOLD),
    "stations": everything(tables.stations, TOLD),
    "opposition_lists": everything(tables.opposition_lists, TOLD),
    "opposition_parts": everything(
        tables.opposition_parts, Outcome("harmless", "a list that does not open refuses every card that tells a serial")
    ),
    "outbox": everything(tables.outbox, TOLD),
    "contexts": everything(tables.contexts, TOLD),
    "seen": everything(tables.seen, TOLD),
    "site": everything(tables.site, TOLD),
    "audit": everything(tables.audit, TOLD, id=ORDER),
    "audit_heads": everything(tables.audit_heads, TOLD),
    "table_heads": everything(
        tables.table_heads,
        Outcome("maybe", "of a table without rows, or of what was brought forward, nothing hangs on it"),
    ),
    "site_desks": everything(tables.site_desks, BOUND),
    "site_requests": everything(tables.site_requests, BOUND, asked_at=ORDER, ends_at=TIME),
    "site_steps": everything(tables.site_steps, BOUND, id=ORDER),
}

#: What removing a row can give. Everything else gives nothing.
GAINED_BY_REMOVAL = {
    "seen": {
        "unused"
    },  # the database's writer can let a string be shown again: the service that resolves it refuses it
}

#: What an older row, put back, can give.
GAINED_BY_OLDER = {
    "outbox": {"token"},  # to its own client, which has it already; its ``jti`` counts once
}


def test_every_column_has_an_outcome() -> None:
    assert {name: set(columns) for name, columns in OUTCOMES.items()} == {
        table.name: {column.name for column in table.columns} for table in tables.metadata.sorted_tables
    }
    unexplained = [
        (table, column)
        for table, columns in OUTCOMES.items()
        for column, outcome in columns.items()
        if outcome.told != "told" and not outcome.why
    ]
    assert unexplained == []


class World:
    """A store that is in use, and what a daemon that starts on it believes."""

    def __init__(self, folder: Path, store: Store, *, shared: bool) -> None:
        self.store = store
        self.shared = shared
        self.remembered = Remembered()
        self.known: Anchor | None = None
        self.clock = StoreClock(Remembered(), wall=lambda: NOW, steady=lambda: NOW)
        self.keys: dict[str, Keys] = {}
        self.certificates: dict[str, Certificates] = {}
        for station in (STATION, OTHER):
            self.keys[station] = Keys(folder / f"{station}.json", overlap=600, clock=DeskClock(lambda: NOW))
            self.keys[station].open()
            made = Certificates(
                folder / station, station=station, host="127.0.0.1", now=dt.datetime.fromtimestamp(NOW, dt.UTC)
            )
            made.open()
            self.certificates[station] = made
        self.credentials: dict[str, str] = {}
        self.contexts: list[str] = []
        self.older: dict[str, list[dict[str, Any]]] = {}

    # ── what is in it ──

    async def fill(self) -> None:
        await bring_forward(self.store, VAULT, self.remembered)
        await open_store._agree(  # pyright: ignore[reportPrivateUsage]  # the first start of a site
            self.store, VAULT, Path("site.key")
        )
        await self._fill_clients()
        await self._fill_tokens()
        for name, serials in (("national", ["1111111111"]), ("site", ["2222222222"])):
            await self.store.run(opposition.replace(VAULT, name, serials, at=NOW, remembered=self.remembered))
        await self._keep_older()
        await self.store.run(opposition.replace(VAULT, "site", ["3333333333"], at=NOW, remembered=self.remembered))
        for client_id in tuple(self.credentials)[2:]:
            assert await self._access.revoke(client_id)
        await self.outbox.acknowledge("a", ["j3"])
        if self.shared:
            await self._fill_site()
        await self.store.run(lambda connection: self.chain().append(connection, entry("session.open")))
        anchor = await self.store.run(self.chain().anchor)
        assert anchor is not None
        revisions = {table: await self._revision(table) for table in ("clients", "stations", "opposition_lists")}
        self.known = msgspec.structs.replace(anchor, revisions=revisions)

    async def _fill_clients(self) -> None:
        self._access = ClientRegistry(self.store, VAULT, clock=lambda: NOW, remembered=self.remembered)
        await self._access.open()
        for name, scopes in (("A", ("identity",)), ("B", ("identity", "nir")), ("C", ("nir",))):
            client_id, credential = await self._access.add(name, scopes=scopes, transports=("unix",))  # type: ignore[arg-type]
            self.credentials[client_id] = credential
        for station, name in ((STATION, "comptoir 1"), (OTHER, "comptoir 2")):
            await self.stations(station, name).tell()

    async def _fill_tokens(self) -> None:
        guard = ReplayGuard(self.store, VAULT, days=2, clock=self.clock)
        for number, client_id in enumerate(("a", "b", "a", "b")):
            digest = VAULT.digest("string", f"s{number}".encode())
            claimed = await guard.claim(digest)
            held, write = self.holding().hold(resolution(number), client_id)
            self.contexts.append(held.digest)
            await self.outbox.put(
                OutboxToken(jti=f"j{number + 1}", exp=int(NOW + 60 + number), token=f"token {number}"),
                client_id=client_id,
                presentation=f"p{number}",
                entry=entry("presentation.request"),
                writes=[guard.settle(claimed)] if number < 3 else (),
                also=[write],
            )

    async def _fill_site(self) -> None:
        rows = self.rows
        told = DeskTold(name="comptoir", mode="production", groups=(), readers=(READER,))
        await rows.desks.tell(told, 1)
        wanted = Wanted(
            station=STATION,
            mode="production",
            client_id="a",
            nonce="n" * 22,
            scopes=("identity",),
            purpose=None,
            media=frozenset({"vitale-card"}),
            names=Names(readers=(), groups=("g",)),
            timeout=60.0,
        )
        await rows.requests.ask(REQUEST, wanted, ())
        sealed = VAULT.seal(b'{"step":"reading","reader":"r"}', f"step:{REQUEST}")
        await self.store.run(
            lambda connection: connection.execute(insert(tables.site_steps), {"request": REQUEST, "sealed": sealed})
        )

    async def _keep_older(self) -> None:
        for table in tables.metadata.sorted_tables:
            self.older[table.name] = await self.rows_of(table)

    async def _revision(self, table: str) -> int:
        query = select(tables.table_heads.c.revision).where(tables.table_heads.c.name == table)
        return int(await self.store.run(lambda connection: connection.execute(query).scalar_one()))

    @property
    def memory(self) -> Remembered:
        """What the station knew before anybody laid hands on the store."""
        return Remembered(anchor=self.known)

    # ── the parts of a daemon ──

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.store, VAULT, self.chain(), clock=self.clock)

    @property
    def rows(self) -> SiteRows:
        return SiteRows(self.store, VAULT, station=STATION, incarnation=INCARNATION)

    def chain(self) -> Chain:
        return Chain(VAULT, STATION)

    def stations(self, station: str, name: str) -> Stations:
        return Stations(
            self.store, VAULT, self.keys[station], self.certificates[station], name=name, remembered=self.memory
        )

    def holding(self) -> Contexts:
        resolver: Any = None  # none is asked
        return Contexts(
            self.store,
            VAULT,
            resolver,
            station=STATION,
            mode="production",
            notify=lambda _client, _event: False,
            clock=self.clock,
        )

    # ── what is believed ──

    async def believed(self) -> set[Fact]:
        """All that somebody could gain from."""
        facts: set[Fact] = set()
        registry = ClientRegistry(self.store, VAULT, clock=lambda: NOW, remembered=self.memory)
        await registry.open()
        for credential in (*self.credentials.values(), "planted"):
            with contextlib.suppress(NotAuthenticated):
                caller = registry.authenticate(Peer(transport="unix"), credential)
                facts |= {("client", caller.client_id, scope) for scope in caller.scopes}
        for client_id in ("a", "b", "x"):
            facts |= {("token", client_id, one.jti, one.token) for one in await self.outbox.list(client_id)}
        holding = self.holding()
        await holding.open()
        facts |= {
            ("context", client_id, holding._open(held).identifiant)  # pyright: ignore[reportPrivateUsage]  # as its owner gets it
            for client_id in ("a", "b", "x")
            for held in holding.of_client(client_id)
        }
        facts |= await self._cards()
        facts |= await self._strings()
        await self._hear(facts)
        return facts

    async def _cards(self) -> set[Fact]:
        lists = Opposition(self.store, VAULT, remembered=self.memory)
        try:
            await lists.refresh()
            return {("passes", serial) for serial in ("1111111111", "3333333333") if not lists.lists(serial)}
        except StoreUnavailable:
            return set()

    async def _strings(self) -> set[Fact]:
        guard = ReplayGuard(self.store, VAULT, days=2, clock=self.clock)
        digests = [VAULT.digest("string", f"s{number}".encode()) for number in range(4)]
        return {("unused", digest) for digest in digests if not await guard.knows(digest)}

    async def _hear(self, facts: set[Fact]) -> None:
        station = self.stations(STATION, "comptoir 1")
        self.keys[STATION].of_others = ()
        await station.refresh()
        facts |= {("key", str(key["kid"])) for key in self.keys[STATION].of_others}
        if not self.shared:
            return
        rows = self.rows
        _, seen = await rows.look([REQUEST], beat=False)
        facts |= {("desk", desk.station, desk.told.name) for desk in seen.desks.values()}
        facts |= {("step", request, step.step) for request, step in seen.steps}
        for row in seen.requests:
            wanted = await rows.requests.wanted(row)
            if wanted is not None:
                facts |= {("request", row.id, wanted.client_id, scope) for scope in wanted.scopes}

    async def told(self) -> bool:
        """Whether `audit verify` says that something is wrong."""

        def work(connection: Connection) -> bool:
            found = self.chain().verifier.verify(connection, self.known)
            return any(one.broken for one in found) or bool(inspect(connection, VAULT, self.memory))

        return await self.store.run(work)

    # ── hands ──

    async def rows_of(self, table: Table) -> list[dict[str, Any]]:
        return await self.store.run(
            lambda connection: [dict(row) for row in connection.execute(select(table)).mappings()]
        )

    async def restore(self, content: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        def work(connection: Connection) -> None:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(delete(table))
            for table in tables.metadata.sorted_tables:
                if content[table.name]:
                    connection.execute(insert(table), list(content[table.name]))

        await self.store.run(work)

    async def content(self) -> dict[str, list[dict[str, Any]]]:
        return {table.name: await self.rows_of(table) for table in tables.metadata.sorted_tables}


READER = Reader(id="r", name="Reader", driver="pcsc", media=("vitale-card",), state="empty")


def entry(action: str) -> AuditEntry:
    return AuditEntry(at=NOW, action=action, outcome="ok", client_id="a", medium="vitale-card", reader="r", jti="j")


def resolution(number: int) -> Resolution:
    from vitale_protocol.records import Record

    return Resolution(
        identifiant=f"ctx-{number}",
        token=f"jeton-{number}",
        date_fin_validite=dt.datetime.fromtimestamp(NOW + 3_600 + number, dt.UTC),
        record=Record(),
        origin="production",
    )


def another(column: Column[Any], value: object) -> object:
    """Another value that the column takes."""
    kind = column.type
    if isinstance(kind, Boolean):
        return not value
    if isinstance(kind, Integer):
        return (value if isinstance(value, int) else 0) + 1
    if isinstance(kind, Float):
        return (value if isinstance(value, float) else NOW) + 1.0
    if isinstance(kind, LargeBinary):
        return bytes([*value[:-1], value[-1] ^ 1]) if isinstance(value, bytes) and value else b"\x01"
    return "x" if not isinstance(value, str) else {"a": "b", "b": "a"}.get(value, "x" + value[1:])


def of_key(table: Table, row: Mapping[str, Any]) -> list[Any]:
    return [column == row[column.name] for column in table.primary_key.columns]


Hand = Callable[[Connection], object]

#: What SQLite keeps in a column of any type.
DAMAGED = {
    "bytes that are no text": "CAST(x'ff41' AS TEXT)",
    "bytes": "x'ff00'",
    "a text": "'0'",
    "nothing in it": "''",
    "a large number": "4611686018427387904",
    "a number without end": "9e999",
    "a fraction": "0.5",
}
#: Of each kind of damage a third of the columns, and of each column a third of the kinds; ``make soak`` tries all.
EVERY = [3, pytest.param(1, marks=pytest.mark.soak)]


def executing(statement: Executable) -> Hand:
    return lambda connection: connection.execute(statement)


def hands(table: Table, rows: list[dict[str, Any]], most: int) -> list[tuple[str, str, Hand]]:
    """Each change of one value, and each exchange of the values of two rows: which column, how, and the statement.

    Args:
        table: which is changed.
        rows: that it has.
        most: rows of which single values are changed.
    """
    found: list[tuple[str, str, Hand]] = []
    for row in rows[:most]:
        for column in table.columns:
            values = {column.name: another(column, row[column.name])}
            statement = update(table).where(*of_key(table, row)).values(**values)
            found.append((column.name, "altered", executing(statement)))
            if not column.nullable or row[column.name] is None:
                continue
            nothing = update(table).where(*of_key(table, row)).values({column.name: None})
            found.append((column.name, "emptied", executing(nothing)))
    for column in table.columns:
        if column.primary_key or len(rows) < 2 or rows[0][column.name] == rows[1][column.name]:
            continue
        first, second = rows[:2]

        def swap(
            connection: Connection,
            column: Column[Any] = column,
            first: dict[str, Any] = first,
            second: dict[str, Any] = second,
        ) -> None:
            for mine, theirs in ((first, second), (second, first)):
                values = {column.name: theirs[column.name]}
                connection.execute(update(table).where(*of_key(table, mine)).values(**values))

        found.append((column.name, "swapped", swap))
    return found


def with_world(tmp_path: Path, place: Path | str, work: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Store(place)
        await store.open()
        try:
            world = World(tmp_path, store, shared=not isinstance(place, Path))
            await world.fill()
            await work(world)
        finally:
            await store.close()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def patience(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A desk that tells once counts as there until the test is over."""
    monkeypatch.setattr("vitale_reader.daemon.site.rows.desks.LOST", PATIENCE)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    return tmp_path / "store.db" if request.param == "sqlite" else str(request.getfixturevalue("site_database"))


def test_a_store_that_nobody_touched_is_whole(tmp_path: Path, place: Path | str) -> None:
    async def work(world: World) -> None:
        believed = await world.believed()
        kinds = {fact[0] for fact in believed}
        assert kinds >= {"client", "token", "context", "key"}, kinds
        assert ("client", next(iter(world.credentials)), "identity") in believed
        assert not any(fact[:2] == ("client", tuple(world.credentials)[2]) for fact in believed), "it is revoked"
        assert not await world.told()

    with_world(tmp_path, place, work)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("place", "most"),
    [
        ("sqlite", 1),
        ("postgresql", 1),
        pytest.param("sqlite", 2, marks=pytest.mark.soak),
        pytest.param("postgresql", 2, marks=pytest.mark.soak),
    ],
    indirect=["place"],
)
def test_no_value_that_somebody_changes_gives_anybody_anything(tmp_path: Path, place: Path | str, most: int) -> None:
    wrong: list[str] = []
    tried: set[tuple[str, str]] = set()

    async def work(world: World) -> None:
        content = await world.content()
        before = await world.believed()
        await world.restore(content)
        for table in tables.metadata.sorted_tables:
            if table.name == "alembic_version":
                continue  # a store that opened is not asked again: tests of migrations show the start that stops
            for column, how, hand in hands(table, content[table.name], most):
                tried.add((table.name, column))
                try:
                    await world.store.run(hand)
                except (IntegrityError, StoreUnavailable):
                    continue  # the database itself refuses it
                told = await world.told()
                gained = await world.believed() - before
                expected = OUTCOMES[table.name][column]
                # Under another key a row is not there any more.
                allowed: set[str] = GAINED_BY_REMOVAL.get(table.name, set()) if table.c[column].primary_key else set()
                if not {fact[0] for fact in gained} <= allowed:
                    wrong.append(f"{table.name}.{column} {how}: gained {sorted(gained)[:3]}")
                if expected.told == "told" and not told:
                    wrong.append(f"{table.name}.{column} {how}: not told")
                await world.restore(content)

    with_world(tmp_path, place, work)
    assert wrong == []
    rows = {table.name for table in tables.metadata.sorted_tables} - {"alembic_version"}
    if isinstance(place, Path):
        rows -= {"site_desks", "site_requests", "site_steps"}  # a station that is alone has no other desks
    assert {table for table, _ in tried} == rows


@pytest.mark.timeout(900)
@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_value_costs_its_row_alone(tmp_path: Path, kind: str, every: int) -> None:
    wrong: list[str] = []
    turn = itertools.count(list(DAMAGED).index(kind))

    async def work(world: World) -> None:
        content = await world.content()
        before = await world.believed()
        await world.restore(content)

        async def left(hand: Hand, table: Table, column: str = "") -> set[Fact]:
            try:
                await world.store.run(hand)
                is_told = await world.told()
                is_changed = await world.rows_of(table) != content[table.name]
                if column and is_changed and not is_told and OUTCOMES[table.name][column].told == "told":
                    wrong.append(f"{table.name}.{column}: not told")
                return await world.believed()
            except IntegrityError:
                return before  # the database itself refuses it
            except StoreUnavailable:
                return set()
            finally:
                await world.restore(content)

        for table in (table for table in tables.metadata.sorted_tables if content[table.name]):
            row = content[table.name][0]
            without = await left(executing(delete(table).where(*of_key(table, row))), table)
            for column in table.columns:
                if next(turn) % every:
                    continue
                damage = update(table).where(*of_key(table, row)).values({column: text(DAMAGED[kind])})
                if lost := before & without - await left(executing(damage), table, column.name):
                    wrong.append(f"{table.name}.{column.name}: lost {sorted(lost)[:3]}")

    with_world(tmp_path, tmp_path / "store.db", work)
    assert wrong == []


def test_no_row_that_somebody_removes_or_adds_gives_anybody_anything(tmp_path: Path, place: Path | str) -> None:
    wrong: list[str] = []

    async def work(world: World) -> None:
        content = await world.content()
        before = await world.believed()
        await world.restore(content)
        for table in tables.metadata.sorted_tables:
            if table.name == "alembic_version":
                continue
            for row in content[table.name]:
                statement = delete(table).where(*of_key(table, row))
                await world.store.run(executing(statement))
                told = await world.told()
                gained = {fact[0] for fact in await world.believed() - before}
                if not gained <= GAINED_BY_REMOVAL.get(table.name, set()):
                    wrong.append(f"{table.name} removed: gained {sorted(gained)}")
                if table.name in {"clients", "stations", "opposition_lists", "audit", "audit_heads"} and not told:
                    wrong.append(f"{table.name} removed: not told")
                await world.restore(content)
            added = [
                {column.name: another(column, row[column.name]) if column.primary_key else row[column.name]}
                for row in content[table.name][:1]
                for column in table.columns
            ]
            if added:
                planted = {name: value for part in added for name, value in part.items()}
                await _plant(world, table, planted, before, wrong)
                await world.restore(content)

    with_world(tmp_path, place, work)
    assert wrong == []


async def _plant(world: World, table: Table, row: dict[str, Any], before: set[Fact], wrong: list[str]) -> None:
    if table is tables.clients:
        from hashlib import sha256

        row |= {"credential_sha256": sha256(b"planted").hexdigest(), "certificate_sha256": None}
        row |= {"scopes": "identity nir admin", "revoked_at": None}
    try:
        await world.store.run(lambda connection: connection.execute(insert(table), row))
    except (IntegrityError, StoreUnavailable):
        return
    gained = await world.believed() - before
    if gained:
        wrong.append(f"{table.name} added: gained {sorted(gained)[:3]}")


def test_no_row_that_is_put_back_as_it_was_gives_anybody_anything(tmp_path: Path, place: Path | str) -> None:
    wrong: list[str] = []

    async def work(world: World) -> None:
        content = await world.content()
        before = await world.believed()
        await world.restore(content)
        for table in tables.metadata.sorted_tables:
            for row in world.older[table.name]:
                if row in content[table.name]:
                    continue

                def put_back(connection: Connection, table: Table = table, row: dict[str, Any] = row) -> None:
                    connection.execute(delete(table).where(*of_key(table, row)))
                    connection.execute(insert(table), row)

                await world.store.run(put_back)
                told = await world.told()
                gained = {fact[0] for fact in await world.believed() - before}
                if not gained <= GAINED_BY_OLDER.get(table.name, set()):
                    wrong.append(f"{table.name} put back: gained {sorted(gained)}")
                if table.name in {"clients", "stations", "opposition_lists", "audit_heads", "table_heads"} and not told:
                    wrong.append(f"{table.name} put back: not told")
                await world.restore(content)

    with_world(tmp_path, place, work)
    assert wrong == []


def test_a_whole_database_put_back_lets_nobody_in_who_was_revoked(tmp_path: Path, place: Path | str) -> None:
    async def work(world: World) -> None:
        content = await world.content()
        before = await world.believed()
        await world.restore(content | world.older)
        assert await world.told()
        gained = {fact[0] for fact in await world.believed() - before}
        assert gained <= {"token"}

    with_world(tmp_path, place, work)


# ── a database that says yes, and does otherwise ─────────────────────────────────────────────────────────────────

NOTHING = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
BACK = (
    "CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN DELETE FROM clients WHERE client_id = NEW.client_id; RETURN NULL; END'"
)
LATER = f"{BACK}; CREATE CONSTRAINT TRIGGER t AFTER INSERT ON clients DEFERRABLE INITIALLY DEFERRED"
#: Undoes a write when its transaction ends, and not before: what it waits with waits for that as well.
AT_THE_END = """
CREATE TABLE kept AS SELECT * FROM table_heads;
CREATE TABLE written AS SELECT * FROM clients;
CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
  IF TG_TABLE_NAME = ''table_heads'' THEN
    SET CONSTRAINTS ALL DEFERRED;
    INSERT INTO kept SELECT * FROM kept LIMIT 1;
  ELSE
    UPDATE table_heads SET revision = kept.revision, rows = kept.rows, seal = kept.seal FROM kept
    WHERE table_heads.name = kept.name AND table_heads.seal <> kept.seal;
    DELETE FROM clients;
    INSERT INTO clients SELECT * FROM written;
  END IF;
  RETURN NULL;
END';
CREATE CONSTRAINT TRIGGER t AFTER UPDATE ON table_heads DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION undo();
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON kept DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION undo();
"""
#: What somebody who owns the schema puts there.
PLANTED = {
    "a trigger on what is inserted": f"{NOTHING}; CREATE TRIGGER t BEFORE INSERT ON {{table}} "
    "FOR EACH ROW EXECUTE FUNCTION nothing()",
    "a rule": "CREATE RULE r AS ON INSERT TO {table} DO INSTEAD NOTHING",
}


def planted(database: str, postgres: PostgresServer, statement: str) -> None:
    postgres.execute(statement, str(make_url(database).database))


def on_site(database: str, work: Callable[[Store], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Store(database)
        await store.open()
        await bring_forward(store, VAULT, Remembered())
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(main())


@pytest.mark.parametrize("hand", PLANTED)
def test_no_string_is_taken_that_the_database_does_not_keep(
    site_database: str, postgres: PostgresServer, hand: str
) -> None:
    async def work(store: Store) -> None:
        guard = ReplayGuard(store, VAULT, days=2, clock=StoreClock(Remembered()))
        planted(site_database, postgres, PLANTED[hand].format(table="seen"))
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as caught:
                await guard.claim("d")
            assert "database-otherwise" == caught.value.variant

    on_site(site_database, work)


FORGETTING = (
    "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN DELETE FROM seen WHERE digest = NEW.digest; RETURN NULL; END'"
)
LATE = "DEFERRABLE INITIALLY DEFERRED"
#: What has a used string forgotten, at once or a moment later.
FORGETS = [
    f"{FORGETTING}; CREATE {kind} TRIGGER t AFTER {when} ON seen {late} FOR EACH ROW EXECUTE FUNCTION forget()"
    for when in ("INSERT", "UPDATE")
    for kind, late in (("", ""), ("CONSTRAINT", LATE))
]


@pytest.mark.parametrize("hand", FORGETS)
@pytest.mark.parametrize("way", ["in one statement", "row by row"])
def test_a_string_that_is_forgotten_at_once_gives_one_token_at_a_desk_at_most(
    site_database: str, postgres: PostgresServer, hand: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    also: list[Any] = [] if way == "in one statement" else [nothing_else]

    async def work(store: Store) -> None:
        clock = StoreClock(Remembered(), wall=lambda: NOW, steady=lambda: NOW)
        outbox = Outbox(store, VAULT, Chain(VAULT, STATION), clock=clock)
        guard = ReplayGuard(store, VAULT, days=2, clock=clock)
        planted(site_database, postgres, hand)
        for number in range(3):
            token = OutboxToken(jti=f"j{number}", exp=int(NOW) + 60, token="t")
            with contextlib.suppress(Replayed, StoreUnavailable):
                settled = [guard.settle(await guard.claim("d"))]
                put = partial(outbox.put, token, client_id="c", entry=entry("presentation.request"), also=also)
                await put(presentation=f"p{number}", writes=settled)
        kept = [token.jti for token in await outbox.list("c")]
        assert kept == ([] if "AFTER INSERT" in hand else ["j0"])

    on_site(site_database, work)
    assert "was forgotten by the database" in caplog.text


def test_a_string_counts_once_though_somebody_took_away_the_key_of_the_table(
    site_database: str, postgres: PostgresServer
) -> None:
    async def work(store: Store) -> None:
        guard = ReplayGuard(store, VAULT, days=2, clock=StoreClock(Remembered()))
        planted(site_database, postgres, "ALTER TABLE seen DROP CONSTRAINT seen_pkey")
        await guard.claim("d")
        with pytest.raises(Replayed):
            await guard.claim("d")

    on_site(site_database, work)


def nothing_else(_: Connection) -> None:
    """Is done in the same transaction, by itself: the rows go one by one then."""


@pytest.mark.parametrize("table", ["outbox", "audit"])
@pytest.mark.parametrize("way", ["in one statement", "row by row"])
def test_no_token_is_handed_over_that_the_database_does_not_keep(
    site_database: str, postgres: PostgresServer, table: str, way: str
) -> None:
    async def work(store: Store) -> None:
        clock = StoreClock(Remembered(), wall=lambda: NOW, steady=lambda: NOW)
        outbox = Outbox(store, VAULT, Chain(VAULT, STATION), clock=clock)
        token = OutboxToken(jti="j", exp=int(NOW) + 60, token="t")
        also: list[Any] = [] if way == "in one statement" else [nothing_else]
        put = partial(outbox.put, client_id="c", entry=entry("presentation.request"))
        await put(token, presentation="p")
        planted(site_database, postgres, PLANTED["a trigger on what is inserted"].format(table=table))
        other = msgspec.structs.replace(token, jti="k")
        with pytest.raises(StoreUnavailable) as caught:
            await put(other, presentation="q", also=also)
        assert "database-otherwise" == caught.value.variant
        assert ["j"] == [one.jti for one in await outbox.list("c")], "all of it or nothing"

    on_site(site_database, work)


@pytest.mark.parametrize(
    "hand",
    [
        f"{NOTHING}; CREATE TRIGGER t BEFORE UPDATE ON table_heads FOR EACH ROW EXECUTE FUNCTION nothing()",
        f"{NOTHING}; CREATE TRIGGER t BEFORE INSERT OR DELETE ON clients FOR EACH ROW EXECUTE FUNCTION nothing()",
        f"{NOTHING}; CREATE TRIGGER t BEFORE DELETE ON clients FOR EACH ROW EXECUTE FUNCTION nothing()",
        f"{BACK}; CREATE TRIGGER t AFTER INSERT ON clients FOR EACH ROW EXECUTE FUNCTION back()",
        "CREATE RULE r AS ON INSERT TO clients DO INSTEAD NOTHING",
        "CREATE RULE r AS ON UPDATE TO table_heads DO INSTEAD NOTHING",
        f"{LATER} FOR EACH ROW EXECUTE FUNCTION back()",
        AT_THE_END,
    ],
)
def test_no_revocation_is_confirmed_that_the_database_does_not_keep(
    site_database: str, postgres: PostgresServer, hand: str
) -> None:
    async def work(store: Store) -> None:
        registry = ClientRegistry(store, VAULT, clock=lambda: NOW)
        await registry.open()
        client_id, credential = await registry.add("x", scopes=("identity",), transports=("unix",))
        planted(site_database, postgres, hand)
        with pytest.raises(StoreUnavailable) as caught:
            await registry.revoke(client_id)
        assert "database-otherwise" == caught.value.variant
        assert client_id == registry.authenticate(Peer(transport="unix"), credential).client_id, "as everywhere else"

    on_site(site_database, work)


@pytest.mark.parametrize("revision", [2_147_483_647, 2_000_000_000])
def test_a_revision_at_its_end_does_not_keep_an_administrator_from_going_on(site_database: str, revision: int) -> None:
    async def work(store: Store) -> None:
        registry = ClientRegistry(store, VAULT, clock=lambda: NOW)
        await registry.open()
        await registry.add("x", scopes=("identity",), transports=("unix",))
        of_clients = update(tables.table_heads).where(tables.table_heads.c.name == "clients")
        await store.run(lambda connection: connection.execute(of_clients.values(revision=revision)))
        table = SealedTable(tables.clients, VAULT, Remembered())
        await store.run(table.accept)
        assert () == (await store.run(table.read)).faults
        await registry.add("y", scopes=("identity",), transports=("unix",))

    on_site(site_database, work)


def test_of_what_somebody_makes_long_no_more_is_read_than_a_desk_writes(tmp_path: Path, place: Path | str) -> None:
    """Each value that is bytes, and no text: those have a length in the table."""
    wrong: list[str] = []

    async def work(world: World) -> None:
        content = await world.content()
        before = await world.believed()
        for table in tables.metadata.sorted_tables:
            for column in table.columns if content[table.name] else ():
                if not isinstance(column.type, LargeBinary):
                    continue
                most = 16 * MEBIBYTE if column is tables.table_heads.c.rows else MEBIBYTE
                row = content[table.name][0]
                longer = update(table).where(*of_key(table, row)).values({column.name: bytes(most + 1_000)})
                await world.store.run(executing(longer))
                read = max(len(each[column.name] or b"") for each in await world.rows_of(table))
                gained = await world.believed() - before
                if read != most + 1 or gained:
                    wrong.append(f"{table.name}.{column.name}: {read} bytes, gained {sorted(gained)[:3]}")
                await world.restore(content)

    with_world(tmp_path, place, work)
    assert wrong == []


@pytest.mark.parametrize("beat", ["infinity", "-infinity", "nan", "1e300"])
def test_no_desk_is_there_for_ever_because_somebody_says_so(site_database: str, beat: str) -> None:
    async def work(store: Store) -> None:
        rows = SiteRows(store, VAULT, station=OTHER, incarnation=INCARNATION)
        await rows.desks.tell(DeskTold(name="comptoir", mode="production", groups=(), readers=(READER,)), 1)
        beats = update(tables.site_desks).values(beat_at=float(beat))
        await store.run(lambda connection: connection.execute(beats))
        _, seen = await SiteRows(store, VAULT, station=STATION, incarnation="a" * 32).look([], beat=False)
        assert {} == seen.desks
        state = await store.run(lambda connection: site_state(connection, VAULT, Remembered()))
        assert [(OTHER, False)] == [(desk.station, desk.serves) for desk in state.desks]
        assert all(desk.seen is None or math.isfinite(desk.seen) for desk in state.desks)

    on_site(site_database, work)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_keeps_no_restore_from_its_end(tmp_path: Path, site_database: str, value: str) -> None:
    wrong: list[str] = []

    async def work(world: World) -> None:
        chain = world.chain()

        def restore(connection: Connection, column: Column[Any]) -> None:
            connection.execute(update(column.table).values({column: float(value)}))
            before = backup.former(connection, VAULT, world.remembered)
            done = backup.restored(
                connection,
                VAULT,
                world.remembered,
                chain=chain,
                before=before,
                trust_clients=False,
                apcv_after=600.0,
                at=NOW,
                reason="a disk was changed",
            )
            if not math.isfinite(done.until) or not 0 <= done.until <= NOW:
                wrong.append(f"{column}: the last act was at {done.until}")
            raise _Back

        for table in tables.metadata.sorted_tables:
            for column in (each for each in table.columns if isinstance(each.type, Float)):
                try:
                    await world.store.run(lambda connection, column=column: restore(connection, column))  # type: ignore[misc]
                except _Back:
                    continue
                except (ValueError, VitaleError) as error:
                    wrong.append(f"{column}: {error!r}")

    with_world(tmp_path, site_database, work)
    assert wrong == []


class _Back(Exception):
    """Nothing of what was done stays."""
