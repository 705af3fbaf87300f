"""The slot of a station with the driver ``simulated-card``: a hand that waits until the daemon has seen what it did."""

from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import vitale_reader
from vitale_protocol.events import ReaderState
from vitale_reader.cli.demo.environment import CardSlot, DemoEnvironment, demo_environment

__all__ = ["card_in", "insert", "remove", "slot_of", "station_with_a_slot", "until"]

PATIENCE = 60.0


@contextmanager
def station_with_a_slot() -> Generator[DemoEnvironment]:
    """A daemon that knows its reader; the slot is empty."""
    with demo_environment(simulated_driver=True) as running:
        until(running.home, "empty")
        yield running


@contextmanager
def card_in(station: DemoEnvironment, image: str = "adulte") -> Generator[None]:
    """A card in the slot, for a while; the daemon knows of it, and in the end that it is gone."""
    insert(station, image)
    try:
        yield
    finally:
        remove(station)


def insert(station: DemoEnvironment, image: str) -> None:
    """Puts a card into the slot, in the place of what lies there."""
    remove(station)
    slot_of(station).insert(image)
    until(station.home, "present")


def remove(station: DemoEnvironment) -> None:
    """Takes out what is in the slot."""
    slot_of(station).remove()
    until(station.home, "empty")


def slot_of(station: DemoEnvironment) -> CardSlot:
    """The slot, which each of these stations has."""
    assert station.slot is not None
    return station.slot


def until(home: Path, state: ReaderState) -> None:
    """Waits until the daemon tells that a reader is in a state."""
    with (
        vitale_reader.connect(home=home, connect_timeout=PATIENCE, call_timeout=PATIENCE) as client,
        closing(client.watch()) as changes,
    ):
        for change in changes:
            if change.reader.state == state:
                return
