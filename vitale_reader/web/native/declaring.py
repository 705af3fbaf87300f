"""The manifests by which browsers know the native host: written, compared, and removed with all their traces.

Whoever can change a manifest, or the program that it names, has the browser start another one. So both have to be this
user's or an administrator's, and closed to all others.
"""

import json
import sys
import sysconfig
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from vitale_protocol.errors import LocalMisuse
from vitale_protocol.web.extensions import HOST_NAME, Family, family
from vitale_reader.atomic_files import write_atomically
from vitale_reader.web.native import registry
from vitale_reader.web.native.access import COMMAND, is_open_to_others
from vitale_reader.web.native.manifest_locations import ManifestLocation

__all__ = ["State", "declare", "examine", "manifest", "own_command", "withdraw"]

State = Literal["absent", "as_written", "changed", "open"]


def own_command() -> Path:
    """The command of this installation, which browsers start.

    Raises:
        LocalMisuse: there is none, as for a checkout that is not installed.
    """
    if getattr(sys, "frozen", False):
        return Path(sys.executable)
    user = sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))
    for folder in (str(Path(sys.executable).parent), sysconfig.get_path("scripts"), user):
        if (command := Path(folder) / COMMAND).is_file():
            return command
    raise LocalMisuse("no command vitale-reader is installed beside this Python", variant="no_command")


def manifest(of: Family, command: Path, ids: Collection[str]) -> bytes:
    """The manifest for browsers of a family.

    Args:
        of: which.
        command: that they start.
        ids: of the extensions that may have it started; those of other families are left out.
    """
    known = [each for each in ids if family(each) == of]
    named = (
        {"allowed_origins": [f"chrome-extension://{each}/" for each in known]}
        if of == "chromium"
        else {"allowed_extensions": known}
    )
    told = {"name": HOST_NAME, "description": "vitale-reader", "path": str(command), "type": "stdio", **named}
    return json.dumps(told, indent=2, ensure_ascii=False).encode() + b"\n"


def declare(place: ManifestLocation, content: bytes) -> None:
    """Writes a manifest, whole or not at all, and registers it where the system has a registry.

    Raises:
        OSError: it cannot be written.
    """
    place.file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    write_atomically(place.file, content, mode=0o644)
    if place.key:
        registry.point(place.key, str(place.file), everyone=place.everyone)


def withdraw(place: ManifestLocation) -> bool:
    """Removes a manifest, with what names it and the folders that are empty without it; whether there was one.

    Raises:
        OSError: it cannot be removed.
    """
    was_there = bool(place.key) and registry.forget(place.key, everyone=place.everyone)
    try:
        place.file.unlink()
    except FileNotFoundError:
        return was_there
    for folder in place.file.parents:
        if folder == place.above or any(folder.iterdir()):
            break
        folder.rmdir()
    return True


def examine(place: ManifestLocation, expected: bytes, command: Path) -> State:
    """The state of a manifest: ``open`` where others could change it or what it starts.

    Args:
        place: of the manifest.
        expected: what this installation writes there.
        command: that it names.
    """
    try:
        content = place.file.read_bytes()
    except FileNotFoundError:
        return "absent"
    except OSError:
        return "open"  # another's, who keeps it to himself
    if any(is_open_to_others(file) for file in (place.file, command)):
        return "open"
    is_named = not place.key or registry.pointed(place.key, everyone=place.everyone) == str(place.file)
    return "as_written" if content == expected and is_named else "changed"
