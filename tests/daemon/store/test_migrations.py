"""A store of the version before is brought to today's tables with what is in it, or is left as it was."""

import asyncio
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, delete, event, insert, inspect, select, text

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store import migrate, tables
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.inspection import inspect as inspect_rows
from vitale_reader.daemon.store.local_anchor import Anchor, Remembered
from vitale_reader.daemon.store.row_upgrade import bring_forward
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import REVISION, metadata
from vitale_reader.home import Home

T = TypeVar("T")
OLD = Path(__file__).parent / "stores" / "version_0_1.sql"
FAR = 4_000_000_000
pytestmark = pytest.mark.usefixtures("patient")


def on(place: Path | str, work: Callable[[Connection], T], *, opening: bool = True) -> T:
    async def main() -> T:
        store = Store(place)
        try:
            if opening:
                await store.open()
            return await store.run(work)
        finally:
            await store.close()

    return asyncio.run(main())


def old_store(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file)
    database.executescript(OLD.read_text())
    return database


def test_the_last_migration_is_that_of_the_tables() -> None:
    config = Config()
    config.set_main_option("script_location", "vitale_reader.daemon.store:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def differences(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


def test_a_file_of_version_0_1_gets_the_tables_of_today(tmp_path: Path) -> None:
    old_store(tmp_path / "store.db").close()
    assert on(tmp_path / "store.db", differences) == []
    assert on(tmp_path / "store.db", migrate.prepare) is None, "and once only"


def test_the_migrations_make_on_postgresql_what_the_tables_say(empty_database: str) -> None:
    def made(connection: Connection) -> list[Any]:
        migrate.upgrade(connection, "base")
        return differences(connection)

    assert on(empty_database, made, opening=False) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_store_of_a_later_version_is_left_alone(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    place = tmp_path / "store.db" if kind == "sqlite" else str(request.getfixturevalue("site_database"))
    on(place, lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(StoreUnavailable):
        on(place, lambda _: None)
    tables = on(place, lambda connection: inspect(connection).get_table_names(), opening=False)
    assert set(tables) == set(metadata.tables)


def test_a_migration_that_dies_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_store(tmp_path / "store.db").close()
    done = migrate.upgrade

    def dies(connection: Connection, found: str, _told: object) -> None:
        done(connection, found)
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(migrate, "upgrade", dies)
    with pytest.raises(StoreUnavailable):
        on(tmp_path / "store.db", lambda _: None)
    database = sqlite3.connect(tmp_path / "store.db")
    names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    columns = [row[1] for row in database.execute("PRAGMA table_info(seen)")]
    database.close()
    assert names == {"audit", "clients", "contexts", "outbox", "seen"}
    assert columns == ["digest", "state", "expires_at"]


def test_what_a_station_of_version_0_1_kept_is_there(tmp_path: Path) -> None:
    home = Home.under(tmp_path)
    home.state.mkdir(mode=0o700)
    keys = Keys(home.state / "station.json", overlap=600, clock=DeskClock(time.time))
    keys.open()
    used = keys.vault.digest("string", b"used")
    database = old_store(home.state / "store.db")
    with database:
        database.execute(
            "INSERT INTO outbox VALUES ('j', 'local', 'p', ?, ?)", (FAR, keys.vault.seal(b"the token", "j"))
        )
        database.execute("INSERT INTO seen VALUES (?, 'used', ?)", (used, FAR))
        database.execute(
            "INSERT INTO clients VALUES ('c', 'Old', 'identity', 'unix', '', NULL, ?, 1.0, NULL)", ("0" * 64,)
        )
        for number in range(3):
            database.execute(
                "INSERT INTO audit (at, action, outcome) VALUES (?, 'session.open', 'ok')", (FAR + number,)
            )
    database.close()

    async def main() -> None:
        async with running(home, parse("[drivers]\nenabled = []\n[tls]\nport = 0\n")) as endpoints:
            assert endpoints.tls is not None

    asyncio.run(main())
    chain = Chain(keys.vault, keys.station)
    (verified,) = on(home.state / "store.db", chain.verifier.verify)
    assert (verified.rows, verified.broken) == (3, None), "old lines are the beginning of the chain"
    kept = on(
        home.state / "store.db", lambda connection: connection.execute(text("SELECT sealed FROM outbox")).scalar_one()
    )
    assert keys.vault.unseal(kept, "j") == b"the token"
    assert on(
        home.state / "store.db", lambda connection: connection.execute(text("SELECT digest FROM seen")).all()
    ) == [(used,)]
    assert on(
        home.state / "store.db", lambda connection: connection.execute(text("SELECT name FROM clients")).all()
    ) == [("Old",)]


def test_a_start_on_tables_of_today_loads_no_alembic(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from vitale_reader.daemon.store.inspection import inspect as inspect_rows
from vitale_reader.daemon.store.local_anchor import Anchor, Remembered
from vitale_reader.daemon.store.store import Store
async def main():
    store = Store(Path(sys.argv[1]))
    await store.open()
    await store.close()
asyncio.run(main())
print(sorted({"alembic", "mako", "psycopg", "keyring"} & set(sys.modules)))
"""
    on(tmp_path / "store.db", lambda _: None)
    command = [sys.executable, "-c", program, str(tmp_path / "store.db")]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert answer.stdout == "[]\n"


VAULT = Vault.of_site(b"k" * 32)


def forward(place: Path | str, remembered: Remembered) -> None:
    async def main() -> None:
        store = Store(place)
        await store.open()
        try:
            await bring_forward(store, VAULT, remembered)
        finally:
            await store.close()

    asyncio.run(main())


def of_before(connection: Connection) -> None:
    """Rows as they were before they bore seals."""
    connection.execute(
        insert(tables.clients),
        {"client_id": "c", "name": "Old", "scopes": "nir", "transports": "unix", "origins": "", "created_at": 1.0},
    )
    rows = [
        {"jti": f"{number:06}", "client_id": "c", "presentation": str(number), "exp": 2_000_000_000, "sealed": b"s"}
        for number in range(2_500)
    ]
    connection.execute(insert(tables.outbox), rows)


def faults(connection: Connection) -> list[str]:
    return [f"{fault.table} {fault.why}" for fault in inspect_rows(connection, VAULT, Remembered())]


def test_rows_of_before_are_sealed_in_pieces_and_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = tmp_path / "store.db"
    on(place, of_before)
    assert on(place, faults) != []
    with caplog.at_level("INFO"):
        forward(place, Remembered())
    told = [record.getMessage() for record in caplog.records if "outbox" in record.getMessage()]
    assert told == [f"{count} rows of outbox were brought forward" for count in (1_000, 2_000, 2_500)]
    assert on(place, faults) == []


@pytest.mark.parametrize(
    ("anchor", "believed"), [(None, False), (Anchor(number=3, mac="00"), True)], ids=["a new desk", "a desk of before"]
)
def test_a_site_is_brought_forward_by_a_desk_that_used_it_before(
    site_database: str, anchor: Anchor | None, believed: bool
) -> None:
    on(site_database, of_before)
    forward(site_database, Remembered(anchor=anchor))
    assert (on(site_database, faults) == []) == believed
    forward(site_database, Remembered(anchor=Anchor(number=3, mac="00")))
    assert on(site_database, faults) == [], "a desk of before can do it still"


def test_rows_that_turn_up_later_are_not_brought_forward(site_database: str) -> None:
    """Whoever removes the heads, and with them the note that it was done, has nothing sealed by that."""
    remembered = Remembered(anchor=Anchor(number=3, mac="00"))
    forward(site_database, remembered)

    def plant(connection: Connection) -> None:
        connection.execute(delete(tables.table_heads))
        of_before(connection)

    on(site_database, plant)
    forward(site_database, remembered)
    assert {"clients missing", "outbox changed"} <= set(on(site_database, faults))


def of_version_0_1(connection: Connection, lines: int) -> None:
    """An audit trail as version 0.1 kept it, in the tables of today."""
    rows = [{"at": float(FAR + number), "action": "session.open", "outcome": "ok"} for number in range(lines)]
    connection.execute(insert(tables.audit), rows)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_long_trail_is_brought_forward_piece_by_piece_and_tells_how_far_it_is(
    kind: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A start that takes minutes is seen to go on, and holds one piece of the trail in memory, however long that is."""
    monkeypatch.setattr("vitale_reader.daemon.store.audit_trail.relinking.PIECE", 100)

    def brought(lines: int) -> tuple[list[str], int]:
        place = tmp_path / f"{lines}.db" if kind == "sqlite" else str(request.getfixturevalue("site_database"))
        on(place, lambda connection: of_version_0_1(connection, lines))
        chain = Chain(VAULT, "station", dialect=kind)
        caplog.clear()
        tracemalloc.start()
        on(place, lambda connection: chain.begin(connection, at=float(FAR)), opening=False)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        (verified,) = on(place, chain.verifier.verify, opening=False)
        assert (lines, None) == (verified.rows, verified.broken)
        on(
            place,
            lambda connection: [connection.execute(delete(table)) for table in (tables.audit, tables.audit_heads)],
        )
        told = [record.getMessage() for record in caplog.records if record.name.endswith("store.audit_trail.relinking")]
        return told, peak

    with caplog.at_level("INFO"):
        brought(250)  # what the first one loads is held by no other
        few, small = brought(250)
        many, large = brought(5_000)
    assert [f"{count} lines of the audit trail were brought forward" for count in (100, 200, 250)] == few
    assert 50 == len(many)
    assert large < 2 * small, (small, large)


def test_what_a_new_database_has_is_asked_once_and_kept() -> None:
    looks: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        looks.extend([statement] * statement.startswith(("PRAGMA", "SELECT")))

    engine = create_engine("sqlite://")
    event.listen(engine, "before_cursor_execute", note)
    with engine.begin() as connection:
        tables.site.create(connection)
        connection.execute(insert(tables.site), {"name": "key", "value": "kept", "seal": b""})
        looks.clear()
        migrate.prepare(connection)
        assert len(looks) < len(metadata.tables)
        assert "kept" == connection.execute(select(tables.site.c.value)).scalar()
        assert migrate.is_current(connection)
    engine.dispose()
