"""How readers are told of."""

import importlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from vitale_protocol.events import Reader, ReaderStation
from vitale_protocol.methods import DriverHealth
from vitale_reader.cli.readers import named
from vitale_reader.cli.root import root

readers_command = importlib.import_module("vitale_reader.cli.readers")


def test_a_reader_of_another_desk_is_named_with_its_station() -> None:
    here = Reader(id="pcsc:slot", name="Slot", driver="pcsc", media=("vitale-card",), state="empty")
    there = Reader(
        id="pcsc:slot@s",
        name="Slot",
        driver="pcsc",
        media=("vitale-card",),
        state="empty",
        station=ReaderStation(id="s", name="Counter 2"),
    )
    assert (named(here), named(there)) == ("Slot", "Slot · Counter 2")


@pytest.mark.parametrize(
    ("language", "said"), [("fr", "Pilotes encore en cours de démarrage"), ("en", "Drivers that still start")]
)
def test_a_driver_that_still_starts_is_named(monkeypatch: pytest.MonkeyPatch, language: str, said: str) -> None:
    drivers = (DriverHealth(name="nfc", state="starting", media=()), DriverHealth(name="pcsc", state="ready", media=()))

    @contextmanager
    def to_daemon(*_: object, **__: object) -> Generator[object]:
        yield SimpleNamespace(readers=tuple, station=lambda: SimpleNamespace(drivers=drivers))

    monkeypatch.setattr(readers_command, "to_daemon", to_daemon)
    told = CliRunner().invoke(root, ["readers", "--language", language])
    assert 0 == told.exit_code
    assert said in told.stderr
    assert "nfc" in told.stderr
    assert "pcsc" not in told.stderr
    listed = CliRunner().invoke(root, ["readers", "--json"])
    assert {"readers": [], "starting": ["nfc"]} == json.loads(listed.stdout)
