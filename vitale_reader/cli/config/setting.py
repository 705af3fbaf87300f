"""``vitale-reader config set``: one setting changed, comments kept, nothing written that the daemon would refuse."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.cli.config.showing import literal
from vitale_reader.cli.config.writing import as_toml, checked, current, replace, with_setting
from vitale_reader.cli.frame import completing, output
from vitale_reader.cli.frame.command import as_json, command, home_option
from vitale_reader.cli.frame.language import t
from vitale_reader.home import Home

if TYPE_CHECKING:
    from vitale_reader.daemon.config import Config

__all__ = ["set_"]


@command(
    "set",
    help=t(
        "Modifie un réglage et garde les commentaires\N{NO-BREAK SPACE}: `config set tls.port 0`.",
        "Changes a setting and keeps the comments: `config set tls.port 0`.",
    ),
)
@click.argument("key", metavar=t("RÉGLAGE", "KEY"), shell_complete=completing.settings)
@click.argument("word", metavar=t("VALEUR", "VALUE"))
@as_json
@home_option
def set_(key: str, word: str, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader config set``."""
    from vitale_reader.daemon.config import load

    place = Home.chosen(home)
    load(place.config)  # what is wrong with it already is told with its line
    text = current(place.config)
    value, made, config = _made(place, text, key, word)
    replace(place.config, made, config)
    told = _masked(config, key, value)
    if as_json:
        output.print_json({"path": str(place.config), "key": key, "value": told, "changed": made != text})
        return
    click.echo(f"{key} = {literal(told)}")
    output.note(
        t(
            "Le service en tient compte à son prochain démarrage\N{NO-BREAK SPACE}: `vitale-reader service restart`.",
            "The daemon takes it up when it starts again: `vitale-reader service restart`.",
        )
    )


def _made(place: "Home", text: str, key: str, word: str) -> "tuple[object, str, Config]":
    """The value as the setting wants it, the text with it, and all settings then.

    Raises:
        ConfigurationInvalid, ToolMissing, StoreUnavailable: the daemon would not start with it.
    """
    from vitale_reader.daemon.config import parse

    refused: ConfigurationInvalid | None = None
    for value in _values(word):
        try:
            made = with_setting(text, key, value)
            parse(made, source=str(place.config))
        except ConfigurationInvalid as error:
            refused = refused or error
            continue
        try:
            return value, made, checked(place, made)
        except ConfigurationInvalid as error:
            if error.data.get("path") != key:  # another setting is wrong, and was before
                raise
            raise _not_set(error) from error
    if refused is None:
        raise AssertionError("there is always a value")
    raise _not_set(refused) from refused


def _not_set(refused: ConfigurationInvalid) -> ConfigurationInvalid:
    # The line would be one of a text that nobody sees.
    data = {name: each for name, each in refused.data.items() if name != "line"}
    return ConfigurationInvalid(refused.detail, variant=refused.variant or "not_set", data=data)


def _values(word: str) -> Iterator[object]:
    """The values that a word may stand for, the likeliest first."""
    value = as_toml(word)
    yield value
    if value != word:
        yield word  # a name like 42
    yield [each.strip() for each in word.split(",") if each.strip()]


def _masked(config: "Config", key: str, value: object) -> object:
    """The value as it may be shown."""
    from vitale_reader.daemon.config import shown

    found: object = shown(config)
    for name in key.split("."):
        table = cast("dict[str, object]", found) if isinstance(found, dict) else {}
        if name not in table:
            return value
        found = table[name]
    return found
