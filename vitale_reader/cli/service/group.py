"""The group of commands ``vitale-reader service``."""

from vitale_reader.cli.frame.command import Group
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.service.installing import install, restart, start, status, stop, uninstall
from vitale_reader.cli.service.logs import logs

__all__ = ["service"]

service = Group(
    "service",
    help=t("Installe et gère le service de ce système.", "Installs and looks after the service of this system."),
)

for entry in (install, uninstall, start, stop, restart, status, logs):
    service.add_command(entry)
