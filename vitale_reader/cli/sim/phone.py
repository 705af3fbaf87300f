"""``vitale-reader sim phone``: a simulated phone on a contactless PC/SC reader, on a screen, or its string alone."""

from typing import TYPE_CHECKING

import click

from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import Simulation, as_json, command
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.signals import until_interrupted
from vitale_reader.cli.sim.options import phone_option, scenario_option
from vitale_reader.cli.sim.phone_options import refusals, user, user_options

if TYPE_CHECKING:
    from vitale_firmware_sim.phone.user import PhoneUser
    from vitale_firmware_sim.scenario import Scenario
    from vitale_protocol.records import Beneficiaire

__all__ = ["phone"]


@command(
    "phone",
    cls=Simulation,
    help=t(
        "Pose un téléphone simulé sur un lecteur virtuel sans contact (vsmartcard-vpcd), jusqu’à Ctrl-C, "
        "et montre les commandes qu’il reçoit, sans leurs données ; ou en affiche l’écran (--screen).",
        "Lays a simulated phone on a virtual contactless reader (vsmartcard-vpcd), until Ctrl-C, "
        "and shows the commands that it receives, without their data; or shows its screen (--screen).",
    ),
)
@scenario_option
@phone_option
@user_options
@click.option(
    "--vpcd",
    "address",
    default="127.0.0.1:35963",
    show_default=True,
    metavar=t("HÔTE:PORT", "HOST:PORT"),
    help=t("L’emplacement du lecteur virtuel.", "The slot of the virtual reader."),
)
@click.option(
    "--string",
    "only_string",
    is_flag=True,
    help=t(
        "Écrit seulement une chaîne opaque, valable une fois et peu de temps.",
        "Only writes an opaque string, good once and for a short time.",
    ),
)
@click.option(
    "--screen",
    "on_screen",
    is_flag=True,
    help=t(
        "Montre l’écran du téléphone dans une page web de ce poste : un code QR qui se renouvelle.",
        "Shows the screen of the phone as a web page on this machine: a QR code that renews itself.",
    ),
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help=t("Pour --screen : le port ; par défaut un port libre.", "For --screen: the port; any free one by default."),
)
@click.option(
    "--lan",
    metavar=t("ADRESSE", "ADDRESS"),
    help=t(
        "Pour --screen : écoute à cette adresse du réseau local, pour qu’un vrai téléphone affiche la page.",
        "For --screen: listens at this address of the local network, so that a real phone can show the page.",
    ),
)
@click.option(
    "--list",
    "only_list",
    is_flag=True,
    help=t("Liste les scénarios et leurs téléphones.", "Lists scenarios and phones."),
)
@as_json
def phone(
    scenario: str,
    phone_id: str,
    porteur: int,
    present_for: str,
    locked: bool,
    service: str,
    enrol: str | None,
    address: str,
    only_string: bool,
    on_screen: bool,
    port: int | None,
    lan: str | None,
    only_list: bool,
    as_json: bool,
) -> None:
    """Runs ``vitale-reader sim phone``."""
    if only_list:
        _list(as_json=as_json)
        return
    if only_string and on_screen:
        raise click.UsageError(t("--string ou --screen, l’un des deux.", "Either --string or --screen."))
    if (port is not None or lan) and not on_screen:
        raise click.UsageError(t("--port et --lan vont avec --screen.", "--port and --lan go with --screen."))
    phone_user = user(
        scenario, phone_id, porteur=porteur, present_for=present_for, locked=locked, enrol=enrol, service=service
    )
    if only_string:
        with refusals():
            _string(phone_user, as_json=as_json)
        return
    if on_screen:
        from vitale_firmware_sim.scenario import load_scenario
        from vitale_reader.cli.sim.phone_screen import serve_screen

        shown = load_scenario(scenario).phone(present_for).owner if present_for else _person(phone_user, porteur)
        serve_screen(phone_user, shown, locked=locked, port=port or 0, lan=lan, as_json=as_json)
        return
    _lay(phone_user, address, as_json=as_json)


def _person(phone_user: "PhoneUser", porteur: int) -> "Beneficiaire":
    people = phone_user.settings.beneficiaires
    # A phone that is left locked was not asked whether there is such a person.
    return people[porteur] if porteur < len(people) else phone_user.settings.owner


def _list(*, as_json: bool) -> None:
    from vitale_firmware_sim.scenario import load_scenario, scenario_names

    scenarios = [load_scenario(name) for name in scenario_names()]
    if as_json:
        output.print_json({"scenarios": [_described(one) for one in scenarios]})
        return
    output.table(
        (t("Scénario", "Scenario"), t("Description", "Description"), t("Téléphones", "Phones")),
        [(one.name, one.description, ", ".join(phone.id for phone in one.phones)) for one in scenarios],
    )


def _described(scenario: "Scenario") -> dict[str, object]:
    phones = [{"id": one.id, "state": one.state, "standing": one.standing} for one in scenario.phones]
    return {"name": scenario.name, "description": scenario.description, "phones": phones}


def _string(phone_user: "PhoneUser", *, as_json: bool) -> None:
    string = phone_user.tap().decode("ascii")
    if as_json:
        output.print_json({"phone": phone_user.settings.id, "string": string})
    else:
        click.echo(string)


def _lay(phone_user: "PhoneUser", address: str, *, as_json: bool) -> None:
    from vitale_firmware_sim.card.vpcd import VpcdLink
    from vitale_firmware_sim.phone.card import PhoneCard
    from vitale_reader.cli.sim.exchanges import ShownCard
    from vitale_reader.cli.sim.options import BREATH, host_and_port

    host, port = host_and_port(address)
    with VpcdLink(ShownCard(PhoneCard(phone_user.tap), as_json=as_json), host, port) as link, until_interrupted():
        link.insert()
        _announce(phone_user.settings.id, address, connected=link.connected.wait(BREATH))
        while not link.wait_removed(BREATH):
            pass


def _announce(phone_id: str, address: str, *, connected: bool) -> None:
    output.note(
        t(
            f"Téléphone « {phone_id} » vers {address} ; Ctrl-C le retire.",
            f"Phone {phone_id} to {address}; Ctrl-C removes it.",
        )
    )
    if not connected:
        output.note(
            t(
                "Aucun lecteur virtuel n’écoute encore à cette adresse ; le téléphone attend.",
                "No virtual reader listens at this address yet; the phone waits.",
            )
        )
