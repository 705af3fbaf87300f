"""Connections to PostgreSQL: none is left open that belongs to a pool which was given up."""

import asyncio
from typing import Any

import psycopg
import pytest

from vitale_reader.daemon.database.postgresql import Connections
from vitale_reader.daemon.database.target import Target
from vitale_reader.daemon.database.workers import Job

pytestmark = [pytest.mark.posix, pytest.mark.usefixtures("patient")]


def test_a_connection_that_comes_after_its_pool_was_given_up_is_closed(
    site_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Connections(Target.of(site_database), most=1, reading=False)
    made: list[psycopg.Connection[Any]] = []
    connect = Target.connect

    def slow(target: Target) -> psycopg.Connection[Any]:
        made.append(connect(target))
        database.forget()
        return made[-1]

    def work(_: Job[None]) -> None:
        pass

    monkeypatch.setattr(Target, "connect", slow)
    loop = asyncio.new_event_loop()
    with database.serving(Job(work, loop)), database.engine.connect():
        assert [False] == [each.closed for each in made]
    assert [True] == [each.closed for each in made]
    loop.close()
