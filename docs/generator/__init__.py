"""Documents generated from the code, so that they agree with it.

They are pages of docs/, the map of the rooms, and the schema. ``python -m docs.generator`` writes them; with
``--check`` it only says which are stale, and fails if any is.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from docs.generator import cli, configuration, errors, records, rooms, rooms_picture, sdk, wire
from vitale_protocol import schemas

__all__ = ["FILES", "ROOT", "stale", "write"]

ROOT = Path(__file__).parents[2]


def _schema(name: str) -> str:
    return schemas.documents()[name].decode()


#: By path from the root of the checkout.
FILES: dict[str, Callable[[], str]] = {
    "docs/reference/cli.md": cli.page,
    "docs/reference/configuration.md": configuration.page,
    "docs/reference/errors.md": errors.page,
    "docs/reference/records.md": records.page,
    "docs/reference/sdk.md": sdk.page,
    "docs/reference/wire.md": wire.page,
    "docs/explanation/rooms.md": rooms.page,
    "docs/pictures/rooms.svg": rooms_picture.picture,
    **{f"protocol/vitale_protocol/schema/{name}": partial(_schema, name) for name in schemas.documents()},
}


def write(root: Path = ROOT) -> None:
    """Writes every generated file."""
    for name, content in FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content(), encoding="utf-8")


def stale(root: Path = ROOT) -> list[str]:
    """The files that are missing or not what the code says."""
    found: list[str] = []
    for name, content in FILES.items():
        file = root / name
        if not file.exists() or file.read_text(encoding="utf-8") != content():
            found.append(name)
    return found
