"""Everything at once, for as long as one likes: ``python -m tests.rig --seconds 600 --seed 7``.

Needs PostgreSQL and pgbouncer. Without libfaketime the clock of the last desk stays right, and without root no disk
fills up; it says so.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.postgres_server import PostgresServer
from tests.rig.database import followed
from tests.rig.desk import faketime
from tests.rig.disk import SmallDisk
from tests.rig.pgbouncer import Bouncer
from tests.rig.run import play
from tests.rig.scenario import Scenario


def main() -> int:
    """Plays one scenario and prints what came of it; 1 where something must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--desks", type=int, default=4)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="where logs are kept; else they go")
    options = parser.parse_args()
    programs = PostgresServer.installed()
    if programs is None:
        parser.error("PostgreSQL is not installed: apt-get install postgresql")
    if faketime() is None:
        print("libfaketime is not installed: no clock will be wrong", file=sys.stderr)
    has_disk = SmallDisk.can_be_had()
    if not has_disk:
        print("only root mounts a small disk: none will fill up", file=sys.stderr)
    if Bouncer.installed() is None:
        parser.error("pgbouncer is not installed: apt-get install pgbouncer")
    scenario = Scenario.drawn(
        options.seed, desks=options.desks, seconds=options.seconds, small_disk=has_disk, at_length=True
    )
    with followed(programs) as database, tempfile.TemporaryDirectory(prefix="vitale-rig-") as folder:
        place = options.folder or Path(folder)
        place.mkdir(exist_ok=True)
        outcome = play(scenario, place, database, desks=options.desks, clients=options.clients)
    print(outcome)
    return int(bool(outcome.faults))


if __name__ == "__main__":
    sys.exit(main())
