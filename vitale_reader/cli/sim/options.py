"""Options that several simulators have."""

import click

from vitale_reader.cli.frame.language import t

__all__ = ["phone_option", "scenario_option"]

scenario_option = click.option(
    "--scenario",
    default="famille",
    show_default=True,
    metavar=t("NOM|FICHIER", "NAME|FILE"),
    help=t(
        "Le scénario : un nom de `sim phone --list`, ou un fichier TOML.",
        "The scenario: a name of `sim phone --list`, or a TOML file.",
    ),
)

phone_option = click.option(
    "--phone",
    "phone_id",
    default="",
    metavar="ID",
    help=t("Le téléphone du scénario ; par défaut le premier.", "The phone of the scenario; the first one by default."),
)
