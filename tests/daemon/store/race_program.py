"""Processes that present the same strings at the same instants to one store, each as a daemon would.

It prints, for each round, what came of it in each process.
"""

import asyncio
import json
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tests.daemon.patience import be_patient
from vitale_protocol.errors import VitaleError
from vitale_protocol.methods import OutboxToken
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.replay import ReplayGuard
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.store import Store

assert sys.platform != "win32"

VAULT = Vault.of_site(b"k" * 32)


async def desk(place: Path | str, number: int, rounds: int, start: Barrier, results: "Connection[list[str]]") -> None:
    store = Store(place)
    await store.open()
    chain = Chain(VAULT, f"{number:08d}-0000-4000-8000-000000000000")
    outbox = Outbox(store, VAULT, chain, clock=StoreClock(Remembered()))
    guard = ReplayGuard(store, VAULT, days=2, clock=StoreClock(Remembered()))
    found: list[str] = []
    for each in range(rounds):
        start.wait()
        try:
            digest = guard.digest({"string": b"string-%d" % each})
            assert digest is not None
            claimed = await guard.claim(digest)
            token = OutboxToken(jti=f"{each}-{number}", exp=int(time.time()) + 900, token="t")
            entry = AuditEntry(at=time.time(), action="presentation.request", outcome="ok", jti=token.jti)
            writes = [guard.settle(claimed)]
            await outbox.put(token, client_id="c", presentation=token.jti, entry=entry, writes=writes)
        except VitaleError as error:
            found.append(error.reason)
        else:
            found.append("token")
    results.send(found)
    await store.close()


def run(place: Path | str, number: int, rounds: int, start: Barrier, results: "Connection[list[str]]") -> None:
    asyncio.run(desk(place, number, rounds, start, results))


def play(place: Path | str, desks: int, rounds: int) -> None:
    context = multiprocessing.get_context("fork")
    start = context.Barrier(desks, timeout=60)
    ends = [context.Pipe(duplex=False) for _ in range(desks)]
    processes = [
        context.Process(target=run, args=(place, number, rounds, start, ends[number][1])) for number in range(desks)
    ]
    for process in processes:
        process.start()
    for _, sending in ends:
        sending.close()  # of a desk that dies the end is read, not waited for
    found = [receiving.recv() for receiving, _ in ends]
    for process in processes:
        process.join()
    for results in zip(*found, strict=True):
        print(json.dumps(results))


if __name__ == "__main__":
    be_patient(pytest.MonkeyPatch())
    play(sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
