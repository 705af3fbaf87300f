"""The pages of docs/reference that are made from the code, so that they cannot say anything else than it does.

``python -m docs.generator`` writes them; with ``--check`` it only says which are stale, and fails if any is.
"""

from collections.abc import Callable
from pathlib import Path

from docs.generator import cli, configuration, errors, records, wire

__all__ = ["PAGES", "REFERENCE", "stale", "write"]

REFERENCE = Path(__file__).parents[1] / "reference"

PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli.page,
    "configuration.md": configuration.page,
    "errors.md": errors.page,
    "records.md": records.page,
    "wire.md": wire.page,
}


def write(folder: Path = REFERENCE) -> None:
    """Writes every page."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


def stale(folder: Path = REFERENCE) -> list[str]:
    """The names of the pages that are missing or not what the code says."""
    found: list[str] = []
    for name, page in PAGES.items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != page():
            found.append(name)
    return found
