"""A site whose database fails over: the primary dies, a standby is promoted, and no desk is started anew."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.daemon.patience import PATIENCE
from tests.postgres_server import PASSWORD, PostgresServer, primary_and_standby
from vitale_reader.daemon.config import parse

pytestmark = [pytest.mark.posix, pytest.mark.soak, pytest.mark.timeout(300)]

SETTINGS = """
store = "postgresql://desk:{password}@/{database}?host={hosts}&target_session_attrs=read-write&connect_timeout=5"
[station]
mode = "simulated"
[drivers]
enabled = []
[tls]
enabled = false
[site]
when_away = "degraded"
"""


@pytest.fixture
def pair() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """A primary, and the standby that follows it."""
    programs = PostgresServer.installed()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with primary_and_standby(programs) as both:
        yield both


async def caught_up(primary: PostgresServer, standby: PostgresServer) -> None:
    end = await asyncio.to_thread(primary.execute, "SELECT pg_current_wal_lsn()")
    async with asyncio.timeout(PATIENCE):
        while "t" != await asyncio.to_thread(standby.execute, f"SELECT pg_last_wal_replay_lsn() >= '{end}'"):  # noqa: ASYNC110  it has no event
            await asyncio.sleep(0.05)


def test_tokens_go_on_when_the_primary_dies_and_when_its_standby_is_promoted(
    counter: Any, pair: tuple[PostgresServer, PostgresServer]
) -> None:
    primary, standby = pair
    database = primary.create_database()
    hosts = f"{primary.folder},{standby.folder}"
    config = parse(SETTINGS.format(password=PASSWORD, database=database, hosts=hosts))
    taken = iter(range(10_000))

    async def read(line: Any) -> dict[str, Any]:
        return dict(await counter.claims(line, b"VITALESIM.%d" % next(taken), scopes=["identity"]))

    async def work(line: Any) -> None:
        given = [await read(line)]
        assert "store_degraded" not in given[0].get("warnings", ())
        await caught_up(primary, standby)
        await asyncio.to_thread(primary.stop)
        given.append(await read(line))
        assert "store_degraded" in given[1]["warnings"]
        assert "t" == await asyncio.to_thread(standby.execute, "SELECT pg_promote()")
        async with asyncio.timeout(PATIENCE):
            while "store_degraded" in (claims := await read(line)).get("warnings", ()):
                given.append(claims)
        given.append(claims)
        listed: list[str] = []
        after: dict[str, str] = {}
        while True:
            page = await line.result("outbox.list", after)
            listed += [each["jti"] for each in page["tokens"]]
            if (more := page.get("more")) is None:
                break
            after = {"after": more}
        assert sorted(claims["jti"] for claims in given) == sorted(listed), "nothing is lost, nothing is there twice"

    counter.run(work, config)
