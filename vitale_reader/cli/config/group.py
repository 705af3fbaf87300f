"""The group of commands ``vitale-reader config``."""

from vitale_reader.cli.config.init import init
from vitale_reader.cli.config.setting import set_
from vitale_reader.cli.config.show_and_check import check, path, show
from vitale_reader.cli.frame.command import Group
from vitale_reader.cli.frame.language import t

__all__ = ["config"]

config = Group(
    "config",
    help=t(
        "Crée, montre, contrôle et modifie la configuration.", "Begins, shows, checks and changes the configuration."
    ),
)

for entry in (init, path, show, check, set_):
    config.add_command(entry)
