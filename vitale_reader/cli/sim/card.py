"""``vitale-reader sim``: devices in software, for any program on this machine and not for ours only."""

import threading
import time
from typing import TYPE_CHECKING

import click

from vitale_protocol.errors import ConfigurationInvalid, MediumUnreadable
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import Group, Simulation, as_json, command
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.sim.camera import camera
from vitale_reader.cli.sim.imager import imager
from vitale_reader.cli.sim.phone import phone
from vitale_reader.cli.sim.reader import reader
from vitale_reader.cli.sim.service import service

if TYPE_CHECKING:
    from vitale_firmware_sim.card.card import VirtualCard

__all__ = ["BREATH", "Shown", "host_and_port", "sim"]

# vsmartcard's first slot, as Debian's package sets it up.
DEFAULT_ADDRESS = "127.0.0.1:35963"
# The main thread wakes so often, for Ctrl-C on systems where a wait without limit cannot be interrupted.
BREATH = 1.0


@click.group("sim", cls=Group, help=t("Simule du matériel.", "Simulates devices."))
def sim() -> None:
    """The group."""


@command(
    "card",
    cls=Simulation,
    help=t(
        "Insère une carte simulée dans un lecteur virtuel (vsmartcard-vpcd), jusqu'à Ctrl-C, "
        "et montre les commandes qu'elle reçoit, sans leurs données.",
        "Inserts a simulated card into a virtual reader (vsmartcard-vpcd), until Ctrl-C, "
        "and shows the commands that it receives, without their data.",
    ),
)
@click.option(
    "--image",
    default="adulte",
    show_default=True,
    metavar=t("NOM|FICHIER", "NAME|FILE"),
    help=t(
        "L'image de la carte : un nom de --list, ou un fichier TOML.", "The card: a name of --list, or a TOML file."
    ),
)
@click.option(
    "--vpcd",
    "address",
    default=DEFAULT_ADDRESS,
    show_default=True,
    metavar=t("HÔTE:PORT", "HOST:PORT"),
    help=t("L'emplacement du lecteur virtuel.", "The slot of the virtual reader."),
)
@click.option(
    "--fault",
    default="",
    metavar=t("PANNES", "FAULTS"),
    help=t(
        "mute, withdrawn@N, stuck[@N], slow=MS, hiccup=N, wrong-length, truncated-tlv ; séparées par des virgules.",
        "mute, withdrawn@N, stuck[@N], slow=MS, hiccup=N, wrong-length, truncated-tlv; separated by commas.",
    ),
)
@click.option("--list", "only_list", is_flag=True, help=t("Liste les images fournies.", "Lists the shipped images."))
@as_json
def card(image: str, address: str, fault: str, only_list: bool, as_json: bool) -> None:
    """The command."""
    if only_list:
        _list(as_json=as_json)
    else:
        _insert(image, address, fault, as_json=as_json)


sim.add_command(camera)
sim.add_command(card)
sim.add_command(imager)
sim.add_command(phone)
sim.add_command(reader)
sim.add_command(service)


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
    shown = Shown(FaultyCard(Card(load_image(image)), parse_faults(fault)), as_json=as_json)
    with VpcdLink(shown, host, port) as link:
        try:
            link.insert()
            _tell(image, address, connected=link.connected.wait(BREATH))
            while not link.wait_removed(BREATH):
                pass
        except KeyboardInterrupt:
            # The way to end it, not an interruption of it.
            output.note("")
            return
    output.note(t("La carte s'est retirée, comme demandé par --fault.", "The card withdrew itself, as --fault asks."))


def _tell(image: str, address: str, *, connected: bool) -> None:
    output.note(
        t(f"Carte « {image} » vers {address} ; Ctrl-C la retire.", f"Card {image} to {address}; Ctrl-C removes it.")
    )
    if not connected:
        output.note(
            t(
                "Aucun lecteur virtuel n'écoute encore à cette adresse ; la carte attend.",
                "No virtual reader listens at this address yet; the card waits.",
            )
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


class Shown:
    """A card whose exchanges are shown: headers, lengths and status words, never data."""

    def __init__(self, card: "VirtualCard", *, as_json: bool) -> None:
        self._card = card
        self._as_json = as_json
        self._lock = threading.Lock()

    def reset(self) -> bytes:
        """Resets the card."""
        return self._card.reset()

    def release(self) -> None:
        """Lets go of a call that is kept waiting."""
        self._card.release()

    def transmit(self, apdu: bytes) -> bytes:
        """Answers a command, and shows it."""
        began = time.perf_counter()
        answer = self._card.transmit(apdu)
        self._show(apdu, answer, (time.perf_counter() - began) * 1000)
        return answer

    def _show(self, apdu: bytes, answer: bytes, milliseconds: float) -> None:
        from vitale_protocol.apdu import Response, status_name

        command_text, response = _header(apdu), Response.parse(answer)
        with self._lock:
            if self._as_json:
                told = {"command": command_text, "sw": f"{response.sw:04X}", "bytes": len(response.data)}
                output.print_json({**told, "ms": round(milliseconds, 3)}, pretty=False)
                return
            colour = "green" if response.sw1 in {0x90, 0x61, 0x6C} else "yellow"
            status = click.style(f"{response.sw:04X}", fg=colour)
            click.echo(f"{command_text:<24} → {status} {status_name(response.sw)}, +{len(response.data)}")


def _header(apdu: bytes) -> str:
    from vitale_protocol.apdu import Command

    try:
        return str(Command.parse(apdu))
    except MediumUnreadable:
        return apdu[:4].hex().upper() + " ?"
