"""The line to the database of a site: slow, thin, silent, half open; and a database that answers that it will not."""

# The statement of a page is measured as it is.
# pyright: reportPrivateUsage=false

import asyncio
import contextlib
import itertools
import os
import re
import signal
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from psycopg import OperationalError
from sqlalchemy import Connection, Table, func, insert, select, text

from tests.daemon.patience import PATIENCE
from tests.postgres_server import OTHERS_END, PASSWORD, PostgresServer
from tests.rig.pgbouncer import Bouncer
from tests.rig.proxy import Proxy
from vitale_protocol.errors import ConfigurationInvalid, StoreUnavailable
from vitale_protocol.methods import OutboxToken
from vitale_reader.daemon.database import postgresql
from vitale_reader.daemon.database.target import Target
from vitale_reader.daemon.database.thread_pool import Job
from vitale_reader.daemon.issuing import opposition, outbox
from vitale_reader.daemon.issuing.outbox import PAGE, Outbox
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store import spool, spool_replay, store, tables
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.row_seals import sealed
from vitale_reader.daemon.store.spool import SpooledStore
from vitale_reader.daemon.store.spool_replay import Bringing
from vitale_reader.daemon.store.store import Store

VAULT = Vault.of_site(b"k" * 32)
STATION = "10000000-0000-4000-8000-000000000000"
NOW = 1_800_000_000.0
STOPPED_IN = 25.0
"""Seconds: five times what is promised, for a busy machine; what hangs would hang for good."""
PATIENT = pytest.mark.usefixtures("patient")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is back is found at once."""
    monkeypatch.setattr(store, "RECONNECT", 0.1)
    monkeypatch.setattr(spool, "RETRY", 0.1)


def ping(connection: Connection) -> object:
    return connection.execute(text("SELECT 1")).scalar()


def run(work: Awaitable[None]) -> None:
    async def main() -> None:
        await work

    asyncio.run(main())


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Store]:
    made = Store(url)
    try:
        await made.open()
        yield made
    finally:
        await made.close()


class Desk:
    """An outbox on a store, with its chain begun."""

    def __init__(self, place: "Store | SpooledStore") -> None:
        self.store = place
        self.chain = Chain(VAULT, STATION)
        clock = StoreClock(Remembered(), wall=lambda: NOW, steady=lambda: NOW)
        self.outbox = Outbox(place, VAULT, self.chain, clock=clock)

    @property
    def site(self) -> Store:
        """The database itself, beside which there may be a spool."""
        return self.store._site if isinstance(self.store, SpooledStore) else self.store

    async def put(self, number: int, size: int = 900) -> str:
        jti = f"00000000-0000-7000-8000-{number:012d}"
        token = OutboxToken(jti=jti, exp=int(NOW) + 120, token="t" * size)
        entry = AuditEntry(at=NOW, action="presentation.request", outcome="ok", jti=jti)
        await self.outbox.put(token, client_id="c", presentation=jti, entry=entry)
        return jti


def spooled(url: str, folder: Path, *, strict: bool = True, ahead: float = 0.0) -> SpooledStore:
    async def join(_: Store) -> None:
        pass

    bringing = Bringing(Chain(VAULT, STATION), clock=lambda: NOW + ahead)
    return SpooledStore(Store(url), Store(folder / "spool.db"), join=join, bring=bringing.bring, strict=strict)


@contextlib.asynccontextmanager
async def desk_of(url: str, folder: Path, *, ahead: float = 0.0) -> AsyncGenerator[Desk]:
    made = spooled(url, folder, ahead=ahead)
    try:
        await made.open()
        yield Desk(made)
    finally:
        await made.close()


async def until(condition: Callable[[], bool], patience: float = 90.0) -> None:
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110  what is awaited has no event
            await asyncio.sleep(0.02)


# ── every wait has an end ──


@PATIENT
@pytest.mark.parametrize("ways", [("up", "down"), ("up",), ("down",)])
def test_connections_that_hang_behind_something_that_acknowledges_are_abandoned(
    line: Proxy, site_database: str, monkeypatch: pytest.MonkeyPatch, ways: tuple[str, ...]
) -> None:
    monkeypatch.setattr(store, "CLOSING", 0.1)  # of that the next test is

    async def work() -> None:
        async with opened(line.url(site_database)) as made:
            await asyncio.gather(*(made.run(ping) for _ in range(8)))
            line.swallow(*ways, new=False)
            patience, made._limit = made._limit, 0.5
            began = time.monotonic()
            with pytest.raises(StoreUnavailable) as caught:
                await made.run(ping)
            assert caught.value.variant == "database-silent"
            assert time.monotonic() - began < STOPPED_IN
            made._limit = patience
            await until(lambda: not made.away)
            assert await made.run(ping) == 1, "its other connections are not believed either"

    run(work())


def test_a_store_whose_line_swallows_everything_is_closed_in_time(line: Proxy, site_database: str) -> None:
    async def work() -> None:
        made = Store(line.url(site_database))
        await made.open()
        line.swallow("up", "down")
        hanging = [asyncio.create_task(made.run(ping)) for _ in range(12)]
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await made.close()
        assert time.monotonic() - began < STOPPED_IN
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)

    run(work())


def test_a_server_that_accepts_and_says_nothing_more_does_not_hold_up_the_start(
    line: Proxy, site_database: str, tmp_path: Path
) -> None:
    async def work() -> None:
        line.swallow("down")
        began = time.monotonic()
        async with desk_of(line.url(site_database), tmp_path) as desk:
            assert time.monotonic() - began < STOPPED_IN
            await desk.put(1)
            line.heal()
            await until(lambda: not desk.store.degraded)
            assert len(await desk.outbox.list("c")) == 1

    run(work())


@PATIENT
def test_a_connection_that_the_server_ended_at_rest_is_not_used(site_database: str, postgres: PostgresServer) -> None:
    async def work() -> None:
        async with opened(site_database) as made:
            assert await made.run(ping) == 1
            postgres.stop()
            postgres.start()
            assert await made.run(ping) == 1, "nobody is told that the database was away while nobody needed it"

    run(work())


# ── load is no outage ──


@pytest.fixture
def queueing(patient: None, monkeypatch: pytest.MonkeyPatch) -> float:
    """Limit of a job while it waits for a thread; once it was taken up, it has all the time of a busy machine."""
    plain = Job[Any].touch

    def touch(job: Job[Any]) -> None:
        job.limit = PATIENCE
        plain(job)

    monkeypatch.setattr(Job, "touch", touch)
    return 0.5


def test_load_at_one_desk_does_not_look_like_an_outage(
    line: Proxy, site_database: str, tmp_path: Path, queueing: float
) -> None:
    async def work() -> None:
        async with desk_of(line.url(site_database), tmp_path) as desk:
            desk.site._limit, line.delay = queueing, 0.02
            await asyncio.gather(*(desk.put(number) for number in range(16)))
            assert not desk.store.degraded
            began = time.monotonic()
            await asyncio.gather(*(desk.store.run(ping, needs="site") for _ in range(120)))
            assert time.monotonic() - began > 3 * queueing, "the last of all waits for longer"
            assert not desk.store.degraded

    run(work())


def test_time_in_our_own_queue_does_not_count(
    site_database: str, monkeypatch: pytest.MonkeyPatch, queueing: float
) -> None:
    monkeypatch.setattr(store, "CONNECTIONS", 1)

    def slowly(connection: Connection) -> object:
        return connection.execute(text("SELECT pg_sleep(0.3)")).scalar()

    async def work() -> None:
        async with opened(site_database) as made:
            made._limit = queueing
            await asyncio.gather(*(made.run(slowly) for _ in range(4)))

    run(work())


# ── round trips ──


@PATIENT
def test_a_token_takes_one_round_trip_and_so_does_its_acknowledgement(
    line: Proxy, site_database: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with desk_of(line.url(site_database), tmp_path) as desk:
            for number in range(4):
                await desk.put(number)
            before = line.trips
            jti = await desk.put(100)
            assert line.trips - before == 1
            before = line.trips
            assert await desk.outbox.acknowledge("c", [jti]) == 1
            assert line.trips - before == 1
            (verified,) = await desk.store.run(desk.chain.verifier.verify)
            assert (verified.rows, verified.broken) == (5, None)

    run(work())


@PATIENT
def test_a_page_of_the_outbox_takes_one_round_trip_and_so_does_its_acknowledgement(
    line: Proxy, site_database: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with desk_of(line.url(site_database), tmp_path) as desk:
            for number in range(PAGE + 2):
                await desk.put(number)
            before = line.trips
            tokens, more = await desk.outbox.page("c")
            assert (PAGE, 1) == (len(tokens), line.trips - before)
            assert (2, None) == (len((rest := await desk.outbox.page("c", after=more))[0]), rest[1])
            before = line.trips
            assert await desk.outbox.acknowledge("c", [each.jti for each in tokens]) == PAGE
            assert line.trips - before == 1

    run(work())


@PATIENT
def test_a_head_that_another_process_moved_is_looked_at_again(site_database: str) -> None:
    async def work() -> None:
        async with opened(site_database) as made, opened(site_database) as other:
            one, two = Desk(made), Desk(other)
            for number in range(6):
                await (one if number % 2 else two).put(number)
            entry = AuditEntry(at=NOW, action="clients.add", outcome="ok")
            await other.run(lambda connection: two.chain.append(connection, entry))
            await one.put(10)
            await asyncio.gather(
                *(desk.put(20 + 2 * number + of) for number in range(8) for of, desk in enumerate((one, two)))
            )
            (verified,) = await made.run(one.chain.verifier.verify)
            assert (verified.rows, verified.broken) == (24, None)
            assert len(await one.outbox.list("c")) == 23

    run(work())


# ── the database answers that it will not ──


def name_of(url: str) -> str:
    found = re.search(r"/(site_\w+)", url)
    assert found is not None
    return found[1]


@PATIENT
def test_a_database_that_takes_no_writes_has_the_spool_used_and_says_why(
    site_database: str, postgres: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = name_of(site_database)

    async def work() -> None:
        async with desk_of(site_database, tmp_path) as desk:
            await desk.put(1)
            postgres.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
            postgres.end_sessions(database)
            await desk.put(2)
            assert desk.store.degraded
            with pytest.raises(StoreUnavailable) as caught:
                await desk.store.run(ping, needs="site")
            assert (caught.value.variant, "25006" in caught.value.detail) == ("database-read-only", True)
            postgres.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
            await until(lambda: not desk.store.degraded)
            assert len(await desk.outbox.list("c")) == 2

    run(work())
    assert "SQLSTATE 25006" in caplog.text
    assert "Promote the standby" in caplog.text


#: A disk cannot be filled here; the server answers as it does where it cannot extend a file.
FULL_DISK = (
    "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$;"
    "CREATE TRIGGER full_disk BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION full_disk()"
)


@PATIENT
@pytest.mark.parametrize(
    ("before", "variant", "state", "after"),
    [
        ("REVOKE INSERT ON audit FROM clerk", "database-rights", "42501", "GRANT INSERT ON audit TO clerk"),
        ("ALTER TABLE outbox RENAME TO away", "database-tables", "42P01", "ALTER TABLE away RENAME TO outbox"),
        (
            FULL_DISK,
            "database-full",
            "53100",
            "DROP TRIGGER full_disk ON outbox; DROP FUNCTION full_disk()",
        ),
    ],
)
def test_a_database_that_answers_and_refuses_has_the_spool_used_and_says_why(
    site_database: str,
    postgres: PostgresServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    before: str,
    variant: str,
    state: str,
    after: str,
) -> None:
    database = name_of(site_database)
    clerk = f"clerk_{database}"
    url = site_database.replace("desk:", f"{clerk}:")

    def change(statement: str) -> None:
        postgres.execute(statement.replace("clerk", clerk), database)

    async def work() -> None:
        async with opened(site_database):
            pass
        change(f"CREATE ROLE clerk LOGIN PASSWORD '{PASSWORD}'")
        change("GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk")
        change("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO clerk")
        async with desk_of(url, tmp_path) as desk:
            await desk.put(1)
            change(before)
            await desk.put(2)
            assert desk.store.degraded
            with pytest.raises(StoreUnavailable) as caught:
                await desk.store.run(ping, needs="site")
            assert (caught.value.variant, state in caught.value.detail) == (variant, True)
            change(after)
            await until(lambda: not desk.store.degraded)
            assert len(await desk.outbox.list("c")) == 2

    try:
        run(work())
    finally:
        change("DROP OWNED BY clerk")
        change("DROP ROLE clerk")
    assert f"SQLSTATE {state}" in caplog.text


@PATIENT
def test_a_server_without_a_free_connection_has_the_spool_used_and_says_why(
    site_database: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    database = name_of(site_database)
    clerk = f"clerk_{database}"

    async def work() -> None:
        async with opened(site_database):
            pass
        postgres.execute(f"CREATE ROLE {clerk} LOGIN PASSWORD '{PASSWORD}'", database)
        postgres.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {clerk}", database)
        postgres.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {clerk}", database)
        async with desk_of(site_database.replace("desk:", f"{clerk}:"), tmp_path) as desk:
            await desk.put(1)
            postgres.execute(f"ALTER ROLE {clerk} CONNECTION LIMIT 0", database)
            postgres.end_sessions(database)
            await desk.put(2)
            await until(lambda: desk.store.cause.variant == "database-crowded")
            assert desk.store.degraded
            postgres.execute(f"ALTER ROLE {clerk} CONNECTION LIMIT -1", database)
            await until(lambda: not desk.store.degraded)
            assert len(await desk.outbox.list("c")) == 2

    try:
        run(work())
    finally:
        postgres.execute(f"DROP OWNED BY {clerk}", database)
        postgres.execute(f"DROP ROLE {clerk}", database)


@pytest.fixture
def own_server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A server that a test may shut down."""
    programs = PostgresServer.installed()
    assert programs is not None, postgres
    server = PostgresServer(programs)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@PATIENT
def test_a_server_that_shuts_down_or_starts_has_the_spool_used_and_says_why(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    url = own_server.url(own_server.create_database())

    def is_refused() -> bool:
        try:
            Target.of(url).connect("tries").close()
        except OperationalError as error:  # of a connection that is refused there is no SQLSTATE
            return "is shutting down" in str(error)
        return False

    async def work() -> None:
        async with desk_of(url, tmp_path) as desk:
            await desk.put(1)
            # A shutdown that waits for its sessions (SIGTERM) takes no new ones: 57P03.
            holding = Target.of(url).connect("holds")
            try:
                pid = int((own_server.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
                os.kill(pid, signal.SIGTERM)
                await until(is_refused)
                assert holding.execute(OTHERS_END).fetchall() == [(True,)]
                await desk.put(2)
                await until(lambda: desk.store.cause.variant == "database-starting")
                assert desk.store.degraded
            finally:
                holding.close()
            own_server.stop()
            own_server.start()
            await until(lambda: not desk.store.degraded)
            assert len(await desk.outbox.list("c")) == 2

    run(work())


BACKLOG = 100_000

#: The second at which all tokens of a burst end.
BURST = int(NOW) + BACKLOG

#: Whose page is read, and where it begins.
PAGES = (
    ("c", 0, ""),
    ("nobody", 0, ""),
    ("backlog", 0, ""),
    ("backlog", int(NOW) + BACKLOG // 2, ""),
    ("burst", 0, ""),
    ("burst", BURST, f"burst-{BACKLOG // 2:06}"),
    ("c", 0, ""),
    ("nobody", 0, ""),
)

#: Executions after which psycopg has prepared a statement, and the server a plan for any values of it.
PREPARED = 20

#: Rows of a page of a hundred, and the few that the server looks at to plan it.
A_PAGE = 120


def fill_backlogs(database: str, postgres: PostgresServer) -> None:
    """Two clients that acknowledge nothing: tokens that end one second after the other, and all at one second."""
    for client, exp in (("backlog", f"{int(NOW)} + n"), ("burst", str(BURST))):
        values = f"'{client}-' || lpad(n::text, 6, '0'), '{client}', 'presentation-' || n, {exp}, 'x'"
        rows = f"SELECT {values} FROM generate_series(1, {BACKLOG}) AS n"  # noqa: S608  constants
        postgres.execute(f"INSERT INTO outbox (jti, client_id, presentation, exp, sealed) {rows}", database)
    postgres.execute("ANALYZE outbox", database)


def page_of(client: str, after_exp: int, after_jti: str) -> dict[str, Any]:
    return {"of_client": client, "after_exp": after_exp, "after_jti": after_jti, "skipped": 0, "most": 101}


@PATIENT
def test_a_backlog_of_one_client_costs_the_others_nothing(site_database: str, postgres: PostgresServer) -> None:
    """Rows that the server read are counted: a page reads what it holds, whatever else is in the outbox."""

    def read(connection: Connection, values: dict[str, Any]) -> list[int]:
        """Rows that each of some pages read, also once the server has planned for any client."""
        counted = text("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'outbox'")
        counts = [int(connection.execute(counted).scalar_one())]
        for _ in range(PREPARED):
            connection.execute(outbox._LIST, values).all()
            counts.append(int(connection.execute(counted).scalar_one()))
        return [after - before for before, after in itertools.pairwise(counts)]

    async def work() -> None:
        async with opened(site_database) as made:
            desk = Desk(made)
            await desk.put(1)
            fill_backlogs(name_of(site_database), postgres)
            for page in PAGES:
                rows = await made.run(lambda connection, page=page: read(connection, page_of(*page)))  # type: ignore[misc]
                assert max(rows) <= A_PAGE, (page, rows)
            assert 1 == len(await desk.outbox.list("c"))

    run(work())


@PATIENT
def test_no_page_is_sorted_by_the_server(site_database: str, postgres: PostgresServer) -> None:
    def plan(connection: Connection, values: dict[str, Any]) -> str:
        page = outbox._LIST.compile(dialect=connection.dialect)
        return "\n".join(connection.exec_driver_sql(f"EXPLAIN {page}", page.construct_params(values)).scalars())

    async def work() -> None:
        async with opened(site_database) as made:
            fill_backlogs(name_of(site_database), postgres)
            for page in PAGES:
                told = await made.run(lambda connection, page=page: plan(connection, page_of(*page)))  # type: ignore[misc]
                assert ("Index Scan using outbox_client" in told, "Sort" in told) == (True, False), told

    run(work())


@PATIENT
def test_a_locked_table_has_the_spool_used_and_says_why(
    site_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "LOCK", 1_500)

    async def work() -> None:
        async with desk_of(site_database, tmp_path) as desk:
            await desk.put(1)
            connection = Target.of(site_database).connect("locks")
            try:
                connection.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
                began = time.monotonic()
                await desk.put(2)
                assert time.monotonic() - began < STOPPED_IN
                assert (desk.store.degraded, desk.store.cause.variant) == (True, "database-locked")
            finally:
                connection.close()
            await until(lambda: not desk.store.degraded)
            assert len(await desk.outbox.list("c")) == 2

    run(work())


@PATIENT
def test_four_reasons_why_a_start_fails_are_four_errors(
    site_database: str, line: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = socket.getaddrinfo

    def offline(host: Any, *arguments: Any, **options: Any) -> Any:
        """Answers without a name server: one that is slow would decide how long this takes."""
        if host == "nowhere.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return plain(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    name = name_of(site_database)
    line.refuse()
    reasons = {
        site_database.replace(PASSWORD, "canary-wrong"): "database-login",
        site_database.replace(name, "canary_missing"): "database-missing",
        "postgresql://desk:canary-wrong@127.0.0.1:1/site": "database-unreachable",
        "postgresql://desk:canary-wrong@nowhere.invalid/site": "database-host",
        site_database.replace("desk:", "canary_nobody:"): "database-login",
    }

    async def work() -> None:
        for url, variant in reasons.items():
            with pytest.raises(StoreUnavailable) as caught:
                async with opened(url):
                    pass
            assert (url, caught.value.variant) == (url, variant)
            assert "canary" not in repr(caught.value) + caught.value.detail

    run(work())


@PATIENT
def test_an_outage_that_is_over_before_it_is_told_has_the_spool_used(
    site_database: str, line: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop was busy for longer than the database is not asked again."""
    monkeypatch.setattr(store, "RECONNECT", 0.0)

    async def work() -> None:
        async with desk_of(line.url(site_database), tmp_path) as desk:
            await desk.put(1)
            line.refuse()
            await desk.put(2)
            assert desk.store.degraded
            line.heal()
            await until(lambda: not desk.store.degraded)
            assert len(await desk.outbox.list("c")) == 2

    run(work())


# ── the spool comes back ──


@PATIENT
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("tokens", "delay"), [(300, 0.03), (1_000, 0.05)])
def test_a_full_spool_comes_back_over_a_slow_line_in_few_round_trips(
    line: Proxy, site_database: str, tmp_path: Path, tokens: int, delay: float
) -> None:
    async def work() -> None:
        async with desk_of(line.url(site_database), tmp_path) as desk:
            line.refuse()
            for number in range(tokens):
                await desk.put(number)
            assert desk.store.degraded
            line.heal()
            line.delay = delay
            began, trips = time.monotonic(), line.trips
            await until(lambda: not desk.store.degraded, PATIENCE)
            trips = line.trips - trips
            print(f"{tokens} tokens at {delay * 1_000:.0f} ms: {time.monotonic() - began:.1f} s, {trips} round trips")
            assert trips < tokens / 2
            line.delay = 0
            (verified,) = await desk.store.run(desk.chain.verifier.verify)
            assert (verified.rows, verified.broken) == (tokens, None)

    run(work())


@pytest.mark.timeout(300)
def test_a_piece_that_does_not_arrive_is_halved_and_progress_is_kept(
    line: Proxy, site_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line on which the first pieces take longer than a statement may."""
    monkeypatch.setattr(store, "ANSWER", 1.0)
    monkeypatch.setattr("vitale_reader.daemon.database.target.CONNECT", 0)
    monkeypatch.setattr(spool, "RETRY", 0.05)

    async def work() -> None:
        async with desk_of(line.url(site_database), tmp_path) as desk:
            line.refuse()
            for number in range(60):
                await desk.put(number, size=4_000)
            line.heal()
            line.rate = 150_000.0
            await until(lambda: not desk.store.degraded, PATIENCE)
            line.rate, desk.site._limit = None, PATIENCE
            (verified,) = await desk.store.run(desk.chain.verifier.verify)
            assert (verified.rows, verified.broken) == (60, None)

    run(work())
    assert spool_replay.FEW < spool_replay.BEGIN


@PATIENT
def test_what_is_acknowledged_while_the_database_is_away_is_not_listed_again(
    line: Proxy, site_database: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with desk_of(line.url(site_database), tmp_path) as desk:
            kept = [await desk.put(number) for number in range(3)]
            line.refuse()
            kept.append(await desk.put(3))
            assert desk.store.degraded
            assert await desk.outbox.acknowledge("c", kept[1:]) == 3
            assert await desk.outbox.acknowledge("other", kept[:1]) == 1, "of which nobody knows whose it is"
            line.heal()
            await until(lambda: not desk.store.degraded)
            assert [token.jti for token in await desk.outbox.list("c")] == kept[:1]

    run(work())


PLACES = ("a line", "a token", "a token with its line", "a string", "a context", "a note")


@PATIENT
@pytest.mark.parametrize(
    ("place", "poison"),
    [
        *((place, "a\0b") for place in PLACES),
        ("a line", "x" * 10_000),
        ("a time", "x"),
    ],
    ids=[*PLACES, "too long a line", "a number out of range"],
)
def test_what_the_site_can_never_take_costs_its_row_and_holds_up_nothing(
    line: Proxy, site_database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, place: str, poison: str
) -> None:
    """An earlier version may have kept it, under its seal: a file takes what PostgreSQL does not."""

    async def work() -> None:
        async with desk_of(line.url(site_database), tmp_path) as desk:
            line.refuse()
            kept = [await desk.put(0)]
            await desk.store.run(poisoned(place, poison))
            kept.append(await desk.put(1))
            assert desk.store.degraded
            line.heal()
            await until(lambda: not desk.store.degraded)
            assert [token.jti for token in await desk.outbox.list("c")] == kept
            refused = select(func.count()).where(tables.audit.c.action == "site.reconcile")
            told = await desk.store.run(lambda connection: connection.execute(refused).scalar_one())
            whole = select(func.count()).where(tables.audit.c.action == "presentation.request")
            lines = await desk.store.run(lambda connection: connection.execute(whole).scalar_one())
            assert lines == 2 + (place == "a token with its line"), "no line is lost by its token, and none is twice"
            assert told == sum("refuses a row" in message for message in caplog.messages) == 1
            assert poison == "x" or poison not in caplog.text

    run(work())


def poisoned(place: str, poison: str) -> Callable[[Connection], object]:
    """Writes a row with a value that only a file takes, under the seal of the site."""
    context = {"digest": "d", "client_id": poison, "notice_at": 1.0, "noticed": False, "ends_at": NOW, "sealed": b"s"}
    token = {"jti": "p", "client_id": "c", "presentation": poison, "exp": int(NOW) + 120, "sealed": b"t"}
    string = {"digest": "d", "claim": poison, "state": "used", "expires_at": NOW + 120}
    rows: dict[str, tuple[Table, Mapping[str, object]]] = {
        "a token": (tables.outbox, token),
        "a time": (tables.outbox, token | {"exp": 1 << 40}),
        "a string": (tables.seen, string),
        "a context": (tables.contexts, context | {"station": "s"}),
    }

    def write(connection: Connection) -> None:
        if place == "a line":
            Chain(VAULT, STATION).append(connection, AuditEntry(at=NOW, action=poison, outcome="ok"))
        elif place == "a token with its line":
            entry = AuditEntry(at=NOW, action="presentation.request", outcome="ok", jti="p")
            Chain(VAULT, STATION).append(connection, entry)
            connection.execute(insert(tables.outbox), sealed(VAULT, tables.outbox, token))
        elif place == "a note":
            spool_replay.note_acknowledged(connection, poison, {"elsewhere"})
        else:
            table, row = rows[place]
            connection.execute(insert(table), sealed(VAULT, table, row))

    return write


@PATIENT
@pytest.mark.parametrize("seconds", [150, 86_400, 400 * 86_400, -86_400])
def test_a_clock_that_is_wrong_while_the_spool_comes_back_costs_no_token_and_no_acknowledgement(
    line: Proxy, site_database: str, tmp_path: Path, seconds: int
) -> None:
    """Neither its own tokens, nor what other desks have told of tokens that are still to come."""

    async def work() -> None:
        async with (
            desk_of(line.url(site_database), tmp_path, ahead=seconds) as late,
            opened(site_database) as direct,
        ):
            right = Bringing(Chain(VAULT, STATION[:-1] + "1"), clock=lambda: NOW)
            wrong = Bringing(Chain(VAULT, STATION[:-1] + "2"), clock=lambda: NOW + seconds)
            line.refuse()
            gone, kept = await late.put(1), await late.put(2)
            assert late.store.degraded
            for name, bringing, jti in (("right", right, gone), ("wrong", wrong, "of-nobody")):
                spool = Store(tmp_path / f"{name}.db")
                await spool.open()
                await spool.run(lambda connection, jti=jti: spool_replay.note_acknowledged(connection, "c", {jti}))  # type: ignore[misc]
                assert await bringing.bring(spool, direct) == 1
                await spool.close()
            line.heal()
            await until(lambda: not late.store.degraded)
            assert [token.jti for token in await late.outbox.list("c")] == [kept]

    run(work())


@PATIENT
def test_an_opposition_list_over_a_thin_line_arrives_and_throws_nobody_off(
    line: Proxy, site_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "STATEMENT", 2_000)  # the whole list takes longer than that
    serials = [str(10_000_000 + number) for number in range(100_000)]  # 0.8 MiB: some three seconds at 2 Mbit/s

    async def work() -> None:
        async with opened(site_database) as direct, desk_of(line.url(site_database), tmp_path) as desk:
            await direct.run(opposition.replace(VAULT, "list", serials, at=NOW))
            line.rate = 250_000.0
            held = opposition.Opposition(desk.store, VAULT)
            arriving = asyncio.create_task(held.refresh())
            while not arriving.done():
                await desk.put(len(kept))
                kept.append(desk.store.degraded)
            await arriving
            assert (held.lists(serials[-1]), held.lists("90000001")) == (True, False)
            assert len(kept) > 5
            assert not any(kept)
            await desk.store.run(opposition.replace(VAULT, "list", serials[:50_000], at=NOW), needs="site")
            assert not desk.store.degraded

    kept: list[bool] = []
    run(work())


# ── what is in front of it, and where it goes ──


@PATIENT
@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_a_pooler_that_keeps_no_connection_is_refused(site_database: str, postgres: PostgresServer, mode: str) -> None:
    if Bouncer.installed() is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")

    async def work(url: str) -> None:
        async with opened(url) as made:
            await asyncio.gather(*(made.run(ping) for _ in range(20)))

    with Bouncer(postgres, mode) as bouncer:
        url = bouncer.url(name_of(site_database))
        if mode == "session":
            run(work(url))
            return
        with pytest.raises((ConfigurationInvalid, StoreUnavailable)) as caught:
            run(work(url))
    assert "pool" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgresql://d:p@a:1,b:2/db", "a,b", "1,2"),
        ("postgresql://d:p@/db?host=a,b&port=1,2", "a,b", "1,2"),
        ("postgresql://d:p@/db?host=a:1&host=b:2", "a,b", "1,2"),
        ("postgresql+psycopg://d:p@/db?host=a:1&host=b", "a,b", "1,"),
        ("postgresql+psycopg://d:p@a:1/db", "a", "1"),
        ("postgresql://d:p@/db?host=/run/a&host=/run/b&port=7", "/run/a,/run/b", "7,"),
    ],
)
def test_several_hosts_in_either_spelling(url: str, host: str, port: str) -> None:
    found = Target.of(url).parameters
    assert (found["host"], found["port"], found["dbname"], found["user"]) == (host, port, "db", "d")
    assert found.get("target_session_attrs") == ("read-write" if "," in host else None)


@pytest.mark.parametrize("url", ["mysql://a/b", "postgresql://a:b/c", "postgresql://a/b?nonsense=1", "postgresql:a"])
def test_what_names_no_database_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        Target.of(url)
    assert url not in repr(caught.value) + repr(caught.value.__cause__)


@PATIENT
def test_a_store_that_cannot_be_opened_leaves_no_connection_behind(
    site_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[Any] = []

    def newer(connection: Connection) -> bool:
        used.append(connection.connection.driver_connection)
        raise StoreUnavailable("of a newer version", variant="store-newer")

    monkeypatch.setattr(store, "is_current", newer)
    with pytest.raises(StoreUnavailable):
        asyncio.run(Store(site_database).open())
    assert [connection.closed for connection in used] == [True]


@PATIENT
def test_a_connection_in_use_is_closed_when_it_comes_back_to_a_store_that_was_given_up(site_database: str) -> None:
    used: list[Any] = []

    async def main() -> None:
        store = Store(site_database)
        await store.open()

        def work(connection: Connection) -> None:
            used.append(connection.connection.driver_connection)
            asyncio.run_coroutine_threadsafe(given_up(), loop).result(30)

        async def given_up() -> None:
            store._leave(StoreUnavailable("in the middle of it"))

        loop = asyncio.get_running_loop()
        await store.run(work)
        assert used[0].closed
        await store.close()

    asyncio.run(main())
