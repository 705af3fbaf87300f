"""Dozens of client processes on one daemon and one card: seconds in the suite, ten minutes in ``make soak``."""

import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.swarm import Swarm

pytestmark = pytest.mark.pcscd

READERS = ("pcsc:virtual-pcd", "pcsc:virtual-pcd.slot-1")
MEBIBYTE = 1 << 20

#: Bytes that the daemon may grow by once it is warm: allocators keep some, a leak does not stop.
GROWTH = 16 * MEBIBYTE


@contextmanager
def a_hand(*links: Any) -> Generator[None]:
    """Cards that are put in and taken out, over and over."""
    stop = threading.Event()

    def move() -> None:
        while not stop.wait(0.9):
            for link in links:
                link.remove()
            stop.wait(0.5)
            for link in links:
                link.insert()

    phone_user = threading.Thread(target=move)
    phone_user.start()
    try:
        yield
    finally:
        stop.set()
        phone_user.join(20)


def resident(pid: int) -> int:
    """Bytes of memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def stored(state: Path) -> tuple[set[str], set[str]]:
    """The tokens that were ever stored, and those that are kept.

    Each was written down in the audit trail, in the same transaction.
    """
    with closing(sqlite3.connect(f"file:{state / 'store.db'}?mode=ro", uri=True)) as store:
        issued = {jti for (jti,) in store.execute("SELECT jti FROM audit WHERE jti IS NOT NULL")}
        return issued, {jti for (jti,) in store.execute("SELECT jti FROM outbox")}


@pytest.mark.parametrize(
    ("clients", "seconds"), [(16, 3.0), pytest.param(64, 600.0, marks=pytest.mark.soak)], ids=["16", "64"]
)
@pytest.mark.timeout(1_200)
def test_nothing_is_given_twice_and_nothing_is_lost(
    start_daemon: Any, pcsc_service: Any, virtual_card: Callable[..., Any], clients: int, seconds: float
) -> None:
    assert pcsc_service.pid is not None
    daemon = start_daemon(rest="[tokens]\nlifetime = 600\n[limits]\nsessions = 200")
    socket = daemon.endpoints.unix
    links = [virtual_card(slot=slot) for slot in (0, 1)]
    with Swarm([socket], clients=clients, seconds=seconds, readers=READERS) as swarm:
        with a_hand(*links):
            threading.Event().wait(seconds / 4)
            warm = resident(daemon.endpoints.pid)
            threading.Event().wait(3 * seconds / 4)
        # The cards stay where they are now: each client is given one at last, however slow the machine is.
        harvest = swarm.harvest()
    assert resident(daemon.endpoints.pid) - warm < GROWTH
    harvest.check()
    assert harvest.outcomes["delivered"] >= clients
    if clients > 16:  # a few seconds on a busy machine may be too short for every kind of luck
        assert min(harvest.outcomes["handed over"], harvest.outcomes["leased"]) > 0
    with daemon.connect() as reader:
        pending = {token.jti for token in reader.pending()}
        assert not pending & harvest.acknowledged
        # The daemon may be about to hear that the last client has gone.
        changes = reader.watch()
        while not all(one.state in {"present", "empty"} for one in reader.readers()):
            next(changes)
        changes.close()
    daemon.stop()
    issued, kept = stored(daemon.home.state)
    assert harvest.jtis <= issued, "given, and never stored"
    # What was handed over to a client that had hung up is in the outbox until it expires.
    if seconds < 600:
        assert pending <= kept
        assert issued - harvest.jtis <= kept, "stored, and neither given nor kept"
