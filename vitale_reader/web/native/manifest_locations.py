"""Places where browsers look for the manifests of native hosts, by browser, system and reach: this user, or everybody.

- Chromium: developer.chrome.com/docs/extensions/develop/concepts/native-messaging, and its kin in their own folders.
- Firefox: MDN, "Native manifests", "Manifest location".
- Brave reads the folder of Chrome for everybody, and its own for a user.
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from vitale_protocol.web.extensions import HOST_NAME, Family
from vitale_reader.home import own_folder

__all__ = ["BROWSERS", "Browser", "ManifestLocation", "System", "places"]

FILE: Final = f"{HOST_NAME}.json"

#: Names of the last folder: for a user of Chromium and its kin, and everywhere else but on macOS and Windows.
HOSTS, SHARED_HOSTS = "NativeMessagingHosts", "native-messaging-hosts"


class Browser(msgspec.Struct, frozen=True, kw_only=True):
    """A browser, and its places.

    Attributes:
        name: for the command line.
        title: for people.
        family: whose manifests it reads.
        programs: by which it is found on Linux.
        linux: folder of a user, below ``~/.config``, or below ``~`` where it begins with a full stop.
        linux_shared: folder for everybody.
        macos: folder below ``~/Library/Application Support``.
        macos_shared: folder for everybody, below ``/Library``.
        windows: key below ``Software``.
    """

    name: str
    title: str
    family: Family
    programs: tuple[str, ...]
    linux: str
    linux_shared: str
    macos: str
    macos_shared: str
    windows: str


BROWSERS: Final = (
    Browser(
        name="chrome",
        title="Google Chrome",
        family="chromium",
        programs=("google-chrome", "google-chrome-stable"),
        linux="google-chrome",
        linux_shared="/etc/opt/chrome",
        macos="Google/Chrome",
        macos_shared="Google/Chrome",
        windows="Google\\Chrome",
    ),
    Browser(
        name="chromium",
        title="Chromium",
        family="chromium",
        programs=("chromium", "chromium-browser"),
        linux="chromium",
        linux_shared="/etc/chromium",
        macos="Chromium",
        macos_shared="Application Support/Chromium",
        windows="Chromium",
    ),
    Browser(
        name="edge",
        title="Microsoft Edge",
        family="chromium",
        programs=("microsoft-edge", "microsoft-edge-stable"),
        linux="microsoft-edge",
        linux_shared="/etc/opt/edge",
        macos="Microsoft Edge",
        macos_shared="Microsoft/Edge",
        windows="Microsoft\\Edge",
    ),
    Browser(
        name="brave",
        title="Brave",
        family="chromium",
        programs=("brave-browser", "brave"),
        linux="BraveSoftware/Brave-Browser",
        linux_shared="/etc/opt/chrome",
        macos="BraveSoftware/Brave-Browser",
        macos_shared="Google/Chrome",
        windows="BraveSoftware\\Brave-Browser",
    ),
    Browser(
        name="firefox",
        title="Firefox",
        family="firefox",
        programs=("firefox", "firefox-esr"),
        linux=".mozilla",
        linux_shared="/usr/lib/mozilla",
        macos="Mozilla",
        macos_shared="Application Support/Mozilla",
        windows="Mozilla",
    ),
)


class System(msgspec.Struct, frozen=True, kw_only=True):
    """The system that is looked at.

    Attributes:
        platform: as ``sys.platform``.
        root: the folder under which its own folders are.
        environ: the environment.
        find: the place of a program; None where there is none.
    """

    platform: str = sys.platform
    root: Path = Path("/")
    environ: Mapping[str, str] = os.environ
    find: Callable[[str], str | None] = shutil.which

    @property
    def home(self) -> Path:
        """The folder of this user."""
        return Path(self.environ.get("HOME") or own_folder())

    def at(self, path: str) -> Path:
        """A path of this system."""
        return self.root / path.lstrip("/")


class ManifestLocation(msgspec.Struct, frozen=True, kw_only=True):
    """A place for one manifest.

    Attributes:
        browser: that looks there.
        everyone: whether it counts for all users of the machine.
        file: of the manifest.
        above: a folder that is there anyway. Folders between it and the file may be created, and are removed with it.
        key: of the registry of Windows that names the file; empty elsewhere.
        likely: whether the browser is on this machine, as far as can be seen.
    """

    browser: Browser
    everyone: bool
    file: Path
    above: Path
    key: str = ""
    likely: bool = True


def places(system: System, *, everyone: bool) -> tuple[ManifestLocation, ...]:
    """The place for each browser.

    Args:
        system: that is looked at.
        everyone: those for all users of the machine, not for this one.
    """
    return tuple(_place(browser, system, everyone=everyone) for browser in BROWSERS)


def _place(browser: Browser, system: System, *, everyone: bool) -> ManifestLocation:
    if system.platform == "win32":
        above = Path(system.environ.get("PROGRAMDATA" if everyone else "LOCALAPPDATA") or system.home)
        file = above / "vitale-reader" / "browsers" / browser.name / FILE
        key = f"Software\\{browser.windows}\\{HOSTS}\\{HOST_NAME}"
        return ManifestLocation(browser=browser, everyone=everyone, file=file, above=above, key=key)
    if system.platform == "darwin":
        above = system.at("/Library") if everyone else system.home / "Library" / "Application Support"
        folder = above / (browser.macos_shared if everyone else browser.macos)
        is_there = everyone or folder.is_dir()
        return ManifestLocation(
            browser=browser, everyone=everyone, file=folder / HOSTS / FILE, above=above, likely=is_there
        )
    if everyone:
        folder = system.at(browser.linux_shared)
        file = folder / SHARED_HOSTS / FILE
        return ManifestLocation(browser=browser, everyone=True, file=file, above=folder.parent)
    is_dotted, config = browser.linux.startswith("."), system.environ.get("XDG_CONFIG_HOME")
    above = Path(config) if config and not is_dotted else system.home
    folder = above / ("" if is_dotted or config else ".config") / browser.linux
    is_there = folder.is_dir() or any(system.find(program) for program in browser.programs)
    file = folder / (SHARED_HOSTS if is_dotted else HOSTS) / FILE
    return ManifestLocation(browser=browser, everyone=False, file=file, above=above, likely=is_there)
