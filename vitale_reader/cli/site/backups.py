"""``vitale-reader site backup`` and ``restore``: a copy of the store, and what putting it back closes."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitale_protocol.errors import LocalMisuse
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.site.closing import apcv_after as apcv_after_option
from vitale_reader.cli.site.closing import minute
from vitale_reader.cli.site.station_config import loaded

if TYPE_CHECKING:
    from vitale_reader.daemon.site.backup import Restored

__all__ = ["backup", "restore"]

#: Characters of a reason, as the audit trail holds them.
MOST_REASON = 500


@command("backup", help=t("Sauvegarde la base ; les postes continuent.", "Backs the store up; the desks go on."))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@as_json
@home_option
def backup(file: Path, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader site backup``."""
    from vitale_reader.daemon.site.backup import back_up
    from vitale_reader.daemon.site.open_store import store_place

    place, config = loaded(home)
    back_up(store_place(place, config), file)
    if as_json:
        output.print_json({"file": str(file), "bytes": file.stat().st_size})
        return
    output.lines(((t("Sauvegarde", "Backup"), f"{file} ({file.stat().st_size} {t('octets', 'bytes')})"),))
    output.note(
        t(
            "Elle ne vaut rien sans les clés : gardez ailleurs une copie de state/station.json ou de la clé du site.",
            "It is worth nothing without the keys: keep a copy of state/station.json, or of the site's key, elsewhere.",
        )
    )


@command(
    "restore",
    help=t(
        "Remet une sauvegarde, ferme ce qui pourrait resservir, et dit ce qu’on ne sait plus.",
        "Puts a backup back, closes what could be used again, and tells what is unknown now.",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--reason", required=True, help=t("Le motif, pour le journal.", "Why, for the audit trail."))
@click.option(
    "--trust-clients",
    is_flag=True,
    help=t(
        "Garde les logiciels appairés même si l’on ne sait plus qui a été révoqué depuis.",
        "Keeps the paired clients even where nobody knows who was revoked since.",
    ),
)
@apcv_after_option
@as_json
@home_option
def restore(file: Path, reason: str, trust_clients: bool, apcv_after: int, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader site restore``."""
    from vitale_reader.daemon.lifecycle import exclusive
    from vitale_reader.daemon.site.restoring import restore as put_back

    if not 0 < len(reason.strip()) <= MOST_REASON:
        raise LocalMisuse(t(f"le motif a de 1 à {MOST_REASON} signes", f"a reason has 1 to {MOST_REASON} characters"))
    place, config = loaded(home)
    with exclusive(place):
        done = put_back(
            place,
            config,
            file,
            reason=reason.strip(),
            trust_clients=trust_clients,
            apcv_after=apcv_after * 60.0,
            at=time.time(),
        )
    if as_json:
        output.print_json(done)
    else:
        _tell(done)


def _tell(done: "Restored") -> None:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(done.until)) if done.until else "—"
    output.lines(
        (
            (t("Dernier acte connu", "Last act that is known"), when),
            (t("Jetons retirés", "Tokens removed"), str(done.tokens)),
            (t("Contextes fermés", "Contexts closed"), str(done.contexts)),
            (t("Chaînes reprises comme utilisées", "Strings taken over as used"), str(done.used)),
            (t("Logiciels révoqués", "Clients revoked"), ", ".join(done.revoked) or "—"),
        )
    )
    if not done.revocations_known:
        output.note(
            t(
                "On ne sait plus qui a été révoqué depuis : contrôlez `vitale-reader clients list`.",
                "Nobody knows who was revoked since: look through `vitale-reader clients list`.",
            )
        )
    if not done.used_known:
        again = minute(done.closed_until)
        output.note(
            t(
                f"On ne sait plus quels codes ont servi depuis : aucune apCV n’est acceptée avant {again}.",
                f"Nobody knows which codes were used since: no apCV is taken before {again}.",
            )
            if done.closed_until
            else t(
                "On ne sait plus quels codes ont servi depuis, et les apCV sont acceptées comme demandé.",
                "Nobody knows which codes were used since, and apCVs are taken as you wanted.",
            )
        )
