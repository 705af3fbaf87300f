"""``config set``: what is written, what is shown, what is refused and then not written."""

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from vitale_reader.cli.config.group import config
from vitale_reader.cli.config.setting import set_
from vitale_reader.cli.frame import language

Set = Callable[..., Result]

TEXT = '# Mine.\n[station]\nmode = "simulated"\n\n[drivers]\nenabled = []\n\n[tls]\nport = 0\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "config.toml"
    made.touch(mode=0o600)
    made.write_text(TEXT, "utf-8")
    language.use("en")
    return made


@pytest.fixture
def change(file: Path) -> Set:
    return lambda *words: CliRunner().invoke(config, ["set", *words, "--home", str(file.parent)])


def test_a_setting_is_changed(file: Path, change: Set) -> None:
    told = change("station.name", "Cabinet Martin")
    assert (0, 'station.name = "Cabinet Martin"\n') == (told.exit_code, told.stdout)
    assert "service restart" in told.stderr
    assert TEXT.replace('mode = "simulated"\n', 'mode = "simulated"\nname = "Cabinet Martin"\n') == file.read_text(
        "utf-8"
    )


def test_values_are_what_the_setting_wants(file: Path, change: Set) -> None:
    given = [
        json.loads(change(*words, "--json").stdout)["value"]
        for words in (
            ("station.name", "42"),
            ("station.groups", "accueil, officine"),
            ("audit_days", "42"),
            ("web.port", "7818"),
        )
    ]
    assert ["42", ["accueil", "officine"], 42, 7_818] == given


@pytest.mark.parametrize(
    "words",
    [
        ("station.nam", "x"),
        ("station.mode", "real"),
        ("audit_days", "0"),
        ("tls.host", "0.0.0.0"),  # noqa: S104  refused
        ("drivers.enabled", '["no-such-driver"]'),
        ("apcv.profiles", "/no/such/profile.toml"),
    ],
)
def test_what_the_daemon_would_refuse_is_not_written(file: Path, change: Set, words: tuple[str, str]) -> None:
    if words[0] == "tls.host":
        assert 0 == change("tls.enabled", "true").exit_code
    before = file.read_bytes()
    refused = json.loads(change(*words, "--json").stdout)["error"]
    assert ("configuration_invalid", before) == (refused["reason"], file.read_bytes())
    assert "line" not in refused["data"]


@pytest.mark.parametrize("words", [("station.nam", "x"), ("web.enabled", "vrai"), ("drivers.enabled", "nobody")])
def test_a_refusal_says_that_the_file_is_as_it_was(file: Path, change: Set, words: tuple[str, str]) -> None:
    assert 0 == change("audit_days", "3").exit_code
    refused = json.loads(change(*words, "--json").stdout)["error"]
    assert "not_set" == refused["variant"]
    assert "config show" in refused["remedy"]


def test_a_file_that_cannot_be_used_is_told_with_its_line(file: Path, change: Set) -> None:
    file.write_text("[station\n", "utf-8")
    refused = json.loads(change("audit_days", "3", "--json").stdout)["error"]
    assert ("configuration_invalid", 1) == (refused["reason"], refused["data"]["line"])


def test_secrets_are_written_and_not_shown(file: Path, change: Set) -> None:
    told = change("store", "postgresql://desk:hushhush@localhost/base")
    assert "hushhush" not in told.stdout + told.stderr
    assert (0, "hushhush" in file.read_text("utf-8")) == (told.exit_code, True)


def test_without_a_file_one_is_made(tmp_path: Path) -> None:
    language.use("en")
    home = tmp_path / "new"
    done = CliRunner().invoke(config, ["set", "drivers.enabled", "[]", "--home", str(home)])
    assert (0, "[drivers]\nenabled = []\n") == (done.exit_code, (home / "config.toml").read_text("utf-8"))


def test_the_names_of_settings_are_completed() -> None:
    param = next(each for each in set_.params if each.name == "key")
    told = [item.value for item in param.shell_complete(click.Context(set_), "tls.")]
    assert ["tls.enabled", "tls.host", "tls.port", "tls.lan"] == told
    assert ["store"] == [item.value for item in param.shell_complete(click.Context(set_), "sto")]
