"""``vitale-reader watch``: every presentation at this desk, or every other code, one after the other."""

import contextlib
import itertools
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
import msgspec

from vitale_protocol.errors import (
    AmbiguousMedium,
    InternalError,
    PresentationError,
    PresentationTimeout,
    ReaderError,
    VitaleError,
    by_reason,
)
from vitale_protocol.events import CodeRead, PresentationFailed
from vitale_protocol.methods import Scope
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, daemon_options, to_daemon
from vitale_reader.cli.frame.describe import invitation, local_time, medium_name, origin_name, person
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.read import TELLING, on_progress, show

if TYPE_CHECKING:
    from vitale_reader.client.blocking import Connection, Presentation

__all__ = ["watch"]

# docs/reference/wire.md, "presentation.request": the longest timeout_ms; then the request is made again.
LONGEST = 600.0


@command("watch", help=t("Affiche chaque présentation, jusqu’à Ctrl-C.", "Shows every presentation, until Ctrl-C."))
@click.option(
    "--scope",
    "--scopes",
    "scopes",
    multiple=True,
    type=click.Choice(TELLING),
    default=("identity",),
    show_default=True,
    help=t("Ce que les jetons peuvent dire ; répétable.", "What the tokens may say; repeatable."),
)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help=t("S’arrête après N.", "Ends after N."))
@click.option(
    "--unclaimed",
    is_flag=True,
    help=t(
        "Seulement ce qu’aucun logiciel ne demande : rien ne lui est pris.",
        "Only what no program asks for: nothing is taken from any.",
    ),
)
@click.option(
    "--codes",
    is_flag=True,
    help=t(
        "Les codes lus à la douchette qui ne sont pas ceux d’un patient : boîtes, ordonnances.",
        "The codes at imagers that are no patient's: boxes, prescriptions.",
    ),
)
@as_json
@daemon_options
def watch(
    scopes: tuple[str, ...],
    count: int | None,
    unclaimed: bool,
    codes: bool,
    as_json: bool,
    home: Path | None,
    address: str | None,
    pairing: Path | None,
) -> None:
    """Runs the command ``vitale-reader watch``."""
    if codes and unclaimed:
        raise click.UsageError(
            t("--codes et --unclaimed ne vont pas ensemble.", "--codes and --unclaimed do not go together.")
        )
    chosen = cast("tuple[Scope, ...]", scopes)
    with to_daemon(home, address, pairing, lasting=True) as daemon:
        if codes:
            _watch_codes(daemon, count, as_json=as_json)
        elif unclaimed:
            _watch_unclaimed(daemon, chosen, count, as_json=as_json)
        else:
            _watch(daemon, chosen, count, as_json=as_json)


def _watch(daemon: "Connection", scopes: tuple[Scope, ...], count: int | None, *, as_json: bool) -> None:
    shown = 0
    while True:
        found = _next(daemon, scopes, as_json=as_json)
        if found is None:
            continue
        shown += 1
        if shown == count:
            return
        with output.progress(t("Retirez la carte.", "Withdraw the card.")):
            daemon.wait_until_empty(found.claims.reader.id)


def _watch_unclaimed(daemon: "Connection", scopes: tuple[Scope, ...], count: int | None, *, as_json: bool) -> None:
    def failed(failure: PresentationFailed) -> None:
        error = by_reason(failure.reason) or InternalError
        output.report(
            error(variant=failure.variant or "", data={"reader": failure.reader}), as_json=as_json, pretty=False
        )

    with contextlib.closing(daemon.subscribe(scopes=scopes, on_failure=failed, acknowledge=False)) as stream:
        for found in itertools.islice(stream, count):
            _show(found, as_json=as_json)


def _watch_codes(daemon: "Connection", count: int | None, *, as_json: bool) -> None:
    with contextlib.closing(daemon.codes()) as stream:
        for code in itertools.islice(stream, count):
            if as_json:
                output.print_json(_told(code), pretty=False)
            else:
                _code_line(code)


def _next(daemon: "Connection", scopes: tuple[Scope, ...], *, as_json: bool) -> "Presentation | None":
    try:
        with output.progress(invitation(())) as notify:
            found = daemon.read(scopes=scopes, timeout=LONGEST, on_progress=on_progress(notify), acknowledge=False)
    except PresentationTimeout:
        return None
    except (PresentationError, ReaderError) as error:
        # A watch outlives a bad card, or two; it asks again when one is gone, or at once for a reader that went.
        readers = _readers(error)
        if not readers:
            raise
        # Only once nothing can be missed any more: whoever is asked to take the card out may be quick.
        report = partial(output.report, error, as_json=as_json, pretty=False)
        daemon.wait_until_empty(readers, once_watching=report)
        return None
    _show(found, as_json=as_json)
    return found


def _readers(error: VitaleError) -> tuple[str, ...]:
    """The readers whose media an error is about."""
    if isinstance(error, AmbiguousMedium):
        return tuple(choice.reader for choice in error.choices)
    reader = error.data.get("reader")
    return (reader,) if isinstance(reader, str) else ()


def _show(found: "Presentation", *, as_json: bool) -> None:
    if as_json:
        show(found, as_json=True, with_token=False, pretty=False)
    else:
        _line(found)
    found.acknowledge()


def _told(code: CodeRead) -> dict[str, object]:
    """A code as JSON has it; the subscription is the command's own."""
    return {name: value for name, value in msgspec.to_builtins(code).items() if name != "subscription"}


def _code_line(code: CodeRead) -> None:
    """One code, with what GS1 says of it in the place of its raw content."""
    said = code.data or code.data_b64 or ""
    if code.gs1 is not None:
        box = ("GTIN " + code.gs1.gtin, code.gs1.lot, code.gs1.expiry, code.gs1.serial)
        said = "  ".join(each for each in box if each)
    cells = (code.symbology or "?", output.escaped(said), code.reader)
    click.echo("\t".join(cells) if not output.interactive() else "  ".join(cells))


def _line(found: "Presentation") -> None:
    who = person(found.holder) if found.holder else t("porteur inconnu", "unknown holder")
    cells = (
        local_time(found.claims.presented_at),
        who,
        medium_name(found.medium),
        f"{t('origine', 'origin')} {origin_name(found.origin)}",
        found.claims.reader.id,
    )
    click.echo("\t".join(cells) if not output.interactive() else "  ".join(cells))
