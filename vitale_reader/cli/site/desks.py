"""``vitale-reader site status`` and ``remove``: how the desks of a site are, and one that leaves it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from vitale_protocol.errors import LocalMisuse
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.offline_store import opened_store
from vitale_reader.cli.site.place import of_site

if TYPE_CHECKING:
    from vitale_reader.daemon.site.upkeep import DeskState

__all__ = ["remove", "status"]


@command("status", help=t("Dit comment vont les postes du site.", "Tells how the desks of the site are."))
@as_json
@home_option
def status(as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader site status``."""
    from vitale_reader.daemon.site.open_store import spooled
    from vitale_reader.daemon.site.upkeep import site_state

    place, config = of_site(home)
    with opened_store(home) as (opened, run):
        state = run(lambda connection: site_state(connection, opened.vault, opened.remembered))
        anchor = opened.remembered.anchor
        here = {
            "station": opened.station,
            "spooled": spooled(place),
            "anchor": 0 if anchor is None else anchor.number,
            "when_away": config.site.when_away,
        }
    if as_json:
        output.print_json({"here": here, **msgspec.to_builtins(state)})
        return
    output.table(
        (
            t("Poste", "Desk"),
            t("Identifiant", "Id"),
            t("État", "State"),
            t("Machine", "Machine"),
            t("Version", "Version"),
            t("Horloge", "Clock"),
            t("Coupure", "Away"),
            t("Journal", "Trail"),
        ),
        [_row(desk) for desk in state.desks],
        empty=t("Aucun poste.", "No desk."),
    )
    output.lines(
        (
            (t("Ce poste", "This desk"), str(here["station"])),
            (t("Horloge de cette machine", "Clock of this machine"), f"{state.clock_offset:+.1f} s"),
            (t("En attente de la base", "Kept until the database is back"), str(here["spooled"])),
            (t("Dernière ancre du journal", "Last anchor of the trail"), str(here["anchor"])),
            (t("Postes retirés", "Removed desks"), ", ".join(state.removed) or "—"),
        )
    )


@command(
    "remove",
    help=t(
        "Retire un poste volé ou remplacé : ses clés ne valent plus rien pour les autres.",
        "Removes a stolen or replaced desk: its keys mean nothing to the others any more.",
    ),
)
@click.argument("station")
@as_json
@home_option
def remove(station: str, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader site remove``."""
    from vitale_reader.daemon.site.upkeep import remove_station

    of_site(home)
    with opened_store(home, writing=True) as (opened, run):
        if station == opened.station:
            raise LocalMisuse(t("un poste ne se retire pas lui-même", "a desk does not remove itself"))
        done = run(lambda connection: remove_station(connection, opened.vault, opened.remembered, station))
        opened.remembered.write()
    if as_json:
        output.print_json(done)
        return
    output.lines(
        (
            (t("Poste retiré", "Desk removed"), station if done.known else f"{station} ({t('inconnu', 'unknown')})"),
            (t("Contextes fermés", "Contexts closed"), str(done.contexts)),
            (t("Demandes closes", "Requests ended"), str(done.requests)),
        )
    )
    output.note(
        t(
            "S'il a été volé, il a la clé du site : changez aussi le mot de passe de la base de données.",
            "If it was stolen, it has the key of the site: change the password of the database as well.",
        )
    )


def _row(desk: "DeskState") -> tuple[str, ...]:
    if desk.serves:
        hears = desk.listens is not False
        state = t("en service", "serves") if hears else t("en service, sans écoute", "serves, hears nothing")
    else:
        state = t("arrêté", "stopped")
    away = "—"
    if desk.away_since:
        begun = time.strftime("%m-%d %H:%M", time.localtime(desk.away_since))
        away = f"{begun}, {max(0.0, desk.away_until - desk.away_since):.0f} s"
    clock = "—" if desk.clock_offset is None else f"{desk.clock_offset:+.1f} s"
    return (desk.name, desk.station, state, desk.host or "—", desk.version or "—", clock, away, str(desk.last_row))
