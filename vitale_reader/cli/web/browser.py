"""``vitale-reader browser``: tells browsers of the native host, shows what they were told, takes it back."""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vitale_protocol.errors import LocalMisuse
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import Group, as_json, command, home_option
from vitale_reader.cli.frame.exit_status import OTHER
from vitale_reader.cli.frame.language import t
from vitale_reader.home import Home
from vitale_reader.web.native.declaring import State, declare, examine, manifest, own_command, withdraw
from vitale_reader.web.native.manifest_locations import BROWSERS, ManifestLocation, System, places

if TYPE_CHECKING:
    from vitale_reader.daemon.config import WebSection

__all__ = ["browser"]

browser = Group(
    "browser",
    help=t(
        "Déclare vitale-reader aux navigateurs, pour leur extension.",
        "Tells browsers of vitale-reader, for their extension.",
    ),
)


def _which(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that choose browsers, and for whom."""
    everyone = click.option(
        "--system",
        "everyone",
        is_flag=True,
        help=t("Pour tous les utilisateurs du poste.", "For all users of the machine."),
    )
    named = click.option(
        "--browser",
        "named",
        type=click.Choice([each.name for each in BROWSERS]),
        multiple=True,
        help=t("Ce navigateur seulement ; peut être répétée.", "This browser only; may be repeated."),
    )
    return everyone(named(function))


@command(
    "install",
    help=t(
        "Déclare vitale-reader aux navigateurs de cet utilisateur, ou de tous.",
        "Tells the browsers of this user, or of all users.",
    ),
)
@_which
@as_json
@home_option
def install(named: tuple[str, ...], everyone: bool, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader browser install``."""
    web, program = _settings(home), own_command()
    chosen = _chosen(named, everyone=everyone)
    for place in chosen:
        declare(place, manifest(place.browser.family, program, web.extension.ids))
    _tell("installed", chosen, as_json)
    if not web.enabled:
        output.note(
            t(
                "Aucune page ne joint encore ce poste : mettez `enabled = true` dans la table `[web]`.",
                "No page reaches this desk yet: put `enabled = true` in the table `[web]`.",
            )
        )
    if System().platform == "win32":
        output.note(
            t(
                "Sous Windows, le service n’écoute pas encore les navigateurs.",
                "On Windows the daemon does not listen to browsers yet.",
            )
        )


@command("uninstall", help=t("Retire ce que `install` a écrit.", "Removes what `install` wrote."))
@_which
@as_json
def uninstall(named: tuple[str, ...], everyone: bool, as_json: bool) -> None:
    """Runs ``vitale-reader browser uninstall``."""
    known = {place.browser.name: place for place in places(System(), everyone=everyone)}
    chosen = [known[name] for name in named] or known.values()
    _tell("removed", [place for place in chosen if withdraw(place)], as_json)


@command(
    "status",
    help=t("Montre ce que les navigateurs savent de vitale-reader.", "Shows what browsers know of vitale-reader."),
)
@as_json
@home_option
@click.pass_context
def status(context: click.Context, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader browser status``."""
    web, program = _settings(home), own_command()
    found: list[tuple[ManifestLocation, State]] = [
        (place, examine(place, manifest(place.browser.family, program, web.extension.ids), program))
        for everyone in (False, True)
        for place in places(System(), everyone=everyone)
    ]
    shown: list[tuple[ManifestLocation, State]] = [
        (place, state) for place, state in found if state != "absent" or (place.likely and not place.everyone)
    ]
    if as_json:
        told = [{**_named(place), "state": state} for place, state in shown]
        output.print_json({"browsers": told})
    else:
        output.table(
            (t("Navigateur", "Browser"), t("Pour", "For"), t("État", "State"), t("Fichier", "File")),
            [(place.browser.title, _for_whom(place), _words(state), str(place.file)) for place, state in shown],
            empty=t("Aucun navigateur trouvé.", "No browser was found."),
        )
    if any(state in {"changed", "open"} for _, state in shown):
        context.exit(OTHER)


def _settings(home: Path | None) -> "WebSection":
    from vitale_reader.daemon.config import load

    return load(Home.chosen(home).config).web


def _chosen(named: Collection[str], *, everyone: bool) -> list[ManifestLocation]:
    """The places of the browsers that were named; of all that seem to be there where none was.

    Raises:
        LocalMisuse: none was named, and none is there.
    """
    known = places(System(), everyone=everyone)
    chosen = [place for place in known if place.browser.name in named or (not named and place.likely)]
    if not chosen:
        told = t("aucun navigateur trouvé ; nommez-le avec --browser", "no browser was found; name it with --browser")
        raise LocalMisuse(told)
    return chosen


def _tell(what: str, done: Iterable[ManifestLocation], as_json: bool) -> None:
    done = list(done)
    if as_json:
        output.print_json({what: [_named(place) for place in done]})
        return
    output.table(
        (t("Navigateur", "Browser"), t("Fichier", "File")),
        [(place.browser.title, str(place.file)) for place in done],
        empty=t("Rien à retirer.", "Nothing to remove."),
    )


def _named(place: ManifestLocation) -> dict[str, object]:
    return {"browser": place.browser.name, "system": place.everyone, "file": str(place.file)}


def _for_whom(place: ManifestLocation) -> str:
    return t("tous", "everybody") if place.everyone else t("cet utilisateur", "this user")


def _words(state: State) -> str:
    words = {
        "absent": t("non déclaré", "not told"),
        "as_written": t("déclaré", "told"),
        "changed": t("modifié", "changed"),
        "open": t("ouvert à d’autres", "open to others"),
    }
    return words[state]


for entry in (install, status, uninstall):
    browser.add_command(entry)
