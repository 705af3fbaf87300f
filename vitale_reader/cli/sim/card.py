"""``vitale-reader sim card``: a carte Vitale in software, in a virtual PC/SC reader, for any program around."""

import click

from vitale_reader.cli.frame import completing, output
from vitale_reader.cli.frame.command import Simulation, as_json, command
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.signals import until_interrupted
from vitale_reader.cli.sim.exchanges import ShownCard
from vitale_reader.cli.sim.options import BREATH, host_and_port

__all__ = ["card"]

# vsmartcard's first slot, as Debian's package sets it up.
DEFAULT_ADDRESS = "127.0.0.1:35963"


@command(
    "card",
    cls=Simulation,
    help=t(
        "Insère une carte simulée dans un lecteur virtuel (vsmartcard-vpcd), jusqu’à Ctrl-C, "
        "et montre les commandes qu’elle reçoit, sans leurs données.",
        "Inserts a simulated card into a virtual reader (vsmartcard-vpcd), until Ctrl-C, "
        "and shows the commands that it receives, without their data.",
    ),
)
@click.option(
    "--image",
    default="adulte",
    show_default=True,
    shell_complete=completing.images,
    metavar=t("NOM|FICHIER", "NAME|FILE"),
    help=t(
        "L’image de la carte : un nom de --list, ou un fichier TOML.", "The card: a name of --list, or a TOML file."
    ),
)
@click.option(
    "--vpcd",
    "address",
    default=DEFAULT_ADDRESS,
    show_default=True,
    metavar=t("HÔTE:PORT", "HOST:PORT"),
    help=t("L’emplacement du lecteur virtuel.", "The slot of the virtual reader."),
)
@click.option(
    "--fault",
    default="",
    metavar=t("PANNES", "FAULTS"),
    help=t(
        "mute[=N], waking=MS, late-le=MS, deselected=N, strict-le, withdrawn@N, stuck[@N], slow=MS, hiccup=N, "
        "wrong-length, truncated-tlv ; séparées par des virgules.",
        "mute[=N], waking=MS, late-le=MS, deselected=N, strict-le, withdrawn@N, stuck[@N], slow=MS, hiccup=N, "
        "wrong-length, truncated-tlv; separated by commas.",
    ),
)
@click.option("--list", "only_list", is_flag=True, help=t("Liste les images fournies.", "Lists the shipped images."))
@as_json
def card(image: str, address: str, fault: str, only_list: bool, as_json: bool) -> None:
    """Runs ``vitale-reader sim card``."""
    if only_list:
        _list(as_json=as_json)
    else:
        _insert(image, address, fault, as_json=as_json)


def _list(*, as_json: bool) -> None:
    from vitale_firmware_sim.card.images import image_names, load_image

    images = [load_image(name) for name in image_names()]
    if as_json:
        shown = [{"name": one.name, "description": one.description, "atr": one.atr.hex().upper()} for one in images]
        output.print_json({"images": shown})
        return
    output.table(
        (t("Image", "Image"), t("Description", "Description"), "ATR"),
        [(one.name, one.description, one.atr.hex(" ").upper()) for one in images],
    )


def _insert(image: str, address: str, fault: str, *, as_json: bool) -> None:
    from vitale_firmware_sim.card.card import Card
    from vitale_firmware_sim.card.faults import FaultyCard, parse_faults
    from vitale_firmware_sim.card.images import load_image
    from vitale_firmware_sim.card.vpcd import VpcdLink

    host, port = host_and_port(address)
    shown = ShownCard(FaultyCard(Card(load_image(image)), parse_faults(fault)), as_json=as_json)
    with VpcdLink(shown, host, port) as link, until_interrupted():
        link.insert()
        _announce(image, address, connected=link.connected.wait(BREATH))
        while not link.wait_removed(BREATH):
            pass
        output.note(
            t("La carte s’est retirée, comme demandé par --fault.", "The card withdrew itself, as --fault asks.")
        )


def _announce(image: str, address: str, *, connected: bool) -> None:
    output.note(
        t(f"Carte « {image} » vers {address} ; Ctrl-C la retire.", f"Card {image} to {address}; Ctrl-C removes it.")
    )
    if not connected:
        output.note(
            t(
                "Aucun lecteur virtuel n’écoute encore à cette adresse ; la carte attend.",
                "No virtual reader listens at this address yet; the card waits.",
            )
        )
