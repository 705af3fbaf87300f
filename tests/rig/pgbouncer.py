"""A pgbouncer of the test run's own, in front of its PostgreSQL, on a Unix socket."""

import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tests.posix import user_of_servers
from tests.postgres_server import PASSWORD

PATIENCE = 40.0
PORT = 6_432


class Served(Protocol):
    """What it stands in front of."""

    @property
    def folder(self) -> Path:
        """The folder of the server's Unix socket."""
        ...


class Bouncer:
    """The pooler, in one of its modes (``session``, ``transaction``, ``statement``); it serves within ``with``."""

    def __init__(self, server: Served, mode: str) -> None:
        self._server = server
        self._mode = mode
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="vitale-pgb-"))

    @staticmethod
    def installed() -> str | None:
        """Where its program is; Debian keeps it out of the path of users."""
        return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

    @property
    def socket(self) -> Path:
        """Its Unix socket."""
        return self.folder / f".s.PGSQL.{PORT}"

    def url(self, database: str) -> str:
        """The URL of a database behind it."""
        return f"postgresql://desk:{PASSWORD}@/{database}?host={self.folder}&port={PORT}"

    def __enter__(self) -> Self:
        program = self.installed()
        assert program is not None
        (self.folder / "users").write_text(f'"desk" "{PASSWORD}"\n')
        settings = {
            "listen_addr": "",
            "listen_port": str(PORT),
            "unix_socket_dir": str(self.folder),
            "auth_type": "scram-sha-256",
            "auth_file": str(self.folder / "users"),
            "pool_mode": self._mode,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        target = f"* = host={self._server.folder} port=5432"
        (self.folder / "pgbouncer.ini").write_text("\n".join(["[databases]", target, "[pgbouncer]", *lines, ""]))
        user = user_of_servers(self.folder)
        with (self.folder / "log").open("wb") as log:
            command = [program, str(self.folder / "pgbouncer.ini")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **user)  # type: ignore[call-overload]  # a bag of options
        pause = threading.Event()
        for _ in range(int(PATIENCE / 0.02)):
            if self.socket.exists():
                return self
            assert self._process.poll() is None, (self.folder / "log").read_text()
            pause.wait(0.02)
        raise AssertionError((self.folder / "log").read_text())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
        shutil.rmtree(self.folder)
