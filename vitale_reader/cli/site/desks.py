"""``vitale-reader site status`` and ``remove``: how the desks of a site are, and one that leaves it."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from vitale_protocol.catalogue import text
from vitale_protocol.errors import LocalMisuse, StoreUnavailable
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option
from vitale_reader.cli.frame.exit_status import DONE, exit_status
from vitale_reader.cli.frame.language import language, t
from vitale_reader.cli.frame.offline_store import opened_store
from vitale_reader.cli.site.station_config import of_site

if TYPE_CHECKING:
    from vitale_reader.daemon.site.upkeep import SiteDeskState, SiteState

__all__ = ["remove", "status"]

#: Seconds by which a clock may be off before it is told, as ``doctor`` has it.
TOLD_OFF = 5.0


@command("status", help=t("Dit comment vont les postes du site.", "Tells how the desks of the site are."))
@as_json
@home_option
def status(as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader site status``."""
    from vitale_reader.daemon.site.open_store import last_outage, spooled
    from vitale_reader.daemon.site.upkeep import site_state

    place, config = of_site(home)
    outage, state, error = last_outage(place), None, None
    with opened_store(home) as (opened, run):
        anchor = opened.remembered.anchor
        here = {
            "station": opened.station,
            "spooled": spooled(place),
            "anchor": 0 if anchor is None else anchor.number,
            "when_away": config.site.when_away,
            "outage": outage,
        }
        try:
            state = run(lambda connection: site_state(connection, opened.vault, opened.remembered))
        except StoreUnavailable as told:
            error = told
    if as_json:
        store = None if error is None else {"variant": error.variant, "detail": error.detail}
        rest: dict[str, object] = msgspec.to_builtins(state) if state is not None else {"desks": ()}
        output.print_json({"here": here, "store": store, **rest})
    elif state is not None:
        _print_site(state)
    if not as_json:
        _print_here(here)
        if outage is not None and not outage.until:
            output.note(_away(outage.since, outage.until, outage.why, outage.sqlstate))
    if error is not None and not as_json:
        raise error
    click.get_current_context().exit(DONE if error is None else exit_status(error))


def _print_site(state: "SiteState") -> None:
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
    for desk in state.desks:
        for line in _remarks(desk):
            output.note(f"{desk.name or desk.station}{t(' :', ':')} {line}")
    output.lines(
        (
            (t("Horloge de cette machine", "Clock of this machine"), f"{state.clock_offset:+.1f} s"),
            (t("Postes retirés", "Removed desks"), ", ".join(state.removed) or "—"),
        )
    )


def _print_here(here: Mapping[str, object]) -> None:
    output.lines(
        (
            (t("Ce poste", "This desk"), str(here["station"])),
            (t("En attente de la base", "Kept until the database is back"), str(here["spooled"])),
            (t("Dernière ancre du journal", "Last anchor of the trail"), str(here["anchor"])),
        )
    )


def _remarks(desk: "SiteDeskState") -> Iterator[str]:
    """Sentences for an administrator about a desk: why it was away, and that its clock is wrong."""
    if desk.seen is not None and not desk.serves:
        yield t(
            f"sans nouvelles depuis {desk.seen:.0f} s sans s’être arrêté : coupé de la base, ou éteint",
            f"silent for {desk.seen:.0f} s without having stopped: cut off from the database, or switched off",
        )
    if desk.away_since:
        yield _away(desk.away_since, desk.away_until, desk.away_why, desk.away_sqlstate)
    if desk.clock_offset is not None and abs(desk.clock_offset) > TOLD_OFF:
        seconds = f"{desk.clock_offset:+.0f}"
        yield t(
            f"son horloge s’écarte de {seconds} s de celle de la base ; mettez les deux machines à l’heure (NTP)",
            f"its clock is off by {seconds} s from that of the database; have both machines keep a server's time (NTP)",
        )


def _away(since: float, until: float, why: str, sqlstate: str) -> str:
    """One sentence: since when a desk is or was cut off from the database, and for which reason."""
    begun = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
    if until:
        seconds = f"{max(0.0, until - since):.0f}"
        told = t(
            f"coupé de la base le {begun}, pendant {seconds} s",
            f"cut off from the database at {begun}, for {seconds} s",
        )
    else:
        told = t(f"coupé de la base depuis le {begun}", f"cut off from the database since {begun}")
    cause = text(StoreUnavailable.reason, language(), why).cause if why else t("cause inconnue", "reason unknown")
    answer = f" (SQLSTATE {sqlstate})" if sqlstate else ""
    return f"{told}{t(' :', ':')} {cause}{answer}"


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
            "S’il a été volé, il a la clé du site : changez aussi le mot de passe de la base de données.",
            "If it was stolen, it has the key of the site: change the password of the database as well.",
        )
    )


def _row(desk: "SiteDeskState") -> tuple[str, ...]:
    if desk.serves:
        hears = desk.listens is not False
        state = t("en service", "serves") if hears else t("en service, sans écoute", "serves, hears nothing")
    else:
        state = t("arrêté", "stopped") if desk.seen is None else t("sans nouvelles", "silent")
    away = "—"
    if desk.away_since:
        begun = time.strftime("%m-%d %H:%M", time.localtime(desk.away_since))
        lasted = f", {max(0.0, desk.away_until - desk.away_since):.0f} s" if desk.away_until else ""
        away = f"{begun}{lasted}"
    clock = "—" if desk.clock_offset is None else f"{desk.clock_offset:+.1f} s"
    return (desk.name, desk.station, state, desk.host or "—", desk.version or "—", clock, away, str(desk.last_row))
