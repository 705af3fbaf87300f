"""The language of the command line: French or English, chosen once, and what is said in either."""

import os
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from vitale_reader.cli.frame.system_language import system_language

__all__ = ["Language", "choose", "language", "t", "use"]

Language = Literal["fr", "en"]

_language: ContextVar[Language] = ContextVar("language", default="en")


def language() -> Language:
    """The language in use."""
    return _language.get()


def use(chosen: Language) -> None:
    """Changes the language of the output."""
    _language.set(chosen)


def t(fr: str, en: str) -> str:
    """The one of two texts that is in the language in use."""
    return fr if language() == "fr" else en


def choose(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> Language:
    """The language that ``--language`` names, else the one of the configuration, of the locale, or of the system.

    The arguments are examined before they are parsed, because a command's help is made when it is loaded.
    """
    environ = os.environ if environ is None else environ
    if (named := _option(arguments, "--language")) in {"fr", "en"}:
        return "fr" if named == "fr" else "en"
    if (configured := _configured(_option(arguments, "--home"), environ)) is not None:
        return configured
    # POSIX: the first of these that is set and not empty decides.
    locale = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or system_language()
    return "fr" if locale.lower().startswith("fr") else "en"


def _option(arguments: Sequence[str], option: str) -> str:
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        name, _, value = argument.partition("=")
        if name == option:
            return value or following
    return ""


def _configured(home: str, environ: Mapping[str, str]) -> Language | None:
    """The language of the station's configuration; what is wrong with the file is told by what needs it."""
    try:
        from vitale_reader.folders import Folders
        from vitale_reader.regular_files import read_regular

        place = Folders.under(Path(home)) if home else Folders.locate(environ)
        content = read_regular(place.config).decode("utf-8-sig")
    # Nothing there; or there is no home, or platformdirs is not installed for this Python, which is told in the
    # language of the system.
    except (OSError, ValueError, RuntimeError, ModuleNotFoundError):
        return None
    import tomllib

    try:
        chosen = tomllib.loads(content)["station"]["language"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return chosen if chosen in {"fr", "en"} else None
