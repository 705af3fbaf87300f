"""Drivers that are starting: whoever asks for readers right after the daemon's start hears of all."""

import asyncio
from typing import Any

import pytest

from tests.posix import OWN_DOOR
from vitale_drivers.base import ReaderAdded, Settled, Started
from vitale_protocol.events import Reader
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse

NONCE = "n" * 22
LATE = Reader(id="late:1", name="Late", driver="late", media=("vitale-card",), state="empty", simulated=True)
SIMULATED = f'[station]\nmode = "simulated"\n[drivers]\nenabled = ["simulated-card"]\n{OWN_DOOR}'


def test_the_readers_are_listed_right_after_the_start(tools: Any) -> None:
    async def main() -> list[str]:
        async with running(tools.home, parse(SIMULATED)) as endpoints, tools.unix_line(endpoints) as line:
            await line.open()
            return [reader["driver"] for reader in (await line.result("readers.list"))["readers"]]

    assert ["simulated-card"] == asyncio.run(main())


def test_a_list_waits_for_a_driver_that_is_open_and_still_looks(counter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitale_reader.daemon.desk.coordinator.GRACE_NEW", 100.0)
    monkeypatch.setattr("vitale_reader.daemon.arbitration.hub.GRACE_NEW", 100.0)

    async def main() -> list[str]:
        async with counter.station() as endpoints, counter.tools.unix_line(endpoints) as line:
            await line.open()
            counter.desk.report("late", Started(driver="late", media=LATE.media))
            listing = line.send_call("readers.list")
            await line.result("session.ping")  # it was taken up
            counter.desk.report("late", ReaderAdded(reader=LATE))
            counter.desk.report("late", Settled())
            return [reader["id"] for reader in (await line.answer(listing))["result"]["readers"]]

    assert LATE.id in asyncio.run(main())


def test_a_driver_that_never_says_so_is_waited_for_no_longer_than_a_request(
    counter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitale_reader.daemon.desk.coordinator.GRACE_NEW", 0.01)

    async def main() -> set[str]:
        async with counter.station() as endpoints, counter.tools.unix_line(endpoints) as line:
            await line.open()
            counter.desk.report("late", Started(driver="late", media=LATE.media))
            return {reader["id"] for reader in (await line.result("readers.list"))["readers"]}

    assert LATE.id not in asyncio.run(main())
