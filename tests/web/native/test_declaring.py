"""Manifests: what is written, what is left behind, and what is told of one that is not as it was written."""

import json
import os
import stat
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.posix import AS_ROOT, NOBODY, posix_only
from vitale_protocol.errors import LocalMisuse
from vitale_protocol.web.extensions import CHROMIUM_ID, FIREFOX_ID
from vitale_reader.web.native.declaring import declare, examine, manifest, own_command, withdraw
from vitale_reader.web.native.manifest_locations import ManifestLocation, System, places

pytestmark = posix_only()
assert sys.platform != "win32"

IDS = (CHROMIUM_ID, FIREFOX_ID, "desk@example.fr")


@pytest.fixture
def command(tmp_path: Path) -> Path:
    file = tmp_path / "bin" / "vitale-reader"
    file.parent.mkdir(mode=0o755)
    file.touch(mode=0o755)
    return file


@pytest.fixture
def chrome(tmp_path: Path) -> ManifestLocation:
    (tmp_path / "home").mkdir()
    return places(System(platform="linux", environ={"HOME": str(tmp_path / "home")}), everyone=False)[0]


def test_a_manifest_names_the_extensions_of_its_family(command: Path) -> None:
    told = {"name": "vitale_reader", "description": "vitale-reader", "path": str(command), "type": "stdio"}
    chromium = told | {"allowed_origins": [f"chrome-extension://{CHROMIUM_ID}/"]}
    firefox = told | {"allowed_extensions": [FIREFOX_ID, "desk@example.fr"]}
    assert chromium == json.loads(manifest("chromium", command, IDS))
    assert firefox == json.loads(manifest("firefox", command, IDS))


def test_what_is_declared_is_taken_back_with_the_folders_that_came_with_it(
    chrome: ManifestLocation, command: Path, tmp_path: Path
) -> None:
    content = manifest("chromium", command, IDS)
    assert "absent" == examine(chrome, content, command)
    declare(chrome, b"of another version")
    declare(chrome, content)
    assert (content, 0o644) == (chrome.file.read_bytes(), stat.S_IMODE(chrome.file.stat().st_mode))
    assert ["vitale_reader.json"] == [each.name for each in chrome.file.parent.iterdir()]
    assert "as_written" == examine(chrome, content, command)
    assert [True, False] == [withdraw(chrome), withdraw(chrome)]
    assert [] == list((tmp_path / "home").iterdir())


def test_what_others_have_there_stays(chrome: ManifestLocation) -> None:
    other = chrome.file.with_name("another.json")
    other.parent.mkdir(parents=True)
    other.touch()
    declare(chrome, b"{}")
    assert withdraw(chrome)
    assert [other] == list(other.parent.iterdir())


def test_a_manifest_that_cannot_be_written_leaves_nothing(chrome: ManifestLocation) -> None:
    chrome.file.mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        declare(chrome, b"{}")
    assert [chrome.file] == list(chrome.file.parent.iterdir())


def writable_file(place: ManifestLocation, _: Path) -> None:
    place.file.chmod(0o666)


def writable_folder(place: ManifestLocation, _: Path) -> None:
    place.file.parent.chmod(0o777)


def writable_command(_: ManifestLocation, command: Path) -> None:
    command.chmod(0o757)


def writable_folder_of_the_command(_: ManifestLocation, command: Path) -> None:
    command.parent.chmod(0o777)


def link_into_an_open_folder(place: ManifestLocation, command: Path) -> None:
    folder = command.parent.parent / "open"
    folder.mkdir()
    folder.chmod(0o777)
    place.file.replace(folder / "x.json")
    place.file.symlink_to(folder / "x.json")


@pytest.mark.parametrize(
    "spoil",
    [writable_file, writable_folder, writable_command, writable_folder_of_the_command, link_into_an_open_folder],
)
def test_what_others_can_change_is_told(
    spoil: Callable[[ManifestLocation, Path], None], chrome: ManifestLocation, command: Path
) -> None:
    content = manifest("chromium", command, IDS)
    declare(chrome, content)
    spoil(chrome, command)
    assert "open" == examine(chrome, content, command)


@AS_ROOT
def test_what_another_user_owns_is_told(chrome: ManifestLocation, command: Path) -> None:
    content = manifest("chromium", command, IDS)
    declare(chrome, content)
    os.chown(chrome.file, NOBODY, NOBODY)
    assert "open" == examine(chrome, content, command)


@pytest.mark.parametrize("other", [b"", b"{}", manifest("chromium", Path("/tmp/x"), IDS)])
def test_another_content_is_told(other: bytes, chrome: ManifestLocation, command: Path) -> None:
    declare(chrome, other)
    assert "changed" == examine(chrome, manifest("chromium", command, IDS), command)


def test_the_command_of_an_installation_is_found_beside_its_python(
    monkeypatch: pytest.MonkeyPatch, command: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(command.with_name("python")))
    assert command == own_command()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert command.with_name("python") == own_command()
    monkeypatch.delattr(sys, "frozen")

    def nowhere(_name: str, _scheme: str = "") -> str:
        return str(tmp_path / "nowhere")

    monkeypatch.setattr(sysconfig, "get_path", nowhere)
    command.unlink()
    with pytest.raises(LocalMisuse) as refused:
        own_command()
    assert "no_command" == refused.value.variant
