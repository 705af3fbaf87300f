"""Desks, lines, clocks, a hand in the database and hostile programs at once: seconds in the suite, minutes in the soak.

``python -m tests.rig --seconds 600`` plays one by hand and prints what came of it.
"""

from pathlib import Path

import pytest

from tests.postgres_server import PostgresServer
from tests.rig.database import Database, followed
from tests.rig.desk import faketime
from tests.rig.disk import SmallDisk
from tests.rig.pgbouncer import Bouncer
from tests.rig.run import STOP, Outcome, play
from tests.rig.scenario import Scenario

pytestmark = pytest.mark.posix

#: A machine that is busy with the rest of the suite schedules a stop when it can; the soak holds the promise.
BUSY = 12 * STOP


def shown(scenario: Scenario, folder: Path, database: Database, *, desks: int, clients: int, stop: float) -> Outcome:
    outcome = play(scenario, folder, database, desks=desks, clients=clients, stop=stop)
    print(outcome)
    assert outcome.faults == []
    assert outcome.counts["given"] > clients
    return outcome


@pytest.mark.timeout(900)
def test_some_bad_seconds(tmp_path: Path, postgres: PostgresServer) -> None:
    scenario = Scenario.drawn(11, desks=3, seconds=8.0, pace=0.5)
    with Database(postgres) as database:
        shown(scenario, tmp_path, database, desks=3, clients=4, stop=BUSY)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(("seed", "seconds"), [(7, 600.0)])
def test_ten_bad_minutes(tmp_path: Path, seed: int, seconds: float) -> None:
    programs = PostgresServer.installed()
    if faketime() is None or programs is None or Bouncer.installed() is None:
        pytest.skip("needs apt-get install postgresql pgbouncer libfaketime")
    if not SmallDisk.can_be_had():
        pytest.skip("only root mounts a small disk, and only where the container lets it (CAP_SYS_ADMIN)")
    scenario = Scenario.drawn(seed, desks=4, seconds=seconds, small_disk=True, at_length=True)
    with followed(programs) as database:
        outcome = shown(scenario, tmp_path, database, desks=4, clients=12, stop=STOP)
    assert outcome.counts["trouble: failover"] == 1
    assert outcome.counts["trouble: disk full"] > 1


def test_a_seed_draws_one_scenario() -> None:
    first, again, other = (Scenario.drawn(seed, desks=3, seconds=60.0) for seed in (1, 1, 2))
    assert first == again
    assert first.lanes != other.lanes
    assert all(event.at + event.lasts <= 60.0 for lane in first.lanes.values() for event in lane)
    assert first.lanes.keys().isdisjoint({"disk 1"})
    assert "desk 0" not in first.lanes, "one desk is never killed: whoever is revoked is tried there all the time"
