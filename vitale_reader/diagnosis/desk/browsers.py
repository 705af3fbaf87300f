"""Manifests for browsers: whether each says what this installation writes, and whether others can change it."""

from collections.abc import Collection, Iterator
from pathlib import Path

from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.errors import LocalMisuse
from vitale_reader.diagnosis.machine import InspectedMachine
from vitale_reader.web.native.declaring import examine, manifest, own_command
from vitale_reader.web.native.manifest_locations import System, places

__all__ = ["look"]


def look(machine: InspectedMachine, ids: Collection[str]) -> Iterator[CheckResult]:
    """Looks at the manifests that are there, in the folders of this user and in those of all.

    Args:
        machine: that is looked at.
        ids: of the extensions that may come, by the configuration.
    """
    system = System(platform=machine.system, root=machine.root, environ=machine.environ)
    command = _own_command()
    for everyone in (False, True):
        for place in places(system, everyone=everyone):
            state = examine(place, manifest(place.browser.family, command, ids), command)
            option = f" --browser {place.browser.name}{' --system' if everyone else ''}"
            values = {"browser": place.browser.title, "place": str(place.file), "option": option}
            if state == "as_written":
                yield CheckResult(id="browser_told", subject="browser", state="ok", values=values)
            elif state == "changed":
                yield CheckResult(id="browser_changed", subject="browser", state="wrong", values=values)
            elif state == "open":
                yield CheckResult(id="browser_open", subject="browser", state="wrong", values=values)


def _own_command() -> Path:
    try:
        return own_command()
    except LocalMisuse:
        return Path()  # no manifest says what this installation would write
