"""Whatever dies at whatever point of its work with the store: what was told holds, nothing is there by halves or twice.

The processes that die are those of ``crash_program``; the ones that race for strings, those of ``race_program``.
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Select, select
from sqlalchemy.exc import IntegrityError

from tests.daemon.store.crash_program import STRING, bring_spool, claimed, keepers, put, station
from vitale_protocol.errors import Replayed
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import audit, outbox, seen

ROOT = Path(__file__).parents[3]
DESKS = 8
pytestmark = pytest.mark.usefixtures("patient")


#: In the suite some points, and where the daemons of most practices keep their things; all and everywhere in the soak.
SOME_AND_ALL = pytest.mark.parametrize(
    ("place", "stride"),
    [
        ("sqlite", 13),
        pytest.param("sqlite", 1, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
        pytest.param("postgresql", 1, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ],
    indirect=["place"],
)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store can be, of both kinds."""
    return tmp_path / "store.db" if request.param == "sqlite" else str(request.getfixturevalue("site_database"))


def play(program: str, *arguments: object, timeout: float = 590) -> list[Any]:
    command = [sys.executable, "-m", f"tests.daemon.store.{program}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def on(place: Path | str, work: Callable[[Store], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Store(place)
        await store.open()
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(main())


@pytest.mark.posix("its programs fork")
@SOME_AND_ALL
def test_what_was_told_before_a_death_holds_after_it(place: Path | str, stride: int, tmp_path: Path) -> None:
    points = play("crash_program", "readings", place, tmp_path, stride)
    assert len(points) > 25 / stride
    assert [each["ended"] for each in points] == [False] * (len(points) - 1) + [True]

    async def work(store: Store) -> None:
        for each in points:
            await holds(store, each["point"], each["told"])

    on(place, work)


async def holds(store: Store, point: int, told: list[str]) -> None:
    chain, kept, guard = keepers(store, point)
    waiting = {token.jti for token in await kept.list(f"c{point}")}
    handed = {line.split()[1] for line in told if line.startswith("handed")}
    acknowledging = {line.split()[1] for line in told if line.startswith("acknowledging")}
    acknowledged = {line.split()[1] for line in told if line.startswith("acknowledged")}
    assert handed - acknowledging <= waiting, "handed over, not acknowledged, and lost"
    assert not acknowledged & waiting
    digest = guard.digest({"string": STRING % point})
    of_string = select(seen.c.state).where(seen.c.digest == digest)
    state = await store.run(lambda connection: connection.execute(of_string).scalar())
    of_station = select(audit.c.jti).where(audit.c.station == station(point))
    lines = await store.run(lambda connection: connection.execute(of_station).scalars().all())
    assert len(lines) == len(set(lines))
    assert waiting | handed <= set(lines), "a token without its line"
    made = f"jti-{point}-1" in lines
    assert (state == "used") == made, "the token, its line and the mark of its string are there together or not at all"
    if "reserved" in told:
        with pytest.raises(Replayed):
            await claimed(guard, STRING % point)
    for jti in waiting:
        with pytest.raises(IntegrityError):
            await put(kept, point, int(jti[-1]), guard)
    for found in await store.run(chain.verifier.verify):
        assert found.broken is None


@pytest.mark.posix("its programs fork")
@SOME_AND_ALL
def test_a_spool_is_brought_once_wherever_it_dies(place: Path | str, stride: int, tmp_path: Path) -> None:
    points = play("crash_program", "spool", place, tmp_path, stride)
    assert len(points) > 25 / stride

    async def work(store: Store) -> None:
        for point in (each["point"] for each in points):
            await bring_spool(place, tmp_path, point)
            kept = keepers(store, point)[1]
            assert {token.jti for token in await kept.list(f"c{point}")} == {f"jti-{point}-{n}" for n in range(3)}
            of_station = select(audit.c.jti).where(audit.c.station == station(point)).order_by(audit.c.number)
            lines = await store.run(partial(column, of_station))
            assert lines == [f"jti-{point}-{number}" for number in range(3)]
        states = await store.run(lambda connection: connection.execute(select(seen.c.state)).scalars().all())
        assert Counter(states) == {"used": 3 * len(points)}
        assert all(found.broken is None for found in await store.run(keepers(store, 0)[0].verifier.verify))

    on(place, work)


def column(query: Select[tuple[Any]], connection: Connection) -> list[Any]:
    return list(connection.execute(query).scalars())


@pytest.mark.parametrize(
    ("place", "rounds"),
    [
        ("postgresql", 3),
        pytest.param("sqlite", 200, marks=[pytest.mark.soak, pytest.mark.timeout(1_800)]),
        pytest.param("postgresql", 1_000, marks=[pytest.mark.soak, pytest.mark.timeout(1_800)]),
    ],
    indirect=["place"],
)
def test_one_string_at_eight_desks_at_once_gives_one_token(place: Path | str, rounds: int) -> None:
    for results in play("race_program", place, DESKS, rounds, timeout=1_790):
        assert Counter(results) == {"token": 1, "replayed": DESKS - 1}

    async def work(store: Store) -> None:
        kept = await store.run(lambda connection: connection.execute(select(outbox.c.jti)).scalars().all())
        assert len(kept) == rounds

    on(place, work)
