"""``vitale-reader doctor``: what works and what does not, from the configuration to the card, and what to do."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from vitale_protocol import catalogue
from vitale_protocol.errors import (
    ConfigurationInvalid,
    DaemonUnreachable,
    ReaderUnavailable,
    ResolverUnavailable,
    VitaleError,
)
from vitale_protocol.extras import EXTRAS
from vitale_protocol.methods import DriverHealth, ResolverHealth, StationInfo
from vitale_reader.cli.config import open_to_readers
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option, to_daemon
from vitale_reader.cli.frame.exit_status import DEVICE, DONE, OTHER, exit_status
from vitale_reader.cli.frame.language import language, t
from vitale_reader.cli.frame.offline_store import Opened, beside
from vitale_reader.cli.frame.parts import missing_part
from vitale_reader.cli.pcscd import pcscd_answers, pcscd_place
from vitale_reader.cli.readers import describe
from vitale_reader.home import Home

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Finding", "doctor"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    Attributes:
        subject: what: ``configuration``, ``store``, ``pcscd``, ``confinement`` of drivers, ``part`` of the
            installation, ``daemon``, ``driver``, ``resolver`` or ``reader``.
        state: ``ok``, ``note`` for what may be as it should, ``wrong``.
        said: in words, in the language in use.
        remedy: what to do, or empty.
        status: the exit status that this calls for.
    """

    subject: Literal["configuration", "store", "pcscd", "confinement", "part", "daemon", "driver", "resolver", "reader"]
    state: Literal["ok", "note", "wrong"]
    said: str
    remedy: str = ""
    status: int = DONE


@command(
    "doctor", help=t("Cherche ce qui ne va pas, et dit quoi faire.", "Looks for what is wrong, and says what to do.")
)
@as_json
@home_option
def doctor(as_json: bool, home: Path | None) -> None:
    """Runs the command ``vitale-reader doctor``."""
    findings = list(_look(home))
    if as_json:
        output.print_json({"healthy": all(one.state != "wrong" for one in findings), "findings": findings})
    else:
        signs = {
            "ok": click.style("✓", fg="green"),
            "note": click.style("·", dim=True),
            "wrong": click.style("✗", fg="red"),
        }
        for one in findings:
            click.echo(f"{signs[one.state]} {one.said}")
            if one.remedy:
                click.echo(f"    → {one.remedy}")
    click.get_current_context().exit(next((one.status for one in findings if one.status), DONE))


def _look(home: Path | None) -> Iterator[Finding]:
    place = Home.locate() if home is None else Home.under(home)
    yield _configuration(place)
    yield from _store(place, home)
    if (answers := pcscd_answers()) is not None:
        yield _pcscd(answers=answers)
    if sys.platform == "linux" and missing_part("daemon", "the daemon") is None:
        yield _confinement()
    try:
        with to_daemon(home, None, None) as daemon:
            station, readers = daemon.station(), [one for one in daemon.readers() if one.station is None]
    except VitaleError as error:
        yield from _parts(place)
        yield _wrong("daemon", error)
        return
    yield Finding(subject="daemon", state="ok", said=_running(station))
    for driver in station.drivers:
        yield _driver(driver)
    if station.resolver is not None and station.resolver.state != "none":
        yield _resolver(station.resolver)
    for reader in readers:
        said = f"{t('Lecteur', 'Reader')} {reader.name} : {describe(reader)}"
        if reader.error:
            entry = catalogue.text(reader.error, language())
            said, remedy = f"{said} — {entry.title}", entry.remedy
            yield Finding(subject="reader", state="wrong", said=said, remedy=remedy, status=DEVICE)
        else:
            yield Finding(subject="reader", state="ok", said=said)
    if not readers:
        yield _wrong("reader", ReaderUnavailable(t("aucun lecteur n'est branché", "no reader is plugged in")))


def _configuration(home: Home) -> Finding:
    from vitale_reader.daemon.config import load, readable_by_others

    try:
        load(home.config)
    except ConfigurationInvalid as error:
        return _wrong("configuration", error)
    if readable_by_others(home.config):
        return Finding(subject="configuration", state="note", said=open_to_readers(home.config))
    exists = t("valeurs par défaut", "defaults") if not home.config.exists() else str(home.config)
    return Finding(subject="configuration", state="ok", said=f"{t('Configuration', 'Configuration')} : {exists}")


def _store(place: Home, home: Path | None) -> Iterator[Finding]:
    from vitale_reader.daemon.config import load

    for aside in sorted(place.state.glob("*.corrupt-*Z")):
        said = t(f"Une base abîmée a été mise de côté : {aside}", f"A damaged store was set aside: {aside}")
        remedy = t(
            "Lancez `vitale-reader audit resume --reason …`, appairez de nouveau les logiciels, archivez ce fichier.",
            "Run `vitale-reader audit resume --reason …`, pair the programs again, and keep the file elsewhere.",
        )
        yield Finding(subject="store", state="wrong", said=said, remedy=remedy, status=OTHER)
    try:
        alone = load(place.config).store == "sqlite"
        if alone and (missing_part("daemon", "the daemon") or not (place.state / "station.json").exists()):
            return  # nothing was ever kept
        looked = beside(home, _integrity)
    except ConfigurationInvalid:
        return  # reported already
    except VitaleError as error:
        yield _wrong("store", error)
    else:
        yield from _kept(looked, alone=alone)


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """Findings in the store: its integrity, and the deviation of this desk's clock."""

    whole: bool
    offset: float


def _integrity(opened: "Opened") -> "Callable[[Connection], Looked]":
    from vitale_reader.daemon.store.chain import Chain
    from vitale_reader.daemon.store.clock import StoreClock
    from vitale_reader.daemon.store.inspection import inspect
    from vitale_reader.daemon.store.schema import survey

    def work(connection: "Connection") -> Looked:
        survey(connection)
        chain = Chain(opened.vault, opened.station)
        clock = StoreClock(opened.remembered, shared=opened.dialect == "postgresql")
        clock.read(connection)
        end, known = chain.anchor(connection), opened.remembered.anchor
        reached = known is None or (end is not None and end.number >= known.number)
        faults = inspect(connection, opened.vault, opened.remembered)
        return Looked(whole=reached and not faults and chain.unresolved(connection) is None, offset=clock.offset)

    return work


def _kept(looked: Looked, *, alone: bool) -> Iterator[Finding]:
    from vitale_reader.daemon.store.clock import TOLD_OFF

    if not looked.whole:
        said = t(
            "La base ou le journal d'audit ont été modifiés, restaurés ou perdus",
            "The store or the audit trail was changed, put back or lost",
        )
        remedy = t(
            "Lancez `vitale-reader audit verify` ; si c'est expliqué, `vitale-reader audit resume --reason …`.",
            "Run `vitale-reader audit verify`; if that is explained, `vitale-reader audit resume --reason …`.",
        )
        yield Finding(subject="store", state="wrong", said=said, remedy=remedy, status=OTHER)
    elif not alone:
        said = t("La base de données du site répond", "The database of the site answers")
        yield Finding(subject="store", state="ok", said=said)
    if abs(looked.offset) > TOLD_OFF:
        seconds = round(looked.offset)
        said = t(
            f"L'horloge de ce poste s'écarte de {seconds:+d} s de celle de la base du site",
            f"The clock of this desk is off by {seconds:+d} s from that of the site's database",
        )
        remedy = t("Mettez les deux machines à l'heure (NTP).", "Have both machines keep the time of a server (NTP).")
        yield Finding(subject="store", state="wrong", said=said, remedy=remedy, status=OTHER)


def _parts(place: Home) -> Iterator[Finding]:
    """Lists missing parts of the installation, where no daemon can."""
    from vitale_reader.daemon.config import load

    if error := missing_part("daemon", "the daemon"):
        # A client program's machine is as it should be without.
        yield msgspec.structs.replace(_wrong("part", error), state="note", status=DONE)
        return
    try:
        enabled = load(place.config).drivers.enabled
    except ConfigurationInvalid:
        return  # reported already
    for driver in EXTRAS:
        if driver in enabled and (error := missing_part(driver, f"driver {driver}")):
            yield _wrong("part", error)


def _pcscd(*, answers: bool) -> Finding:
    place = pcscd_place()
    if answers:
        return Finding(subject="pcscd", state="ok", said=t("pcscd répond", "pcscd answers"))
    # With socket activation, or with no card reader at this desk, that is as it should be.
    return Finding(
        subject="pcscd", state="note", said=t(f"pcscd ne répond pas ({place})", f"pcscd does not answer ({place})")
    )


def _confinement() -> Finding:
    """Tells whether drivers can be kept from the daemon's files."""
    from vitale_drivers.host.confinement import COMPLETE, landlock_version

    version = landlock_version()
    if version >= COMPLETE:
        said = t(f"Pilotes confinés (Landlock {version})", f"Drivers are confined (Landlock {version})")
        return Finding(subject="confinement", state="ok", said=said)
    said = t(
        "Ce noyau ne confine pas entièrement les pilotes (Landlock absent ou ancien)",
        "This kernel does not confine drivers completely (no Landlock, or an old one)",
    )
    remedy = t(
        "Utilisez un noyau Linux 6.12 ou plus récent, avec Landlock parmi ses modules de sécurité.",
        "Use a Linux kernel 6.12 or newer that has Landlock among its security modules.",
    )
    return Finding(subject="confinement", state="note", said=said, remedy=remedy)


def _driver(driver: DriverHealth) -> Finding:
    said = f"{t('Pilote', 'Driver')} {driver.name} : {driver.state}"
    if driver.version:
        said += f" ({driver.version})"
    if driver.restarts:
        said += t(f", relancé {driver.restarts} fois", f", restarted {driver.restarts} times")
    if driver.state == "ready":
        return Finding(subject="driver", state="ok", said=said)
    if driver.reason:
        entry = catalogue.text(driver.reason, language(), driver.variant or "")
        title = f"{entry.title} ({driver.detail})" if driver.detail else entry.title
        return Finding(subject="driver", state="wrong", said=f"{said} — {title}", remedy=entry.remedy, status=DEVICE)
    return Finding(subject="driver", state="wrong", said=said, status=DEVICE)


def _resolver(resolver: ResolverHealth) -> Finding:
    if resolver.state == "ready":
        said = t(f"Service apCV {resolver.name} : ready", f"apCV service {resolver.name}: ready")
        return Finding(subject="resolver", state="ok", said=said)
    detail = f"{resolver.name}, {resolver.state}: {resolver.detail or ''}"
    return _wrong("resolver", ResolverUnavailable(detail, variant=resolver.variant or ""))


def _running(station: StationInfo) -> str:
    return f"{t('Service', 'Daemon')} {station.station.version}, mode {station.station.mode}, {station.uptime:.0f} s"


def _wrong(
    subject: Literal["configuration", "store", "part", "daemon", "resolver", "reader"], error: VitaleError
) -> Finding:
    entry = catalogue.text(error.reason, language(), error.variant)
    said = f"{entry.title} ({error.detail})" if error.detail else entry.title
    remedy = entry.remedy
    if isinstance(error, DaemonUnreachable):
        remedy = f"vitale-reader serve — {remedy}"
    return Finding(subject=subject, state="wrong", said=said, remedy=remedy, status=exit_status(error))
