"""``vitale-reader clients``: pairs programs with this station, lists them, revokes them."""

import re
from pathlib import Path
from typing import cast, get_args

import click

from vitale_protocol.errors import LocalMisuse
from vitale_protocol.methods import SCOPES, Scope, Transport
from vitale_reader.cli.frame import completing, output
from vitale_reader.cli.frame.command import Group, as_json, command, daemon_options, home_option, to_daemon
from vitale_reader.cli.frame.describe import local_time
from vitale_reader.cli.frame.language import t
from vitale_reader.client.pairing import Pairing

__all__ = ["clients"]

clients = Group("clients", help=t("Appaire et révoque les logiciels.", "Pairs and revokes client programs."))


@command(
    "add",
    help=t(
        "Appaire un logiciel et écrit son fichier d’appairage (0600).",
        "Pairs a program and writes its pairing file (0600).",
    ),
)
@click.argument("name")
@click.option(
    "--scope",
    "--scopes",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("identity",),
    show_default=True,
    help=t("Ce qu’il pourra demander ; répétable.", "What it may ask for; repeatable."),
)
@click.option(
    "--transport",
    "transports",
    multiple=True,
    type=click.Choice(get_args(Transport)),
    default=("tls",),
    show_default=True,
    help=t("Par où il viendra ; répétable.", "How it will come; repeatable."),
)
@click.option(
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=t("Fichier à écrire ; NOM.pairing.json par défaut.", "File to write; NAME.pairing.json by default."),
)
@as_json
@home_option
def add(
    name: str,
    scopes: tuple[str, ...],
    transports: tuple[str, ...],
    file: Path | None,
    as_json: bool,
    home: Path | None,
) -> None:
    """Runs ``vitale-reader clients add``."""
    file = file or Path(re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "client").with_suffix(".pairing.json")
    if file.exists():
        # Before the daemon makes a client whose key would be lost.
        raise FileExistsError(17, t("ce fichier existe déjà", "the file exists already"), str(file))
    with to_daemon(home, None, None) as daemon:
        added = daemon.add_client(
            name,
            scopes=cast("tuple[Scope, ...]", scopes),
            transports=cast("tuple[Transport, ...]", transports),
        )
        try:
            Pairing.of(added, address=_tls_address(home) if added.certificate else None).save(file)
        except LocalMisuse:
            daemon.revoke_client(added.client_id)  # its key would be lost
            raise
    if as_json:
        output.print_json({"client_id": added.client_id, "name": name, "scopes": scopes, "pairing": str(file)})
        return
    output.lines(
        (
            (t("Logiciel", "Client"), f"{name} ({added.client_id})"),
            (t("Droits", "Scopes"), ", ".join(scopes)),
            (t("Appairage", "Pairing"), str(file)),
        )
    )
    output.note(t("Ce fichier contient une clé : gardez-le secret.", "This file holds a key: keep it secret."))


@command("list", help=t("Liste les logiciels appairés.", "Lists the paired programs."))
@as_json
@home_option
def list_(as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader clients list``."""
    with to_daemon(home, None, None) as daemon:
        found = daemon.clients()
    if as_json:
        output.print_json({"clients": found})
        return
    output.table(
        (
            t("Nom", "Name"),
            t("Identifiant", "Id"),
            t("Droits", "Scopes"),
            t("Accès", "Transports"),
            t("Appairé", "Paired"),
        ),
        [
            (
                client.name,
                client.client_id,
                ", ".join(client.scopes),
                ", ".join(client.transports),
                local_time(client.created_at)
                if client.revoked_at is None
                else f"{t('révoqué le', 'revoked')} {local_time(client.revoked_at)}",
            )
            for client in found
        ],
        empty=t("Aucun logiciel appairé.", "No paired client."),
    )


@command("revoke", help=t("Révoque un logiciel ; ses sessions s’arrêtent.", "Revokes a program; its sessions end."))
@click.argument("client_id", shell_complete=completing.clients)
@as_json
@daemon_options
def revoke(client_id: str, as_json: bool, home: Path | None, address: str | None, pairing: Path | None) -> None:
    """Runs ``vitale-reader clients revoke``."""
    with to_daemon(home, address, pairing) as daemon:
        done = daemon.revoke_client(client_id)
    if not done.revoked:
        raise LocalMisuse(
            t("aucun logiciel appairé n’a cet identifiant", "no paired client has this id"),
            data={"client_id": client_id},
        )
    if as_json:
        output.print_json(done)
        return
    output.lines(((t("Révoqué", "Revoked"), client_id), (t("Sessions closes", "Sessions ended"), str(done.sessions))))


def _tls_address(home: Path | None) -> str | None:
    from vitale_reader.client.address import TlsAddress
    from vitale_reader.home import Home

    tls = Home.chosen(home).endpoints().tls
    return None if tls is None else str(TlsAddress(tls.host, tls.port))


for entry in (add, list_, revoke):
    clients.add_command(entry)
