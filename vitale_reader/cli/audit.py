"""``vitale-reader audit``: whether the trail is whole, what it says, how it goes on; beside the daemon or not."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vitale_protocol.errors import LocalMisuse
from vitale_protocol.web.own_names import LOCAL
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import Group, as_json, command, home_option
from vitale_reader.cli.frame.exit_status import REFUSED
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.offline_store import beside, opened_store

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vitale_reader.daemon.audit_export import Compared
    from vitale_reader.daemon.offline_store import Opened
    from vitale_reader.daemon.store.audit_trail.verification import Verified
    from vitale_reader.daemon.store.audit_trail.walk import Broken
    from vitale_reader.daemon.store.inspection import Resumed
    from vitale_reader.daemon.store.sealed_table import TableFault

__all__ = ["audit"]

#: Characters of a reason, as the trail holds them.
MOST_REASON: Final = 500

audit = Group("audit", help=t("Contrôle et exporte le journal d’audit.", "Verifies and exports the audit trail."))


@command(
    "verify",
    help=t("Contrôle la chaîne du journal et les sceaux de la base.", "Verifies the chain and the seals of the store."),
)
@click.option(
    "--heads",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=t(
        "Compare avec les fins de journal exportées dans ce fichier (`[audit] export`).",
        "Compares with the ends of the trail that were exported to this file (`[audit] export`).",
    ),
)
@as_json
@home_option
def verify(heads: Path | None, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader audit verify``."""
    from vitale_reader.daemon.audit_export import compare
    from vitale_reader.daemon.store.audit_trail.verification import Verifier
    from vitale_reader.daemon.store.inspection import inspect

    lines = [] if heads is None else heads.read_text("utf-8", "surrogateescape").splitlines()

    def work(opened: "Opened") -> "Callable[[Connection], tuple[list[Verified], list[TableFault], Compared]]":
        verifier = Verifier(opened.vault, opened.station)
        return lambda connection: (
            verifier.verify(connection, opened.remembered.anchor),
            inspect(connection, opened.vault, opened.remembered),
            compare(connection, opened.vault, lines),
        )

    found, faults, compared = beside(home, work)
    whole = all(one.broken is None for one in found) and not faults and not compared.missed
    whole = whole and (heads is None or compared.heads > 0)
    if as_json:
        exported = None if heads is None else compared
        output.print_json({"whole": whole, "chains": found, "faults": faults, "exported": exported})
    else:
        output.table(
            (t("Poste", "Station"), t("Lignes", "Rows"), t("Chaîne", "Chain")),
            [(one.station or "—", str(one.rows), _state(one)) for one in found],
            empty=t("Le journal est vide.", "The trail is empty."),
        )
        for fault in faults:
            output.note(_fault(fault))
        if heads is not None:
            _tell_compared(compared)
    click.get_current_context().exit(0 if whole else REFUSED)


@command(
    "resume",
    help=t(
        "Laisse continuer un journal interrompu et une base restaurée, et le consigne avec le motif.",
        "Lets a broken trail and a restored store go on, and writes down why.",
    ),
)
@click.option("--reason", required=True, help=t("Le motif, en clair.", "Why, in plain words."))
@as_json
@home_option
def resume(reason: str, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader audit resume``."""
    from vitale_reader.daemon.store.audit_trail.chain import Chain
    from vitale_reader.daemon.store.inspection import resume as let_go_on

    if not 0 < len(reason.strip()) <= MOST_REASON:
        raise LocalMisuse(t(f"le motif a de 1 à {MOST_REASON} signes", f"a reason has 1 to {MOST_REASON} characters"))

    def work(opened: "Opened") -> "Callable[[Connection], Resumed]":
        chain = Chain(opened.vault, opened.station, remembered=opened.remembered, dialect=opened.dialect)
        return lambda connection: let_go_on(
            connection,
            opened.vault,
            opened.remembered,
            chain=chain,
            at=time.time(),
            reason=reason.strip(),
            by=LOCAL,
        )

    done = beside(home, work, writing=True)
    if as_json:
        output.print_json(done)
        return
    if not done.chains and not done.tables:
        output.note(t("Rien n’était interrompu.", "Nothing was broken."))
    for station, broken in done.chains.items():
        output.note(f"{station}: {_break(broken)}")
    for table, removed in done.tables.items():
        output.note(
            t(
                f"{table} : lignes scellées acceptées, {removed} autres supprimées",
                f"{table}: sealed rows accepted, {removed} others removed",
            )
        )


@command("export", help=t("Écrit le journal, une ligne JSON par acte.", "Writes the trail, one line of JSON an act."))
@click.option("--station", help=t("D’un seul poste (son UUID).", "Of one station only (its UUID)."))
@home_option
def export(station: str | None, home: Path | None) -> None:
    """Runs ``vitale-reader audit export``."""
    from vitale_reader.daemon.store.audit_trail.pages import trail_pages

    with opened_store(home) as (_, run):
        for page in trail_pages(run, station):
            for row in page:
                output.print_json(_line(row), pretty=False)


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {name: value for name, value in row.items() if value is not None}
    mac = values.pop("mac", b"")
    return values | ({"mac": mac.hex()} if isinstance(mac, bytes) and mac else {})


def _tell_compared(compared: "Compared") -> None:
    """Says what the comparison with the ends that left this machine has shown."""
    for missed in compared.missed:
        output.note(
            t(
                f"{missed.station} : la fin exportée, ligne {missed.number}, n’est plus dans le journal",
                f"{missed.station}: the exported end, row {missed.number}, is not in the trail any more",
            )
        )
    if compared.foreign:
        output.note(
            t(
                f"{compared.foreign} lignes du fichier ne sont pas scellées par la clé de cette base : ignorées",
                f"{compared.foreign} lines of the file are not sealed with the key of this store: left out",
            )
        )
    if not compared.heads:
        output.note(
            t(
                "Aucune fin de ce journal dans le fichier : il ne prouve rien.",
                "No end of this trail in the file: it proves nothing.",
            )
        )


def _state(one: "Verified") -> str:
    return t("intacte", "whole") if one.broken is None else _break(one.broken)


def _break(broken: "Broken") -> str:
    row = t(f"ligne {broken.number}", f"row {broken.number}")
    words = {
        "changed": t("modifiée", "changed"),
        "missing": t("manquante", "missing"),
        "unchained": t("étrangère à toute chaîne", "not of any chain"),
        "head": t("début ou fin de chaîne modifiés", "beginning or end of the chain changed"),
        "lost": t(
            "le journal antérieur a été remplacé, coupé ou perdu", "the trail before it was put back, cut or lost"
        ),
        "resumed": t("journal antérieur perdu", "the trail before it was lost"),
    }
    return f"{row} : {words[broken.why]}" if t("fr", "en") == "fr" else f"{row}: {words[broken.why]}"


def _fault(fault: "TableFault") -> str:
    words = {
        "changed": t("modifiée ou abîmée : refusée", "changed or damaged: refused"),
        "replaced": t("remise dans un état antérieur : refusée", "put back as it was before: refused"),
        "unknown": t("écrite par un tiers : refusée", "written by somebody else: refused"),
        "missing": t("manquante", "missing"),
        "older": t("table remise dans un état antérieur : refusée", "the table was put back as it was before: refused"),
    }
    colon = t(" :", ":")
    return f"{fault.table} {fault.key}".rstrip() + f"{colon} {words[fault.why]}"


for entry in (verify, resume, export):
    audit.add_command(entry)
