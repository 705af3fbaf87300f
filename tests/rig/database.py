"""The database of a site at an address that floats: a standby, promoted in its place, takes it over.

The standby has every commit before its client hears of it, so that nothing is lost where the primary dies.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tests.postgres_server import FOLLOWED, PASSWORD, PATIENCE, PostgresServer, primary_and_standby

__all__ = ["Database", "followed"]

#: A standby that lost its primary for a moment looks for it again at once; commits wait for it.
FOLLOWS = (*FOLLOWED, "wal_retrieve_retry_interval=100ms")


class Database:
    """The address; it is that of the first server until ``fail_over``, within ``with``.

    Args:
        server: that serves at first, and runs.
        standby: that follows it, and runs; None where nothing takes its place.

    Attributes:
        folder: of the Unix socket.
    """

    def __init__(self, server: PostgresServer, standby: PostgresServer | None = None) -> None:
        self._server = server
        self._standby = standby
        self._place = Path(tempfile.mkdtemp(prefix="vitale-db-"))
        self.folder = self._place / "now"

    def __enter__(self) -> Self:
        self._place.chmod(0o755)
        self.folder.symlink_to(self._server.folder)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._place)

    @property
    def can_fail_over(self) -> bool:
        """True until a standby has taken the address."""
        return self._standby is not None

    @property
    def socket(self) -> Path:
        """The Unix socket at the address."""
        return self.folder / ".s.PGSQL.5432"

    def url(self, database: str) -> str:
        """The URL of a database at the address."""
        return f"postgresql://desk:{PASSWORD}@/{database}?host={self.folder}&connect_timeout={PATIENCE:.0f}"

    def execute(self, statement: str) -> str:
        """Runs SQL as the administrator; what it answers."""
        return self._server.execute(statement)

    def create(self) -> str:
        """An empty database; its name."""
        return self._server.create_database()

    def drop(self, name: str) -> None:
        """Removes a database, whoever is connected."""
        self._server.drop_database(name)

    def restart(self, wait: Callable[[], None]) -> None:
        """Stops the server, waits, and starts it again."""
        self._server.stop()
        try:
            wait()
        finally:
            self._server.start()

    def fail_over(self, wait: Callable[[], None]) -> None:
        """Ends the server for good, waits, and has the standby promoted and take the address."""
        standby, self._standby = self._standby, None
        assert standby is not None
        self._server.stop()
        wait()
        assert standby.execute("SELECT pg_promote()") == "t"
        self._server = standby
        turned = self._place / "next"
        turned.symlink_to(standby.folder)
        turned.replace(self.folder)


@contextmanager
def followed(programs: Path) -> Generator[Database]:
    """A server and its standby, which has each commit before a client hears of it, at one address."""
    with primary_and_standby(programs, FOLLOWS) as (server, standby):
        server.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        server.execute("SELECT pg_reload_conf()")
        _until_in_step(server)
        with Database(server, standby) as database:
            yield database


def _until_in_step(server: PostgresServer) -> None:
    end, pause = time.monotonic() + PATIENCE, threading.Event()
    while server.execute("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1":
        assert time.monotonic() < end, "the standby does not follow"
        pause.wait(0.05)
