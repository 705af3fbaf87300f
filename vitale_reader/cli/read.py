"""``vitale-reader read``: waits for a medium and shows what its verified token says.

With ``--submit`` nothing is waited for: what was scanned already comes from a file or standard input. Never from the
command line, which every user of the machine can read.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast, get_args

import click

from vitale_protocol.events import PresentationProgress
from vitale_protocol.methods import SCOPES, Purpose, Scope
from vitale_protocol.records import Medium
from vitale_reader.cli.frame import completing, output
from vitale_reader.cli.frame.command import as_json, command, daemon_options, to_daemon
from vitale_reader.cli.frame.describe import claims_lines, invitation
from vitale_reader.cli.frame.language import t

if TYPE_CHECKING:
    from vitale_reader.client.blocking import Presentation

__all__ = ["on_progress", "read", "show"]

# One byte more than any code may have, and its line end: what is longer is refused as that by the daemon.
MOST_SCANNED = 4096 + 3

# What a token may say; the other scopes open methods.
TELLING: tuple[Scope, ...] = tuple(
    scope for scope in SCOPES if scope not in {"sign", "codes", "preview", "apdu", "desk", "admin"}
)


@command(
    "read",
    help=t(
        "Attend une carte, un téléphone ou un code, et affiche ce que dit son jeton.",
        "Waits for a card, a phone or a code, and shows what its token says.",
    ),
)
@click.option(
    "--submit",
    type=click.File("rb"),
    metavar=t("FICHIER", "FILE"),
    help=t(
        "N’attend pas : présente le code déjà lu que contient ce fichier (- : entrée standard).",
        "Does not wait: presents the code in this file, which was scanned already (-: standard input).",
    ),
)
@click.option(
    "--media", multiple=True, type=click.Choice(get_args(Medium)), help=t("Supports admis.", "Media accepted.")
)
@click.option(
    "--reader",
    "readers",
    multiple=True,
    metavar="ID",
    shell_complete=completing.readers,
    help=t("Lecteurs à utiliser.", "Readers to use."),
)
@click.option(
    "--scope",
    "--scopes",
    "scopes",
    multiple=True,
    type=click.Choice(TELLING),
    default=("identity",),
    show_default=True,
    help=t("Ce que le jeton peut dire ; répétable.", "What the token may say; repeatable."),
)
@click.option(
    "--purpose", multiple=True, type=click.Choice(get_args(Purpose)), help=t("Usage prévu.", "What it is for.")
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 600),
    default=60.0,
    show_default=True,
    metavar=t("SECONDES", "SECONDS"),
    help=t("Attente, en secondes.", "Time to wait, in seconds."),
)
@click.option(
    "--nonce", metavar=t("TEXTE", "TEXT"), help=t("Nonce à reprendre dans le jeton.", "Nonce for the token to answer.")
)
@click.option("--show-token", is_flag=True, help=t("Affiche aussi le jeton.", "Shows the token too."))
@as_json
@daemon_options
def read(
    submit: BinaryIO | None,
    media: tuple[str, ...],
    readers: tuple[str, ...],
    scopes: tuple[str, ...],
    purpose: tuple[str, ...],
    timeout: float,
    nonce: str | None,
    show_token: bool,
    as_json: bool,
    home: Path | None,
    address: str | None,
    pairing: Path | None,
) -> None:
    """Runs the command ``vitale-reader read``."""
    if submit is not None and (media or readers):
        raise click.UsageError(t("--submit n’attend aucun lecteur.", "--submit waits for no reader."))
    with to_daemon(home, address, pairing) as daemon:
        if submit is not None:
            with output.progress(t("Présentation du code…", "Presenting the code…")) as notify:
                found = daemon.submit(
                    scanned(submit),
                    scopes=cast("tuple[Scope, ...]", scopes),
                    purpose=cast("tuple[Purpose, ...]", purpose) or None,
                    nonce=nonce,
                    on_progress=on_progress(notify),
                    acknowledge=False,
                )
        else:
            with output.progress(invitation(media)) as notify:
                found = daemon.read(
                    media=cast("tuple[Medium, ...]", media) or None,
                    readers=readers or None,
                    scopes=cast("tuple[Scope, ...]", scopes),
                    purpose=cast("tuple[Purpose, ...]", purpose) or None,
                    timeout=timeout,
                    nonce=nonce,
                    on_progress=on_progress(notify),
                    acknowledge=False,
                )
        show(found, as_json=as_json, with_token=show_token)
        found.acknowledge()


def scanned(stream: BinaryIO) -> str | bytes:
    """Reads a scan: one line from a terminal (typed or scanned), else the whole input. It is text where possible."""
    content = stream.readline(MOST_SCANNED) if output.interactive(stream) else stream.read(MOST_SCANNED)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def on_progress(notify: Callable[[str], None]) -> Callable[[PresentationProgress], None]:
    """Tells the messages of progress."""

    def on_step(step: PresentationProgress) -> None:
        notify(f"{step.message}\n  → {step.remedy}" if step.remedy else step.message)

    return on_step


def show(found: "Presentation", *, as_json: bool, with_token: bool, pretty: bool = True) -> None:
    """Prints a presentation as a table or as JSON."""
    if as_json:
        output.print_json({"token": found.token, "claims": found.claims, "verified": True}, pretty=pretty)
        return
    output.lines(claims_lines(found.claims))
    if with_token:
        click.echo(found.token)
