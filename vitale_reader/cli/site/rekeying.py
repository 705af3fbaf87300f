"""``vitale-reader site rekey``: a new key of the site, at the desk that begins and at every other."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.site.closing import apcv_after as apcv_after_option
from vitale_reader.cli.site.closing import minute
from vitale_reader.cli.site.station_config import of_site

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
@apcv_after_option
@as_json
@home_option
def rekey(key: Path | None, apcv_after: int, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader site rekey``."""
    from vitale_reader.daemon.lifecycle import exclusive
    from vitale_reader.daemon.rekeying.procedure import rekey as take_new_key

    place, config = of_site(home)
    with exclusive(place):
        done = take_new_key(place, config, key=key, apcv_after=apcv_after * 60.0, at=time.time())
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
    again = minute(done.closed_until)
    output.note(
        t(
            f"On ne sait plus quels codes ont servi avant : aucune apCV n’est acceptée avant {again}.",
            f"Nobody knows any more which codes were used before: no apCV is taken before {again}.",
        )
        if done.closed_until > time.time()
        else t(
            "On ne sait plus quels codes ont servi avant, et les apCV sont acceptées.",
            "Nobody knows any more which codes were used before, and apCVs are taken.",
        )
    )
    if done.former:
        output.note(
            t(
                "L’ancienne clé n’ouvre plus que les sauvegardes d’avant : gardez-la avec elles, et pas ici.",
                "The former key opens nothing but backups of before: keep it with them, and not here.",
            )
        )
