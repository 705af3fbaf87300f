"""The folders of a station: room on their disk, whose they are, and whether Windows keeps them elsewhere."""

from collections.abc import Iterator
from pathlib import Path

from vitale_protocol.diagnosis.check_results import CheckResult, of_error
from vitale_protocol.errors import LocalMisuse
from vitale_reader.diagnosis.machine import InspectedMachine, owner_of
from vitale_reader.home import Home

__all__ = ["look"]

#: Bytes. A day of a busy desk writes some megabytes; a transaction of SQLite needs its journal besides.
FULL = 10_000_000
LOW = 200_000_000

#: In the path of what Windows keeps for a Python from Microsoft's Store (MSIX).
_STORE = "pythonsoftwarefoundation.python."


def look(machine: InspectedMachine, home: Home) -> Iterator[CheckResult]:
    """Looks at the folders."""
    if not machine.read_only(_nearest(home.state)):  # such a disk may well have no room: nobody needs any there
        yield _disk(machine, home.state)
    for folder in dict.fromkeys((home.state, home.run)):
        yield from _rights(machine, folder)
    yield from _redirected(machine, home.state)


def _redirected(machine: InspectedMachine, folder: Path) -> Iterator[CheckResult]:
    """Reports a folder in AppData that Windows keeps for this Python alone, as for one from its Store."""
    there = _nearest(folder)
    real = machine.real(there)
    if machine.system == "win32" and _STORE in str(real).lower() and _STORE not in str(there).lower():
        values = {"place": str(there), "real": str(real)}
        yield CheckResult(id="folder_redirected", subject="folder", state="note", values=values)


def _disk(machine: InspectedMachine, folder: Path) -> CheckResult:
    free = machine.free(_nearest(folder))
    values = {"place": str(folder), "megabytes": free // 1_000_000}
    if free < FULL:
        return CheckResult(id="disk_full", subject="folder", state="wrong", values=values)
    if free < LOW:
        return CheckResult(id="disk_low", subject="folder", state="note", values=values)
    return CheckResult(id="disk_free", subject="folder", state="ok", values=values)


def _rights(machine: InspectedMachine, folder: Path) -> Iterator[CheckResult]:
    there = _nearest(folder)
    if (file := _in_the_way(folder)) is not None:
        yield of_error(LocalMisuse(str(file), variant="no_folder", data={"place": str(file)}), "folder")
        return
    if not machine.writable(there):
        owner = owner_of(there) or "?"
        values = {"place": str(there), "owner": owner, "user": machine.user}
        name = "folder_locked" if owner == machine.user else "folder_refused"
        name = "folder_read_only" if machine.read_only(there) else name
        yield CheckResult(id=name, subject="folder", state="wrong", values=values)


def _in_the_way(folder: Path) -> Path | None:
    """The file or broken link in the place of the folder, or of one above it; None without one."""
    for place in (folder, *folder.parents):
        try:
            if place.is_dir():
                return None
            if place.is_symlink() or place.exists():
                return place
        except OSError:  # one above may not be looked into
            continue
    return None


def _nearest(folder: Path) -> Path:
    """The folder, or the one above in which it would be made."""
    for place in (folder, *folder.parents):
        try:
            if place.is_dir():
                return place
        except OSError:  # one above may not be looked into
            continue
    return Path(folder.anchor)
