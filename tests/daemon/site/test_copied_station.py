"""A home that was copied to another machine: two daemons with one station's id find each other, and one stops."""

import asyncio
import logging
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import make_url

from tests.posix import OWN_DOOR
from tests.postgres_server import PostgresServer
from vitale_protocol.catalogue import text
from vitale_protocol.errors import DaemonRunning, VitaleError
from vitale_reader.daemon import app, lifecycle
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import Config, parse
from vitale_reader.daemon.site import listener
from vitale_reader.daemon.site.rows.messages import SeenRows
from vitale_reader.daemon.site.rows.site_rows import SiteRows
from vitale_reader.home import Home

SETTINGS = parse(f"[drivers]\nenabled = []\n{OWN_DOOR}")
PATIENCE = 90.0


@pytest.fixture(autouse=True)
def quicken(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "BEAT", 0.1)


@pytest.fixture
def config(site_database: str) -> Config:
    return msgspec.structs.replace(SETTINGS, store=site_database)


@pytest.fixture
def copied(tmp_path: Path, config: Config) -> tuple[Home, Home]:
    """A station and a copy of it, made while it was stopped."""

    async def once() -> None:
        async with running(Home.under(tmp_path / "first"), config):
            pass

    asyncio.run(once())
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    return Home.under(tmp_path / "first"), Home.under(tmp_path / "copy")


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Awaitable[None]]:
    """Waits until the rows of the site were looked at so often again."""
    looks: asyncio.Queue[None] = asyncio.Queue()
    real = SiteRows.look

    async def look(self: SiteRows, asked: Collection[str], *, beat: bool) -> tuple[bool, SeenRows]:
        found = await real(self, asked, beat=beat)
        looks.put_nowait(None)
        return found

    async def wait(count: int) -> None:
        while not looks.empty():
            looks.get_nowait()
        async with asyncio.timeout(PATIENCE):
            for _ in range(count):
                await looks.get()

    monkeypatch.setattr(SiteRows, "look", look)
    return wait


def catching(future: "asyncio.Future[VitaleError]") -> Callable[[VitaleError], None]:
    def caught(error: VitaleError) -> None:
        if not future.done():
            future.set_result(error)

    return caught


def test_the_younger_of_the_two_stops_and_names_the_other(
    copied: tuple[Home, Home], config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "accueil")

    async def main() -> tuple[VitaleError, bool]:
        first, second = (asyncio.get_running_loop().create_future() for _ in range(2))
        async with running(copied[0], config, on_conflict=catching(first)):
            async with running(copied[1], config, on_conflict=catching(second)), asyncio.timeout(PATIENCE):
                error = await second
            return error, first.done()

    error, first_stopped = asyncio.run(main())
    assert isinstance(error, DaemonRunning)
    assert not first_stopped
    assert ("cloned", "accueil") == (error.variant, error.data["host"])
    assert "accueil" in error.detail
    assert "autre machine" in text(error.reason, "fr", error.variant).title
    assert "another machine" in text(error.reason, "en", error.variant).title
    told = [record for record in caplog.records if record.getMessage().startswith("a copy of this station")]
    assert [("a copy of this station was started on accueil: it is to stop", logging.ERROR)] == [
        (record.getMessage(), record.levelno) for record in told
    ]


def test_serve_ends_with_the_error(copied: tuple[Home, Home], config: Config) -> None:
    async def main() -> None:
        async with running(copied[0], config), asyncio.timeout(PATIENCE):
            await app.serve(copied[1], config)

    with pytest.raises(DaemonRunning) as told:
        asyncio.run(main())
    assert "cloned" == told.value.variant


def test_the_first_stays_after_its_copy_has_gone(copied: tuple[Home, Home], config: Config) -> None:
    async def main() -> int:
        gone = 0
        async with running(copied[0], config):
            for _ in range(3):
                ended: asyncio.Future[VitaleError] = asyncio.get_running_loop().create_future()
                async with running(copied[1], config, on_conflict=catching(ended)), asyncio.timeout(PATIENCE):
                    await ended
                    gone += 1
        return gone

    assert 3 == asyncio.run(main())


def test_a_daemon_that_comes_back_after_it_died_is_no_copy(
    copied: tuple[Home, Home],
    config: Config,
    postgres: PostgresServer,
    site_database: str,
    looked: Callable[[int], Awaitable[None]],
) -> None:
    database = make_url(site_database).database or ""
    beats = "SELECT beat_at FROM site_desks WHERE incarnation NOT IN (SELECT incarnation FROM kept)"

    async def main() -> bool:
        ended: asyncio.Future[VitaleError] = asyncio.get_running_loop().create_future()
        async with running(copied[0], config, on_conflict=catching(ended)):
            # The row of a run that died a moment ago, as its last words and beat.
            postgres.execute("CREATE TABLE kept AS SELECT * FROM site_desks", database)
        postgres.execute("INSERT INTO site_desks SELECT * FROM kept", database)
        async with running(copied[0], config, on_conflict=catching(ended)):
            await looked(5)
            first = postgres.execute(beats, database)
            async with asyncio.timeout(PATIENCE):
                while postgres.execute(beats, database) == first:
                    await looked(1)
            assert "1" == postgres.execute("SELECT count(*) FROM site_desks", database)
            return ended.done()

    assert not asyncio.run(main())


def test_an_older_row_that_somebody_puts_back_stops_nobody(
    copied: tuple[Home, Home],
    config: Config,
    postgres: PostgresServer,
    site_database: str,
    looked: Callable[[int], Awaitable[None]],
) -> None:
    database = make_url(site_database).database or ""

    async def main() -> bool:
        ended: asyncio.Future[VitaleError] = asyncio.get_running_loop().create_future()
        async with running(copied[0], config):
            postgres.execute("CREATE TABLE kept AS SELECT * FROM site_desks", database)
        async with running(copied[0], config, on_conflict=catching(ended)):
            for _ in range(3):
                back = (
                    "DELETE FROM site_desks; INSERT INTO site_desks SELECT station, incarnation, version, "
                    "extract(epoch FROM clock_timestamp()) + 5, sealed FROM kept"
                )
                postgres.execute(back, database)
                await looked(3)
            return ended.done()

    assert not asyncio.run(main())


@pytest.mark.posix
def test_whoever_is_told_to_stop_stops_without_an_error() -> None:
    async def main() -> None:
        ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lifecycle.end_when_told(ending)
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
        await ending

    asyncio.run(main())
