"""``vitale-reader audit``: whether the audit trail is whole, and what it says; beside the daemon or without it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import Group, as_json, command, home_option
from vitale_reader.cli.frame.exit_status import REFUSED
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.offline_store import Opened, beside

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

    from vitale_reader.daemon.store.chain import Broken, Verified

__all__ = ["audit"]

audit = Group("audit", help=t("Contrôle et exporte le journal d'audit.", "Verifies and exports the audit trail."))


@command("verify", help=t("Contrôle la chaîne du journal.", "Verifies the chain of the trail."))
@as_json
@home_option
def verify(as_json: bool, home: Path | None) -> None:
    """The command."""
    from vitale_reader.daemon.store.chain import Chain

    found = beside(
        home,
        lambda opened: (
            lambda connection: Chain(opened.vault, opened.station).verify(connection, opened.remembered.anchor)
        ),
    )
    whole = all(one.broken is None for one in found)
    if as_json:
        output.print_json({"whole": whole, "chains": found})
    else:
        output.table(
            (t("Poste", "Station"), t("Lignes", "Rows"), t("Chaîne", "Chain")),
            [(one.station or "—", str(one.rows), _state(one)) for one in found],
            empty=t("Le journal est vide.", "The trail is empty."),
        )
    click.get_current_context().exit(0 if whole else REFUSED)


@command("export", help=t("Écrit le journal, une ligne JSON par acte.", "Writes the trail, one line of JSON an act."))
@click.option("--station", help=t("D'un seul poste (son UUID).", "Of one station only (its UUID)."))
@home_option
def export(station: str | None, home: Path | None) -> None:
    """The command."""
    from vitale_reader.daemon.store.chain import Chain

    def work(opened: Opened) -> "Callable[[Connection], None]":
        def write(connection: "Connection") -> None:
            for row in Chain(opened.vault, opened.station).rows(connection, station):
                output.print_json(_line(row), pretty=False)

        return write

    beside(home, work)


def _line(row: "RowMapping") -> dict[str, Any]:
    values: dict[str, Any] = {name: value for name, value in row.items() if value is not None}
    mac = values.pop("mac", b"")
    return values | ({"mac": mac.hex()} if isinstance(mac, bytes) and mac else {})


def _state(one: "Verified") -> str:
    return t("intacte", "whole") if one.broken is None else _told(one.broken)


def _told(broken: "Broken") -> str:
    row = t(f"ligne {broken.number}", f"row {broken.number}")
    words = {
        "changed": t("modifiée", "changed"),
        "missing": t("manquante", "missing"),
        "unchained": t("étrangère à toute chaîne", "not of any chain"),
        "head": t("début ou fin de chaîne modifiés", "beginning or end of the chain changed"),
        "resumed": t("journal antérieur perdu", "the trail before it was lost"),
    }
    return f"{row} : {words[broken.why]}" if t("fr", "en") == "fr" else f"{row}: {words[broken.why]}"


for entry in (verify, export):
    audit.add_command(entry)
