"""Folders of a station: where they are, and a user who has none."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.no_files import NO_FILES, put_no_file
from vitale_protocol.errors import DaemonUnreachable, LocalMisuse
from vitale_reader.cli.frame.language import choose
from vitale_reader.cli.root import root
from vitale_reader.home import Home, own_folder
from vitale_reader.regular_files import MEBIBYTE
from vitale_reader.service.machine import Machine


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that is in no list of users, as in a container."""
    for name in ("HOME", "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "VITALE_READER_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)

    def as_it_is(path: str) -> str:
        return path

    monkeypatch.setattr(os.path, "expanduser", as_it_is)


def unknown_home() -> Home:
    return Home.under(Path("~no-such-user-of-this-machine/desk"))


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("place", [own_folder, unknown_home])
def test_a_user_without_a_home_is_told_so(place: Callable[[], object]) -> None:
    with pytest.raises(LocalMisuse) as refused:
        place()
    assert "no_home" == refused.value.variant


def put(place: Path, what: str) -> None:
    """Puts there what is no file, or one that has no end."""
    if what in NO_FILES:
        put_no_file(place, what)
        return
    with place.open("wb") as stream:
        stream.truncate(MEBIBYTE + 1)


NOT_READ = pytest.mark.parametrize("what", [*NO_FILES, "too large"])


@pytest.mark.posix("pipes in a folder, devices, links")
@NOT_READ
def test_what_is_no_file_of_addresses_is_told_and_not_waited_for(tmp_path: Path, what: str) -> None:
    home = Home.under(tmp_path)
    home.run.mkdir()
    put(home.endpoints_file, what)
    with pytest.raises(DaemonUnreachable):
        home.endpoints()


@pytest.mark.posix("pipes in a folder, devices, links")
@NOT_READ
def test_the_language_is_not_looked_for_in_what_is_no_file(tmp_path: Path, what: str) -> None:
    put(Home.under(tmp_path).config, what)
    assert "fr" == choose(["--home", str(tmp_path), "readers"], {"LANG": "fr_FR.UTF-8"})


@pytest.mark.posix
@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("words", ["config path", "status", "logs", "service status", "readers", "config init --yes"])
def test_each_command_names_the_way_out(words: str) -> None:
    done = CliRunner().invoke(root, ["--language", "en", *words.split()])
    assert isinstance(done.exception, SystemExit | None), "a traceback"
    assert done.exit_code in {2, 3}
    if words != "service status":  # which finds no service
        assert "VITALE_READER_HOME" in done.stderr


@pytest.mark.posix
@pytest.mark.usefixtures("homeless")
def test_a_folder_that_is_named_is_enough(tmp_path: Path) -> None:
    assert Path("/nonexistent") == Machine().own
    done = CliRunner().invoke(root, ["config", "path", "--home", str(tmp_path)])
    assert (0, f"{tmp_path / 'config.toml'}\n") == (done.exit_code, done.stdout)


@pytest.mark.parametrize("named", ["", "run", "./run", "~"])
def test_a_folder_of_the_session_that_is_relative_counts_for_nothing(named: str) -> None:
    home = Home.locate({"XDG_RUNTIME_DIR": named})
    assert home.state / "run" == home.run


def test_a_folder_of_the_session_is_where_the_socket_lies(tmp_path: Path) -> None:
    assert tmp_path / "vitale-reader" == Home.locate({"XDG_RUNTIME_DIR": str(tmp_path)}).run
