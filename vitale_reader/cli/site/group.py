"""The commands of ``vitale-reader site``."""

from vitale_reader.cli.frame.command import Group
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.site.backups import backup, restore
from vitale_reader.cli.site.desks import remove, status
from vitale_reader.cli.site.monitoring import monitoring
from vitale_reader.cli.site.rekeying import rekey

__all__ = ["site"]

site = Group("site", help=t("Entretient un site et sa base de données.", "Looks after a site and its database."))

for entry in (status, remove, backup, restore, rekey, monitoring):
    site.add_command(entry)
