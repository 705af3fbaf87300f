"""Desks of one site as processes of their own: one is killed; eight live through ten bad minutes (``make soak``)."""

import contextlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.end_to_end.swarm import EXPECTED, Harvest, Swarm
from tests.postgres_server import PostgresServer
from vitale_firmware_sim.card.control import control

READER = "simulated-card:comptoir"
MEBIBYTE = 1 << 20
GROWTH = 16 * MEBIBYTE

StartDesk = Callable[[], Any]


@pytest.fixture
def start_desk(empty_database: str, tmp_path: Path, start_daemon: Any) -> StartDesk:
    """Starts a desk of the site, with a card in its reader."""

    def start() -> Any:
        return start_daemon(
            driver="simulated-card",
            options=f'control = "{tmp_path / str(time.monotonic_ns())}"',
            rest=f'[tokens]\nlifetime = 600\n[limits]\nsessions = 200\n[site]\nkey_file = "{tmp_path / "key"}"',
            top=f'store = "{empty_database}"',
        )

    return start


def shown(line: Any, station: str, *, within: float = 60.0) -> str:
    """The name of the reader of another desk, which is waited for."""
    return str(wait_for(lambda: next((one.id for one in line.readers() if at(one) == station), ""), within))


def at(reader: Any) -> str:
    return "" if reader.station is None else str(reader.station.id)


def wait_for(find: Callable[[], Any], within: float = 60.0) -> Any:
    end, pause = time.monotonic() + within, threading.Event()
    while not (found := find()):
        assert time.monotonic() < end
        pause.wait(0.05)
    return found


def test_a_desk_that_is_killed_takes_its_readers_away_and_brings_them_back(start_desk: StartDesk) -> None:
    left, right = start_desk(), start_desk()
    with right.connect() as line:
        station = line.station().station.id
    with left.connect() as line:
        name = shown(line, station)
        # The client verifies it with the keys that its own desk tells.
        presentation = line.read(readers=[name], timeout=60)
        assert presentation.claims.iss == f"urn:vitale-reader:{station}"
        right.kill()
        wait_for(lambda: not any(at(one) for one in line.readers()))
        right.start()
        assert shown(line, station) == name
        again = line.read(readers=[name], timeout=60)
        assert again.claims.jti != presentation.claims.jti


# ── ten bad minutes ──────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def misfortune(desks: list[Any], postgres: PostgresServer, folder: Path, seed: int = 7816) -> Generator[list[str]]:
    """Cards move, desks are killed and start again, the database restarts; what happened."""
    stop, happened, chance = threading.Event(), list[str](), random.Random(seed)

    def move() -> None:
        while not stop.wait(0.3):
            desk = chance.choice(desks)
            (socket,) = (line.split('"')[1] for line in config(desk).splitlines() if line.startswith("control"))
            for words in ("remove comptoir", "insert comptoir famille"):
                with contextlib.suppress(Exception):
                    control(Path(socket), words)
                stop.wait(0.2)

    def strike() -> None:
        while not stop.wait(chance.uniform(3, 8)):
            if len(happened) % 4 == 1:
                happened.append("database")
                postgres.stop()
                stop.wait(chance.uniform(0.1, 3))
                postgres.start()
            else:
                desk = chance.choice(desks[1:])
                happened.append("desk")
                desk.kill()
                stop.wait(chance.uniform(0, 6))
                desk.start()

    phone_users = [threading.Thread(target=each) for each in (move, strike)]
    for phone_user in phone_users:
        phone_user.start()
    try:
        yield happened
    finally:
        stop.set()
        for phone_user in phone_users:
            phone_user.join(60)


def config(desk: Any) -> str:
    return str(desk.home.config.read_text())


def vitale_reader(group: str, command: str, home: Path) -> "subprocess.CompletedProcess[bytes]":
    program = "from vitale_reader.cli import main; main()"
    return subprocess.run([sys.executable, "-c", program, group, command, "--home", home], check=False, timeout=120)


def written(postgres: PostgresServer, database: str) -> set[str]:
    """The tokens that stand in the audit trail."""
    return set(postgres.execute("SELECT jti FROM audit WHERE jti IS NOT NULL", database).split())


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.soak
@pytest.mark.timeout(1_500)
@pytest.mark.parametrize(("number", "clients", "seconds"), [(4, 16, 45.0), (8, 48, 600.0)], ids=["4", "8"])
def test_eight_desks_in_bad_minutes(
    start_desk: StartDesk,
    postgres: PostgresServer,
    empty_database: str,
    tmp_path: Path,
    number: int,
    clients: int,
    seconds: float,
) -> None:
    desks = [start_desk() for _ in range(number)]
    sockets = [desk.endpoints.unix for desk in desks]
    stations: list[str] = []
    for desk in desks:
        with desk.connect() as line:
            stations.append(line.station().station.id)
    # Each third of the clients asks at a desk of its own, all the others for the reader of a neighbour.
    swarms = [
        Swarm(
            sockets[index::number],
            clients=clients // number,
            seconds=seconds,
            seed=7816 + 1000 * index,
            readers=(f"{READER}@{stations[(index + (index % 3 > 0)) % number]}",),
        )
        for index in range(number)
    ]
    with contextlib.ExitStack() as stack:
        for swarm in swarms:
            stack.enter_context(swarm)
        happened = stack.enter_context(misfortune(desks, postgres, tmp_path))
        threading.Event().wait(seconds / 4)
        warm = resident(desks[0].endpoints.pid)
        harvest = sum((swarm.harvest() for swarm in swarms), Harvest())
    assert resident(desks[0].endpoints.pid) - warm < GROWTH
    assert {"desk", "database"} <= set(happened)
    unlucky = {"hung up on", "store_unavailable", "shutting_down", "left", "delivered", "subscribed", "handed over"}
    unlucky |= {"presentation.failed", "lease.ended", "leased", "transmitted"}
    assert set(harvest.outcomes) <= EXPECTED | unlucky, harvest.outcomes
    assert harvest.faults == []
    assert len({presentation for presentation, _ in harvest.given}) == len(harvest.given), (
        "one presentation, two clients"
    )
    assert harvest.outcomes["delivered"] > clients
    database = str(make_url(empty_database).database)
    with desks[0].connect() as line:
        wait_for(lambda: postgres.execute("SELECT count(*) FROM site_requests", database) == "0", 90)
        pending = {token.jti for token in line.pending()}
    # What a desk kept while the database was away is brought there once both have found one another again.
    wait_for(lambda: harvest.jtis <= written(postgres, database), 90)
    issued = written(postgres, database)
    kept = set(postgres.execute("SELECT jti FROM outbox", database).split())
    early = [jti for jti in issued if int(jti.replace("-", "")[:12], 16) / 1000 < time.time() - 600]
    assert issued - harvest.jtis - kept <= {*early}, "stored, and neither given nor kept"
    assert pending <= kept
    assert vitale_reader("audit", "verify", desks[0].home.config.parent).returncode == 0
