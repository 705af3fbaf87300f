"""``vitale-reader site monitoring``: the alert rules for Prometheus, the dashboard for Grafana."""

from importlib.resources import files
from typing import Final

import click

from vitale_reader.cli.frame.command import command
from vitale_reader.cli.frame.language import t

__all__ = ["monitoring"]

_FILES: Final = {"rules": "prometheus-rules.yml", "dashboard": "grafana-dashboard.json"}


@command(
    "monitoring",
    help=t(
        "Écrit les règles d’alerte pour Prometheus, ou le tableau de bord pour Grafana.",
        "Writes the alert rules for Prometheus, or the dashboard for Grafana.",
    ),
)
@click.argument("what", type=click.Choice(list(_FILES)))
def monitoring(what: str) -> None:
    """Runs ``vitale-reader site monitoring``."""
    click.echo((files("vitale_reader.metrics") / _FILES[what]).read_text("utf-8"), nl=False)
