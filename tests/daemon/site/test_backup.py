"""A backup that cannot be made or put back: told as what it is, and nothing is changed."""

# What was used is taken over by itself.
# pyright: reportPrivateUsage=false

import contextlib
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select, text

from vitale_protocol.errors import ConfigurationInvalid, LocalMisuse, StoreUnavailable, ToolMissing
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site import backup
from vitale_reader.daemon.site.backup import SQLITE, back_up, put_back
from vitale_reader.daemon.site.open_store import last_outage, require_own_store, spooled
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.row_seals import sealed
from vitale_reader.daemon.store.tables import metadata, seen, site
from vitale_reader.home import Home

NOW = 1_800_000_000.0
URL = "postgresql://desk@127.0.0.1:1/site"
VAULT, OTHER = Vault.of_site(b"k" * 32), Vault.of_site(b"o" * 32)


def database(file: Path, *statements: str) -> Path:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as made:
        for statement in statements:
            made.execute(statement)
    return file


def put(store: Path | str, file: Path) -> None:
    """Puts a backup in the place of a store, where nothing is to be closed."""
    with put_back(store, file):
        pass


@pytest.mark.parametrize("program", ["pg_dump", "pg_restore"])
def test_a_tool_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "one"
    if program == "pg_restore":
        file.write_bytes(b"PGDMP rest")
    with pytest.raises(ToolMissing) as missing:
        back_up(URL, file) if program == "pg_dump" else put(URL, file)
    assert f"{program} (postgresql-client)" == missing.value.data["tool"]
    assert ([] if program == "pg_dump" else ["one"]) == [one.name for one in tmp_path.iterdir()]


def test_a_backup_without_a_place_or_a_store_leaves_nothing(tmp_path: Path) -> None:
    store = database(tmp_path / "store.db", "CREATE TABLE one (value)")
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        back_up(store, tmp_path / "nowhere" / "one")
    with pytest.raises(StoreUnavailable, match="cannot be backed up"):
        back_up(tmp_path / "no.db", tmp_path / "one")
    assert ["store.db"] == [file.name for file in tmp_path.iterdir()]


def test_a_backup_that_is_damaged_changes_nothing(tmp_path: Path) -> None:
    store = database(tmp_path / "store.db", "CREATE TABLE one (value)")
    contradictory = database(
        tmp_path / "contradictory",
        "CREATE TABLE one (value)",
        "INSERT INTO one VALUES (NULL)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = 'CREATE TABLE one (value NOT NULL)'",
    )
    torn = tmp_path / "torn"
    torn.write_bytes(SQLITE + b"\xff" * 100)
    before = store.read_bytes()
    for file in (contradictory, torn):
        with pytest.raises(LocalMisuse, match="damaged"):
            put(store, file)
    with pytest.raises(LocalMisuse, match="cannot be read"):
        put(store, tmp_path / "nowhere")
    assert before == store.read_bytes()
    assert not (tmp_path / ".store.db.new").exists()


def test_a_backup_that_cannot_be_put_in_its_place_is_told(tmp_path: Path) -> None:
    whole = database(tmp_path / "whole", "CREATE TABLE one (value)")
    with pytest.raises(StoreUnavailable, match="cannot be put back"):
        put(tmp_path / "nowhere" / "store.db", whole)


def test_strings_that_were_used_since_are_taken_over_once() -> None:
    rows = [{"digest": name, "state": "used", "expires_at": 1.0, "claim": "c", "seal": None} for name in "ab"]
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        taken = [backup._take_over(connection, tuple(rows[:count])) for count in (0, 1, 2, 2)]
        assert ([0, 1, 1, 0], 2) == (taken, connection.execute(select(func.count()).select_from(seen)).scalar())
    engine.dispose()


@pytest.mark.parametrize(("off", "closed_from"), [(0.0, 0.0), (60.0, 60.0), (-86_400.0, 0.0)])
def test_a_clock_that_is_behind_closes_no_string_too_short(off: float, closed_from: float) -> None:
    remembered = Remembered()
    remembered.saw_time(NOW)
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        done = backup.restored(
            connection,
            VAULT,
            remembered,
            chain=Chain(VAULT, "a-station", remembered=remembered),
            before=None,
            trust_clients=True,
            apcv_after=600.0,
            at=NOW + off,
            reason="a disk was changed",
        )
    engine.dispose()
    assert NOW + closed_from + 600.0 == done.closed_until


#: What SQLite takes as the time of an act, and is none.
NO_TIMES = ["9e999", "-9e999", "1e18", "-1.0", "'soon'", "x'30'"]


@pytest.mark.parametrize("at", [*NO_TIMES, f"{NOW + 60.0}"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit (at, action, outcome, station) VALUES ({at}, 'session.open', 'ok', 'a-station')",
        "INSERT INTO audit (at, action, outcome, station, number) VALUES ({at}, 'session.open', 'ok', 'a-station', 9)",
        "INSERT INTO audit (at, action, outcome, station, number) VALUES ({at}, 'session.open', 'ok', 'another', 1)",
    ],
    ids=["without a number", "behind the end", "of nobody"],
)
def test_the_last_act_that_is_known_is_one_of_a_chain(statement: str, at: str) -> None:
    assert NOW + 1.0 == last_act(statement.format(at=at))


@pytest.mark.parametrize("at", NO_TIMES)
def test_what_is_no_time_is_not_that_of_the_last_act(at: str) -> None:
    assert NOW == last_act(f"UPDATE audit SET at = {at} WHERE number = 2")  # noqa: S608  no input


def last_act(statement: str) -> float:
    """When the last act was, as a restore tells of a store with two in which a hand did something."""
    remembered = Remembered()
    chain = Chain(VAULT, "a-station", remembered=remembered)
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        chain.begin(connection, at=NOW)
        acts = (AuditEntry(at=at, action="session.open", outcome="ok") for at in (NOW, NOW + 1.0))
        chain.written(chain.append(connection, *acts))
        connection.execute(text(statement))
        done = backup.restored(
            connection,
            VAULT,
            remembered,
            chain=chain,
            before=None,
            trust_clients=True,
            apcv_after=600.0,
            at=NOW + 2.0,
            reason="a disk was changed",
        )
    engine.dispose()
    return done.until


def test_a_database_of_another_key_is_not_worked_on(tmp_path: Path) -> None:
    config = parse(f'store = "{URL}"')
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        row = {"name": "key", "value": VAULT.digest("site", b"key")}
        connection.execute(site.insert(), sealed(VAULT, site, row))
        require_own_store(connection, VAULT, Home.under(tmp_path), config)
        with pytest.raises(ConfigurationInvalid, match="another site key"):
            require_own_store(connection, OTHER, Home.under(tmp_path), config)
        require_own_store(connection, OTHER, Home.under(tmp_path), parse(""))
    engine.dispose()


def test_a_desk_that_was_never_cut_off_has_nothing_to_tell(tmp_path: Path) -> None:
    assert (0, None) == (spooled(Home.under(tmp_path)), last_outage(Home.under(tmp_path)))
