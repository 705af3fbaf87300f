"""``vitale-reader web pair``: a person opens the window, ticks the page's scopes, and types the code it shows."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from vitale_protocol.errors import PairingFailed
from vitale_protocol.extras import missing_part
from vitale_protocol.methods import PairingAsked, Scope
from vitale_protocol.web.sites import Site, parse_site
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option, to_daemon
from vitale_reader.cli.frame.describe import local_time
from vitale_reader.cli.frame.language import language, t

if TYPE_CHECKING:
    from vitale_reader.client.blocking import Connection

__all__ = ["pair"]

#: Scopes that are asked for one by one, and not granted unless a person says so.
_TICKED = ("nir", "dependants", "rights", "context", "codes")

_DIGITS = 6


@command(
    "pair",
    help=t(
        "Ouvre une fenêtre de deux minutes pour appairer une page web, puis demande le code qu’elle affiche.",
        "Opens a window of two minutes to pair a web page, then asks for the code that it shows.",
    ),
    extra="web",
)
@as_json
@home_option
def pair(as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader web pair``."""
    if (absent := missing_part("web", "vitale-reader web pair")) is not None:
        raise absent  # before a window is opened
    with to_daemon(home, None, None) as daemon:
        opened = daemon.open_pairing()
        try:
            for attempt in opened.attempts:
                output.note(f"{local_time(attempt.at)}  {output.escaped(attempt.site)} {t('a demandé', 'asked')}")
            waiting = t(
                "Fenêtre ouverte deux minutes : demandez l’appairage dans la page de votre logiciel…",
                "Window open for two minutes: ask for the pairing on the page of your software…",
            )
            with output.progress(waiting):
                asked = daemon.pairing_asked()
            _show(daemon, asked)
            scopes = _ticked(asked)
            client_id = _typed(daemon, scopes)
        except BaseException:
            daemon.close_pairing()
            raise
    if as_json:
        output.print_json({"client_id": client_id, "site": asked.site, "name": asked.name, "scopes": scopes})
        return
    output.lines(
        (
            (t("Page", "Page"), f"{asked.name} ({client_id})"),
            (t("Site", "Site"), asked.site),
            (t("Droits", "Scopes"), ", ".join(scopes)),
        )
    )


def _show(daemon: "Connection", asked: PairingAsked) -> None:
    """Shows on standard error who asks: the name as a browser sends it, its Unicode form, and warnings."""
    from vitale_reader.cli.web.site_identity import emphasised, second_looks, unicode_site

    site = parse_site(asked.site, "simulated")  # the daemon has judged it by its own mode
    others = [(each, _site(each.site)) for each in daemon.clients() if each.site]
    paired = [other for each, other in others if each.revoked_at is None]
    output.note("")
    output.note(f"  {emphasised(site)}")
    if written := unicode_site(site):
        output.note(f"  {output.escaped(written)}")
    output.note(f"  « {output.escaped(asked.name)} »")
    for warning in second_looks(site, paired, [other for _, other in others]):
        output.note(f"  ! {warning}")
    output.note("")


def _site(text: str | None) -> Site:
    return parse_site(text or "", "simulated")


def _ticked(asked: PairingAsked) -> tuple[Scope, ...]:
    """The scopes that a person grants, each asked as a sentence; what was not said stays unticked."""
    sentences = {
        "identity": t(
            "La page verra les noms, la date de naissance et la qualité de l’assuré",
            "The page will see the names, the birth date and the quality of the insured person",
        ),
        "nir": t("La page verra le numéro de sécurité sociale", "The page will see the social security number"),
        "dependants": t(
            "La page verra tous les bénéficiaires de la carte", "The page will see every beneficiary on the card"
        ),
        "rights": t(
            "La page verra le régime, la caisse et les droits",
            "The page will see the scheme, the office and the rights",
        ),
        "context": t(
            "La page recevra les contextes apCV des patients", "The page will get the apCV contexts of patients"
        ),
        "codes": t(
            "La page recevra les codes scannés qui ne sont pas ceux d’un patient",
            "The page will get scanned codes that are no patient's",
        ),
    }
    granted = [
        scope
        for scope in asked.scopes
        if scope in sentences and click.confirm(sentences[scope], default=scope not in _TICKED, err=True)
    ]
    if not granted:
        raise PairingFailed("nothing was granted", variant="nothing")
    return cast("tuple[Scope, ...]", tuple(granted))


def _typed(daemon: "Connection", scopes: tuple[Scope, ...]) -> str:
    """Asks for the code until it is right or the window closes; returns the paired page's id."""
    while True:
        typed = click.prompt(t("Les six chiffres que la page affiche", "The six digits that the page shows"), err=True)
        digits = "".join(str(typed).split())
        if len(digits) != _DIGITS or not (digits.isascii() and digits.isdecimal()):
            output.note(t("Le code a six chiffres.", "The code has six digits."))
            continue
        try:
            return daemon.accept_pairing(digits, scopes=scopes).client_id
        except PairingFailed as error:
            if error.variant != "code":
                raise
            output.note(error.catalogued(language()).remedy)
