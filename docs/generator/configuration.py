"""docs/reference/configuration.md: every setting, from the structs that check the file."""

from collections.abc import Iterator

import msgspec
import msgspec.inspect as mi

from docs.generator.markdown import GENERATED, attributes, default, members, prose, table, type_in_words
from vitale_drivers.camera.settings import CameraSettings
from vitale_drivers.nfc.settings import NfcSettings
from vitale_drivers.scanner.settings import ScannerSettings
from vitale_reader.daemon import config

__all__ = ["DRIVERS", "page", "settings"]

DRIVERS: dict[str, type[msgspec.Struct]] = {
    "camera": CameraSettings,
    "nfc": NfcSettings,
    "scanner": ScannerSettings,
}
"""The options of the drivers that have a struct of them."""

INTRODUCTION = """
The daemon reads `config.toml` once, at start. Where the file is, and which settings apply, is told by
`vitale-reader config path` and `vitale-reader config show`; `vitale-reader config check` examines it without starting.
`vitale-reader config init` writes a first one, and `vitale-reader config set` changes a setting and keeps the comments.
`VITALE_READER_HOME` moves the file and everything else under one folder.

Every table and every setting may be left out. A setting that is not known is refused, so that a misspelt one cannot be
silently without effect.
"""


def settings(struct: type[msgspec.Struct] = config.Config) -> Iterator[tuple[str, mi.Field]]:
    """Every setting of the file with its dotted name."""
    for field in members(struct):
        if isinstance(field.type, mi.StructType):
            yield from ((f"{field.name}.{name}", inner) for name, inner in settings(field.type.cls))
        else:
            yield field.name, field


def section(name: str, struct: type[msgspec.Struct]) -> str:
    """One table of the file."""
    meanings = attributes(struct)
    rows = [
        (f"`{field.name}`", type_in_words(field.type), default(field), meanings[field.name])
        for field in members(struct)
        if not isinstance(field.type, mi.StructType)
    ]
    heading = f"## `[{name}]`" if name else "## Outside any table"
    # "``[unix]``: the socket …" repeats the heading.
    text = prose(struct).split(": ", 1)[-1] if name else "These stand at the top of the file, before the first table."
    return f"{heading}\n\n{text[0].upper()}{text[1:]}\n\n{table(('setting', 'type', 'default', 'meaning'), rows)}\n"


def tables(name: str, struct: type[msgspec.Struct]) -> Iterator[str]:
    """The tables within a table of the file, each with those within it."""
    for field in members(struct):
        if isinstance(field.type, mi.StructType):
            inner = f"{name}.{field.name}".lstrip(".")
            yield section(inner, field.type.cls)
            yield from tables(inner, field.type.cls)


def page() -> str:
    """Renders the page docs/reference/configuration.md."""
    drivers = [section(f"drivers.options.{name}", struct) for name, struct in DRIVERS.items()]
    parts = [
        GENERATED,
        "# Configuration",
        INTRODUCTION.strip(),
        section("", config.Config),
        *tables("", config.Config),
        *drivers,
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"
