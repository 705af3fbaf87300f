"""The health of a driver is that of its readers, told when it changes and not otherwise."""

from vitale_drivers.base import Health, Report
from vitale_drivers.readers.health import HealthOfReaders
from vitale_protocol.errors import ReaderBusy, ReaderUnavailable
from vitale_protocol.problems import Problem

BUSY = ReaderBusy("something else has it", variant="camera", data={"holder": "zoom"})


def test_health_follows_from_what_is_the_matter_with_the_readers() -> None:
    told: list[Report] = []
    reader_health = HealthOfReaders(told.append, Health(state="ok"))
    reader_health.record("camera:2", None)
    assert told == []
    reader_health.record("camera:2", BUSY)
    busy = Health(state="degraded", problem=Problem("reader_busy", "camera", "camera:2: something else has it (zoom)"))
    assert told == [busy]
    reader_health.record("camera:2", BUSY)
    assert told == [busy], "nothing new"
    reader_health.record("camera:1", ReaderUnavailable("silent"))
    first = Health(state="degraded", problem=Problem("reader_unavailable", detail="camera:1: silent"))
    assert told == [busy, first]
    reader_health.record("camera:1", None)
    reader_health.record("camera:2", None)
    assert told == [busy, first, busy, Health(state="ok")]
