"""Options that several simulators have, and the parts that they share."""

import click

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.cli.frame import completing
from vitale_reader.cli.frame.language import t

__all__ = ["BREATH", "host_and_port", "phone_option", "scenario_option"]

# The main thread wakes so often, for Ctrl-C on systems where a wait without limit cannot be interrupted.
BREATH = 1.0

scenario_option = click.option(
    "--scenario",
    default="famille",
    show_default=True,
    shell_complete=completing.scenarios,
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
    shell_complete=completing.phones,
    help=t("Le téléphone du scénario ; par défaut le premier.", "The phone of the scenario; the first one by default."),
)


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of ``HOST:PORT``.

    Raises:
        ConfigurationInvalid: it is not that.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ConfigurationInvalid("--vpcd is HOST:PORT", data={"path": "--vpcd"})
    return host.strip("[]"), int(port)
