"""``vitale-reader dashboard``: lets a browser of this user into the dashboard, and opens it."""

import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option, to_daemon
from vitale_reader.cli.frame.describe import local_time
from vitale_reader.cli.frame.language import t

if TYPE_CHECKING:
    from vitale_protocol.methods import DashboardOpened

__all__ = ["as_document", "dashboard", "let_in", "tell"]


@command(
    "dashboard",
    help=t(
        "Ouvre le tableau de bord de ce poste dans le navigateur : lecteurs, appairages, diagnostic.",
        "Opens the dashboard of this desk in the browser: readers, pairings, diagnosis.",
    ),
)
@click.option(
    "--print",
    "only_print",
    is_flag=True,
    help=t(
        "N’ouvre rien : affiche l’adresse, et le code à y taper.", "Opens nothing: prints the address and the code."
    ),
)
@click.option(
    "--ip",
    is_flag=True,
    help=t(
        "Passe par 127.0.0.1 plutôt que par un nom, pour un navigateur qui ne connaît pas « .localhost ».",
        "Goes by 127.0.0.1 and not by a name, for a browser that does not know “.localhost”.",
    ),
)
@as_json
@home_option
def dashboard(only_print: bool, ip: bool, as_json: bool, home: Path | None) -> None:
    """Runs the command ``vitale-reader dashboard``."""
    opened, is_shown = let_in(home, only_print=only_print, ip=ip)
    if as_json:
        output.print_json(as_document(opened, shown=is_shown))
    else:
        tell(opened, shown=is_shown)


def let_in(home: Path | None, *, only_print: bool, ip: bool) -> tuple["DashboardOpened", bool]:
    """Lets a browser of this user in; the way in, and whether it was opened.

    Args:
        home: of the daemon; the platform's own folders by default.
        only_print: opens nothing.
        ip: by the address of this machine, and not by a name.
    """
    # Safari knows no name under localhost.
    at: Literal["name", "address"] = "address" if ip or sys.platform == "darwin" else "name"
    with to_daemon(home, None, None) as daemon:
        opened = daemon.open_dashboard(at=at)
    # The page in the file hands the ticket in: in a link it would be seen by all, in the list of processes.
    return opened, not only_print and _has_screen() and webbrowser.open(Path(opened.file).as_uri())


def as_document(opened: "DashboardOpened", *, shown: bool) -> dict[str, object]:
    """The way in, as ``--json`` has it."""
    return {
        "url": opened.url,
        "file": opened.file,
        "code": opened.code,
        "expires": opened.expires,
        "opened": shown,
    }


def tell(opened: "DashboardOpened", *, shown: bool) -> None:
    """Tells the way in."""
    if shown:
        output.note(t("Le tableau de bord s’ouvre dans le navigateur.", "The dashboard opens in the browser."))
        output.note(t("S’il n’apparaît pas\N{NO-BREAK SPACE}:", "If it does not appear:"))
    output.lines(
        (
            (t("Adresse", "Address"), opened.url),
            (t("Code à y taper", "Code to type there"), opened.code),
            (t("Valable jusqu’au", "Good until"), local_time(opened.expires)),
        )
    )


def _has_screen() -> bool:
    """True where a browser would have a window: a remote shell has none, and would start one of text."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
