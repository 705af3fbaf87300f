"""Patience with a database on a busy machine: it is away where it answers that it is, never because it is late."""

import pytest

__all__ = ["PATIENCE", "be_patient"]

#: Seconds: more than a test may take.
PATIENCE = 200.0

#: What makes a desk take a database for away, or cuts short what it has to say there. 0 is psycopg's own limit.
LIMITS = {
    "store.store.ANSWER": PATIENCE,
    "store.store.HASTE": PATIENCE,
    "store.store.CLOSING": PATIENCE,
    "database.target.CONNECT": 0,
    "database.postgresql.STATEMENT": int(PATIENCE * 1_000),
    "database.postgresql.LOCK": int(PATIENCE * 1_000),
    "site.listener.ANSWER": PATIENCE,
    "site.rows.desks.LAST_WORDS": PATIENCE,
}


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes away all limits of a desk that are about time; a test of a limit sets that one again."""
    for name, value in LIMITS.items():
        monkeypatch.setattr(f"vitale_reader.daemon.{name}", value)
