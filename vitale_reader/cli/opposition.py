"""``vitale-reader opposition``: the site's lists of cards that are not to be taken; beside the daemon or without it.

Daemons that run notice within seconds. Counts are told, serials never.
"""

import time
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from vitale_protocol.errors import LocalMisuse
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import Group, as_json, command, home_option
from vitale_reader.cli.frame.describe import local_time
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.offline_store import beside

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from vitale_reader.daemon.issuing.opposition import ListSummary
    from vitale_reader.daemon.offline_store import Opened

__all__ = ["opposition"]

T = TypeVar("T")

#: Name of the list unless another is given.
NAME = "site"

opposition = Group(
    "opposition", help=t("Tient les listes d’opposition du site.", "Keeps the opposition lists of the site.")
)
name_option = click.option(
    "--name", default=NAME, show_default=True, help=t("Nom de la liste.", "The name of the list.")
)


@command(
    "import",
    help=t(
        "Remplace une liste par un fichier : un numéro de série par ligne, ou première colonne d’un CSV.",
        "Replaces a list by a file: one serial a line, or the first column of a CSV.",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@name_option
@as_json
@home_option
def import_(file: Path, name: str, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader opposition import``."""
    from vitale_reader.daemon.issuing.opposition import replace, serials_of

    def told(done: int, of: int) -> None:
        say(
            t(f"{done} cartes sur {of} enregistrées…", f"{done} cards of {of} written…")
            if of
            else t(f"{done} lignes lues…", f"{done} lines read…")
        )

    def work(opened: "Opened") -> "Callable[[Connection], int]":
        now, remembered = time.time(), opened.remembered
        return replace(opened.vault, name, found, at=now, remembered=remembered, told=told)

    with file.open(encoding="utf-8", errors="strict") as lines:
        serials = serials_of(lines)
        if (first := next(serials, None)) is None:
            raise LocalMisuse(t("le fichier ne contient aucun numéro de série", "the file holds no serial"))
        found = chain((first,), serials)
        importing = t("Import de la liste…", "Importing the list…")
        with nullcontext(output.note) if as_json else output.progress(importing) as say:
            count = beside(home, work, writing=True)
    if as_json:
        output.print_json({"name": name, "entries": count})
        return
    output.lines(((t("Liste", "List"), name), (t("Cartes", "Cards"), str(count))))


@command(
    "list", help=t("Donne les listes et leur nombre de cartes.", "Tells the lists and how many cards are on them.")
)
@as_json
@home_option
def list_(as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader opposition list``."""
    found = _summaries(home)
    if as_json:
        output.print_json({"lists": found})
        return
    output.table(
        (t("Liste", "List"), t("Cartes", "Cards"), t("Importée", "Imported")),
        [(one.name, str(one.entries), local_time(one.imported_at)) for one in found],
        empty=t("Aucune liste.", "No list."),
    )


@command("status", help=t("Dit combien de cartes sont en opposition.", "Tells how many cards are opposed."))
@as_json
@home_option
def status(as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader opposition status``."""
    found = _summaries(home)
    entries, newest = sum(one.entries for one in found), max((one.imported_at for one in found), default=None)
    if as_json:
        output.print_json({"lists": len(found), "entries": entries, "imported_at": newest})
        return
    last = "—" if newest is None else local_time(newest)
    output.lines(
        (
            (t("Listes", "Lists"), str(len(found))),
            (t("Cartes", "Cards"), str(entries)),
            (t("Dernier import", "Last import"), last),
        )
    )


@command("clear", help=t("Supprime une liste.", "Removes a list."))
@name_option
@click.option("--all", "every", is_flag=True, help=t("Toutes les listes.", "All the lists."))
@as_json
@home_option
def clear(name: str, every: bool, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader opposition clear``."""
    from vitale_reader.daemon.issuing import opposition as lists

    count = beside(
        home,
        lambda opened: lists.clear(opened.vault, None if every else name, remembered=opened.remembered),
        writing=True,
    )
    if as_json:
        output.print_json({"removed": count})
        return
    output.lines(((t("Listes supprimées", "Lists removed"), str(count)),))


def _summaries(home: Path | None) -> "list[ListSummary]":
    from vitale_reader.daemon.issuing.opposition import summaries

    return beside(home, lambda opened: summaries(opened.vault, remembered=opened.remembered))


for entry in (import_, list_, status, clear):
    opposition.add_command(entry)
