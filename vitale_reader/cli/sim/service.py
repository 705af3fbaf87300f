"""``vitale-reader sim service``: the apCV service in software, over HTTP on this machine."""

from typing import TYPE_CHECKING

import click

from vitale_reader.cli.frame import completing, output
from vitale_reader.cli.frame.command import Simulation, as_json, command
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.signals import until_interrupted
from vitale_reader.cli.sim.options import scenario_option

if TYPE_CHECKING:
    from vitale_firmware_sim.apcv_service.service import ApcvService
    from vitale_firmware_sim.scenario import Behaviour

__all__ = ["service"]

# The main thread wakes so often, for Ctrl-C on systems where a wait without limit cannot be interrupted.
BREATH = 1.0


@command(
    "service",
    cls=Simulation,
    help=t(
        "Simule le service en ligne de l’apCV (SOAP 1.2) pour les téléphones d’un scénario, jusqu’à Ctrl-C.",
        "Simulates the online service of the apCV (SOAP 1.2) for the phones of a scenario, until Ctrl-C.",
    ),
)
@scenario_option
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65_535),
    show_default=True,
    help=t("Le port ; 0 pour un port libre.", "The port; 0 for one that is free."),
)
@click.option(
    "--behaviour",
    metavar=t("MANIÈRE", "MANNER"),
    help=(
        "normal, slow, down, closed, silent, garbage, html, truncated, billion-laughs, external-entity, huge, "
        "empty-context, past-context."
    ),
)
@click.option(
    "--lost",
    multiple=True,
    metavar="ID",
    shell_complete=completing.phones,
    help=t(
        "Un téléphone déclaré perdu ou volé : son application est révoquée.",
        "A phone declared lost or stolen: its application is revoked.",
    ),
)
@click.option(
    "--second",
    multiple=True,
    metavar="ID",
    shell_complete=completing.phones,
    help=t(
        "Un téléphone sur lequel son titulaire active l’application : celle de l’ancien est révoquée.",
        "A phone on which its owner activates the application: that on the former one is revoked.",
    ),
)
@click.option(
    "--withdrawn",
    multiple=True,
    metavar="ID:ID",
    help=t(
        "Une délégation retirée : le titulaire, et la personne qui présentait pour lui.",
        "A delegation that was withdrawn: the owner, and who presented for them.",
    ),
)
@as_json
def service(
    scenario: str,
    port: int,
    behaviour: str | None,
    lost: tuple[str, ...],
    second: tuple[str, ...],
    withdrawn: tuple[str, ...],
    as_json: bool,
) -> None:
    """Runs ``vitale-reader sim service``."""
    from vitale_firmware_sim.apcv_service.service import ApcvService
    from vitale_firmware_sim.scenario import load_scenario

    running = ApcvService(load_scenario(scenario), port=port)
    if behaviour is not None:
        running.behave(_behaviour(behaviour))
    for phone in lost:
        running.contexts.revoke(phone)
    for phone in second:
        running.contexts.activate(phone)
    for delegation in withdrawn:
        running.contexts.withdraw(*_pair(delegation))
    with until_interrupted(), running:
        _announce(running, as_json=as_json)
        _show(running, as_json=as_json)


def _behaviour(word: str) -> "Behaviour":
    from vitale_firmware_sim.scenario import BEHAVIOURS
    from vitale_protocol.errors import ConfigurationInvalid

    for one in BEHAVIOURS:
        if one == word:
            return one
    raise ConfigurationInvalid(f"--behaviour is one of {', '.join(BEHAVIOURS)}", data={"path": "--behaviour"})


def _pair(delegation: str) -> tuple[str, str]:
    from vitale_protocol.errors import ConfigurationInvalid

    owner, _, holder = delegation.partition(":")
    if not owner or not holder:
        raise ConfigurationInvalid("--withdrawn is OWNER:HOLDER, two phones", data={"path": "--withdrawn"})
    return owner, holder


def _announce(running: "ApcvService", *, as_json: bool) -> None:
    if as_json:
        output.print_json({"url": running.url}, pretty=False)
    else:
        output.note(
            t(f"Service simulé sur {running.url} ; Ctrl-C l’arrête.", f"Service on {running.url}; Ctrl-C ends it.")
        )


def _show(running: "ApcvService", *, as_json: bool) -> None:
    """Shows the actions asked for, without what they carry."""
    shown = 0
    while True:
        running.wait_for_actions(shown + 1, BREATH)
        for action in running.actions[shown:]:
            shown += 1
            if as_json:
                output.print_json({"action": action}, pretty=False)
            else:
                click.echo(action)
