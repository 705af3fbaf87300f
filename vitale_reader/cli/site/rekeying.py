"""``vitale-reader site rekey``: a new key of the site, at the desk that begins and at every other."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.site.place import of_site

if TYPE_CHECKING:
    from vitale_reader.daemon.rekeying.procedure import Rekeyed

__all__ = ["rekey"]


@command(
    "rekey",
    help=t(
        "Donne au site une nouvelle clé, tous les postes étant arrêtés ; l’ancienne n’ouvre plus rien.",
        "Gives the site a new key, with every desk stopped; the former one opens nothing any more.",
    ),
)
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help=t(
        "La nouvelle clé, apportée du poste qui a commencé ; sans elle, ce poste commence.",
        "The new key, brought from the desk that began; without it this desk begins.",
    ),
)
@as_json
@home_option
def rekey(key: Path | None, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader site rekey``."""
    from vitale_reader.daemon.lifecycle import exclusive
    from vitale_reader.daemon.rekeying.procedure import rekey as take_new_key

    place, config = of_site(home)
    with exclusive(place):
        done = take_new_key(place, config, key=key, at=time.time())
    if as_json:
        output.print_json(done)
    else:
        _tell(done)


def _tell(done: "Rekeyed") -> None:
    both = (done.resealed, done.spool)
    lists = ", ".join(done.resealed.lists)
    output.lines(
        (
            (t("Clé du site", "Key of the site"), done.key_file),
            (t("Ancienne clé, gardée sous", "Former key, kept as"), done.former or "—"),
            (t("Logiciels", "Clients"), str(done.resealed.clients)),
            (t("Jetons", "Tokens"), str(sum(each.tokens for each in both))),
            (t("Contextes", "Contexts"), str(sum(each.contexts for each in both))),
            (t("Lignes du journal", "Lines of the trail"), str(sum(each.lines for each in both))),
            (t("Chaînes utilisées oubliées", "Used strings forgotten"), str(sum(each.used for each in both))),
            (
                t("Listes d’opposition à réimporter", "Opposition lists to import"),
                lists or "—",
            ),
        )
    )
    if done.began:
        output.note(
            t(
                "À chaque autre poste, avant de le démarrer : `vitale-reader site rekey --key FICHIER`, "
                "avec une copie de cette clé.",
                "At every other desk, before it is started: `vitale-reader site rekey --key FILE`, "
                "with a copy of this key.",
            )
        )
    if any(each.used for each in both):
        output.note(
            t(
                "Ne lisez pas d’apCV avant l’expiration des codes en circulation.",
                "Read no apCV before the codes in circulation have expired.",
            )
        )
    if done.former:
        output.note(
            t(
                "L’ancienne clé n’ouvre plus que les sauvegardes d’avant : gardez-la avec elles, et pas ici.",
                "The former key opens nothing but backups of before: keep it with them, and not here.",
            )
        )
