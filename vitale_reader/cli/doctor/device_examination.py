"""``doctor --card``, ``--phone``, ``--scan``, ``--camera``: a device tried step by step, each shown as it comes."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.diagnosis.findings import Finding, tell
from vitale_protocol.errors import LocalMisuse, VitaleError
from vitale_reader.atomic_files import write_new
from vitale_reader.cli.doctor import findings_output
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import to_daemon
from vitale_reader.cli.frame.language import language, t
from vitale_reader.home import Home

__all__ = ["Trial", "attempt"]

Trial = Literal["card", "phone", "scan", "camera"]

#: The driver of each trial; a phone is tried at PC/SC where no NFC reader is configured.
_DRIVERS: dict[Trial, str] = {"card": "pcsc", "phone": "nfc", "scan": "scanner", "camera": "camera"}


def attempt(
    trial: Trial, home: Path | None, *, reader: str, seconds: float, as_json: bool, picture: Path | None = None
) -> int:
    """Tries a device, and returns the exit status.

    Args:
        trial: which kind.
        home: of the station.
        reader: a part of the reader's name, or empty.
        seconds: for as long as something is waited for.
        as_json: whether a program reads the steps.
        picture: the file that gets what the camera saw.

    Raises:
        ConfigurationInvalid: the configuration cannot be read.
        LocalMisuse: the daemon has the device.
        OSError: the file cannot be written.
        ToolMissing: the daemon's parts are not installed.
    """
    findings = list[Finding]()
    for finding in _steps(trial, home, reader, seconds, picture):
        findings.append(finding)
        if not as_json:
            findings_output.print_finding(finding)
    status = findings_output.status(findings)
    if as_json:
        output.print_json({"healthy": status == 0, "status": status, "findings": findings})
    return status


def _steps(trial: Trial, home: Path | None, reader: str, seconds: float, picture: Path | None) -> Iterator[Finding]:
    from vitale_reader.daemon import config_check
    from vitale_reader.daemon.config import load
    from vitale_reader.daemon.workers.questions import examined

    config = load(Home.chosen(home).config)
    driver = _DRIVERS[trial]
    if trial == "phone" and "nfc" not in config.drivers.enabled:
        driver = "pcsc"
    if driver != "pcsc":  # which several programs may use side by side
        _require_free(home, driver)
    own = config.drivers.options.get(driver, {})
    options = config_check.read_own_profiles(config).options(driver, own)
    for row in examined(driver, options, seconds, reader, picture=picture is not None):
        yield tell(row if picture is None or row.id != "camera_picture" else _kept(row, picture), language())


def _kept(row: CheckResult, picture: Path) -> CheckResult:
    """Writes the picture into the file, for its owner alone; the step without it."""
    write_new(picture, base64.b64decode(row.values["jpeg"]))
    return msgspec.structs.replace(row, values={"file": str(picture)})


def _require_free(home: Path | None, driver: str) -> None:
    """Refuses a device that the daemon has.

    Raises:
        LocalMisuse: a daemon runs with this driver.
    """
    try:
        with to_daemon(home, None, None) as daemon:
            drivers = [one.name for one in daemon.station().drivers]
    except VitaleError:
        return
    if driver in drivers:
        told = t(
            "le service tient cet appareil\N{NO-BREAK SPACE}: arrêtez-le le temps de l’essai",
            "the daemon has this device: stop it while the device is tried",
        )
        raise LocalMisuse(told)
