"""``vitale-reader doctor``: what works and what does not, from the configuration to the card, and what to do."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

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


@command(
    "doctor", help=t("Cherche ce qui ne va pas, et dit quoi faire.", "Looks for what is wrong, and says what to do.")
)
@click.option(
    "--card",
    "trial",
    flag_value="card",
    help=t(
        "Essaie la carte d’un lecteur PC/SC, pas à pas, sans montrer ses données.",
        "Tries the card of a PC/SC reader, step by step, without showing its data.",
    ),
)
@click.option(
    "--phone",
    "trial",
    flag_value="phone",
    help=t("Essaie un téléphone sans contact, pas à pas.", "Tries a phone over NFC, step by step."),
)
@click.option(
    "--scan",
    "trial",
    flag_value="scan",
    help=t("Montre ce qu’envoie une douchette, octet par octet.", "Shows what an imager sends, byte by byte."),
)
@click.option(
    "--camera",
    "trial",
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
    trial: str | None,
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
    if trial is not None:
        one = cast("device_examination.Trial", trial)
        context.exit(
            device_examination.attempt(one, home, reader=reader, seconds=seconds, as_json=as_json, picture=picture)
        )
    if picture is not None:
        raise LocalMisuse(t("--picture va avec --camera", "--picture goes with --camera"))
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


def _view(home: Path | None) -> "DaemonView | VitaleError":
    """The daemon's own view, or why there is none."""
    from vitale_reader.diagnosis.station.daemon_view import DaemonView

    try:
        with to_daemon(home, None, None) as daemon:
            readers = daemon.readers()  # waits for drivers that start, whose state is then known
            return DaemonView(station=daemon.station(), readers=readers)
    except VitaleError as error:
        return error
