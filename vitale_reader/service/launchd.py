"""Property lists of launchd: an agent of one user, or of each who logs in. Both run in the user's session.

There is no daemon of the machine. It would see neither a camera, for which macOS asks a person, nor a user's folders.
"""

import plistlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["LABEL", "agent", "program_in"]

LABEL: Final = "vitale-reader"

#: Seconds between two starts of a daemon that ended by a fault.
THROTTLE: Final = 5


def agent(program: Sequence[str], home: Path | None = None) -> str:
    """Text of a property list.

    Args:
        program: the command that runs the daemon in the foreground, its path first.
        home: folder of the station, where it is another than that of the user's commands.
    """
    settings: dict[str, Any] = {
        "Label": LABEL,
        "ProgramArguments": list(program),
        "RunAtLoad": True,
        # Asked to end, it ends with status 0, and stays so.
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": THROTTLE,
        "ProcessType": "Interactive",
        "LimitLoadToSessionType": "Aqua",
        "Umask": 0o077,
        "HardResourceLimits": {"Core": 0},
    }
    if home is not None:
        settings["EnvironmentVariables"] = {"VITALE_READER_HOME": str(home)}
    return plistlib.dumps(settings, sort_keys=False).decode("utf-8")


def program_in(text: str) -> str:
    """The path of the program in a property list; empty where there is none."""
    try:
        return str(plistlib.loads(text.encode("utf-8"))["ProgramArguments"][0])
    except (ValueError, LookupError, TypeError, plistlib.InvalidFileException):
        return ""
