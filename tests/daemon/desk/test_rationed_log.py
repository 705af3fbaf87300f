"""Losses and returns in the log: each of fifty crashes leaves its lines, a loose cable does not fill the disk."""

import asyncio
import logging
from typing import Any

import pytest
from msgspec.structs import replace

from tests.clocks import Clock
from vitale_drivers.base import Failed, Health, ReaderAdded, ReaderRemoved
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem
from vitale_reader.daemon.desk.rationed_log import LINES, RationedLog
from vitale_reader.daemon.fairness.token_buckets import Rate

READER = Reader(id="pcsc:slot", name="Slot", driver="pcsc", media=("vitale-card",), state="empty")
AWAY = Health(state="degraded", problem=Problem("reader_unavailable", "pcsc"))


def test_each_crash_of_a_service_leaves_lines_of_its_loss_and_its_return(
    counter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def work(_: Any) -> None:
        counter.desk.report("pcsc", ReaderAdded(reader=READER))
        for _crash in range(50):
            counter.desk.report("pcsc", AWAY)
            counter.desk.report("pcsc", ReaderRemoved(reader=READER.id))
            counter.desk.report("pcsc", Health(state="ok"))
            counter.desk.report("pcsc", ReaderAdded(reader=READER))
        await asyncio.sleep(0)

    counter.run(work)
    for line, count in (
        ("driver pcsc: reader_unavailable.pcsc", 50),
        ("driver pcsc: ready", 50),
        ("reader pcsc:slot removed", 50),
        ("reader pcsc:slot added", 51),
    ):
        assert count == caplog.messages.count(line), line


def test_a_driver_that_names_ever_new_readers_fills_no_log(counter: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def work(_: Any) -> None:
        counter.desk.report("pcsc", ReaderAdded(reader=READER))
        for number in range(2 * int(LINES.burst)):
            reader = replace(READER, id=f"evil:{number}", driver="evil")
            failed = Failed(reader=reader.id, problem=Problem("medium_mute"))
            for report in (failed, ReaderAdded(reader=reader), failed, ReaderRemoved(reader=reader.id)):
                counter.desk.report("evil", report)
            counter.desk.report("evil", ReaderRemoved(reader=READER.id))
            counter.desk.report("evil", Health(state="degraded", problem=Problem(f"odd_{number}")))
        counter.desk.report("pcsc", ReaderRemoved(reader=READER.id))
        await asyncio.sleep(0)

    counter.run(work)
    assert "reader pcsc:slot removed" in caplog.messages
    assert len([line for line in caplog.messages if "evil" in line]) <= LINES.burst + 2


def test_a_driver_has_its_share_and_what_is_beyond_is_told_as_a_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    log = RationedLog(logging.getLogger("desk"), clock, rate=Rate(1 / 60, 2.0))
    for number in range(10):
        log.write("a", "reader a %d", number)
    log.write("b", "reader b lost")
    clock.now += 60.0
    log.write("a", "reader a %d", 10)
    assert [
        "reader a 0",
        "reader a 1",
        "reader b lost",
        "driver a: 8 lines like the next one were not written",
        "reader a 10",
    ] == caplog.messages


def test_a_loose_cable_leaves_few_lines_in_a_night(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    log = RationedLog(logging.getLogger("desk"), clock)
    for _ in range(8 * 3_600):
        clock.now += 1.0
        log.write("a", "reader a removed")
    assert len(caplog.messages) <= LINES.burst + 2 * 8 * 60
