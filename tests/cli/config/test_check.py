"""``vitale-reader config check`` looks into the files that the configuration names, as the daemon's start does."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.protocol.seal_office import Office
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_reader.cli.config.group import config
from vitale_reader.cli.root import root


def write(home: Path, settings: str) -> Path:
    file = home / "config.toml"
    file.write_text(settings, "utf-8")
    file.chmod(0o600)
    return file


def check(home: Path, settings: str) -> tuple[int, str]:
    write(home, settings)
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
    status, said = check(tmp_path, f"[station]\nmode = \"simulated\"\n[apcv]\nprofiles = ['{file}']\n")

    assert status == 2
    assert told in said


@pytest.mark.parametrize("profile", ["simulator", "/nowhere/profil.toml"])
def test_a_profile_that_may_not_be_or_is_not_there(profile: str, tmp_path: Path) -> None:
    assert check(tmp_path, f'[station]\nmode = "production"\n[apcv]\nprofiles = ["{profile}"]\n')[0] == 2


def test_a_trust_list_that_holds_and_one_that_does_not(tmp_path: Path) -> None:
    signers = tmp_path / "signers.pem"
    signers.write_bytes(Office().signer().pem)
    settings = f"[seals]\ntrust_list = ['{signers}']\n"
    assert check(tmp_path, settings)[0] == 0

    signers.write_text("no certificate", "utf-8")
    status, said = check(tmp_path, settings)
    assert status == 2
    assert "trust_list" in said


def test_a_trust_list_that_is_not_there(tmp_path: Path) -> None:
    assert check(tmp_path, "[seals]\ntrust_list = ['/nowhere/list.xml']\n")[0] == 2


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ('store = "postgresql://desk@db/site?sslmode=verify-full"\n', 0),
        ('store = "postgresql://desk@localhost/site"\n', 0),
        ('store = "postgresql://desk:secret@db/site"\n', 2),
        ('store = "postgresql://desk:secret@db/site"\n[site]\ntls = "none: a line of our own"\n', 0),
        ('store = "postgresql://desk:secret@db:port/site"\n', 2),
        ('store = "mysql://desk:secret@db/site"\n', 2),
        ('store = "postgresql://desk:secret@/site"\n[site]\nkey_file = "{folder}/short.key"\n', 2),
        ('store = "postgresql://desk:secret@db/site"\n[site]\nwhen_away = "careless"\n', 2),
    ],
)
def test_the_database_of_a_site_as_far_as_it_can_be_seen_from_here(tmp_path: Path, settings: str, status: int) -> None:
    (tmp_path / "short.key").write_text("AAAA")
    (tmp_path / "short.key").chmod(0o600)
    found, said = check(tmp_path, settings.replace("{folder}", str(tmp_path)))
    assert (found, "secret" in said) == (status, False), said


def test_the_settings_are_shown_without_the_password(tmp_path: Path) -> None:
    write(tmp_path, 'store = "postgresql://desk:secret@db/site"\n')
    for arguments in (["show"], ["show", "--json"]):
        done = CliRunner().invoke(config, [*arguments, "--home", str(tmp_path)])
        assert ("desk:***@db" in done.output, "secret" in done.output) == (True, False)


@pytest.mark.posix("modes of files")
@pytest.mark.parametrize("command", ["show", "check"])
def test_a_file_that_others_may_change_is_refused(tmp_path: Path, command: str) -> None:
    write(tmp_path, "").chmod(0o666)
    done = CliRunner().invoke(config, [command, "--home", str(tmp_path)])
    assert 2 == done.exit_code
    assert f"chmod go-w {tmp_path / 'config.toml'}" in done.output


@pytest.mark.posix("modes of files")
@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o644, True)])
def test_a_file_that_others_may_read_is_told(tmp_path: Path, mode: int, told: bool) -> None:
    write(tmp_path, "audit_days = 30").chmod(mode)
    done = CliRunner().invoke(config, ["check", "--home", str(tmp_path)])
    assert (0, told) == (done.exit_code, "chmod 600" in done.output)
    as_json = CliRunner().invoke(config, ["check", "--json", "--home", str(tmp_path)])
    assert told == json.loads(as_json.output)["readable_by_others"]


def test_a_line_without_tls_is_refused_alike_by_check_and_by_whoever_opens_the_store(tmp_path: Path) -> None:
    write(tmp_path, 'store = "postgresql://desk@db/site"\n[drivers]\nenabled = []\n[tls]\nenabled = false\n')
    told = [
        CliRunner().invoke(root, [*words, "--json", "--home", str(tmp_path)])
        for words in (["config", "check"], ["serve"])
    ]
    errors = [json.loads(done.output)["error"] for done in told]
    assert ["store_without_tls"] * 2 == [error["variant"] for error in errors]
    assert errors[0] == errors[1]
    assert [2, 2] == [done.exit_code for done in told]


def test_the_path_is_told_to_people_and_to_programs(tmp_path: Path) -> None:
    told = CliRunner().invoke(root, ["config", "path", "--home", str(tmp_path)])
    assert str(tmp_path / "config.toml") == told.output.strip()
    told = CliRunner().invoke(root, ["config", "path", "--json", "--home", str(tmp_path)])
    assert {"path": str(tmp_path / "config.toml"), "exists": False} == json.loads(told.output)


def test_where_there_is_no_file_the_defaults_hold(tmp_path: Path) -> None:
    done = CliRunner().invoke(root, ["config", "check", "--language", "en", "--home", str(tmp_path)])
    assert 0 == done.exit_code
    assert "does not exist: the defaults hold" in done.output
