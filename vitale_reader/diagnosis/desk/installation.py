"""The platform, the versions, the parts of the installation that are missing, and the character set."""

import platform
import re
from collections.abc import Collection, Iterator

from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.extras import EXTRAS, Extra, missing_part
from vitale_reader.diagnosis.machine import InspectedMachine
from vitale_reader.version import VERSION

__all__ = ["look"]

_PARTS: tuple[Extra, ...] = tuple(extra for extra in EXTRAS if extra != "all")


def look(machine: InspectedMachine, needed: Collection[str]) -> Iterator[CheckResult]:
    """Looks at the installation.

    Args:
        machine: the one that is looked at.
        needed: the parts that the configuration needs; those that lack are told by whoever needs them.
    """
    values = {
        "version": VERSION,
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
    }
    yield CheckResult(id="platform", subject="platform", state="ok", values=values)
    absent = [part for part in _PARTS if missing_part(part, part) is not None]
    there = [part for part in _PARTS if part not in absent]
    yield CheckResult(id="parts", subject="part", state="ok", values={"there": ", ".join(there) or "–"})
    if spare := [part for part in absent if part not in needed]:
        yield CheckResult(id="parts_absent", subject="part", state="ok", values={"absent": ", ".join(spare)})
    yield from _locale(machine)


def _locale(machine: InspectedMachine) -> Iterator[CheckResult]:
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    chosen = next((machine.environ[name] for name in names if machine.environ.get(name)), "")
    # Without a name Python itself takes UTF-8 (PEP 538), and so do Windows and macOS for files.
    encoding = chosen.partition("@")[0].partition(".")[2]
    if encoding and re.sub(r"[^a-z0-9]", "", encoding.lower()) != "utf8":
        yield CheckResult(id="locale_not_utf8", subject="platform", state="note", values={"encoding": encoding})
