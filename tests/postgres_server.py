"""A PostgreSQL of the test run's own: in a short folder of its own, on a Unix socket only, gone at the end.

``python -m tests.postgres_server OPTION COMMAND…`` runs a command with this option, the URL of an empty database; where
there is no server, without it.
"""

import base64
import hashlib
import hmac
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import NullPool, create_engine

from vitale_reader.daemon.store.migrate import prepare
from vitale_reader.daemon.store.tables import metadata, revision

#: It stands in every URL that the tests give to a daemon; nothing that the daemon writes may hold it.
PASSWORD = "canary-of-the-database"
FAST = (
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_connections=120",
    "shared_buffers=16MB",
    "autovacuum=off",
    "jit=off",
)
#: The same for a server that a standby follows.
FOLLOWED = (*(each for each in FAST if not each.startswith(("wal_level", "max_wal_senders"))), "max_wal_senders=4")
PATIENCE = 60.0

#: Bytes of a table that is emptied; a database with a larger one is removed.
MOST_LEFT = 1 << 18

#: How a database is made: all that tests change besides rows, so that one which differs is not used again.
SHAPE = sql.SQL(
    """
SELECT ARRAY[
    (SELECT string_agg(row(relname, relkind, relacl, reloptions, relrowsecurity)::text, ';' ORDER BY relname)
     FROM pg_class WHERE relnamespace = 'public'::regnamespace),
    (SELECT string_agg(tablename || rulename, ';' ORDER BY tablename, rulename)
     FROM pg_rules WHERE schemaname = 'public'),
    (SELECT string_agg(row(attrelid::regclass, attname, atttypid, attnotnull)::text, ';' ORDER BY attrelid, attnum)
     FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0),
    (SELECT string_agg(conname || pg_get_constraintdef(oid), ';' ORDER BY conname)
     FROM pg_constraint WHERE connamespace = 'public'::regnamespace),
    (SELECT string_agg(tgname, ';' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal),
    (SELECT string_agg(proname, ';' ORDER BY proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
    (SELECT string_agg(row(nspname, nspacl)::text, ';' ORDER BY nspname)
     FROM pg_namespace WHERE nspname NOT LIKE 'pg_temp%' AND nspname NOT LIKE 'pg_toast%'),
    (SELECT row(datacl, datallowconn, datconnlimit)::text FROM pg_database WHERE datname = current_database()),
    (SELECT string_agg(row(setrole, setconfig)::text, ';' ORDER BY setrole)
     FROM pg_db_role_setting JOIN pg_database ON setdatabase = pg_database.oid WHERE datname = current_database()),
    (SELECT string_agg(version_num, ';') FROM alembic_version),
    (SELECT (max(pg_relation_size(oid)) > {most})::text FROM pg_class WHERE relnamespace = 'public'::regnamespace)
]"""
).format(most=sql.Literal(MOST_LEFT))

#: Numbers that the database gives begin anew.
NUMBERS = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"

#: Ends the other sessions of a database, one after the other, and waits for each of them to be gone.
OTHERS_END = (
    "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class PostgresServer:
    """The server; ``start`` and ``stop`` as often as a test likes.

    Args:
        programs: of the server.
        settings: what it is started with.
        follows: the server whose standby it is, which runs with ``FOLLOWED``.
    """

    def __init__(
        self, programs: Path, settings: tuple[str, ...] = FAST, *, follows: "PostgresServer | None" = None
    ) -> None:
        self._programs = programs
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="vitale-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._who = _unprivileged(self.folder)
        #: Databases with the tables of a site and nothing in them, and how such a one is made.
        self._free: list[str] = []
        self._shape: object = None
        if follows is None:
            self._make()
        else:
            self._copy(follows)

    @staticmethod
    def installed() -> Path | None:
        """Where the newest programs of the server are: Debian keeps them out of the path."""
        beside_path = shutil.which("initdb")
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: float(file.parts[4]))
        return found[-1].parent if found else Path(beside_path).parent if beside_path else None

    def url(self, database: str) -> str:
        """What a daemon is given as ``store``: to its desk a server on a busy machine is slow, and not away."""
        return f"postgresql://desk:{PASSWORD}@/{database}?host={self.folder}&connect_timeout={PATIENCE:.0f}"

    def start(self) -> None:
        """Starts it, and returns when it serves."""
        command: list[str | Path] = [
            self._programs / "postgres",
            "-D",
            self.folder / "data",
            "-k",
            self.folder,
            "-h",
            "",
        ]
        for setting in self._settings:
            command += ["-c", setting]
        with (self.folder / "log").open("ab") as log:
            self._process = self._start(command, log)
        pause = threading.Event()
        for _ in range(int(PATIENCE / 0.02)):
            assert self._process.poll() is None, (self.folder / "log").read_text()
            ready = self._programs / "pg_isready"
            if not subprocess.run([ready, "-q", "-h", self.folder, "-U", "desk"], check=False).returncode:
                return
            pause.wait(0.02)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Ends it with all its connections."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(SHUTDOWN)
            process.wait(PATIENCE)

    def remove(self) -> None:
        """Ends it, and leaves nothing behind."""
        self.stop()
        shutil.rmtree(self.folder)

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Runs SQL as the administrator; what it answers."""
        command = (self._programs / "psql", "-q", "-A", "-t", "-X", "-d", self.url(database), "-c", statement)
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        return answer.stdout.strip()

    def create_database(self) -> str:
        """An empty database; its name."""
        name = f"site_{secrets.token_hex(6)}"
        # Of the template to which nobody can connect: the copy of one in use is refused. Its files are copied, as all
        # versions before 15 did: to write them into the log takes three times as long.
        with self._administrator() as connection:
            how = " STRATEGY file_copy" if connection.info.server_version >= 150_000 else ""
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0" + how)
            connection.execute(statement.format(sql.Identifier(name)))
        return name

    def lend_database(self) -> str:
        """A database with the tables of a site and nothing in them; its name.

        To make one takes ten times as long as to empty it.
        """
        if self._free:
            return self._free.pop()
        name = self.create_database()
        engine = create_engine(self.url(name).replace("postgresql:", "postgresql+psycopg:", 1), poolclass=NullPool)
        with engine.begin() as connection:
            prepare(connection)
        if self._shape is None:
            with psycopg.connect(self.url(name)) as connection:
                self._shape = connection.execute(SHAPE).fetchone()
        return name

    def take_back(self, name: str) -> None:
        """Empties a database that was lent, whoever is connected; removes it where more was changed than rows."""
        if self._emptied(name):
            self._free.append(name)
        else:
            self.drop_database(name)

    def _emptied(self, name: str) -> bool:
        try:
            with psycopg.connect(self.url(name), autocommit=True) as connection:
                connection.execute(OTHERS_END)
                if connection.execute(SHAPE).fetchone() != self._shape:
                    return False
                for table in reversed(metadata.sorted_tables):
                    if table is not revision:
                        connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
                connection.execute(NUMBERS)
        except psycopg.Error:  # nobody can connect to it, or a table is gone
            return False
        return True

    def drop_database(self, name: str) -> None:
        """Removes it, whoever is connected."""
        end, pause = time.monotonic() + PATIENCE, threading.Event()
        while True:
            try:
                with self._administrator() as connection:
                    connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
                return
            except psycopg.errors.ObjectInUse:  # the server waits for five seconds for those that it ended
                if time.monotonic() > end:
                    raise
                pause.wait(0.1)

    def end_sessions(self, database: str) -> None:
        """Ends the sessions of a database, and returns when they are gone: that they are told to go is not enough."""
        with self._administrator() as connection:
            ended = connection.execute(OTHERS_END.replace("current_database()", "%s"), (database,)).fetchall()
        assert all(gone for (gone,) in ended), ended

    def _administrator(self) -> psycopg.Connection:
        """For statements that stand in no transaction; without a program of its own, for they are run so often."""
        return psycopg.connect(self.url("postgres"), autocommit=True)

    def _make(self) -> None:
        password = self.folder / "password"
        password.write_text(_secret(PASSWORD))
        password.chmod(0o644)
        command: list[str | Path] = [
            self._programs / "initdb",
            "-D",
            self.folder / "data",
            "-U",
            "desk",
            "--pwfile",
            password,
        ]
        command += ["-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C"]
        with (self.folder / "log").open("ab") as log:
            assert self._start(command, log).wait(PATIENCE) == 0, (self.folder / "log").read_text()

    def _copy(self, primary: "PostgresServer") -> None:
        """Copies the server that it follows; a slot keeps there what it has not heard yet."""
        command: list[str | Path] = [self._programs / "pg_basebackup", "-d", primary.url("postgres")]
        command += ["-D", self.folder / "data", "-X", "stream", "-R", "-C", "-S", "standby", "--checkpoint=fast"]
        with (self.folder / "log").open("ab") as log:
            assert self._start(command, log).wait(PATIENCE) == 0, (self.folder / "log").read_text()

    def _start(self, command: list[str | Path], log: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **self._who)  # type: ignore[call-overload, no-any-return]  # a bag of options


if sys.platform == "win32":
    SHUTDOWN = signal.SIGTERM

    def _unprivileged(folder: Path) -> dict[str, object]:
        """Nothing: the server is not started as an administrator there."""
        return {}

else:
    import pwd

    #: The server's immediate shutdown, the least kind one.
    SHUTDOWN = signal.SIGQUIT

    def _unprivileged(folder: Path) -> dict[str, object]:
        """The user as whom the server is started, given a folder: PostgreSQL refuses to run as root."""
        if os.getuid() != 0:
            return {}
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@contextmanager
def primary_and_standby(
    programs: Path, standby_settings: tuple[str, ...] = FOLLOWED
) -> Generator[tuple[PostgresServer, PostgresServer]]:
    """A server that runs, and the standby that follows it."""
    with ExitStack() as stack:
        primary = PostgresServer(programs, FOLLOWED)
        stack.callback(primary.remove)
        primary.start()
        standby = PostgresServer(programs, standby_settings, follows=primary)
        stack.callback(standby.remove)
        standby.start()
        yield primary, standby


def _secret(password: str) -> str:
    """What the server keeps of a password: with one round, where 4 096 take each connection of a test 2 ms.

    The form is that of RFC 5803, which the server takes instead of a password.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    client, server = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    stored = hashlib.sha256(client).digest()
    salt_, stored_, server_ = (base64.b64encode(each).decode() for each in (salt, stored, server))
    return f"SCRAM-SHA-256$1:{salt_}${stored_}:{server_}"


def main(option: str, *command: str) -> int:
    """Runs the command, beside a server where there is one; its exit code."""
    programs = PostgresServer.installed()
    if programs is None:
        print(f"without {option}: there is no PostgreSQL on this machine", file=sys.stderr)
        return subprocess.run(command, check=False).returncode
    server = PostgresServer(programs)
    try:
        server.start()
        return subprocess.run((*command, option, server.url(server.create_database())), check=False).returncode
    finally:
        server.remove()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
