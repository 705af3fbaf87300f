"""The answers of a database that does not take something: its SQLSTATE, or what libpq says of a connection.

PostgreSQL lists the SQLSTATEs in appendix A of its manual. For a refused connection libpq gives no SQLSTATE, only the
words of the server, in the server's language. Those of English and French servers are known here.
"""

import re
import sqlite3
from typing import Literal

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from vitale_protocol.catalogue import text
from vitale_protocol.errors import StoreUnavailable

__all__ = [
    "RESERVED",
    "VARIANTS",
    "Variant",
    "began_twice",
    "explained",
    "is_fault_of_ours",
    "refusal",
    "refuses_content",
    "swallowed",
    "yielded",
]

Variant = Literal[
    "database-silent",
    "database-unreachable",
    "database-host",
    "database-tls",
    "database-login",
    "database-missing",
    "database-rights",
    "database-read-only",
    "database-full",
    "database-locked",
    "database-slow",
    "database-crowded",
    "database-starting",
    "database-otherwise",
    "database-reserved",
    "database-tables",
    "store-newer",
    "database-refuses",
    "file-locked",
    "file-full",
    "file-rights",
    "file-damaged",
]
"""The variants of ``store_unavailable`` in the catalogue, but for the one without a name."""

#: SQLSTATE of our own, in a class that PostgreSQL leaves to others: the site is restored or rekeyed.
RESERVED = "VR001"

#: SQLSTATE of what psycopg refuses in the server's place: a NUL in a text.
DATA_EXCEPTION = "22000"

#: By SQLSTATE, the longest that fits: a class has two characters.
VARIANTS: dict[str, Variant] = {
    "08": "database-silent",
    "0A": "database-refuses",
    "25006": "database-read-only",
    "28": "database-login",
    "3D000": "database-missing",
    "3F": "database-tables",
    "42501": "database-rights",
    "42P01": "database-tables",
    "42703": "database-tables",
    "53100": "database-full",
    "53300": "database-crowded",
    "55P03": "database-locked",
    "57014": "database-slow",
    "57P01": "database-starting",
    "57P02": "database-starting",
    "57P03": "database-starting",
    "57P04": "database-missing",
    RESERVED: "database-reserved",
}

#: What is said of a connection: by libpq in English, by the server in its own language.
WORDS: tuple[tuple[Variant, str], ...] = (
    ("database-login", r"password authentication failed|authentification par mot de passe échouée"),
    ("database-login", r"no password supplied|fe_sendauth|role .* (does not exist|is not permitted)"),
    ("database-login", r"le rôle .* (n'existe pas|n.est pas autorisé)|no pg_hba\.conf entry|pg_hba\.conf"),
    ("database-missing", r"database .* does not exist|la base de données .* n['’]existe pas"),
    ("database-rights", r"permission denied|droit refusé"),
    ("database-crowded", r"too many (clients|connections)|remaining connection slots|no more connections allowed"),
    ("database-crowded", r"trop de (clients|connexions)|emplacements de connexions? restants"),
    ("database-starting", r"database system is (starting up|shutting down|in recovery mode|not yet accepting)"),
    ("database-starting", r"système de bases? de données (se lance|s['’]arrête|est en cours)"),
    ("database-read-only", r"session is read-only|session is not read-only|server is (not )?in hot standby mode"),
    ("database-tls", r"SSL|certificate|certificat|root\.crt"),
    ("database-host", r"failed to resolve|could not translate host name|Name or service not known|getaddrinfo"),
    ("database-unreachable", r"[Cc]onnection refused|No such file or directory|No route to host|unreachable"),
    ("database-silent", r"timeout expired|timed out|connection timeout|server closed the connection|lost"),
)

#: No sign of an outage: the server ended a transaction in favour of another one, or because this desk was busy with
#: something else in the middle of it; it is begun anew.
YIELDED = frozenset({"40001", "40P01", "25P03"})

#: By the result code of SQLite (https://www.sqlite.org/rescode.html), its lowest byte.
FILES: dict[int, Variant] = {
    sqlite3.SQLITE_BUSY: "file-locked",
    sqlite3.SQLITE_LOCKED: "file-locked",
    sqlite3.SQLITE_FULL: "file-full",
    sqlite3.SQLITE_READONLY: "file-rights",
    sqlite3.SQLITE_PERM: "file-rights",
    sqlite3.SQLITE_CANTOPEN: "file-rights",
    sqlite3.SQLITE_CORRUPT: "file-damaged",
    sqlite3.SQLITE_NOTADB: "file-damaged",
}


def refusal(error: SQLAlchemyError) -> StoreUnavailable:
    """The error that tells what the database said; without its words, in which there may be what was written."""
    original = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(original, sqlite3.Error):
        return _of_file(original)
    if (state := _sqlstate(error)) is not None:
        name = type(original).__name__
        variant = VARIANTS.get(state) or VARIANTS.get(state[:2], "database-refuses")
        return StoreUnavailable(f"SQLSTATE {state} ({name})", variant=variant, data={"sqlstate": state})
    said = str(original or error)
    found = next((variant for variant, words in WORDS if re.search(words, said)), "database-silent")
    # The words of libpq name hosts, roles and databases, and what stands in the table above is known to be no more.
    return StoreUnavailable(f"{type(original or error).__name__}: {_named(found)}", variant=found)


def swallowed(table: str) -> StoreUnavailable:
    """The error of a database that says yes to a row, and does not keep it."""
    told = f"{table} does not keep what is written there"
    return StoreUnavailable(told, variant="database-otherwise", data={"table": table})


def explained(error: StoreUnavailable) -> str:
    """One line for the log: what happened, why, and what to do."""
    told = text(error.reason, "en", error.variant)
    return f"{error.detail or told.title}. {told.cause} {told.remedy}"


def yielded(error: SQLAlchemyError) -> bool:
    """True if a transaction was ended though the database works, and may be begun anew."""
    return _sqlstate(error) in YIELDED


def began_twice(error: SQLAlchemyError) -> bool:
    """True if two connections began the same head or line at once; the second may be begun anew."""
    constraint = getattr(getattr(getattr(error, "orig", None), "diag", None), "constraint_name", None)
    return constraint in {"audit_heads_pkey", "table_heads_pkey", "audit_chain"}


def is_fault_of_ours(error: SQLAlchemyError) -> bool:
    """True if the database works, but the request is wrong: it would be refused anywhere."""
    state = _sqlstate(error)
    if state is None:
        return isinstance(error, IntegrityError)
    return state[:2] in ("22", "23") or (state[:2] == "42" and state not in VARIANTS)


def refuses_content(error: StoreUnavailable) -> bool:
    """True if the database works, but can never store a value of what was written."""
    return str(error.data.get("sqlstate", "")).startswith(DATA_EXCEPTION[:2])


def _of_file(error: sqlite3.Error) -> StoreUnavailable:
    code = getattr(error, "sqlite_errorcode", 0)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    variant = FILES.get(code & 0xFF, "")
    return StoreUnavailable(f"SQLite: {name}", variant=variant, data={"sqlite": name})


def _named(variant: str) -> str:
    return variant.removeprefix("database-")


def _sqlstate(error: SQLAlchemyError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return DATA_EXCEPTION if state is None and isinstance(error, DataError) else state
