"""Profiles are read and checked at start; a simulated one never gets into production."""

import re
from pathlib import Path
from typing import Any

import pytest

from vitale_firmware_sim.phone.profiles import profile_text
from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon.issuing.apcv_profiles import OPTICAL, Profiles, read_profiles

SIMULATOR = profile_text("simulator")


@pytest.fixture
def licensed(tmp_path: Path) -> Path:
    """A profile as a licensed integrator would have it."""
    file = tmp_path / "site.toml"
    text = re.sub(r"(?m)^aids = .*$", 'aids = ["F1 45 53 53 41 49"]', SIMULATOR)
    file.write_text(text.replace('"simulated"', '"production"').replace('"simulator"', '"site"'))
    return file


def test_profiles_by_name_and_by_path(licensed: Path) -> None:
    profiles = read_profiles(["simulator", str(licensed)], "simulated")
    assert profiles.texts == (SIMULATOR, licensed.read_text())
    assert [profile.origin for profile in profiles.parsed] == ["simulated", "production"]
    labels = [profile.label.encode() for profile in profiles.parsed]
    assert profiles.origins == dict(zip(labels, ("simulated", "production"), strict=True))


@pytest.mark.parametrize("mode", ["production", "test"])
def test_a_simulated_profile_is_for_simulated_stations_only(mode: Any, licensed: Path) -> None:
    assert list(read_profiles([str(licensed)], mode).origins.values()) == ["production"]
    with pytest.raises(ConfigurationInvalid) as told:
        read_profiles([str(licensed), "simulator"], mode)
    assert told.value.data == {"path": "apcv.profiles", "file": "simulator"}


@pytest.mark.parametrize("origin", ["test", "demo"])
def test_a_profile_of_test_is_not_for_production(origin: str, licensed: Path) -> None:
    licensed.write_text(licensed.read_text().replace('"production"', f'"{origin}"'))
    assert list(read_profiles([str(licensed)], "test").origins.values()) == [origin]
    with pytest.raises(ConfigurationInvalid):
        read_profiles([str(licensed)], "production")


def test_the_drivers_that_read_phones_get_the_texts() -> None:
    profiles = read_profiles(["simulator"], "simulated")
    assert profiles.options("nfc", {"x": 1}) == {"x": 1, "profiles": [SIMULATOR]}
    assert profiles.options("simulated-card", {"x": 1}) == {"x": 1}
    assert Profiles().options("pcsc", {"x": 1}) == {"x": 1}


def test_profiles_do_not_come_by_the_back_door() -> None:
    with pytest.raises(ConfigurationInvalid):
        Profiles().options("nfc", {"profiles": [SIMULATOR]})


def test_formats_of_the_licence_go_to_the_drivers_that_see_codes() -> None:
    profiles = read_profiles([], "production", ["xml", "json"])
    for driver in OPTICAL:
        assert {"x": 1, "apcv_formats": ["xml", "json"]} == profiles.options(driver, {"x": 1})
        assert {"x": 1} == Profiles().options(driver, {"x": 1})
        with pytest.raises(ConfigurationInvalid):
            profiles.options(driver, {"apcv_formats": ["xml"]})
    assert {} == profiles.options("nfc", {})


def test_a_format_that_nobody_has_published_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationInvalid) as told:
        read_profiles([], "production", ["jsn"])
    assert ("apcv.formats", "json") == (told.value.data["path"], told.value.data["nearest"])


def test_what_cannot_be_used_is_told_with_its_file(tmp_path: Path, licensed: Path) -> None:
    long, wrong, binary = tmp_path / "long.toml", tmp_path / "wrong.toml", tmp_path / "binary.toml"
    long.write_bytes(b"#" * 70_000)
    wrong.write_text("name = 1")
    binary.write_bytes(b"\xff\xfe")
    for name in ("absent", str(tmp_path / "absent.toml"), str(long), str(wrong), str(binary)):
        with pytest.raises(ConfigurationInvalid) as told:
            read_profiles([name], "simulated")
        assert told.value.data["file"] == name
    with pytest.raises(ConfigurationInvalid):
        read_profiles([str(licensed), str(licensed)], "production")


def test_what_a_simulated_profile_read_is_simulated_whatever_the_driver_says(counter: Any) -> None:
    async def work(line: Any) -> None:
        request = await counter.ask(line)
        counter.tap(b"opaque", simulated=False)
        answer = await line.answer(request)
        assert answer["result"]["claims"]["origin"] == "simulated"

    counter.run(work, counter.config('profiles = ["simulator"]'), scripted=False)
