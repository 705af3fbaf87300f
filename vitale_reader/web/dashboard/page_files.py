"""The files of the dashboard's page, and the words on it, read once at the start of its process."""

from pathlib import Path
from typing import Any, Final

import msgspec

from vitale_protocol import catalogue
from vitale_protocol.catalogue import LANGUAGES, Language
from vitale_protocol.errors import (
    ConfigurationInvalid,
    ReaderGone,
    ReaderUnavailable,
    ResolverUnavailable,
    ToolMissing,
    concrete_errors,
)

__all__ = ["PAGE", "load", "words"]

PAGE: Final = Path(__file__).parent / "page"

#: Reasons that a driver or the resolver gives for its state, and that are told more exactly.
VARIED: Final = {ReaderUnavailable.reason, ReaderGone.reason, ResolverUnavailable.reason, ToolMissing.reason}

#: Reasons that a desk can tell: those of the wire, and of a driver that cannot begin.
TOLD: Final = {error.reason for error in concrete_errors() if error.code} | {
    ConfigurationInvalid.reason,
    ToolMissing.reason,
}

KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}


def load(folder: Path = PAGE) -> dict[str, tuple[str, bytes]]:
    """The kind and the content of each file, by its path in the browser."""
    found = {
        f"/{file.name}": (KINDS[file.suffix], file.read_bytes())
        for file in sorted(folder.iterdir())
        if file.suffix in KINDS and not file.name.startswith("words.")
    }
    found["/"] = found.pop("/index.html")
    for language in LANGUAGES:
        found[f"/words.{language}.json"] = (KINDS[".json"], msgspec.json.encode(words(language, folder)))
    return found


def words(language: Language, folder: Path = PAGE) -> dict[str, Any]:
    """The words of the page in a language: its own, and the titles of a desk's errors by reason."""
    own: dict[str, Any] = msgspec.json.decode((folder / f"words.{language}.json").read_bytes())
    titles: dict[str, str] = {}
    for reason in sorted(TOLD):
        title = titles[reason] = catalogue.text(reason, language).title
        for variant in catalogue.variants(reason) if reason in VARIED else ():
            exact = catalogue.text(reason, language, variant).title
            if exact != title:
                titles[f"{reason}.{variant}"] = exact
    return own | {"reasons": titles}
