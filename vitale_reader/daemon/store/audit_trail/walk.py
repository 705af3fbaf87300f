"""A walk along a chain, row by row: the links between the rows, and what was broken."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import Column, Connection, RowMapping, Select

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.audit_trail.entries import LOST, PIECE, RESUMED, link, number_of

__all__ = ["Breaks", "Broken", "Walk", "Why", "pieces"]

Why = Literal["changed", "missing", "unchained", "head", "lost", "resumed"]


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """The first row of a chain that does not hold.

    Attributes:
        number: the number of the row; for ``unchained`` its id.
        why: ``changed``, ``missing`` (removed, or never there), ``unchained`` (not written by this store), ``head``, or
            ``lost``. ``head`` means that the begin or the end of the chain was changed. ``lost`` means that the daemon
            had found the trail put back, cut or lost. It is ``resumed`` where version 0.1 found it.
    """

    number: int
    why: Why


class Breaks:
    """The breaks of a walk along a chain: the first, and a keyed hash over all of them."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.clear()

    def clear(self) -> None:
        """There are none, or an administrator knows of them."""
        self.first: Broken | None = None
        self.digest = b"breaks"

    def add(self, number: int, why: Why) -> None:
        """There is one more."""
        broken = Broken(number=number, why=why)
        self.first = self.first or broken
        self.digest = self._vault.link(self.digest, msgspec.json.encode(broken))

    @property
    def name(self) -> str:
        """The hash as a row bears it."""
        return self.digest.hex()[:32]


class Walk:
    """Position of a walk along a chain.

    Args:
        vault: the keys of the store.
        mac: the hash before the first row.
        number: the number before it.

    Attributes:
        breaks: those of which no administrator knows.
        count: how many rows hold.
        resumed: how often an administrator let the trail go on.
    """

    def __init__(self, vault: Vault, mac: bytes, number: int) -> None:
        self._vault = vault
        self.mac = mac
        self.number = number
        self.breaks = Breaks(vault)
        self.count = 0
        self.resumed = 0

    def step(self, kept: Mapping[Any, Any]) -> None:
        """One row further.

        After a row that does not hold, the walk goes on from what the row says of itself.
        """
        if not isinstance(kept["number"], int) or kept["number"] <= self.number:  # SQLite keeps whatever is put there
            self.breaks.add(number_of(kept["number"]), "changed")
            return
        if kept["number"] > self.number + 1:
            self.breaks.add(self.number + 1, "missing")
        self.number = kept["number"]
        mac = link(self._vault, self.mac, kept)
        if mac != kept["mac"]:
            self.breaks.add(self.number, "changed")
            self.mac = kept["mac"] if isinstance(kept["mac"], bytes) else b""
            return
        self.mac = mac
        self.count += 1
        if kept["action"] == RESUMED and kept["reason"] is not None and kept["jti"] == self.breaks.name:
            self.resumed += 1
            self.breaks.clear()
        elif kept["action"] in (LOST, RESUMED) and kept["outcome"] != "ok":
            self.breaks.add(self.number, "lost" if kept["action"] == LOST else "resumed")


def pieces(connection: Connection, query: Select[Any], key: Column[int], most: int = PIECE) -> Iterator[RowMapping]:
    """The rows of a query in the order of a key, with one piece in memory at most."""
    piece = connection.execute(query.order_by(key).limit(most)).mappings().all()
    while piece:
        yield from piece
        piece = connection.execute(query.where(key > piece[-1][key]).order_by(key).limit(most)).mappings().all()
