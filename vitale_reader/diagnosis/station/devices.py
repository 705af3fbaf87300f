"""Drivers and their devices: each driver checks its options and devices in a process of its own."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import cast

import msgspec

from vitale_drivers.base import Sighting
from vitale_drivers.host.inspection import Surveyed
from vitale_protocol.diagnosis.check_results import CheckResult, of_error
from vitale_protocol.errors import ConfigurationInvalid, NoReader, ReaderBusy, ToolMissing, VitaleError
from vitale_protocol.problems import Problem
from vitale_reader.daemon.config import Config, located, named_devices, numbered_devices
from vitale_reader.daemon.workers.holders import find_holders
from vitale_reader.daemon.workers.questions import Silent
from vitale_reader.home import Home

__all__ = ["Answers", "absent_ports", "ask", "look", "seen_names", "shown_by_pcsc"]

Answers = Mapping[str, Surveyed | Silent | VitaleError]

#: Seconds for a driver to load its libraries and look; twenty times what they take on a desk.
LIMIT = 15.0

#: Seconds for a driver that has loaded to look, ten times what it takes: whoever waits for an answer sees it in three.
LOOK = 1.5

#: Addresses that mean any device of a kind.
_ANY = frozenset({"auto", "usb"})

#: Drivers whose devices one program at a time can use, and the variant of the error that says so.
_HELD = {"scanner": "scanner", "nfc": "", "camera": "camera"}

_CARDS = {"vitale-card": "reader_card", "cps-card": "reader_cps", "unknown-card": "reader_other"}


def ask(config: Config) -> Answers:
    """Asks the drivers that are enabled; none where a profile cannot be read, which is told as such."""
    from vitale_reader.daemon import config_check  # noqa: PLC0415  part of an extra
    from vitale_reader.daemon.workers.questions import survey  # noqa: PLC0415

    try:
        options = config_check.driver_options(config, config_check.read_own_profiles(config))
    except (ConfigurationInvalid, ToolMissing):
        return {}
    return survey(options, LIMIT, LOOK)


def shown_by_pcsc(answers: Answers) -> tuple[str, ...] | None:
    """The names of the readers that PC/SC shows; None where it was not asked, or does not answer."""
    answer = answers.get("pcsc")
    if not isinstance(answer, Surveyed) or any(one.kind == "service" and one.problem for one in answer.seen):
        return None
    return tuple(one.name for one in answer.seen if one.kind == "reader") if answer.refused is None else None


def seen_names(answers: Answers) -> dict[str, tuple[str, ...]]:
    """The names of the real devices that each driver sees; of one that does not answer, none."""
    return {
        name: tuple(one.name for one in answer.seen if one.kind == "reader" and not one.simulated)
        if isinstance(answer, Surveyed)
        else ()
        for name, answer in answers.items()
    }


def look(
    home: Home, config: Config, answers: Answers, *, running: bool, ours: Collection[int] = ()
) -> Iterator[CheckResult]:
    """Says what the drivers see.

    Args:
        home: where the configuration is.
        config: the settings.
        answers: of the drivers.
        running: whether the daemon runs, which tells of its drivers and their readers itself.
        ours: its processes, which may hold devices.
    """
    yield from _twice(home, config)
    for name, answer in answers.items():
        if isinstance(answer, Silent):
            values = {"name": name, "limit": answer.limit}
            yield CheckResult(id="driver_silent", subject="driver", state="wrong", values=values)
        elif isinstance(answer, VitaleError):
            yield _refused(home, answer)
        elif answer.refused is not None:
            yield _refused(home, answer.refused.error(ConfigurationInvalid))
        else:
            if not running:
                yield CheckResult(id="driver_checked", subject="driver", state="ok", values={"name": name})
            for sighting in answer.seen:
                yield from _sighting(home, config, name, _with_holder(name, sighting, ours, running=running))
    if not running and _sees_nothing(answers):
        yield of_error(NoReader(), "reader")
    for address, driver in numbered_devices(config).items():
        place = {"address": address, "driver": driver, "file": str(home.config)}
        yield CheckResult(id="device_numbered", subject="driver", state="note", values=place)


def absent_ports(config: Config) -> dict[str, str]:
    """The serial ports in the options of drivers, and the driver of each."""
    found: dict[str, str] = {}
    for driver in config.drivers.enabled:
        devices = config.drivers.options.get(driver, {}).get("devices", ())
        named = cast("Sequence[object]", devices) if isinstance(devices, list | tuple) else ()
        for text in named:
            if isinstance(text, str) and (text.startswith(("/dev/", "COM", "com:"))):
                found[f"COM{text[4:]}" if text.startswith("com:") else text] = driver
    return found


def _twice(home: Home, config: Config) -> Iterator[CheckResult]:
    """Reports a device that is named twice, by one driver or by two.

    The second finds it taken, or gets half of its data.
    """
    drivers_of: dict[str, list[str]] = {}
    for driver in config.drivers.enabled:
        for text in named_devices(config, driver):
            if text not in _ANY:
                drivers_of.setdefault(os.path.realpath(text) if text.startswith("/") else text, []).append(driver)
    for address, drivers in drivers_of.items():
        if len(drivers) > 1:
            values = {"address": address, "drivers": ", ".join(dict.fromkeys(drivers)), "file": str(home.config)}
            yield CheckResult(id="device_twice", subject="driver", state="wrong", values=values)


def _refused(home: Home, error: VitaleError) -> CheckResult:
    if isinstance(error, ConfigurationInvalid):
        return of_error(located(error, home.config), "configuration", {"file": str(home.config)})
    return of_error(error, "part")


def _sees_nothing(answers: Answers) -> bool:
    """True if every driver looked and none sees a device; a driver that tells nothing may have some."""
    looked = [answer for answer in answers.values() if isinstance(answer, Surveyed) and answer.refused is None]
    if not looked or len(looked) < len(answers) or not all(answer.seen for answer in looked):
        return False
    seen = [one for answer in looked for one in answer.seen]
    told = any(one.problem for one in seen) or any(one.kind == "absent" and one.name not in _ANY for one in seen)
    return not told and not any(one.kind == "reader" for one in seen)


def _sighting(home: Home, config: Config, driver: str, seen: Sighting) -> Iterator[CheckResult]:
    match seen.kind:
        case "service":
            if seen.problem is not None:
                yield of_error(seen.problem, "pcsc", {"name": driver})
        case "absent":
            yield _absent(home, driver, seen.name)
        case "reader":
            yield _reader(seen, driver)
            if seen.simulated and config.station.mode != "simulated":
                values = {"name": seen.name, "mode": config.station.mode}
                yield CheckResult(id="reader_simulated", subject="reader", state="note", values=values)
            if seen.redirected:
                yield CheckResult(id="reader_redirected", subject="reader", state="note", values={"name": seen.name})


def _with_holder(driver: str, seen: Sighting, ours: Collection[int], *, running: bool) -> Sighting:
    """A device with the program that holds it; one that our own daemon holds is as it should be."""
    taken = seen.problem is not None and seen.problem.reason == ReaderBusy.reason
    if seen.kind == "reader" and seen.simulated and (people := find_holders(f"terminal:{seen.device}", ours)):
        problem = Problem(ReaderBusy.reason, "terminal", data={"holder": ", ".join(people)})
        return msgspec.structs.replace(seen, problem=problem)
    if seen.kind != "reader" or seen.simulated or (seen.problem is not None and not taken):
        return seen
    if driver not in {"scanner", "nfc"} and not taken:
        return seen  # several programs may have it open
    device = "pcsc" if driver == "pcsc" else seen.device
    if holders := find_holders(device, {os.getpid(), *ours}):
        problem = Problem(ReaderBusy.reason, _HELD.get(driver, ""), data={"holder": ", ".join(holders)})
        return msgspec.structs.replace(seen, problem=problem)
    return msgspec.structs.replace(seen, problem=None) if running else seen


def _absent(home: Home, driver: str, address: str) -> CheckResult:
    if address in _ANY:
        return CheckResult(id="driver_without_device", subject="driver", state="note", values={"name": driver})
    values = {"address": address, "driver": driver, "file": str(home.config)}
    return CheckResult(id="device_absent", subject="driver", state="wrong", values=values)


def _reader(seen: Sighting, driver: str) -> CheckResult:
    more = {"device": seen.device, "atr": seen.atr}
    values = {"name": seen.name, "driver": driver, **{key: value for key, value in more.items() if value}}
    if seen.problem is not None:
        return of_error(msgspec.structs.replace(seen.problem, detail=seen.name), "reader", values)
    if driver != "pcsc":
        return CheckResult(id="reader_there", subject="reader", state="ok", values=values)
    return CheckResult(id=_CARDS.get(seen.medium, "reader_empty"), subject="reader", state="ok", values=values)
