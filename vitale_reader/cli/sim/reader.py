"""``vitale-reader sim reader``: a contactless reader in software, with a phone on it, for any program around."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import Simulation, as_json, command
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.signals import until_interrupted
from vitale_reader.cli.sim.options import phone_option, scenario_option
from vitale_reader.cli.sim.phone_options import user, user_options

if TYPE_CHECKING:
    from vitale_firmware_sim.pn532.card import TargetA
    from vitale_firmware_sim.pn532.reader import Pn532Reader

__all__ = ["reader"]

# The main thread wakes so often, for Ctrl-C on systems where a wait without limit cannot be interrupted.
BREATH = 1.0


@command(
    "reader",
    cls=Simulation,
    help=t(
        "Simule un lecteur sans contact (puce PN532) sur un port série, avec un téléphone posé dessus, jusqu’à Ctrl-C, "
        "et montre les commandes que reçoit le téléphone, sans leurs données.",
        "Simulates a contactless reader (PN532 chip) on a serial port, with a phone on it, until Ctrl-C, "
        "and shows the commands that the phone receives, without their data.",
    ),
)
@scenario_option
@phone_option
@user_options
@click.option("--empty", is_flag=True, help=t("Ne pose rien sur le lecteur.", "Lays nothing on the reader."))
@click.option(
    "--link",
    type=click.Path(path_type=Path),
    help=t(
        "Crée un lien vers le port série ; dans /dev, nfcpy sait le nommer.",
        "Makes a link to the serial port; nfcpy can name one in /dev.",
    ),
)
@click.option(
    "--baud",
    metavar=t("BAUDS|agreed", "BAUD|agreed"),
    help=t(
        "La vitesse de la ligne, en bauds, ou agreed pour celle que choisit le programme ; par défaut sans délai.",
        "The speed of the line in baud, or agreed for what the program chooses; no delay by default.",
    ),
)
@click.option(
    "--fault",
    default="",
    metavar=t("PANNES", "FAULTS"),
    help=t(
        "tear@N, noise=N, collision, slow=MS, endless-wtx, endless-chaining, giant=N, short, wrong-length, mute, "
        "garble=N, preamble=N, stray=N, slow-ack=MS, split=MS, twice=N ; séparées par des virgules.",
        "tear@N, noise=N, collision, slow=MS, endless-wtx, endless-chaining, giant=N, short, wrong-length, mute, "
        "garble=N, preamble=N, stray=N, slow-ack=MS, split=MS, twice=N; separated by commas.",
    ),
)
@as_json
def reader(
    scenario: str,
    phone_id: str,
    porteur: int,
    present_for: str,
    locked: bool,
    service: str,
    enrol: str | None,
    empty: bool,
    link: Path | None,
    baud: str | None,
    fault: str,
    as_json: bool,
) -> None:
    """Runs ``vitale-reader sim reader``."""
    from vitale_firmware_sim.phone.card import PhoneCard
    from vitale_firmware_sim.pn532.faults import parse_nfc_faults
    from vitale_firmware_sim.pn532.reader import Pn532Reader

    faults, speed = parse_nfc_faults(fault), _speed(baud)
    target = None
    if not empty:
        phone_user = user(
            scenario, phone_id, porteur=porteur, present_for=present_for, locked=locked, enrol=enrol, service=service
        )
        target = Shown(PhoneCard(phone_user.tap), as_json=as_json)
    with Pn532Reader(baud=speed, faults=faults, link=link) as made:
        if target is not None:
            made.field.put(target, faults)
        with until_interrupted():
            _announce(made, link, as_json=as_json)
            _wait(made, laid=target is not None)


def _wait(made: "Pn532Reader", *, laid: bool) -> None:
    """Stays until Ctrl-C, also when the phone tore itself away: the reader is still there."""
    while laid and not made.field.wait_empty(BREATH):
        pass
    if laid:
        output.note(t("Le téléphone s’est retiré, comme demandé par --fault.", "The phone left, as --fault asks."))
    while True:
        time.sleep(BREATH)


def _announce(made: "Pn532Reader", link: Path | None, *, as_json: bool) -> None:
    path = str(link or made.path)
    if as_json:
        output.print_json({"path": path}, pretty=False)
    output.note(t(f"Lecteur PN532 simulé sur {path} ; Ctrl-C l’arrête.", f"PN532 reader on {path}; Ctrl-C ends it."))
    output.note(f"LIBNFC_DEFAULT_DEVICE=pn532_uart:{path} nfc-list")


def _speed(baud: str | None) -> int | Literal["agreed"] | None:
    if baud is None:
        return None
    if baud == "agreed":
        return "agreed"
    if not baud.isdecimal() or not 300 <= int(baud) <= 4_000_000:
        raise ConfigurationInvalid("--baud is a number from 300 to 4000000, or agreed", data={"path": "--baud"})
    return int(baud)


class Shown:
    """A phone whose exchanges are shown: headers, lengths and status words, never data."""

    def __init__(self, target: "TargetA", *, as_json: bool) -> None:
        from vitale_reader.cli.sim.exchanges import ShownCard

        self._shown = ShownCard(target, as_json=as_json)
        self.uid, self.atqa, self.sak, self.ats = target.uid, target.atqa, target.sak, target.ats

    def reset(self) -> bytes:
        """Resets the phone behind it."""
        return self._shown.reset()

    def release(self) -> None:
        """Lets go of a call that is kept waiting."""
        self._shown.release()

    def transmit(self, apdu: bytes) -> bytes:
        """Answers a command, and shows it."""
        return self._shown.transmit(apdu)
