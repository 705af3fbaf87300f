"""Seals rows: a keyed hash over all that a row says, with the table that it is of.

A row is compared as its columns mean it. In a floating-point column, 5 and 5.0 are one number. A text is none. What
SQLite took in spite of the type of a column is therefore never what was sealed.
"""

import hmac
from collections.abc import Mapping
from math import isfinite
from typing import Any

import msgspec
from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, String, Table

from vitale_reader.daemon.keystore.store_keys import Vault

__all__ = ["Row", "holds", "key_of", "name_of", "sealed"]

Row = Mapping[Any, Any]

SEAL = "seal"


def sealed(vault: Vault, table: Table, row: Row) -> dict[str, Any]:
    """The row with its seal; columns that it does not name are null.

    Raises:
        ValueError: a value is not of the type of its column.
    """
    return {**row, SEAL: vault.row(table.name, _content(table, row))}


def holds(vault: Vault, table: Table, row: Row) -> bool:
    """True if a row is as somebody with the keys of the store wrote it."""
    try:
        expected = vault.row(table.name, _content(table, row))
    except ValueError:
        return False
    seal = row.get(SEAL)
    return isinstance(seal, bytes) and hmac.compare_digest(seal, expected)


def key_of(table: Table, row: Row) -> str:
    """The primary key of a row, for people and for logs."""
    return "/".join(str(row[column.name]) for column in table.primary_key.columns)


def name_of(table: Table) -> str:
    """The name of a table as a plain text, which SQLAlchemy's own is not."""
    return str.__str__(table.name)


def _content(table: Table, row: Row) -> bytes:
    members = [
        (str.__str__(column.name), _plain(column, row.get(column.name)))
        for column in table.columns
        if column.name != SEAL
    ]
    return msgspec.json.encode(members)


def _plain(column: Column[Any], value: object) -> object:
    if value is None:
        return None
    kind = column.type
    if isinstance(kind, Boolean) and value in (0, 1):
        return bool(value)
    if isinstance(kind, Float) and isinstance(value, int | float) and isfinite(value):  # JSON has null for the others
        return float(value)
    if isinstance(kind, Integer) and isinstance(value, int):
        return int(value)
    if isinstance(kind, String) and isinstance(value, str):
        return str.__str__(value)
    if isinstance(kind, LargeBinary) and isinstance(value, bytes):
        return value.hex()
    raise ValueError(f"{column.name} is not of its type")
