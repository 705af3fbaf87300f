"""The PostgreSQL that ``store`` names, as libpq is told of it.

Everything that connects there does so in the same way. Several hosts may be named as in libpq:
``postgresql://desk@a:5432,b:5432/db``. Its parameters work as well: ``?host=a,b&port=5432,5433``. They may be named as
SQLAlchemy does, too (``?host=a:5432&host=b:5432``, ``postgresql+psycopg://…``). Of several, the one that takes writes
is meant, unless the URL says otherwise. After a failover it is another one.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.extras import missing

if TYPE_CHECKING:
    import psycopg

__all__ = ["CONNECT", "SETTINGS", "Target"]

#: Seconds to reach one host.
CONNECT = 2

#: Seconds of rest after which the kernel asks the other end, between two questions, and how often it asks; milliseconds
#: for which what was sent may remain without acknowledgement.
KEEPALIVE = {
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "2",
    "tcp_user_timeout": "5000",
}

#: What every session says for itself, whatever role, database or server were given: seals are over numbers in all their
#: digits, single statements are committed each by itself, what was committed survives a power cut, and whoever rests is
#: not ended for it. Two of these settings are younger than the oldest PostgreSQL. Functions are the server's own before
#: anybody else's, since its schema comes first where the path does not name it.
SETTINGS = (
    "SELECT pg_catalog.set_config('search_path', pg_catalog.btrim(pg_catalog.regexp_replace("
    "pg_catalog.current_setting('search_path'), '(^|,) *\"?pg_catalog\"? *(?=,|$)', '', 'g'), ', '), false);"
    "SET extra_float_digits = 1; SET default_transaction_isolation = 'read committed';"
    "SET default_transaction_deferrable = off; SET transform_null_equals = off;"
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';"
    "SELECT set_config(name, '0', false) FROM unnest(ARRAY['idle_session_timeout', 'transaction_timeout']) AS name"
    " WHERE current_setting(name, true) IS NOT NULL;"
)

#: Texts of all the world, also where the role was given another encoding.
ENCODING = {"client_encoding": "UTF8"}

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")


class Target(msgspec.Struct, frozen=True):
    """The server that libpq connects to; it holds a password, perhaps, and is never shown."""

    parameters: dict[str, str]

    @classmethod
    def of(cls, url: str) -> "Target":
        """Returns what a URL names.

        Raises:
            ConfigurationInvalid: it is none of PostgreSQL; what it holds is not repeated.
            ToolMissing: the package for PostgreSQL is not installed.
        """
        try:
            from psycopg import ProgrammingError  # noqa: PLC0415  an extra
            from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415
        except ImportError as error:
            raise missing(error, "PostgreSQL", extra="postgresql", library="psycopg") from error
        try:
            found = conninfo_to_dict(_as_libpq(url))
            if not all(port.isdigit() or not port for port in str(found.get("port", "")).split(",")):
                raise ValueError("no number of a port")
        except (ProgrammingError, ValueError):
            # Not chained: the text of the error repeats the URL, and with it the password.
            raise ConfigurationInvalid("store is no URL of PostgreSQL", data={"path": "store"}) from None
        parameters = {name: str(value) for name, value in found.items() if value is not None}
        if "," in parameters.get("host", ""):
            parameters.setdefault("target_session_attrs", "read-write")
        return cls(KEEPALIVE | {"connect_timeout": str(CONNECT)} | parameters)

    def __repr__(self) -> str:
        return f"Target({self.hosts} hosts)"

    @property
    def hosts(self) -> int:
        """Number of hosts that are tried, one after the other."""
        return self.parameters.get("host", "").count(",") + 1

    @property
    def patience(self) -> float:
        """Seconds that connecting takes at most."""
        return float(self.parameters["connect_timeout"]) * self.hosts

    def connect(self, name: str = "vitale-reader") -> "psycopg.Connection[tuple[Any, ...]]":
        """Connects, blocking.

        Raises:
            psycopg.Error: nobody is there, or does not let us in.
        """
        import psycopg  # noqa: PLC0415  an extra

        return psycopg.Connection.connect(**self.of_libpq(name))

    async def listen(self, name: str) -> "psycopg.AsyncConnection[tuple[Any, ...]]":
        """Connects for notifications, each statement a transaction of its own.

        Raises:
            psycopg.Error: nobody is there, or does not let us in.
        """
        import psycopg  # noqa: PLC0415  an extra

        return await psycopg.AsyncConnection.connect(autocommit=True, **self.of_libpq(name))

    def of_libpq(self, name: str) -> dict[str, Any]:
        """The parameters of a connection that calls itself by a name."""
        return {"application_name": name} | self.parameters | ENCODING


def _as_libpq(url: str) -> str:
    """Turns the spelling of SQLAlchemy into that of libpq, which takes the last of several hosts otherwise."""
    scheme, colon, rest = url.partition("://")
    if scheme not in SCHEMES or not colon:
        raise ValueError("no URL of PostgreSQL")
    parts = urlsplit(f"postgresql://{rest}")
    query = parse_qsl(parts.query, keep_blank_values=True)
    named = [value for name, value in query if name == "host"]
    hosts = [each for value in named for each in value.split(",")]
    if not any(_port(host) for host in hosts) and len(named) < 2:
        return f"postgresql://{rest}"
    others = [pair for pair in query if pair[0] not in ("host", "port")]
    given = [each for name, value in query if name == "port" for each in value.split(",")]
    ports = [_port(host) or (given[at] if at < len(given) else "") for at, host in enumerate(hosts)]
    names = [host.removesuffix(f":{_port(host)}") if _port(host) else host for host in hosts]
    plain = [name.removeprefix("[").removesuffix("]") for name in names]
    return parts._replace(query=urlencode([("host", ",".join(plain)), ("port", ",".join(ports)), *others])).geturl()


def _port(host: str) -> str:
    """The port behind a host; a path of a Unix socket and a bare IPv6 address have none."""
    name, _, port = host.rpartition(":")
    bare = ":" in name and not name.endswith("]")
    return "" if host.startswith("/") or bare or not port.isdigit() or not name else port
