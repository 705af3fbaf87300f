"""What ``vitale-reader doctor`` says of a running daemon: drivers, a resolver and readers that are out of order."""

import contextlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vitale_protocol.events import Reader, ReaderStation
from vitale_protocol.methods import DriverHealth, ResolverHealth, Station, StationInfo
from vitale_reader.cli import doctor as looking
from vitale_reader.cli.doctor import doctor


class Daemon:
    """Answers what doctor asks."""

    def __init__(self, *drivers: DriverHealth, readers: tuple[Reader, ...], resolver: ResolverHealth | None) -> None:
        self._drivers = drivers
        self._readers = readers
        self._resolver = resolver

    def station(self) -> StationInfo:
        station = Station(id="10000000-0000-4000-8000-000000000000", name="Comptoir", version="1", mode="production")
        return StationInfo(station=station, media=(), drivers=self._drivers, uptime=5.0, resolver=self._resolver)

    def readers(self) -> tuple[Reader, ...]:
        return self._readers


def found(
    home: Path,
    *drivers: DriverHealth,
    readers: tuple[Reader, ...] = (),
    resolver: ResolverHealth | None = None,
    language: str = "en",
) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit status, and the findings by their subject."""

    @contextlib.contextmanager
    def to_daemon(*_: object) -> Generator[Daemon]:
        yield Daemon(*drivers, readers=readers, resolver=resolver)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looking, "to_daemon", to_daemon)
        done = CliRunner().invoke(doctor, ["--json", "--language", language, "--home", str(home)])
    return done.exit_code, {one["subject"]: one for one in json.loads(done.output)["findings"]}


def reader(**changes: Any) -> Reader:
    members: dict[str, Any] = {"id": "r-1", "name": "Lecteur", "driver": "pcsc", "media": ("vitale-card",)}
    everything: dict[str, Any] = members | {"state": "empty"} | changes
    return Reader(**everything)


READY = DriverHealth(name="pcsc", state="ready", media=("vitale-card",), version="2.0")


def test_all_is_well(tmp_path: Path) -> None:
    status, said = found(tmp_path, READY, readers=(reader(),), resolver=ResolverHealth(name="apcv", state="ready"))
    assert status == 0
    assert {name: said[name]["state"] for name in ("daemon", "driver", "resolver", "reader")} == {
        "daemon": "ok",
        "driver": "ok",
        "resolver": "ok",
        "reader": "ok",
    }
    assert said["driver"]["said"] == "Driver pcsc : ready (2.0)"
    assert said["reader"]["said"] == "Reader Lecteur : empty"
    assert said["resolver"]["said"] == "apCV service apcv: ready"


@pytest.mark.parametrize(("language", "words"), [("en", "no reader is plugged in"), ("fr", "aucun lecteur")])
def test_no_reader_is_plugged_in(tmp_path: Path, language: str, words: str) -> None:
    status, said = found(tmp_path, READY, language=language)
    assert said["reader"]["state"] == "wrong"
    assert words in said["reader"]["said"]
    assert said["reader"]["remedy"]
    assert status == said["reader"]["status"] != 0


def test_a_reader_that_is_out_of_order_is_told_with_its_remedy(tmp_path: Path) -> None:
    broken = reader(state="unavailable", error="reader_unavailable")
    status, said = found(tmp_path, READY, readers=(broken,))
    assert said["reader"]["state"] == "wrong"
    assert said["reader"]["said"].startswith("Reader Lecteur : unavailable — ")
    assert said["reader"]["remedy"]
    assert status == said["reader"]["status"] != 0


def test_a_reader_of_another_desk_is_not_looked_at(tmp_path: Path) -> None:
    elsewhere = reader(id="r-2", station=ReaderStation(id="2", name="Comptoir 2"), error="reader_gone")
    _, said = found(tmp_path, READY, readers=(reader(), elsewhere))
    assert said["reader"]["said"] == "Reader Lecteur : empty"


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (DriverHealth(name="nfc", state="stopped", media=()), "Driver nfc : stopped"),
        (
            DriverHealth(name="nfc", state="restarting", media=(), restarts=3, reason="reader_unavailable"),
            "restarting, restarted 3 times — ",
        ),
        (DriverHealth(name="nfc", state="degraded", media=(), reason="tool_missing", detail="libusb"), "(libusb)"),
    ],
    ids=["stopped", "restarted", "degraded"],
)
def test_a_driver_that_is_out_of_order(tmp_path: Path, health: DriverHealth, words: str) -> None:
    status, said = found(tmp_path, health, readers=(reader(),))
    assert said["driver"]["state"] == "wrong"
    assert words in said["driver"]["said"]
    assert bool(said["driver"]["remedy"]) == (health.reason is not None)
    assert status == said["driver"]["status"] != 0


@pytest.mark.parametrize("state", ["degraded", "open"])
def test_a_resolver_that_fails(tmp_path: Path, state: Any) -> None:
    resolver = ResolverHealth(name="apcv", state=state, reason="resolver_unavailable", detail="timeout")
    status, said = found(tmp_path, READY, readers=(reader(),), resolver=resolver)
    assert said["resolver"]["state"] == "wrong"
    assert f"apcv, {state}: timeout" in said["resolver"]["said"]
    assert status == said["resolver"]["status"] != 0


def test_no_resolver_is_nothing_to_tell(tmp_path: Path) -> None:
    _, said = found(tmp_path, READY, readers=(reader(),), resolver=ResolverHealth(name="none", state="none"))
    assert "resolver" not in said
