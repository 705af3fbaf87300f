"""``vitale-reader sim imager``: a handheld 2D imager in software, on a serial port, for any program around."""

import secrets
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import Simulation, as_json, command
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.sim.options import scenario_option

if TYPE_CHECKING:
    from vitale_firmware_sim.imager.device import Imager

__all__ = ["imager"]

# The main thread wakes so often, for Ctrl-C on systems where a wait without limit cannot be interrupted.
BREATH = 1.0

SUFFIXES = {"cr": b"\r", "lf": b"\n", "crlf": b"\r\n", "etx": b"\x03", "none": b""}
PREFIXES = {"none": b"", "stx": b"\x02"}


@command(
    "imager",
    cls=Simulation,
    help=t(
        "Simule une douchette 2D sur un port série, jusqu'à Ctrl-C. Chaque ligne de l'entrée standard est un code "
        "scanné ; avec --phone, chaque ligne, même vide, scanne l'écran du téléphone suivant.",
        "Simulates a handheld 2D imager on a serial port, until Ctrl-C. Each line of standard input is a code that is "
        "scanned; with --phone, each line, even an empty one, scans the screen of the next phone.",
    ),
)
@scenario_option
@click.option(
    "--phone",
    "phones",
    multiple=True,
    metavar="ID",
    help=t(
        "Un téléphone du scénario ; plusieurs passent à tour de rôle.",
        "A phone of the scenario; several take turns.",
    ),
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.05, max=3600),
    metavar=t("SECONDES", "SECONDS"),
    help=t("Avec --phone, scanne de lui-même à cet intervalle.", "With --phone, scans by itself at this interval."),
)
@click.option(
    "--link",
    type=click.Path(path_type=Path),
    help=t("Crée un lien vers le port série.", "Makes a link to the serial port."),
)
@click.option(
    "--suffix",
    default="cr",
    show_default=True,
    type=click.Choice(list(SUFFIXES)),
    help=t("Ce qui suit chaque code.", "What follows each code."),
)
@click.option(
    "--prefix",
    default="none",
    show_default=True,
    type=click.Choice(list(PREFIXES)),
    help=t("Ce qui précède chaque code.", "What precedes each code."),
)
@click.option("--aim", is_flag=True, help=t("Envoie les identifiants AIM (]Q1).", "Sends AIM identifiers (]Q1)."))
@click.option(
    "--symbology",
    default="qr",
    show_default=True,
    help=t("La sorte des codes lus sur l'entrée standard.", "The kind of the codes on standard input."),
)
@click.option(
    "--baud",
    type=click.IntRange(300, 4_000_000),
    help=t("La vitesse de la ligne ; par défaut sans délai.", "The speed of the line; no delay by default."),
)
@click.option(
    "--fault",
    default="",
    metavar=t("PANNES", "FAULTS"),
    help=t(
        "tear@N, split=N, drop-gs, no-suffix, endless, misread=BAUDS ; séparées par des virgules. "
        "Arrachée, la douchette est rebranchée à la ligne suivante.",
        "tear@N, split=N, drop-gs, no-suffix, endless, misread=BAUD; separated by commas. "
        "Torn out, the imager is plugged in again at the next line.",
    ),
)
@as_json
def imager(
    scenario: str,
    phones: tuple[str, ...],
    every: float | None,
    link: Path | None,
    suffix: str,
    prefix: str,
    aim: bool,
    symbology: str,
    baud: int | None,
    fault: str,
    as_json: bool,
) -> None:
    """Runs ``vitale-reader sim imager``."""
    from vitale_firmware_sim.imager.device import Imager
    from vitale_firmware_sim.imager.faults import IDENTIFIERS, Behaviour, parse_imager_faults

    if symbology not in IDENTIFIERS:
        raise ConfigurationInvalid(f"--symbology is one of {', '.join(IDENTIFIERS)}", data={"path": "--symbology"})
    if every is not None and not phones:
        raise ConfigurationInvalid("--every needs --phone", data={"path": "--every"})
    faults = parse_imager_faults(fault)
    screens = [_screen(scenario, phone) for phone in phones]
    behaviour = Behaviour(PREFIXES[prefix], SUFFIXES[suffix], aim)
    with Imager(behaviour, baud, faults, link) as made:
        try:
            _announce(made, link, phones, as_json=as_json)
            for code in _codes(screens, every):
                _scan(made, code, "qr" if screens else symbology, as_json=as_json)
            while True:
                # The end of the input is not the end of the imager: a program may still be reading the last code.
                time.sleep(BREATH)
        except KeyboardInterrupt:
            # The way to end it, not an interruption of it.
            output.note("")


def _codes(screens: list[Callable[[], bytes]], every: float | None) -> Iterator[bytes]:
    """Codes one after another, each when it is time for it."""
    turns = cycle(screens)
    if every is not None:
        while True:
            time.sleep(every)
            yield next(turns)()
    for line in sys.stdin.buffer:
        if screens:
            yield next(turns)()
        elif code := line.rstrip(b"\r\n"):
            yield code


def _screen(scenario: str, phone: str) -> Callable[[], bytes]:
    """Returns a function that reads the code on a phone's screen, which renews itself after a while."""
    from vitale_firmware_sim.phone.user import PhoneUser
    from vitale_firmware_sim.scenario import load_scenario

    phone_user = PhoneUser(load_scenario(scenario), phone, clock=time.time, random=secrets.token_bytes)

    def read() -> bytes:
        now = time.time()
        if phone_user.phone.state(now) != "unlocked":
            phone_user.unlock()
        return phone_user.phone.qr(now).string

    return read


def _scan(made: "Imager", code: bytes, symbology: str, *, as_json: bool) -> None:
    """Scans, and says so without the content."""
    if not made.plugged:
        made.open()
        output.note(t("La douchette est rebranchée.", "The imager is plugged in again."))
    before = made.scans
    made.scan(code, symbology)
    whole = made.scans > before
    if as_json:
        output.print_json({"scanned": whole, "symbology": symbology, "bytes": len(code)}, pretty=False)
    elif whole:
        click.echo(f"{symbology:<16} {len(code):>5} " + t("octets", "bytes"))
    if not made.plugged:
        output.note(t("La douchette s'est arrachée, comme demandé par --fault.", "The imager left, as --fault asks."))


def _announce(made: "Imager", link: Path | None, phones: tuple[str, ...], *, as_json: bool) -> None:
    path = str(link or made.path)
    if as_json:
        output.print_json({"path": path}, pretty=False)
    output.note(t(f"Douchette simulée sur {path} ; Ctrl-C l'arrête.", f"Imager on {path}; Ctrl-C ends it."))
    if phones:
        shown = ", ".join(phones)
        output.note(t(f"Entrée scanne l'écran de : {shown}.", f"Enter scans the screen of: {shown}."))
    else:
        output.note(t("Chaque ligne tapée est un code.", "Each line that is typed is a code."))
