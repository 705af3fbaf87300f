"""``vitale-reader web clients`` and ``web revoke``: the pages that are paired, and the end of a pairing."""

from pathlib import Path

import click

from vitale_protocol.errors import LocalMisuse, ParseError
from vitale_reader.cli.frame import completing, output
from vitale_reader.cli.frame.command import as_json, command, home_option, to_daemon
from vitale_reader.cli.frame.describe import local_time
from vitale_reader.cli.frame.language import t

__all__ = ["clients", "revoke"]


@command("clients", help=t("Liste les pages appairées, par site.", "Lists the paired pages, by site."))
@as_json
@home_option
def clients(as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader web clients``."""
    with to_daemon(home, None, None) as daemon:
        found = [client for client in daemon.clients() if client.site]
    if as_json:
        output.print_json({"clients": found})
        return
    output.table(
        (
            t("Site", "Site"),
            t("Nom", "Name"),
            t("Identifiant", "Id"),
            t("Droits", "Scopes"),
            t("Appairée", "Paired"),
        ),
        [
            (
                client.site or "",
                client.name,
                client.client_id,
                ", ".join(client.scopes),
                local_time(client.created_at)
                if client.revoked_at is None
                else f"{t('révoquée le', 'revoked')} {local_time(client.revoked_at)}",
            )
            for client in sorted(found, key=lambda client: (client.revoked_at is not None, client.site or ""))
        ],
        empty=t("Aucune page appairée.", "No paired page."),
    )


@command(
    "revoke",
    help=t(
        "Révoque une page, ou toutes celles d’un site ; leurs sessions s’arrêtent.",
        "Revokes a page, or all those of a site; their sessions end.",
    ),
    extra="web",
)
@click.argument("page_or_site", shell_complete=completing.clients)
@as_json
@home_option
def revoke(page_or_site: str, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader web revoke``."""
    site = _site(page_or_site)
    with to_daemon(home, None, None) as daemon:
        ids = [
            client.client_id
            for client in daemon.clients()
            if client.site and client.revoked_at is None and (client.client_id == page_or_site or client.site == site)
        ]
        done = [daemon.revoke_client(client_id) for client_id in ids]
    if not any(each.revoked for each in done):
        told = t("aucune page appairée n’a cet identifiant ni ce site", "no paired page has this id or this site")
        raise LocalMisuse(told, data={"page": page_or_site})
    sessions = sum(each.sessions for each in done)
    if as_json:
        output.print_json({"revoked": ids, "sessions": sessions})
        return
    output.lines(((t("Révoquées", "Revoked"), ", ".join(ids)), (t("Sessions closes", "Sessions ended"), str(sessions))))


def _site(typed: str) -> str:
    """The site that a person means; empty where it is an id."""
    if ":" not in typed:
        return ""
    from vitale_protocol.web.registration import register

    try:
        return str(register(typed, "simulated").site)
    except ParseError as error:
        raise LocalMisuse(t("ce n’est l’adresse d’aucun site", "not the address of a site"), data={}) from error
