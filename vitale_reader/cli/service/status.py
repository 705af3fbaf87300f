"""``vitale-reader status``: the desk at a glance, in a line or on a screen.

The exit status tells it to programs.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from vitale_protocol.diagnosis.findings import Finding, tell
from vitale_protocol.errors import ConfigurationInvalid, StoreUnavailable, VitaleError
from vitale_reader.cli.doctor import findings_output
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option, to_daemon
from vitale_reader.cli.frame.describe import local_time, medium_name
from vitale_reader.cli.frame.exit_status import exit_status
from vitale_reader.cli.frame.fitting import terminal_width
from vitale_reader.cli.frame.language import language, t
from vitale_reader.cli.frame.offline_store import beside
from vitale_reader.cli.readers import describe, named
from vitale_reader.home import Home

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vitale_protocol.events import Reader
    from vitale_protocol.methods import StationInfo
    from vitale_reader.daemon.offline_store import Opened

__all__ = ["Glance", "Outcome", "in_a_line", "on_a_screen", "status"]

#: Columns under which a screen of names and values is no longer one.
NARROW: Final = 60

#: Units of time, from the longest with its seconds.
_UNITS: Final = ((86_400, "j", "d"), (3_600, "h", "h"), (60, "min", "min"), (1, "s", "s"))


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The last presentation, as the audit trail has it: never about whom."""

    at: float
    outcome: str
    medium: str | None = None
    reader: str | None = None


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """The desk at a glance.

    Attributes:
        station: what the daemon says of itself.
        readers: those of this desk.
        clients: how many programs and pages are paired, and not revoked.
        last: the last presentation, where there was one and the store tells it.
        last_known: whether the store tells.
        attention: what somebody should look at.
    """

    station: "StationInfo"
    readers: "tuple[Reader, ...]"
    clients: int
    last: Outcome | None
    last_known: bool = True
    attention: tuple[Finding, ...]


@command("status", help=t("Dit l’essentiel du poste d’un coup d’œil.", "Tells the essentials of the desk at a glance."))
@click.option("--short", is_flag=True, help=t("En une ligne.", "In one line."))
@as_json
@home_option
def status(short: bool, as_json: bool, home: Path | None) -> None:
    """Runs the command ``vitale-reader status``."""
    context = click.get_current_context()
    short = short or (output.interactive() and terminal_width(sys.stdout) < NARROW)
    try:
        glance = _look(home)
    except VitaleError as error:
        if not short or as_json:
            raise
        sign = click.style("✗", fg="red")
        click.echo(f"{sign} vitale-reader · {error.words(language()).title}")
        context.exit(exit_status(error))
    code = findings_output.status(glance.attention)
    if as_json:
        output.print_json(_document(glance, code))
    elif short:
        click.echo(in_a_line(glance))
    else:
        on_a_screen(glance)
    context.exit(code)


def _look(home: Path | None) -> Glance:
    with to_daemon(home, None, None) as daemon:
        station = daemon.station()
        readers = tuple(reader for reader in daemon.readers() if reader.station is None)
        clients = sum(client.revoked_at is None for client in daemon.clients())
    last, known = _last(home, station.station.id)
    return Glance(
        station=station,
        readers=readers,
        clients=clients,
        last=last,
        last_known=known,
        attention=tuple(_attention(home, station, readers)),
    )


def _last(home: Path | None, station: str) -> tuple[Outcome | None, bool]:
    """The last presentation, if there was one, and whether the store tells."""

    def work(_: "Opened") -> "Callable[[Connection], dict[str, Any] | None]":
        from vitale_reader.daemon.store.audit_trail.pages import last_presentation

        return lambda connection: last_presentation(connection, station)

    try:
        row = beside(home, work)
    except (ConfigurationInvalid, StoreUnavailable):  # which needs attention, and is told as such
        return None, False
    if row is None:
        return None, True
    try:
        return msgspec.convert({name: row[name] for name in Outcome.__struct_fields__}, Outcome), True
    except msgspec.ValidationError:  # SQLite has what it was given, whatever the column's type
        return None, False


def _attention(home: Path | None, station: "StationInfo", readers: "tuple[Reader, ...]") -> Iterator[Finding]:
    """Tells what is wrong, as far as it is known at once; ``doctor`` asks the devices as well."""
    from vitale_protocol.diagnosis.check_results import in_order
    from vitale_reader.diagnosis import report
    from vitale_reader.diagnosis.station.daemon_view import DaemonView

    place = Home.chosen(home)
    view = DaemonView(station=station, readers=readers)
    for row in in_order(report.at_a_glance(place, view)):
        if row.state == "wrong":
            yield tell(row, language())


def _document(glance: Glance, code: int) -> dict[str, Any]:
    station = glance.station
    return {
        "status": code,
        "station": station.station,
        "since": round(time.time() - station.uptime),
        "drivers": station.drivers,
        "readers": glance.readers,
        "clients": glance.clients,
        "last": glance.last,
        "attention": glance.attention,
    }


def in_a_line(glance: Glance) -> str:
    """The desk in one line."""
    station = glance.station
    told = [
        f"{_sign(glance)} vitale-reader {station.station.version}",
        _mode(station.station.mode),
        t(f"depuis {_span(station.uptime)}", f"for {_span(station.uptime)}"),
        _count(len(glance.readers), t("lecteur", "reader")),
        _count(glance.clients, t("logiciel", "client")),
    ]
    if glance.last is not None:
        told.append(t(f"dernier\N{NO-BREAK SPACE}: {_outcome(glance.last)}", f"last: {_outcome(glance.last)}"))
    if glance.attention:
        told.append(click.style(output.escaped(glance.attention[0].title), fg="red"))
    return " · ".join(told)


def on_a_screen(glance: Glance) -> None:
    """Shows the desk, and what needs attention with its remedy."""
    station = glance.station
    since = local_time(time.time() - station.uptime)
    running = t(f"en marche depuis {_span(station.uptime)} ({since})", f"running for {_span(station.uptime)} ({since})")
    click.echo(f"{_sign(glance)} vitale-reader {station.station.version}, {running}")
    pairs = [(t("Poste", "Station"), f"{station.station.name}, {_mode(station.station.mode)}")]
    label = t("Lecteurs", "Readers")
    for reader in glance.readers:
        pairs.append((label, f"{named(reader)}{t(chr(0xA0), '')}: {describe(reader)}"))
        label = ""
    if not glance.readers:
        pairs.append((label, t("aucun", "none")))
    pairs.append((t("Logiciels", "Clients"), _count(glance.clients, t("appairé", "paired"))))
    last = t("aucune", "none") if glance.last is None else f"{local_time(glance.last.at)}, {_outcome(glance.last)}"
    if glance.last_known:
        pairs.append((t("Dernière présentation", "Last presentation"), last))
    output.lines(pairs)
    for finding in glance.attention:
        findings_output.print_finding(finding)
    if not glance.attention:
        click.echo(t("Rien à corriger.", "Nothing to correct."))
    else:
        click.echo(
            t("Tout le rapport\N{NO-BREAK SPACE}: `vitale-reader doctor`.", "The whole report: `vitale-reader doctor`.")
        )


def _sign(glance: Glance) -> str:
    return click.style("●", fg="yellow" if glance.attention else "green")


def _mode(mode: str) -> str:
    return t("mode simulé" if mode == "simulated" else f"mode {mode}", f"mode {mode}")


def _count(number: int, noun: str) -> str:
    plural = noun != "paired" and (number > 1 if language() == "fr" else number != 1)
    return f"{number} {noun}{'s' if plural else ''}"


def _span(seconds: float) -> str:
    size, french, english = next((unit for unit in _UNITS if seconds >= unit[0]), _UNITS[-1])
    return f"{int(seconds // size)} {t(french, english)}"


def _outcome(last: Outcome) -> str:
    if last.outcome == "ok":
        return t(f"{medium_name(last.medium or '')}\N{NO-BREAK SPACE}: lue", f"{medium_name(last.medium or '')}: read")
    return output.warning_text(last.outcome)
