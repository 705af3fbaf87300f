"""``vitale-reader config set``: one setting changed, comments kept, nothing written that the daemon would refuse."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from vitale_reader.cli.config.show_and_check import literal
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
    from vitale_reader.diagnosis.settings_file import change

    place = Home.chosen(home)
    made = change(place, key, word)
    told = _masked(made.config, key, made.value)
    if as_json:
        output.print_json({"path": str(place.config), "key": key, "value": told, "changed": made.differs})
        return
    click.echo(f"{key} = {literal(told)}")
    output.note(
        t(
            "Le service en tient compte à son prochain démarrage\N{NO-BREAK SPACE}: `vitale-reader service restart`.",
            "The daemon takes it up when it starts again: `vitale-reader service restart`.",
        )
    )


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
