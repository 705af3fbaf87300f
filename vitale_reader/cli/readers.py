"""``vitale-reader readers``: the readers, and what lies in them, never whose."""

from pathlib import Path
from typing import TYPE_CHECKING

from click import echo, option

from vitale_protocol.events import Reader
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, daemon_options, to_daemon
from vitale_reader.cli.frame.describe import content_name
from vitale_reader.cli.frame.language import t

if TYPE_CHECKING:
    from vitale_reader.client.blocking import Connection

__all__ = ["describe", "named", "readers"]


def describe(reader: Reader) -> str:
    """Describes the content of a reader in words."""
    states = {
        "empty": t("vide", "empty"),
        "present": t("carte présente", "card present"),
        "busy": t("occupé", "busy"),
        "leased": t("réservé", "leased"),
        "unavailable": t("indisponible", "unavailable"),
    }
    if reader.state == "present" and reader.medium:
        return content_name(reader.medium)
    return f"{states[reader.state]} ({content_name(reader.medium)})" if reader.medium else states[reader.state]


def named(reader: Reader) -> str:
    """The name of a reader, and of its station where that is another one."""
    return reader.name if reader.station is None else f"{reader.name} · {reader.station.name}"


@command("readers", help=t("Liste les lecteurs, ou les suit.", "Lists the readers, or follows them."))
@option("--watch", is_flag=True, help=t("Suit les changements jusqu’à Ctrl-C.", "Follows the changes until Ctrl-C."))
@as_json
@daemon_options
def readers(watch: bool, as_json: bool, home: Path | None, address: str | None, pairing: Path | None) -> None:
    """Runs the command ``vitale-reader readers``."""
    with to_daemon(home, address, pairing, lasting=watch) as daemon:
        if watch:
            _follow(daemon, as_json=as_json)
            return
        found = daemon.readers()
        starting = [driver.name for driver in daemon.station().drivers if driver.state == "starting"]
    if as_json:
        output.print_json({"readers": found, "starting": starting})
        return
    output.table(
        (t("Lecteur", "Reader"), t("État", "State"), t("Pilote", "Driver"), t("Identifiant", "Id")),
        [(named(reader), describe(reader), _driver(reader), reader.id) for reader in found],
        empty=t("Aucun lecteur.", "No reader."),
    )
    if starting:
        names = ", ".join(starting)
        output.note(
            t(
                f"Pilotes encore en cours de démarrage, dont les lecteurs manquent peut-être : {names}.",
                f"Drivers that still start, whose readers may be missing: {names}.",
            )
        )


def _follow(daemon: "Connection", *, as_json: bool) -> None:
    kinds = {"added": t("arrivé", "added"), "changed": t("changé", "changed"), "removed": t("parti", "removed")}
    for change in daemon.watch():
        if as_json:
            output.print_json({"event": f"reader.{change.kind}", "reader": change.reader}, pretty=False)
        else:
            echo(f"{kinds[change.kind]}\t{named(change.reader)}\t{describe(change.reader)}")


def _driver(reader: Reader) -> str:
    return f"{reader.driver} ({t('simulé', 'simulated')})" if reader.simulated else reader.driver
