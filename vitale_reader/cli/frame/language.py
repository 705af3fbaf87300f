"""The language of the command line: French or English, chosen once, and what is said in either."""

import os
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from itertools import zip_longest
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
    """The language that ``--language`` names, else that of the locale, else that of the system.

    The arguments are looked at before they are parsed, because the help of a command is made when it is loaded.
    """
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        name, _, value = argument.partition("=")
        if name == "--language" and (value or following) in {"fr", "en"}:
            return "fr" if (value or following) == "fr" else "en"
    environ = os.environ if environ is None else environ
    # POSIX: the first of these that is set and not empty decides.
    locale = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or system_language()
    return "fr" if locale.lower().startswith("fr") else "en"
