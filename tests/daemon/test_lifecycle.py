"""One daemon a home: whatever the two of them share, and whoever takes the lock away."""

import asyncio
import logging
import os
import signal
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.posix import OWN_DOOR
from vitale_protocol.errors import DaemonRunning
from vitale_reader.daemon import lifecycle
from vitale_reader.daemon.app import serve
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.lifecycle import exclusive, published
from vitale_reader.home import Endpoints, Home


def homes(root: Path) -> dict[str, Home]:
    """Homes that share the state folder, the run folder, or both."""
    return {
        "both": Home.locate({"VITALE_READER_HOME": str(root)}),
        "state": Home(config=root / "config.toml", state=root / "state", run=root / "session" / "run"),
        "run": Home(config=root / "config.toml", state=root / "other" / "state", run=root / "run"),
    }


@pytest.mark.parametrize("shared", ["both", "state", "run"])
def test_a_second_daemon_is_refused(tmp_path: Path, shared: str) -> None:
    with exclusive(Home.under(tmp_path)):
        with pytest.raises(DaemonRunning) as told, exclusive(homes(tmp_path)[shared]):
            pass
        assert os.getpid() == told.value.data["pid"]
    with exclusive(homes(tmp_path)[shared]):
        pass


ALONE = f"[drivers]\nenabled = []\n{OWN_DOOR}"


def stop(_: Endpoints) -> None:
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.posix
def test_a_daemon_that_is_told_to_stop_the_moment_it_serves_stops_in_good_order(tmp_path: Path) -> None:
    home = Home.under(tmp_path)
    asyncio.run(serve(home, parse(ALONE), on_ready=stop))
    assert not home.endpoints_file.exists()


@pytest.mark.posix
def test_a_daemon_that_is_told_to_stop_the_moment_it_can_be_found_stops_in_good_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def found(home: Home, endpoints: Endpoints) -> Generator[None]:
        with published(home, endpoints):
            stop(endpoints)
            yield

    def killed(_: int, __: object) -> None:
        raise AssertionError("nobody waits for this signal yet")

    monkeypatch.setattr(lifecycle, "published", found)
    home = Home.under(tmp_path)
    before = signal.signal(signal.SIGTERM, killed)
    try:
        asyncio.run(serve(home, parse(ALONE)))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not home.endpoints_file.exists()


def test_a_refused_daemon_holds_nothing_afterwards(tmp_path: Path) -> None:
    other = homes(tmp_path)["state"]
    with exclusive(Home.under(tmp_path)), pytest.raises(DaemonRunning), exclusive(other):
        pass
    with exclusive(other):
        pass


@pytest.mark.posix
@pytest.mark.parametrize("shared", ["both", "state", "run"])
def test_a_lock_file_that_was_removed_lets_nobody_in(tmp_path: Path, shared: str) -> None:
    home = Home.under(tmp_path)
    with exclusive(home), published(home, Endpoints(pid=4711, version="0")):
        for folder in (home.state, home.run):
            (folder / "daemon.lock").unlink()
        with pytest.raises(DaemonRunning) as told, exclusive(homes(tmp_path)[shared]):
            pass
        assert told.value.data["pid"] == (4711 if shared != "state" else None)


@pytest.mark.posix
def test_whoever_holds_the_home_notices(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = Home.under(tmp_path)
    with exclusive(home) as held:
        assert () == held.look()
        lock = home.run / "daemon.lock"
        lock.unlink()
        assert (lock,) == held.look()
        lock.touch()
        assert (lock,) == held.look(), "another file of that name"
        home.state.rename(tmp_path / "away")
        home.state.mkdir()
        assert (home.state, lock) == held.look()
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [str(lock), str(home.state)] == [message.split(" while ")[0].split()[-1] for message in errors]


def test_files_of_another_daemon_are_left_alone(tmp_path: Path) -> None:
    home = Home.under(tmp_path)
    with ExitStack() as stack:
        stack.enter_context(exclusive(home))
        home.socket.touch()
        stack.enter_context(published(home, Endpoints(pid=1, version="0", unix=str(home.socket))))
        for file in (home.socket, home.endpoints_file):
            other = file.with_name("other")
            other.write_text("of another")
            other.replace(file)
    assert ["of another"] * 2 == [file.read_text() for file in (home.socket, home.endpoints_file)]


def test_own_files_are_gone_afterwards(tmp_path: Path) -> None:
    home = Home.under(tmp_path)
    with exclusive(home):
        home.socket.touch()
        with published(home, Endpoints(pid=1, version="0", unix=str(home.socket))):
            pass
    assert [] == [file for file in (home.socket, home.endpoints_file) if file.exists()]
