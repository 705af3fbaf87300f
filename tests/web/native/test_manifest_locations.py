"""Places of manifests: where each browser looks, by system and reach."""

from pathlib import Path

import pytest

from vitale_reader.web.native.manifest_locations import BROWSERS, System, places

FILE = "vitale_reader.json"


def nothing(_program: str) -> None:
    return None


def system(platform: str, root: Path, **environ: str) -> System:
    return System(platform=platform, root=root, environ={"HOME": str(root / "home"), **environ}, find=nothing)


@pytest.mark.parametrize(
    ("platform", "everyone", "expected"),
    [
        (
            "linux",
            False,
            [
                "home/.config/google-chrome/NativeMessagingHosts",
                "home/.config/chromium/NativeMessagingHosts",
                "home/.config/microsoft-edge/NativeMessagingHosts",
                "home/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts",
                "home/.mozilla/native-messaging-hosts",
            ],
        ),
        (
            "linux",
            True,
            [
                "etc/opt/chrome/native-messaging-hosts",
                "etc/chromium/native-messaging-hosts",
                "etc/opt/edge/native-messaging-hosts",
                "etc/opt/chrome/native-messaging-hosts",
                "usr/lib/mozilla/native-messaging-hosts",
            ],
        ),
        (
            "darwin",
            False,
            [
                "home/Library/Application Support/Google/Chrome/NativeMessagingHosts",
                "home/Library/Application Support/Chromium/NativeMessagingHosts",
                "home/Library/Application Support/Microsoft Edge/NativeMessagingHosts",
                "home/Library/Application Support/BraveSoftware/Brave-Browser/NativeMessagingHosts",
                "home/Library/Application Support/Mozilla/NativeMessagingHosts",
            ],
        ),
        (
            "darwin",
            True,
            [
                "Library/Google/Chrome/NativeMessagingHosts",
                "Library/Application Support/Chromium/NativeMessagingHosts",
                "Library/Microsoft/Edge/NativeMessagingHosts",
                "Library/Google/Chrome/NativeMessagingHosts",
                "Library/Application Support/Mozilla/NativeMessagingHosts",
            ],
        ),
    ],
)
def test_each_browser_looks_in_its_folder(platform: str, everyone: bool, expected: list[str], tmp_path: Path) -> None:
    found = places(system(platform, tmp_path), everyone=everyone)
    assert [tmp_path / each / FILE for each in expected] == [place.file for place in found]
    assert list(BROWSERS) == [place.browser for place in found]
    assert all(place.above in place.file.parents for place in found)


def test_the_folder_of_settings_may_be_elsewhere(tmp_path: Path) -> None:
    chrome, *_, firefox = places(system("linux", tmp_path, XDG_CONFIG_HOME=str(tmp_path / "x")), everyone=False)
    assert tmp_path / "x" / "google-chrome" / "NativeMessagingHosts" / FILE == chrome.file
    assert tmp_path / "home" / ".mozilla" / "native-messaging-hosts" / FILE == firefox.file


@pytest.mark.posix("programs in the folders of Unix")
def test_a_browser_is_known_by_its_folder_or_its_program(tmp_path: Path) -> None:
    (tmp_path / "home" / ".config" / "chromium").mkdir(parents=True)
    there = system("linux", tmp_path)
    assert ["chromium"] == [place.browser.name for place in places(there, everyone=False) if place.likely]
    found = System(
        root=tmp_path,
        platform="linux",
        environ=there.environ,
        find=lambda program: "/usr/bin/firefox-esr" if program == "firefox-esr" else None,
    )
    assert ["chromium", "firefox"] == [place.browser.name for place in places(found, everyone=False) if place.likely]


def test_windows_has_files_of_ours_and_keys(tmp_path: Path) -> None:
    there = system("win32", tmp_path, LOCALAPPDATA=str(tmp_path / "local"), PROGRAMDATA=str(tmp_path / "all"))
    mine, everybodys = (places(there, everyone=everyone)[0] for everyone in (False, True))
    assert tmp_path / "local" / "vitale-reader" / "browsers" / "chrome" / FILE == mine.file
    assert tmp_path / "all" / "vitale-reader" / "browsers" / "chrome" / FILE == everybodys.file
    assert "Software\\Google\\Chrome\\NativeMessagingHosts\\vitale_reader" == mine.key == everybodys.key
