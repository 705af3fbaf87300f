"""The group of commands ``vitale-reader web``."""

from vitale_reader.cli.frame.command import Group
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.web.clients import clients, revoke
from vitale_reader.cli.web.pair import pair

__all__ = ["web"]

web = Group("web", help=t("Appaire et révoque les pages web.", "Pairs and revokes web pages."))

for entry in (pair, clients, revoke):
    web.add_command(entry)
