"""``vitale-reader doctor``: what works and what does not, from the configuration to the card, and what to do."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from click.core import ParameterSource

from vitale_protocol.errors import LocalMisuse, VitaleError
from vitale_reader.cli.doctor import bundling, device_examination, findings_output
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option, to_daemon
from vitale_reader.cli.frame.exit_status import DONE, OTHER
from vitale_reader.cli.frame.language import language, t
from vitale_reader.home import Home

if TYPE_CHECKING:
    from vitale_reader.diagnosis.station.daemon_view import DaemonView

__all__ = ["doctor"]

_TRIALS = ("card", "phone", "scan", "camera")
_GO_WITH = {"picture": ("camera",), "reader": _TRIALS, "seconds": _TRIALS, "yes": ("bundle",)}
"""What has an effect with one of others alone."""


@command(
    "doctor", help=t("Cherche ce qui ne va pas, et dit quoi faire.", "Looks for what is wrong, and says what to do.")
)
@click.option(
    "--card",
    "trials",
    multiple=True,
    flag_value="card",
    help=t(
        "Essaie la carte d’un lecteur PC/SC, pas à pas, sans montrer ses données.",
        "Tries the card of a PC/SC reader, step by step, without showing its data.",
    ),
)
@click.option(
    "--phone",
    "trials",
    multiple=True,
    flag_value="phone",
    help=t("Essaie un téléphone sans contact, pas à pas.", "Tries a phone over NFC, step by step."),
)
@click.option(
    "--scan",
    "trials",
    multiple=True,
    flag_value="scan",
    help=t("Montre ce qu’envoie une douchette, octet par octet.", "Shows what an imager sends, byte by byte."),
)
@click.option(
    "--camera",
    "trials",
    multiple=True,
    flag_value="camera",
    help=t("Dit ce que valent les images d’une caméra.", "Says what the pictures of a camera are worth."),
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help=t(
        "Avec --camera, écrit aussi l’image dans ce fichier JPEG (un code présenté s’y voit).",
        "With --camera, also writes the picture into this JPEG file (a code that is shown is in it).",
    ),
)
@click.option(
    "--reader",
    default="",
    metavar=t("TEXTE", "TEXT"),
    help=t("Partie du nom de l’appareil à essayer.", "A part of the name of the device to try."),
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 600),
    default=30.0,
    help=t("Attente d’une présentation\N{NO-BREAK SPACE}: 30.", "Wait for something to be presented: 30."),
)
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, dir_okay=False),
    help=t(
        "Écrit un fichier pour l’assistance, sans données personnelles.",
        "Writes a file for support, without personal data.",
    ),
)
@click.option("--yes", is_flag=True, help=t("Écrit ce fichier sans demander.", "Writes that file without asking."))
@as_json
@home_option
def doctor(
    trials: tuple[str, ...],
    picture: Path | None,
    reader: str,
    seconds: float,
    bundle: Path | None,
    yes: bool,
    as_json: bool,
    home: Path | None,
) -> None:
    """Runs the command ``vitale-reader doctor``."""
    context = click.get_current_context()
    _require_together(context, trials)
    for file in (picture, bundle):
        if file is not None:
            _require_new(file)
    if trials:
        one = cast("device_examination.Trial", trials[0])
        context.exit(
            device_examination.attempt(one, home, reader=reader, seconds=seconds, as_json=as_json, picture=picture)
        )
    from vitale_protocol.diagnosis.findings import tell
    from vitale_reader.diagnosis.report import examine

    place = Home.chosen(home)
    findings = [tell(row, language()) for row in examine(place, _view(home))]
    if bundle is not None:
        written = bundling.offer(bundle, place, findings, yes=yes, as_json=as_json)
        context.exit(DONE if written else OTHER)
    status = findings_output.status(findings)
    if as_json:
        healthy = all(finding.state != "wrong" for finding in findings)
        output.print_json({"healthy": healthy, "status": status, "findings": findings})
    else:
        findings_output.print_findings(findings)
    context.exit(status)


def _require_together(context: click.Context, trials: tuple[str, ...]) -> None:
    """Refuses options of which one would have no effect.

    Raises:
        LocalMisuse: there are such.
    """
    given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    given |= {*trials}
    of_report = given & {"bundle", *trials}
    if len(of_report) > 1:
        apart = ", ".join(f"--{name}" for name in sorted(of_report))
        raise LocalMisuse(t(f"une seule à la fois\N{NO-BREAK SPACE}: {apart}", f"one at a time: {apart}"))
    for name, others in _GO_WITH.items():
        if name in given and not given & {*others}:
            needed = ", ".join(f"--{other}" for other in others)
            raise LocalMisuse(t(f"--{name} va avec {needed}", f"--{name} goes with {needed}"))


def _require_new(file: Path) -> None:
    """Refuses a file that is there, or that has no folder, before anything is looked at.

    Raises:
        LocalMisuse: either.
    """
    told = ""
    if file.exists() or file.is_symlink():
        told = t(f"{file} existe déjà", f"{file} is there already")
    elif not file.parent.is_dir():
        told = t(f"{file.parent} n’est pas un dossier", f"{file.parent} is no folder")
    if told:
        raise LocalMisuse(told, data={"file": str(file)})


def _view(home: Path | None) -> "DaemonView | VitaleError":
    """The daemon's own view, or why there is none."""
    from vitale_reader.diagnosis.station.daemon_view import DaemonView

    try:
        with to_daemon(home, None, None) as daemon:
            readers = daemon.readers()  # waits for drivers that start, whose state is then known
            return DaemonView(station=daemon.station(), readers=readers)
    except VitaleError as error:
        return error
