"""``vitale-reader sim imager``: a handheld 2D imager in software, on a serial port, for any program around."""

import secrets
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import Simulation, as_json, command
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.signals import until_interrupted
from vitale_reader.cli.sim.options import scenario_option

if TYPE_CHECKING:
    from vitale_firmware_sim.imager.device import Imager

__all__ = ["imager"]

# The main thread wakes so often, for Ctrl-C on systems where a wait without limit cannot be interrupted.
BREATH = 1.0

Shown = tuple[Callable[[], bytes], str]
"""What gives the code that is shown now, and its symbology."""

SUFFIXES = {"cr": b"\r", "lf": b"\n", "crlf": b"\r\n", "tab": b"\t", "etx": b"\x03", "nul": b"\0", "none": b""}
PREFIXES = {"none": b"", "stx": b"\x02"}


@command(
    "imager",
    cls=Simulation,
    help=t(
        "Simule une douchette 2D sur un port série, jusqu’à Ctrl-C. Chaque ligne de l’entrée standard est un code "
        "scanné ; avec --phone ou --code, chaque ligne, même vide, scanne l’écran ou le code suivant.",
        "Simulates a handheld 2D imager on a serial port, until Ctrl-C. Each line of standard input is a code that is "
        "scanned; with --phone or --code, each line, even an empty one, scans the next screen or code.",
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
    "--code",
    "codes",
    multiple=True,
    metavar=t("CODE", "CODE"),
    help=t(
        "Un code, où <GS> tient lieu du séparateur ; plusieurs passent à tour de rôle, après les téléphones.",
        "A code, with <GS> for the separator; several take turns, after the phones.",
    ),
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.05, max=3600),
    metavar=t("SECONDES", "SECONDS"),
    help=t(
        "Avec --phone ou --code, scanne de lui-même à cet intervalle.",
        "With --phone or --code, scans by itself at this interval.",
    ),
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
    "--maker",
    default="",
    metavar=t("FABRICANT", "MAKER"),
    help=t(
        "Envoie les identifiants propres à un fabricant : zebra, honeywell, datalogic, datalogic-eu, newland, opticon.",
        "Sends a maker's own identifiers: zebra, honeywell, datalogic, datalogic-eu, newland, opticon.",
    ),
)
@click.option(
    "--eci",
    is_flag=True,
    help=t("Envoie les échappements ECI (\\000026).", "Sends ECI escapes (\\000026)."),
)
@click.option(
    "--symbology",
    default="qr",
    show_default=True,
    help=t("Le type de code, sauf pour ceux des téléphones.", "The kind of the codes but those of phones."),
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
        "tear@N, split=N, drop-gs, no-suffix, endless, even-parity, odd-parity, misread=BAUDS ; séparées par des "
        "virgules. "
        "Arrachée, la douchette est rebranchée à la ligne suivante.",
        "tear@N, split=N, drop-gs, no-suffix, endless, even-parity, odd-parity, misread=BAUD; separated by commas. "
        "Torn out, the imager is plugged in again at the next line.",
    ),
)
@as_json
def imager(
    scenario: str,
    phones: tuple[str, ...],
    codes: tuple[str, ...],
    every: float | None,
    link: Path | None,
    suffix: str,
    prefix: str,
    aim: bool,
    maker: str,
    eci: bool,
    symbology: str,
    baud: int | None,
    fault: str,
    as_json: bool,
) -> None:
    """Runs ``vitale-reader sim imager``."""
    from vitale_firmware_sim.imager.device import Imager
    from vitale_firmware_sim.imager.faults import IDENTIFIERS, MAKERS, Behaviour, parse_imager_faults
    from vitale_protocol.media.separators import restored

    if symbology not in IDENTIFIERS:
        raise ConfigurationInvalid(f"--symbology is one of {', '.join(IDENTIFIERS)}", data={"path": "--symbology"})
    if maker and maker not in MAKERS:
        raise ConfigurationInvalid(f"--maker is one of {', '.join(MAKERS)}", data={"path": "--maker"})
    if every is not None and not phones and not codes:
        raise ConfigurationInvalid("--every needs --phone or --code", data={"path": "--every"})
    faults = parse_imager_faults(fault)
    shown: list[Shown] = [(_screen(scenario, phone), "qr") for phone in phones]
    shown += [(partial(restored, code.encode()), symbology) for code in codes]
    behaviour = Behaviour(PREFIXES[prefix], SUFFIXES[suffix], aim, maker, eci)
    with Imager(behaviour, baud, faults, link) as made, until_interrupted():
        _announce(made, link, (*phones, *codes), as_json=as_json)
        for code, kind in _codes(shown, every, symbology):
            _scan(made, code, kind, as_json=as_json)
        while True:
            # The end of the input is not the end of the imager: a program may still be reading the last code.
            time.sleep(BREATH)


def _codes(shown: list[Shown], every: float | None, symbology: str) -> Iterator[tuple[bytes, str]]:
    """Codes one after another with their symbologies, each when it is time for it."""
    turns = cycle(shown)
    if every is not None:
        while True:
            time.sleep(every)
            code, kind = next(turns)
            yield code(), kind
    for line in sys.stdin.buffer:
        if shown:
            code, kind = next(turns)
            yield code(), kind
        elif typed := line.rstrip(b"\r\n"):
            yield typed, symbology


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
        output.note(t("La douchette s’est arrachée, comme demandé par --fault.", "The imager left, as --fault asks."))


def _announce(made: "Imager", link: Path | None, shown: tuple[str, ...], *, as_json: bool) -> None:
    path = str(link or made.path)
    if as_json:
        output.print_json({"path": path}, pretty=False)
    output.note(t(f"Douchette simulée sur {path} ; Ctrl-C l’arrête.", f"Imager on {path}; Ctrl-C ends it."))
    if shown:
        turns = ", ".join(output.escaped(each) for each in shown)
        output.note(t(f"Entrée scanne, à tour de rôle : {turns}.", f"Enter scans, in turns: {turns}."))
    else:
        output.note(t("Chaque ligne tapée est un code.", "Each line that is typed is a code."))
