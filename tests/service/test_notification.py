"""What systemd is told of the daemon, and that its drivers are not told where."""

import asyncio
import logging
import signal
import socket
import sqlite3
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from tests.posix import posix_only
from vitale_reader.daemon.app import serve
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.store import row_upgrade
from vitale_reader.daemon.store.audit_trail import relinking
from vitale_reader.home import Endpoints, Home
from vitale_reader.service.notification import ServiceNotification

pytestmark = posix_only()
assert sys.platform != "win32"

OLD = Path(__file__).parents[1] / "daemon" / "store" / "stores" / "version_0_1.sql"

#: Migrations from there to today's tables.
REVISIONS = 4

ALONE = "[drivers]\nenabled = []\n[tls]\nenabled = false\n"


@pytest.fixture
def manager(tmp_path: Path) -> Generator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(20)
        yield heard


def environ_of(manager: socket.socket) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(manager.getsockname()), "LANG": "C"}


def test_the_socket_is_taken_out_of_the_environment(manager: socket.socket) -> None:
    environ = environ_of(manager)
    ServiceNotification(environ).ready()
    assert {"LANG": "C"} == environ
    assert b"READY=1" == manager.recv(100)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the abstract namespace of sockets")
def test_an_abstract_address_is_reached() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("")  # the kernel chooses a name in the abstract namespace
        heard.settimeout(20)
        name = heard.getsockname()
        ServiceNotification({"NOTIFY_SOCKET": f"@{name[1:].decode()}"}).stopping()
        assert b"STOPPING=1" == heard.recv(100)


def test_nobody_waits() -> None:
    environ = dict[str, str]()
    ServiceNotification(environ).ready()
    assert {} == environ


def test_a_manager_that_is_gone_is_a_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ServiceNotification({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    assert ["READY=1" in line for line in caplog.messages] == [True]


def heard_by(manager: socket.socket) -> list[bytes]:
    """All that was said up to now."""
    manager.setblocking(False)
    said: list[bytes] = []
    while True:
        try:
            said.append(manager.recv(100))
        except BlockingIOError:
            manager.settimeout(20)
            return said


def test_a_start_that_brings_a_store_forward_is_waited_for_at_each_step(
    tmp_path: Path, manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces are small here, so that each table and the trail take several."""
    home = Home.under(tmp_path)
    home.state.mkdir(parents=True, mode=0o700)
    with closing(sqlite3.connect(home.state / "store.db")) as database, database:
        database.executescript(OLD.read_text())
        database.executemany(
            "INSERT INTO audit (at, action, outcome) VALUES (?, 'presentation.request', 'ok')", [(1.0,)] * 5
        )
        database.executemany(
            "INSERT INTO contexts VALUES (?, 'c', 4e9, 0, 4e9, x'00')", [(f"{number:064x}",) for number in range(5)]
        )
    monkeypatch.setattr(row_upgrade, "PIECE", 2)
    monkeypatch.setattr(relinking, "PIECE", 2)
    said: list[list[bytes]] = []

    def stop(_: Endpoints) -> None:
        said.append(heard_by(manager))
        signal.raise_signal(signal.SIGTERM)

    notification = ServiceNotification(environ_of(manager))
    asyncio.run(serve(home, parse(ALONE), on_ready=stop, notification=notification))
    more = b"EXTEND_TIMEOUT_USEC=300000000"
    assert {more} == set(said[0])
    assert 1 + REVISIONS + 3 + 3 <= len(said[0]), "the migrations, five contexts, five lines of the trail"
    assert [b"READY=1", b"STOPPING=1"] == heard_by(manager)
    notification.extend()
    assert [] == heard_by(manager), "nobody waits any more"


def test_a_daemon_is_ready_once_it_serves_and_tells_its_end(tmp_path: Path, manager: socket.socket) -> None:
    def stop(_: Endpoints) -> None:
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):  # clients could not come before
            manager.recv(100)
        manager.settimeout(20)
        signal.raise_signal(signal.SIGTERM)

    notification = ServiceNotification(environ_of(manager))
    asyncio.run(serve(Home.under(tmp_path), parse(ALONE), on_ready=stop, notification=notification))
    assert [b"READY=1", b"STOPPING=1"] == [manager.recv(100), manager.recv(100)]
