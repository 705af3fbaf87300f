"""Extensions for browsers: their ids, and how a browser names one of them as it starts the native host.

An id is no proof. Whoever starts the host can say anything, and anybody can load other code under an id. The page
proves itself by its key. The id keeps other extensions of the same browser from being carried by mistake.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal

from vitale_protocol.errors import LocalMisuse

__all__ = ["CHROMIUM_ID", "FIREFOX_ID", "HOST_NAME", "ID_PATTERN", "Family", "caller", "family", "is_call"]

Family = Literal["chromium", "firefox"]

#: Name by which an extension asks for the native host: letters, digits, underscores and dots.
HOST_NAME: Final = "vitale_reader"

#: Ids of this project's own extension. The first is made from the public key in its manifest.
CHROMIUM_ID: Final = "idpomiiglclpkmfgnhpahogblkkpgcpi"
FIREFOX_ID: Final = "desk@vitale-reader"

ID_PATTERN: Final = r"^([a-p]{32}|\{[0-9a-f-]{36}\}|[A-Za-z0-9._-]{0,60}@[A-Za-z0-9._-]{1,60})(?![\s\S])"
_ID = re.compile(ID_PATTERN)
_CHROMIUM_ID = re.compile(r"[a-p]{32}")
_ORIGIN = re.compile(r"chrome-extension://([a-p]{32})/")


def family(extension: str) -> Family:
    """The browsers that an extension with this id is for."""
    return "chromium" if _CHROMIUM_ID.fullmatch(extension) else "firefox"


def is_call(arguments: Sequence[str]) -> bool:
    """True if a program was started as browsers start a native host: by the words that ``caller`` reads."""
    first = arguments[0] if arguments else ""
    return first.startswith("chrome-extension://") or (len(arguments) == 2 and first.endswith(f"{HOST_NAME}.json"))


def caller(arguments: Sequence[str]) -> str:
    """The id of the extension that a browser names.

    Args:
        arguments: those of Chromium are ``chrome-extension://ID/``, on Windows with the number of a window behind it.
            Those of Firefox are the path of the manifest and the id.

    Raises:
        LocalMisuse: no browser starts a native host like this.
    """
    if found := _ORIGIN.fullmatch(arguments[0] if arguments else ""):
        return found[1]
    if len(arguments) == 2 and _ID.fullmatch(arguments[1]) and family(arguments[1]) == "firefox":
        return arguments[1]
    raise LocalMisuse("not as a browser starts a native host", variant="native_host")
