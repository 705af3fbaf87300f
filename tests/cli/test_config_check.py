"""``vitale-reader config check`` looks into the profiles that the configuration names, as the daemon's start does."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from vitale_firmware_sim.profiles import profile_text
from vitale_reader.cli.config import config


def check(home: Path, settings: str) -> tuple[int, str]:
    home.joinpath("config.toml").write_text(settings, "utf-8")
    done = CliRunner().invoke(config, ["check", "--home", str(home)])
    return done.exit_code, done.output


def test_a_profile_that_holds(tmp_path: Path) -> None:
    assert check(tmp_path, '[station]\nmode = "simulated"\n[apcv]\nprofiles = ["simulator"]\n')[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [("F0 56", "G0 56", "aids[0]"), ("max_bytes", "max_byte", "limits"), ('"simulated"', '"production"', "aids[0]")],
)
def test_a_profile_that_does_not(old: str, new: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "profil.toml"
    file.write_text(profile_text("simulator").replace(old, new), "utf-8")
    status, said = check(tmp_path, f'[station]\nmode = "simulated"\n[apcv]\nprofiles = ["{file}"]\n')

    assert status == 2
    assert told in said


@pytest.mark.parametrize("profile", ["simulator", "/nowhere/profil.toml"])
def test_a_profile_that_may_not_be_or_is_not_there(profile: str, tmp_path: Path) -> None:
    assert check(tmp_path, f'[station]\nmode = "production"\n[apcv]\nprofiles = ["{profile}"]\n')[0] == 2
