"""``vitale-reader browser``: manifests for one user and for all, what is told of them, and what is left behind."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vitale_protocol.web.extensions import FIREFOX_ID
from vitale_reader.cli.root import root
from vitale_reader.cli.web import browser
from vitale_reader.web.native.manifest_locations import System

pytestmark = pytest.mark.posix


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, in a system of the test, with a station and without browsers."""
    home, command = tmp_path / "home", tmp_path / "bin" / "vitale-reader"
    command.parent.mkdir(mode=0o755)
    command.touch(mode=0o755)
    monkeypatch.setattr(browser, "own_command", lambda: command)
    system = System(platform="linux", root=tmp_path, environ={"HOME": str(home)}, find=lambda _: None)
    monkeypatch.setattr(browser, "System", lambda: system)
    monkeypatch.setenv("VITALE_READER_HOME", str(tmp_path / "station"))
    (tmp_path / "station").mkdir()
    home.mkdir()
    return home


def run(*words: str) -> Result:
    return CliRunner().invoke(root, ["--language", "en", "browser", *words])


def files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def test_a_browser_that_is_named_is_told_and_nothing_is_left_behind(home: Path) -> None:
    done = run("install", "--browser", "firefox", "--browser", "edge", "--json")
    assert ["edge", "firefox"] == [each["browser"] for each in json.loads(done.stdout)["installed"]]
    assert "enabled = true" in done.stderr
    assert [
        ".config/microsoft-edge/NativeMessagingHosts/vitale_reader.json",
        ".mozilla/native-messaging-hosts/vitale_reader.json",
    ] == files(home)
    told = json.loads((home / files(home)[1]).read_text())
    assert ([FIREFOX_ID], str(home.parent / "bin" / "vitale-reader")) == (told["allowed_extensions"], told["path"])

    assert 0 == run("status").exit_code
    assert {"edge": "as_written", "firefox": "as_written"} == states()
    done = run("uninstall")
    assert (0, 2) == (done.exit_code, len(done.stdout.splitlines()))
    assert [] == list(home.iterdir())
    assert "" == run("uninstall").stdout


def states() -> dict[str, str]:
    return {each["browser"]: each["state"] for each in json.loads(run("status", "--json").stdout)["browsers"]}


def test_browsers_that_are_there_are_told_by_default(home: Path) -> None:
    none = run("install")
    assert (2, True) == (none.exit_code, "--browser" in none.stderr)
    (home / ".config" / "chromium").mkdir(parents=True)
    assert {"chromium": "absent"} == states()
    assert 0 == run("install").exit_code
    assert {"chromium": "as_written"} == states()


def test_everybodys_browsers_are_told_in_the_folders_of_the_system(home: Path) -> None:
    assert 0 == run("install", "--system").exit_code
    assert [
        "etc/chromium/native-messaging-hosts/vitale_reader.json",
        "etc/opt/chrome/native-messaging-hosts/vitale_reader.json",
        "etc/opt/edge/native-messaging-hosts/vitale_reader.json",
        "usr/lib/mozilla/native-messaging-hosts/vitale_reader.json",
    ] == [each for each in files(home.parent) if each.startswith(("etc", "usr"))]
    assert 0 == run("uninstall", "--system").exit_code
    assert [] == [each for each in files(home.parent) if each.startswith(("etc", "usr"))]


def test_other_extensions_are_told_as_the_configuration_has_them(home: Path) -> None:
    (home.parent / "station" / "config.toml").write_text('[web]\nenabled = true\n[web.extension]\nids = ["a@b"]\n')
    assert "" == run("install", "--browser", "firefox").stderr
    told = json.loads((home / ".mozilla" / "native-messaging-hosts" / "vitale_reader.json").read_text())
    assert ["a@b"] == told["allowed_extensions"]


def test_a_manifest_that_was_changed_is_told(home: Path) -> None:
    run("install", "--browser", "chrome")
    (home / files(home)[0]).write_text("{}")
    told = run("status")
    assert (1, True) == (told.exit_code, "changed" in told.stdout)
