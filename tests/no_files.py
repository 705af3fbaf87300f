"""What stands in the place of a file, and is none: whoever reads it waits for ever, or without end."""

import os
import sys
from pathlib import Path

__all__ = ["NO_FILES", "put_no_file"]

NO_FILES = ("folder", "pipe", "device", "link to itself")


def put_no_file(place: Path, what: str) -> None:
    """Puts one of ``NO_FILES`` there."""
    match what:
        case "folder":
            place.mkdir()
        case "pipe":
            if sys.platform != "win32":
                os.mkfifo(place)
        case "device":
            place.symlink_to("/dev/zero")
        case _:
            place.symlink_to(place)
