"""``vitale-reader config path``, ``show``, ``check``: where it is, what holds, and whether it can be used."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option
from vitale_reader.cli.frame.language import t
from vitale_reader.home import Home

__all__ = ["check", "literal", "open_to_readers", "path", "show", "toml"]


@command("path", help=t("Donne le chemin du fichier.", "Tells the path of the file."))
@as_json
@home_option
def path(as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader config path``."""
    file = Home.chosen(home).config
    if as_json:
        output.print_json({"path": str(file), "exists": file.exists()})
    else:
        click.echo(file)


@command(
    "show", help=t("Montre tous les réglages, valeurs par défaut comprises.", "Shows every setting, defaults included.")
)
@as_json
@home_option
def show(as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader config show``."""
    from vitale_reader.daemon.config import load, shown

    settings = shown(load(Home.chosen(home).config))
    if as_json:
        output.print_json(settings)
    else:
        click.echo("\n".join(toml(settings)).strip())


@command("check", help=t("Contrôle le fichier.", "Checks the file."))
@as_json
@home_option
def check(as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader config check``."""
    from vitale_reader.daemon import config_check
    from vitale_reader.daemon.config import load, located, readable_by_others

    place = Home.chosen(home)
    file = place.config
    settings = load(file)
    try:
        config_check.check(place, settings)
    except ConfigurationInvalid as error:
        raise located(error, file) from error
    readable = readable_by_others(file)
    if as_json:
        told = {"path": str(file), "exists": file.exists(), "valid": True, "readable_by_others": readable}
        output.print_json(told)
    elif file.exists():
        click.echo(t(f"{file} : aucune erreur.", f"{file}: no error."))
        if readable:
            output.note(open_to_readers(file))
    else:
        click.echo(
            t(
                f"{file} n’existe pas : les valeurs par défaut s’appliquent.",
                f"{file} does not exist: the defaults hold.",
            )
        )


def open_to_readers(file: Path) -> str:
    """Warns of a file that others may read, and that holds no secret now."""
    from vitale_reader.daemon.config import command_to_close

    return t(
        f"D’autres utilisateurs peuvent lire ce fichier, sans secret pour l’instant : {command_to_close(file)}",
        f"Other users may read this file, which holds no secret so far: {command_to_close(file)}",
    )


def toml(settings: dict[str, Any], within: str = "") -> Iterator[str]:
    """Settings as TOML, plain values before tables; every string, number and list of JSON is one of TOML too."""
    tables = {name: cast("dict[str, Any]", value) for name, value in settings.items() if isinstance(value, dict)}
    for name, value in settings.items():
        if value is None:
            yield f"# {_key(name)} = …"  # TOML has no word for nothing
        elif name not in tables:
            yield f"{_key(name)} = {literal(value)}"
    for name, table in tables.items():
        place = f"{within}{_key(name)}"
        yield f"\n[{place}]"
        yield from toml(table, f"{place}.")


def literal(value: object) -> str:
    """A string, a number or a list of them as TOML has it, which is as JSON has it."""
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)
