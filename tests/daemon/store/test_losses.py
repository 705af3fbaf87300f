"""A store that is lost, spoilt, removed or replaced, at rest or while the daemon runs: it says what it lost."""

import asyncio
import contextlib
import json
import logging
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from tests.daemon.patience import PATIENCE
from tests.posix import OWN_DOOR, open_unix_connection
from tests.postgres_server import PostgresServer
from vitale_protocol.errors import NotAuthenticated, StoreUnavailable
from vitale_reader.cli.audit import audit
from vitale_reader.daemon import app
from vitale_reader.daemon.clients.callers import Peer
from vitale_reader.daemon.clients.registry import ClientRegistry
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.keystore.station_keys import DeskClock
from vitale_reader.daemon.site.open_store import anchor_file, open_keys
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.row_upgrade import bring_forward
from vitale_reader.daemon.store.store import Store
from vitale_reader.home import Endpoints, Home

pytestmark = pytest.mark.posix

SETTINGS = f"[drivers]\nenabled = []\n{OWN_DOOR}"
CONFIG = parse(SETTINGS)
PEER = Peer(transport="unix")


class Desk:
    """A station that a client was paired at, and whose daemon was killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home.under(folder)
        (folder / "config.toml").write_text(SETTINGS, "utf-8")
        self.credential = ""

    def start(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        async def main() -> None:
            async with app.running(self.home, CONFIG):
                meanwhile()

        asyncio.run(main())

    def with_registry(self, work: Callable[[ClientRegistry], Any]) -> None:
        async def main() -> None:
            keys = open_keys(self.home, CONFIG, clock=DeskClock(lambda: 1.0))
            remembered = Remembered.read(anchor_file(self.home, CONFIG))
            store = Store(self.home.state / "store.db")
            await store.open()
            try:
                await bring_forward(store, keys.vault, remembered)
                registry = ClientRegistry(store, keys.vault, clock=lambda: 1.0, remembered=remembered)
                await registry.open()
                await work(registry)
            finally:
                await store.close()

        asyncio.run(main())

    def pair(self, then: Callable[[], object] = lambda: None) -> None:
        async def work(registry: ClientRegistry) -> None:
            _, self.credential = await registry.add("Officine", scopes=("identity",), transports=("unix",))
            then()

        self.with_registry(work)

    def act(self) -> None:
        """Has a line in the audit trail."""

        async def main() -> None:
            keys = open_keys(self.home, CONFIG, clock=DeskClock(lambda: 1.0))
            remembered = Remembered.read(anchor_file(self.home, CONFIG))
            chain = Chain(keys.vault, keys.station, remembered=remembered)
            store = Store(self.home.state / "store.db")
            await store.open()
            entry = AuditEntry(at=1.0, action="client.pair", outcome="ok")
            chain.written(await store.run(lambda connection: chain.append(connection, entry)))
            await store.close()
            remembered.write()

        asyncio.run(main())

    def resume(self) -> int:
        return CliRunner().invoke(audit, ["resume", "--reason", "a new disk", "--home", str(self.folder)]).exit_code

    def verified(self) -> bool:
        done = CliRunner().invoke(audit, ["verify", "--json", "--home", str(self.folder)])
        return bool(json.loads(done.output)["whole"])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """The WAL holds all that was written, as after a kill."""
    desk = Desk(tmp_path)
    desk.start()
    files = tmp_path / "as killed"
    desk.pair(lambda: shutil.copytree(desk.home.state, files))
    for file in files.glob("store.db*"):
        shutil.copy(file, desk.home.state / file.name)
    return desk


def remove(*names: str) -> Callable[[Path], None]:
    def work(state: Path) -> None:
        for name in names:
            (state / name).unlink(missing_ok=True)

    return work


def empty(name: str, *others: str) -> Callable[[Path], None]:
    def work(state: Path) -> None:
        remove(*others)(state)
        (state / name).write_bytes(b"")

    return work


def spoil(name: str, at: int) -> Callable[[Path], None]:
    def work(state: Path) -> None:
        content = bytearray((state / name).read_bytes())
        content[at : at + 64] = bytes(64)
        (state / name).write_bytes(content)

    return work


ALL = ("store.db", "store.db-wal", "store.db-shm")
LOSSES = {
    "the store": remove(*ALL),
    "the store, not its log": remove("store.db"),
    "the store emptied": empty("store.db", "store.db-wal", "store.db-shm"),
    "the log": remove("store.db-wal", "store.db-shm"),
    "the log emptied": empty("store.db-wal"),
    "the log spoilt": spoil("store.db-wal", 0),
    "the store spoilt": spoil("store.db", 0),
    "the secrets": remove("station.json"),
}


def test_a_store_that_was_killed_is_whole(desk: Desk) -> None:
    assert desk.verified()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_store_that_is_lost_at_rest_is_said_so_until_an_administrator_says_why(
    desk: Desk, loss: str, caplog: pytest.LogCaptureFixture
) -> None:
    LOSSES[loss](desk.home.state)
    for _ in range(2):
        caplog.clear()
        desk.start()
        assert [record for record in caplog.records if record.levelname == "ERROR"] != []
        assert not desk.verified()

    async def refused(registry: ClientRegistry) -> None:
        with pytest.raises(NotAuthenticated):
            registry.authenticate(PEER, desk.credential)
        with pytest.raises(StoreUnavailable) as found:
            await registry.add("Another", scopes=("identity",), transports=("unix",))
        assert found.value.variant == "tampered"

    desk.with_registry(refused)
    assert desk.resume() == 0
    assert desk.verified()
    desk.pair()
    caplog.clear()
    desk.start()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
    assert desk.verified()


def test_a_station_that_lost_what_it_knows_of_its_store_says_so_until_an_administrator_says_why(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether the store was put back nobody can tell then; who is paired goes on."""
    desk.act()
    remove("audit.anchor")(desk.home.state)
    for _ in range(2):
        caplog.clear()
        desk.start()
        assert [record for record in caplog.records if record.levelname == "ERROR"] != []
        assert not desk.verified()

    async def known(registry: ClientRegistry) -> None:
        assert registry.authenticate(PEER, desk.credential).name == "Officine"

    desk.with_registry(known)
    assert desk.resume() == 0
    assert desk.verified()
    caplog.clear()
    desk.start()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_store_that_is_taken_away_while_the_daemon_runs_is_said_so(
    desk: Desk, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(said: asyncio.Event) -> None:
        async with app.running(desk.home, CONFIG):
            remove(*ALL)(desk.home.state)
            if how == "replaced":
                (desk.home.state / "store.db").write_bytes(b"")
            async with asyncio.timeout(60):
                await said.wait()

    monkeypatch.setattr("vitale_reader.daemon.site.external_changes.SELDOM", 0.05)
    with listening("removed or replaced") as said:
        asyncio.run(main(said))


@contextlib.contextmanager
def listening(words: str) -> Generator[asyncio.Event]:
    """Sets the event when the log says so."""
    said = asyncio.Event()

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if words in record.getMessage():
                said.set()

    handler = Listening()
    logging.getLogger("vitale_reader").addHandler(handler)
    try:
        yield said
    finally:
        logging.getLogger("vitale_reader").removeHandler(handler)


# ── the spool of a station whose site's database is away ──

SPOOL = ("spool.db", "spool.db-wal", "spool.db-shm")
SPOOL_LOSSES = {
    "the spool": remove(*SPOOL),
    "the spool, not its log": remove("spool.db"),
    "the spool emptied": empty("spool.db", "spool.db-wal", "spool.db-shm"),
    "the log": remove("spool.db-wal", "spool.db-shm"),
    "the log emptied": empty("spool.db-wal"),
    "the log spoilt": spoil("spool.db-wal", 0),
    "the spool spoilt": spoil("spool.db", 0),
}


class Cut:
    """A desk of a site whose database is away, with something in its spool, as if it was killed."""

    def __init__(self, folder: Path, database: str, postgres: PostgresServer) -> None:
        self.home = Home.under(folder)
        self._postgres = postgres
        self._name = str(make_url(database).database)
        self._config = f'store = "{database}"\n{SETTINGS}'
        (folder / "config.toml").write_text(self._config, "utf-8")
        (folder / "config.toml").chmod(0o600)

    def start(self, meanwhile: Callable[[Endpoints], Awaitable[None]] | None = None) -> None:
        async def main() -> None:
            async with app.running(self.home, parse(self._config)) as endpoints:
                if meanwhile is not None:
                    await meanwhile(endpoints)

        asyncio.run(main())

    def away(self) -> None:
        self._postgres.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
        self._postgres.end_sessions(self._name)

    def back(self) -> None:
        self._postgres.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")

    async def speak(self, endpoints: Endpoints) -> None:
        """Has a line written."""
        assert endpoints.unix is not None
        reader, writer = await open_unix_connection(endpoints.unix)
        params = {"protocol": [1], "client": {"name": "test", "version": "1"}, "credential": "wrong"}
        message = {"jsonrpc": "2.0", "id": 1, "method": "session.open", "params": params}
        writer.write(json.dumps(message).encode() + b"\n")
        assert "error" in json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()

    def verified(self) -> bool:
        done = CliRunner().invoke(audit, ["verify", "--json", "--home", str(self.home.state.parent)])
        return bool(json.loads(done.output)["whole"])


def lines_in(spool: Path) -> int:
    """How many lines of the audit trail a spool has."""
    with contextlib.closing(sqlite3.connect(f"file:{spool}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM audit").fetchone()[0])


@pytest.fixture
def cut(tmp_path: Path, site_database: str, postgres: PostgresServer) -> Generator[Cut]:
    desk = Cut(tmp_path, site_database, postgres)
    files = tmp_path / "as killed"

    async def killed(endpoints: Endpoints) -> None:
        await desk.speak(endpoints)
        # The line is written once the answer is given.
        async with asyncio.timeout(PATIENCE):
            while not lines_in(desk.home.state / "spool.db"):  # noqa: ASYNC110  a file has no event for it
                await asyncio.sleep(0.01)
        await asyncio.to_thread(shutil.copytree, desk.home.state, files)

    desk.start()
    desk.away()
    try:
        desk.start(killed)
        desk.back()
        for file in files.glob("spool.db*"):
            shutil.copy(file, desk.home.state / file.name)
        yield desk
    finally:
        desk.back()


def test_a_spool_that_nobody_touched_is_brought_without_a_word(cut: Cut, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    cut.start()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
    assert cut.verified()


@pytest.mark.parametrize("loss", SPOOL_LOSSES)
def test_a_spool_that_is_lost_is_told_until_an_administrator_says_why(
    cut: Cut, loss: str, caplog: pytest.LogCaptureFixture
) -> None:
    SPOOL_LOSSES[loss](cut.home.state)
    caplog.clear()
    cut.start()
    assert "spool of this station" in caplog.text
    assert "no administrator has said why" in caplog.text
    assert not cut.verified()
    assert CliRunner().invoke(audit, ["resume", "--reason", "x", "--home", str(cut.home.state.parent)]).exit_code == 0
    assert cut.verified()


def test_an_older_spool_put_back_is_told(cut: Cut, caplog: pytest.LogCaptureFixture) -> None:
    older = {file: file.read_bytes() for file in cut.home.state.glob("spool.db*")}
    cut.away()
    cut.start(cut.speak)
    remove(*SPOOL)(cut.home.state)
    for file, content in older.items():
        file.write_bytes(content)
    cut.back()
    caplog.clear()
    cut.start()
    assert "spool of this station" in caplog.text
    assert not cut.verified()


def test_a_spool_that_is_taken_away_while_the_daemon_runs_is_told(cut: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitale_reader.daemon.site.external_changes.LOOK", 0.05)

    cut.away()
    with listening("removed or replaced") as said:

        async def taken_away(_: Endpoints) -> None:
            remove(*SPOOL)(cut.home.state)
            async with asyncio.timeout(60):
                await said.wait()

        cut.start(taken_away)
