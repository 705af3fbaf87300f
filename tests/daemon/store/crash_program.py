"""A program that dies by SIGKILL at every n-th point of its work with a store, one child process a point.

It prints, for each point, what the client had been told by then; the last one got to its end.
"""

import asyncio
import contextlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.daemon.patience import be_patient
from tests.posix import forked
from vitale_protocol.errors import StoreUnavailable
from vitale_protocol.methods import OutboxToken
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.replay import Claimed, ReplayGuard
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.process import kill
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.spool import SpooledStore
from vitale_reader.daemon.store.spool_replay import Bringing
from vitale_reader.daemon.store.store import Database, Store

VAULT = Vault.of_site(b"k" * 32)
WRITING = ("INSERT", "UPDATE", "DELETE", "WITH")
STRING = b"string-of-point-%d"


def station(point: int) -> str:
    """Each point has a station of its own, and so a chain that can be looked at."""
    return f"{point:08d}-0000-4000-8000-000000000000"


def keepers(store: Database, point: int) -> tuple[Chain, Outbox, ReplayGuard]:
    chain = Chain(VAULT, station(point))
    return (
        chain,
        Outbox(store, VAULT, chain, clock=StoreClock(Remembered())),
        ReplayGuard(store, VAULT, days=2, clock=StoreClock(Remembered())),
    )


async def claimed(guard: ReplayGuard, string: bytes) -> Claimed:
    """Claims the string of an apCV as a delivery does."""
    digest = guard.digest({"string": string})
    assert digest is not None
    return await guard.claim(digest)


async def put(outbox: Outbox, point: int, number: int, guard: ReplayGuard, string: Claimed | None = None) -> str:
    token = OutboxToken(jti=f"jti-{point}-{number}", exp=int(time.time()) + 900, token=f"token-{point}-{number}")
    entry = AuditEntry(at=time.time(), action="presentation.request", outcome="ok", jti=token.jti)
    writes = [] if string is None else [guard.settle(string)]
    await outbox.put(token, client_id=f"c{point}", presentation=f"p-{point}-{number}", entry=entry, writes=writes)
    return token.jti


async def readings(place: Path | str, point: int, tell: Callable[[str], None]) -> None:
    """Two readings, of which the first one is acknowledged."""
    store = Store(place)
    await store.open()
    _, outbox, guard = keepers(store, point)
    string = await claimed(guard, STRING % point)
    tell("reserved")
    first = await put(outbox, point, 1, guard, string)
    tell(f"handed {first}")
    tell(f"handed {await put(outbox, point, 2, guard)}")
    tell(f"acknowledging {first}")
    await outbox.acknowledge(f"c{point}", [first])
    tell(f"acknowledged {first}")
    await outbox.purge()
    await store.close()


def spooled(place: Path | str, folder: Path, point: int) -> tuple[Store, SpooledStore]:
    site = Store(place)
    chain = Chain(VAULT, station(point))

    async def join(_: Store) -> None:
        pass

    bringing = Bringing(chain, clock=time.time)
    return site, SpooledStore(site, Store(folder / f"spool-{point}.db"), join=join, bring=bringing.bring, strict=False)


async def fill_spool(place: Path | str, folder: Path, point: int) -> None:
    """Three readings while the database is away."""
    spool = Store(folder / f"spool-{point}.db")
    await spool.open()
    _, outbox, guard = keepers(spool, point)
    for number in range(3):
        string = await claimed(guard, STRING % point + b"-%d" % number)
        await put(outbox, point, number, guard, string)
    await spool.close()
    site = Store(place)
    await site.open()
    await site.close()


async def bring_spool(place: Path | str, folder: Path, point: int) -> None:
    _, store = spooled(place, folder, point)
    await store.open()
    with contextlib.suppress(StoreUnavailable):
        await store.close()


def dying_at(point: int) -> Iterator[None]:
    """Kills this process at the n-th point of what it writes: before and after each statement, before each commit."""
    left = itertools.count(point, -1)

    def count(*_: object) -> None:
        if next(left) == 0:
            kill(os.getpid())

    def count_writes(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(WRITING):
            count()

    for name in ("before_cursor_execute", "after_cursor_execute"):
        event.listen(Engine, name, count_writes)
    event.listen(Engine, "commit", count)
    yield


def in_child(work: Callable[[], Coroutine[Any, Any, None]], point: int | None) -> bool:
    """Runs work in a process of its own; whether it got to its end."""

    def run() -> None:
        if point is not None:
            next(dying_at(point))
        asyncio.run(work())

    return forked(run)


def play(kind: str, place: Path | str, folder: Path, stride: int) -> None:
    for point in itertools.count(step=stride):
        told = folder / f"told-{point}"

        def tell(what: str, told: Path = told) -> None:
            with told.open("a") as file:
                file.write(f"{what}\n")

        if kind == "readings":
            ended = in_child(partial(readings, place, point, tell), point)
        else:
            assert in_child(partial(fill_spool, place, folder, point), None)
            ended = in_child(partial(bring_spool, place, folder, point), point)
        lines = told.read_text().splitlines() if told.exists() else []
        print(json.dumps({"point": point, "told": lines, "ended": ended}), flush=True)
        if ended:
            return


if __name__ == "__main__":
    be_patient(pytest.MonkeyPatch())
    play(sys.argv[1], sys.argv[2] if "://" in sys.argv[2] else Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
