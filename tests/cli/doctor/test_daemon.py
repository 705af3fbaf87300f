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
from vitale_reader.cli.doctor import command as looking
from vitale_reader.cli.doctor.command import doctor
from vitale_reader.daemon.config import Config
from vitale_reader.diagnosis.station import devices


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
    """The exit status, and the first finding of each subject; no driver is asked for its own view."""

    @contextlib.contextmanager
    def to_daemon(*_: object) -> Generator[Daemon]:
        yield Daemon(*drivers, readers=readers, resolver=resolver)

    (home / "config.toml").write_text("[drivers]\nenabled = []\n", "utf-8")
    (home / "config.toml").chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looking, "to_daemon", to_daemon)
        patch.setattr(devices, "ask", nothing_seen)
        done = CliRunner().invoke(doctor, ["--json", "--language", language, "--home", str(home)])
    said = json.loads(done.output)
    assert said["status"] == done.exit_code
    return done.exit_code, {one["subject"]: one for one in reversed(said["findings"])}


def nothing_seen(_: Config) -> devices.Answers:
    """The answers of drivers, where the daemon alone is listened to."""
    return {}


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
    assert said["daemon"]["title"] == "Daemon 1, mode production, started 5 s ago"
    assert said["driver"]["title"] == "Driver pcsc is ready (2.0)"
    assert said["reader"]["title"] == "Lecteur: empty"
    assert (said["resolver"]["id"], said["resolver"]["title"]) == (
        "resolver_ready",
        "The apCV service apcv is ready",
    )


@pytest.mark.parametrize(
    ("medium", "finding", "title", "titre"),
    [
        ("vitale-card", "reader_card", "Lecteur: carte Vitale", "Lecteur\u00a0: carte Vitale"),
        (
            "cps-card",
            "reader_cps",
            "Lecteur: card of a professional (CPS)",
            "Lecteur\u00a0: carte de professionnel (CPS)",
        ),
        (
            "unknown-card",
            "reader_other",
            "Lecteur: another card, neither Vitale nor CPS",
            "Lecteur\u00a0: autre carte, ni Vitale ni CPS",
        ),
        ("apcv-nfc", "reader_medium", "Lecteur: apcv-nfc presented", "Lecteur\u00a0: apcv-nfc présenté"),
    ],
)
def test_what_lies_in_a_reader_is_told_never_whose(
    medium: str, finding: str, title: str, titre: str, tmp_path: Path
) -> None:
    for language, words in (("en", title), ("fr", titre)):
        _, said = found(tmp_path, READY, readers=(reader(state="present", medium=medium),), language=language)
        assert (said["reader"]["id"], said["reader"]["title"]) == (finding, words)


def test_a_lease_is_told(tmp_path: Path) -> None:
    for language, words in (("en", "Reader Lecteur is leased to a program"), ("fr", "réservé")):
        leased = reader(state="leased", medium="vitale-card")
        _, said = found(tmp_path, READY, readers=(leased,), language=language)
        assert said["reader"]["id"] == "reader_leased"
        assert words in said["reader"]["title"]


@pytest.mark.parametrize(("language", "words"), [("en", "No reader"), ("fr", "Aucun lecteur")])
def test_no_reader_is_plugged_in(tmp_path: Path, language: str, words: str) -> None:
    status, said = found(tmp_path, READY, language=language)
    assert (status, said["reader"]["state"], said["reader"]["id"]) == (6, "wrong", "no_reader")
    assert words in said["reader"]["title"]
    assert said["reader"]["remedy"]


def test_a_reader_that_is_out_of_order_is_told_with_its_remedy(tmp_path: Path) -> None:
    broken = reader(state="unavailable", error="reader_unavailable")
    status, said = found(tmp_path, READY, readers=(broken,))
    assert (status, said["reader"]["state"], said["reader"]["detail"]) == (6, "wrong", "Lecteur")
    assert said["reader"]["remedy"]


def test_a_reader_of_another_desk_is_not_looked_at(tmp_path: Path) -> None:
    elsewhere = reader(id="r-2", station=ReaderStation(id="2", name="Comptoir 2"), error="reader_gone")
    _, said = found(tmp_path, READY, readers=(reader(), elsewhere))
    assert said["reader"]["title"] == "Lecteur: empty"


@pytest.mark.parametrize(
    ("health", "finding", "words"),
    [
        (DriverHealth(name="nfc", state="stopped", media=()), "driver_stopped", "Driver nfc has stopped"),
        (
            DriverHealth(name="nfc", state="restarting", media=(), restarts=3),
            "driver_restarting",
            "It was restarted 3 times.",
        ),
        (
            DriverHealth(name="nfc", state="restarting", media=(), restarts=3, reason="reader_unavailable"),
            "reader_unavailable",
            "Reader out of order",
        ),
        (
            DriverHealth(name="nfc", state="degraded", media=(), reason="tool_missing", detail="libusb"),
            "tool_missing",
            "libusb",
        ),
    ],
    ids=["stopped", "restarting", "restarted", "degraded"],
)
def test_a_driver_that_is_out_of_order(tmp_path: Path, health: DriverHealth, finding: str, words: str) -> None:
    _, french = found(tmp_path, health, readers=(reader(),), language="fr")
    status, said = found(tmp_path, health, readers=(reader(),))
    driver = said["driver"]
    assert (finding, "wrong") == (driver["id"], driver["state"]) == (french["driver"]["id"], french["driver"]["state"])
    assert french["driver"]["remedy"]
    assert words in f"{driver['title']} {driver['cause']} {driver.get('detail', '')}"
    assert driver["remedy"]
    assert status != 0


def test_options_that_a_driver_refused_are_a_matter_of_the_configuration(tmp_path: Path) -> None:
    health = DriverHealth(
        name="nfc", state="stopped", media=(), reason="configuration_invalid", detail="no such option"
    )
    status, said = found(tmp_path, health, readers=(reader(),))
    assert (status, said["configuration"]["detail"]) == (2, "no such option")


@pytest.mark.parametrize("state", ["degraded", "open"])
def test_a_resolver_that_fails(tmp_path: Path, state: Any) -> None:
    resolver = ResolverHealth(name="apcv", state=state, reason="resolver_unavailable", detail="timeout")
    status, said = found(tmp_path, READY, readers=(reader(),), resolver=resolver)
    assert (status, said["resolver"]["state"]) == (1, "wrong")
    assert said["resolver"]["detail"] == f"apcv, {state}: timeout"


def test_no_resolver_is_nothing_to_tell(tmp_path: Path) -> None:
    _, said = found(tmp_path, READY, readers=(reader(),), resolver=ResolverHealth(name="none", state="none"))
    assert "resolver" not in said
