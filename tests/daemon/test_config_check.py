"""``config check`` refuses exactly what the daemon refuses, at its start or in the process of a driver."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from vitale_protocol.errors import ConfigurationInvalid, LocalError, StoreUnavailable
from vitale_reader.daemon import config_check
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import Config, load, parse
from vitale_reader.home import Home

NONE = "[drivers]\nenabled = []\n"


def driver(name: str, options: str) -> str:
    return f'[drivers]\nenabled = ["{name}"]\n[drivers.options.{name}]\n{options}\n'


REFUSED = {
    "unknown option of camera": driver("camera", 'cameras = ["auto"]'),
    "wrong type for camera": driver("camera", 'width = "large"'),
    "no address of a camera": driver("camera", 'devices = ["webcam"]'),
    "unknown option of nfc": driver("nfc", "pol = 0.1"),
    "wrong type for nfc": driver("nfc", 'devices = "usb"'),
    "no address of an NFC reader": driver("nfc", 'devices = ["COM?"]'),
    "profiles in the driver's table": driver("nfc", 'profiles = ["x"]'),
    "no framing of a scanner": driver("scanner", 'framing = "azerty"'),
    "suffixes of a scanner": driver("scanner", 'suffix = ["a", "ab"]'),
    "unknown option of pcsc": driver("pcsc", "busy = 1"),
    "times of pcsc": driver("pcsc", "busy_notice = 9.0"),
    "unknown option of simulated-card": driver("simulated-card", "misspelt = 1"),
    "no image of a card": driver("simulated-card", 'image = "nobody"'),
    "no such driver": '[drivers]\nenabled = ["nope"]\n',
    "misspelt table of a driver": f'{NONE}[drivers.options.scaner]\nprofile = "cr"\n',
    "unknown resolver": f'{NONE}[apcv]\nresolver = "nope"\n',
    "resolver without its URL": f'{NONE}[apcv]\nresolver = "apcv-soap"\n',
    "options of no resolver": f"{NONE}[apcv.options]\nurl = 'x'\n",
    "unknown user": f'{NONE}[unix]\nusers = ["nobodyhere"]\n',
    "address of other machines": f'{NONE}[tls]\nhost = "0.0.0.0"\n',
    "unknown setting": f"{NONE}[station]\nmood = 1\n",
}

ACCEPTED = {
    "defaults": "",
    "a byte order mark": f'\ufeff{NONE}[station]\nname = "x"\n',
    "a table of a driver that does not run": f'{NONE}[drivers.options.scanner]\nprofile = "cr"\n',
    "a camera, an imager and a reader that are not there": '[drivers]\nenabled = ["camera", "scanner", "nfc"]\n'
    '[drivers.options.camera]\ndevices = ["/nowhere.avi"]\n[drivers.options.scanner]\ndevices = ["/nowhere"]\n'
    '[drivers.options.nfc]\ndevices = ["tty:nowhere:pn532"]\n',
    "simulated cards": driver("simulated-card", "present = true"),
}


def home_of(folder: Path, settings: str) -> Home:
    home = Home.under(folder)
    home.config.write_text(settings if "[tls]" in settings else f"{settings}[tls]\nport = 0\n", "utf-8")
    return home


def refuse_password(service: str, account: str) -> str:
    from keyring.errors import NoKeyringError

    raise NoKeyringError


def refused_by_check(home: Home) -> str:
    try:
        config_check.check(home, load(home.config))
    except (LocalError, StoreUnavailable) as error:
        return error.reason
    return ""


def refused_by_serve(home: Home, tools: Any) -> str:
    async def settled(config: Config) -> str:
        async with running(home, config) as endpoints, tools.unix_line(endpoints) as line, asyncio.timeout(90):
            await line.open()
            while True:
                drivers = (await line.result("station.info"))["drivers"]
                if all(one["state"] == "stopped" or one.get("version") for one in drivers):
                    return next((str(one["reason"]) for one in drivers if one["state"] == "stopped"), "")
                await asyncio.sleep(0.02)  # what is awaited has no event, and the drivers need the processor

    try:
        return asyncio.run(settled(load(home.config)))
    except (LocalError, StoreUnavailable) as error:
        return error.reason


@pytest.mark.posix
@pytest.mark.parametrize("settings", REFUSED.values(), ids=REFUSED)
def test_what_check_refuses_serve_refuses(settings: str, tmp_path: Path, tools: Any) -> None:
    home = home_of(tmp_path, settings)
    assert (refused_by_check(home), refused_by_serve(home, tools)) == ("configuration_invalid", "configuration_invalid")


@pytest.mark.posix
@pytest.mark.parametrize("settings", ACCEPTED.values(), ids=ACCEPTED)
def test_what_check_accepts_serve_accepts(settings: str, tmp_path: Path, tools: Any) -> None:
    home = home_of(tmp_path, settings)
    assert (refused_by_check(home), refused_by_serve(home, tools)) == ("", "")


def test_a_keyring_that_is_missing_is_refused_by_both(
    tmp_path: Path, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keyring
    from keyring.backends import null

    monkeypatch.setattr(keyring, "get_keyring", null.Keyring)
    monkeypatch.setattr(keyring, "get_password", refuse_password)
    home = home_of(tmp_path, f"{NONE}[keys]\nkeyring = true\n")
    assert (refused_by_check(home), refused_by_serve(home, tools)) == ("store_unavailable", "store_unavailable")


@pytest.mark.parametrize(
    ("settings", "path", "nearest"),
    [
        ("unknown option of nfc", "drivers.options.nfc.pol", "poll"),
        ("misspelt table of a driver", "drivers.options.scaner", "scanner"),
        ("unknown setting", "station.mood", "mode"),
        ("no framing of a scanner", "drivers.options.scanner.framing", None),
        ("times of pcsc", "drivers.options.pcsc", None),
    ],
)
def test_the_place_is_told_and_what_was_meant(settings: str, path: str, nearest: str | None, tmp_path: Path) -> None:
    home = home_of(tmp_path, REFUSED[settings])
    with pytest.raises(ConfigurationInvalid) as caught:
        config_check.check(home, load(home.config))
    assert (caught.value.data["path"], caught.value.data.get("nearest")) == (path, nearest)
    assert path in caught.value.detail


def test_a_password_in_an_address_is_not_repeated(tmp_path: Path) -> None:
    home = home_of(tmp_path, driver("camera", 'devices = ["ftp://user:hunter2@host/"]'))
    with pytest.raises(ConfigurationInvalid) as caught:
        config_check.check(home, load(home.config))
    assert "hunter2" not in f"{caught.value.detail}{caught.value.data}"


def test_a_device_that_is_named_by_a_number_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = parse(driver("scanner", 'devices = ["/dev/pts/4242"]') + "[tls]\nport = 0\n")

    async def main() -> None:
        async with running(Home.under(tmp_path), config):
            pass

    with caplog.at_level("WARNING"):
        asyncio.run(main())
    assert "driver scanner opens whatever gets the name /dev/pts/4242" in caplog.text
