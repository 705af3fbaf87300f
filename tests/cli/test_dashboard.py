"""``vitale-reader dashboard``: opens a browser with no secret in its command, or tells the address and the code."""

import json
import re
import urllib.parse
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.cli.slot import station_with_a_slot
from vitale_protocol.catalogue import Language
from vitale_reader.cli.demo.environment import DemoEnvironment
from vitale_reader.cli.frame.language import use
from vitale_reader.cli.root import root

pytestmark = pytest.mark.posix


@pytest.fixture(scope="module")
def station() -> Iterator[DemoEnvironment]:
    with station_with_a_slot() as running:
        yield running


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser was opened with."""
    found: list[str] = []

    def opened(url: str) -> bool:
        found.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", opened)
    monkeypatch.setenv("DISPLAY", ":0")
    return found


def run(home: Path, *arguments: str, language: Language = "fr") -> Any:
    use(language)
    return CliRunner().invoke(root, ["dashboard", *arguments], env={"VITALE_READER_HOME": str(home)})


def test_a_browser_is_opened_with_the_file_and_no_secret(station: DemoEnvironment, shown: list[str]) -> None:
    told = run(station.home)
    assert 0 == told.exit_code, told.stderr
    (url,) = shown
    file = Path(urllib.parse.unquote(url.removeprefix("file://")))
    ticket = re.search(r'value="([^"]+)"', file.read_text())
    assert ticket is not None
    assert ticket[1] not in url + told.stdout + told.stderr
    assert "Le tableau de bord s’ouvre" in told.stderr


@pytest.mark.parametrize(
    ("language", "words"), [("fr", ("Adresse", "Code à y taper")), ("en", ("Address", "Code to type there"))]
)
def test_nothing_is_opened_where_it_is_only_printed(
    station: DemoEnvironment, shown: list[str], language: Language, words: tuple[str, ...]
) -> None:
    told = run(station.home, "--print", language=language)
    assert [] == shown
    assert all(word in told.stdout for word in words)
    assert re.search(r"http://desk-[0-9a-f]{32}\.localhost:\d+/", told.stdout)
    assert re.search(r"\b[B-Z]{4}-[B-Z]{4}\b", told.stdout)


def test_a_program_is_told_by_json(station: DemoEnvironment, shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    told = json.loads(run(station.home, "--json", "--ip").stdout)
    assert [] == shown
    assert {"url", "file", "code", "expires", "opened"} == told.keys()
    assert (False, True) == (told["opened"], told["url"].startswith("http://127.0.0.1:"))


def test_without_a_daemon_the_error_is_that_of_the_catalogue(tmp_path: Path, shown: list[str]) -> None:
    told = run(tmp_path, "--json")
    assert 0 != told.exit_code
    assert "daemon_unreachable" == json.loads(told.stdout or told.stderr)["error"]["reason"]
    assert [] == shown
