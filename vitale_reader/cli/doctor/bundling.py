"""The file for support: shown to the person who is to send it, then written."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from vitale_protocol.diagnosis.findings import Finding
from vitale_protocol.errors import LocalMisuse
from vitale_reader.atomic_files import write_new
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.language import t
from vitale_reader.home import Home

__all__ = ["at_terminal", "offer"]


def offer(file: Path, home: Home, findings: Sequence[Finding], *, yes: bool, as_json: bool) -> bool:
    """Lists what goes into the file, asks, and writes it; whether it was written.

    Args:
        file: which.
        home: of the station.
        findings: the report.
        yes: whether not to ask.
        as_json: whether a program reads the list.

    Raises:
        LocalMisuse: nobody is there to be asked.
        OSError: the file cannot be written, or is there already.
    """
    from vitale_reader.diagnosis.bundle import contents, packed

    made = contents(home, findings)
    listed = [{"name": one.name, "about": _about(one.kind), "bytes": len(one.text.encode())} for one in made]
    if not as_json:
        output.table(
            (t("Fichier", "File"), t("Contenu", "Content"), t("Octets", "Bytes")),
            [(str(one["name"]), str(one["about"]), str(one["bytes"])) for one in listed],
        )
    if not yes and not at_terminal():
        raise LocalMisuse(t("personne à qui demander\N{NO-BREAK SPACE}: ajoutez --yes", "nobody to ask: add --yes"))
    if not yes and not click.confirm(t(f"Écrire {file}", f"Write {file}"), err=True):
        return False
    write_new(file, packed(made))
    if as_json:
        output.print_json({"file": str(file), "contents": listed})
    else:
        click.echo(
            t(
                f"{file} est écrit. Ouvrez-le si vous voulez le relire, puis envoyez-le à l’assistance.",
                f"{file} is written. Open it if you want to read it, then send it to support.",
            )
        )
    return True


def at_terminal() -> bool:
    """True if a person can be asked."""
    return sys.stdin.isatty()


def _about(kind: str) -> str:
    return {
        "report": t("ce rapport", "this report"),
        "findings": t("ce rapport, pour un programme", "this report, for a program"),
        "configuration": t("la configuration, secrets masqués", "the configuration, secrets masked"),
        "log": t("le journal du service, sans données personnelles", "the log of the daemon, without personal data"),
        "errors": t("les dernières erreurs du journal", "the last errors of the log"),
        "versions": t("les versions des bibliothèques", "the versions of libraries"),
    }[kind]
