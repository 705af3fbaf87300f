"""The site's opposition lists: serials of cards that are not to be taken, from files that the site imports.

- A serial is kept as the first 64 bits of a keyed digest. With a million entries, one unlisted card in some eighteen
  million million is taken for a listed one.
- In the store the digests lie sorted and sealed, in pieces. Nothing can be read, looked for or added there.
- In memory they are one array of 8 bytes each, in which a look-up is a binary search.
- A list takes the place of the former one of its name in one transaction. Daemons that run find it by its generation.
"""

import asyncio
import logging
import re
import secrets
import sys
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from sqlalchemy import Connection, bindparam, delete, func, insert, select

from vitale_protocol.errors import LocalMisuse, StoreUnavailable
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.notifications import call
from vitale_reader.daemon.store.sealed_table import SealedTable
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.store.tables import opposition_lists, opposition_parts

__all__ = ["ListSummary", "Opposition", "clear", "holds", "replace", "serials_of", "summaries"]

logger = logging.getLogger(__name__)

#: Digests in one row of the store: 64 KiB, which take a quarter of a second at 2 Mbit/s.
PIECE = 8_192

#: Bytes that are fetched at a time: rows of the version before held half a mebibyte.
CHUNK = 98_304

#: Seconds between two words in the log about how far a list has come.
TOLD = 5.0

_CHUNK = select(func.substr(opposition_parts.c.sealed, bindparam("begin"), CHUNK)).where(
    opposition_parts.c.generation == bindparam("of_generation"), opposition_parts.c.part == bindparam("of_part")
)

#: What serials of cards look like once they are without separators; theirs is a number, longer ones are still unknown.
SERIAL = re.compile(r"(?=[A-Z]*[0-9])[0-9A-Z]{4,32}")


class ListSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Public facts of a list: the number of serials, and the time of import (epoch seconds)."""

    name: str
    entries: int
    imported_at: float


class Opposition:
    """The lists as this daemon holds them; ``refresh`` fetches what has changed."""

    def __init__(self, store: Database, vault: Vault, *, remembered: Remembered | None = None) -> None:
        self._store = store
        self._vault = vault
        self._table = SealedTable(opposition_lists, vault, remembered or Remembered())
        self._lists: dict[str, array[int]] = {}  # by generation
        self._unknown = True
        self._turn = asyncio.Lock()  # what was read first must not take the place of what was read later

    async def refresh(self) -> None:
        """Holds what is in the store now.

        Raises:
            StoreUnavailable: it cannot be read; what was held is held on.
        """
        async with self._turn:
            await self._refresh()

    async def _refresh(self) -> None:
        found = await self._store.run(self._table.read, needs="site")
        if found.faults:
            # Nobody can tell which cards were on a list that is missing or changed.
            self._unknown = True
            raise _changed()
        rows = {str(row["generation"]): int(row["parts"]) for row in found.rows}
        if rows.keys() == self._lists.keys() and not self._unknown:
            return
        try:
            lists = {each: self._lists.get(each) or await self._fetch(each, rows[each]) for each in rows}
        except InvalidTag as error:
            self._unknown = True
            raise _changed() from error
        self._unknown = False
        self._lists = lists
        logger.info("opposition lists: %d, with %d serials", len(lists), sum(map(len, lists.values())))

    def lists(self, serial: str | None) -> bool:
        """True if the card of a serial is on a list; a medium without a serial is on none.

        Raises:
            StoreUnavailable: what is on the lists is not known.
        """
        if serial is None:
            return False
        if self._unknown:
            raise StoreUnavailable("the opposition lists could not be read")
        digest = _digest(self._vault, _plain(serial))
        return any(holds(listed, digest) for listed in self._lists.values())

    async def _fetch(self, generation: str, count: int) -> "array[int]":
        """Fetches a list in small pieces, each by itself: over a slow line nobody waits behind it for long."""
        found, told_at = array("Q"), time.monotonic()
        for part in range(count):  # one after the other: the whole list need not be in memory twice
            sealed = await self._fetch_part(generation, part)
            found.frombytes(self._vault.unseal(sealed, _place(generation, part, count)))
            if time.monotonic() - told_at > TOLD:
                told_at = time.monotonic()
                logger.info("of an opposition list, %d parts of %d have arrived", part + 1, count)
        return _swapped(found)

    async def _fetch_part(self, generation: str, part: int) -> bytes:
        sealed = b""
        while True:
            values = {"of_generation": generation, "of_part": part, "begin": len(sealed) + 1}
            run = partial(_fetch_chunk, values)
            chunk = await self._store.run(run, needs="site", single=True)
            sealed += chunk
            if len(chunk) < CHUNK:
                return sealed


def _fetch_chunk(values: Mapping[str, Any], connection: Connection) -> bytes:
    chunk = connection.execute(_CHUNK, dict(values)).scalar()
    return chunk if isinstance(chunk, bytes) else b""  # SQLite has what it was given, whatever the column's type


def replace(
    vault: Vault,
    name: str,
    serials: Iterable[str],
    *,
    at: float,
    remembered: Remembered | None = None,
    told: Callable[[int, int], None] = lambda _done, _of: None,
) -> Callable[[Connection], int]:
    """Returns the write that replaces a list by its name; it gives the number of its entries.

    The serials are read here, one after the other. Of each, only the eight bytes of its digest are held.

    Args:
        vault: seals it.
        name: the name of the list.
        serials: as ``serials_of`` gives them.
        at: now, epoch seconds.
        remembered: what the station knows of the store.
        told: called now and then with the number of entries read or written, and their total. The total is 0 while it
            is not known.
    """
    table = SealedTable(opposition_lists, vault, remembered or Remembered())
    telling = _Telling(told)
    digests = _sorted(vault, serials, telling)
    generation, parts = secrets.token_hex(16), -(-len(digests) // PIECE)
    row = {"name": name, "generation": generation, "entries": len(digests), "parts": parts, "imported_at": at}

    def work(connection: Connection) -> int:
        _drop_parts(connection, _generations(connection, name))
        table.put(connection, row)
        call(connection, "news")
        for part in range(parts):
            piece = digests[part * PIECE : (part + 1) * PIECE]
            sealed = vault.seal(_swapped(piece).tobytes(), _place(generation, part, parts))
            connection.execute(insert(opposition_parts), {"generation": generation, "part": part, "sealed": sealed})
            telling.tell(part * PIECE + len(piece), len(digests))
        return len(digests)

    return work


class _Telling:
    """Words about how far an import has come, not more often than somebody would read them."""

    def __init__(self, told: Callable[[int, int], None]) -> None:
        self._told = told
        self._at = time.monotonic()

    def tell(self, done: int, of: int) -> None:
        """So much is done; it is told where it is time to."""
        if time.monotonic() - self._at > TOLD:
            self._at = time.monotonic()
            self._told(done, of)


def _sorted(vault: Vault, serials: Iterable[str], telling: _Telling) -> "array[int]":
    """The digests of serials in their order, each once.

    They are sorted bucket by bucket, since a list of numbers is large.
    """
    buckets = [array("Q") for _ in range(256)]
    for count, serial in enumerate(serials, 1):
        digest = _digest(vault, serial)
        buckets[digest >> 56].append(digest)
        telling.tell(count, 0)
    digests = array("Q")
    for number, bucket in enumerate(buckets):
        digests.extend(sorted(set(bucket)))
        buckets[number] = array("Q")
    return digests


def clear(
    vault: Vault, name: str | None = None, *, remembered: Remembered | None = None
) -> Callable[[Connection], int]:
    """Returns the write that removes a list, or all of them; it gives their number."""
    table = SealedTable(opposition_lists, vault, remembered or Remembered())

    def work(connection: Connection) -> int:
        found = _generations(connection, name)
        if found:
            _drop_parts(connection, found)
            table.remove(connection, *({"name": each} for each in found))
            call(connection, "news")
        return len(found)

    return work


def _generations(connection: Connection, name: str | None) -> dict[str, str]:
    """The generation of a list, or of all of them, by name."""
    query = select(opposition_lists.c.name, opposition_lists.c.generation)
    if name is not None:
        query = query.where(opposition_lists.c.name == name)
    return {row.name: row.generation for row in connection.execute(query.with_for_update())}


def _drop_parts(connection: Connection, generations: Mapping[str, str]) -> None:
    connection.execute(delete(opposition_parts).where(opposition_parts.c.generation.in_(generations.values())))


def summaries(vault: Vault, *, remembered: Remembered | None = None) -> Callable[[Connection], list[ListSummary]]:
    """Returns the look that gives the public facts of every list.

    It raises ``StoreUnavailable`` where one was changed, as at a desk that serves. Nobody can tell what was on it.
    """
    table = SealedTable(opposition_lists, vault, remembered or Remembered())

    def work(connection: Connection) -> list[ListSummary]:
        found = table.read(connection)
        if found.faults:
            raise _changed()
        rows = sorted(found.rows, key=lambda row: str(row["name"]))
        return [ListSummary(**{name: row[name] for name in ListSummary.__struct_fields__}) for row in rows]

    return work


def _changed() -> StoreUnavailable:
    return StoreUnavailable("an opposition list was changed in the store: import it again")


def serials_of(lines: Iterable[str]) -> Iterator[str]:
    """The serials in the lines of a file: the first column of each.

    Blank lines, ``# comments`` and a heading are skipped.

    Raises:
        LocalMisuse: a line is no serial; ``data.line`` says which. What it holds is not repeated.
    """
    for number, line in enumerate(lines, 1):
        first = _plain(re.split(r"[;,\t]", line.partition("#")[0].strip().lstrip("\ufeff"), maxsplit=1)[0].strip('" '))
        if not first or (number == 1 and not any(map(str.isdigit, first))):
            continue
        if SERIAL.fullmatch(first) is None:
            raise LocalMisuse(f"line {number} is no serial of a card", data={"line": number})
        yield first


def _plain(serial: str) -> str:
    """Without what is only for the eye; leading zeros are, wherever a number is printed at full width."""
    plain = re.sub(r"[\s.\-]", "", serial).upper()
    return plain.lstrip("0").rjust(4, "0") if plain.isdigit() else plain


def _digest(vault: Vault, serial: str) -> int:
    return int.from_bytes(vault.serial(serial.encode())[:8], "big")


def holds(digests: "array[int]", digest: int) -> bool:
    """True if a digest is in a sorted array of them."""
    place = bisect_left(digests, digest)
    return place < len(digests) and digests[place] == digest


def _place(generation: str, part: int, parts: int) -> str:
    """Context under which a piece is sealed: none can be omitted, moved or taken from another list unseen."""
    return f"opposition:{generation}:{part}/{parts}"


def _swapped(digests: "array[int]") -> "array[int]":
    """Swaps the bytes of digests on little-endian machines: the store has them in network order."""
    if sys.byteorder == "little":
        digests.byteswap()
    return digests
