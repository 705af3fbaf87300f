"""Writes the files of the package that are made from the code; ``.ci/deb`` calls it."""

import gzip
from pathlib import Path

import click


@click.group()
def main() -> None:
    """Writes the files of the package that are made from the code."""


@main.command()
@click.argument("root", type=click.Path(path_type=Path, file_okay=False))
def files(root: Path) -> None:
    """Writes what the package holds beside the environment, below ROOT."""
    from debian_package.files import files as made

    for name, text in made():
        _write(root / name, text)


@main.command()
@click.argument("root", type=click.Path(path_type=Path, file_okay=False))
@click.argument("language", type=click.Choice(["en", "fr"]))
@click.argument("date")
def man(root: Path, language: str, date: str) -> None:
    """Writes the man page in a LANGUAGE, below ROOT."""
    from vitale_reader.cli.frame.language import use

    # The texts of commands are made when they are loaded.
    use("fr" if language == "fr" else "en")
    from debian_package.man_page import page
    from vitale_reader.cli.root import root as commands

    folder = root / "usr/share/man" / ("fr/man1" if language == "fr" else "man1")
    _write(folder / "vitale-reader.1.gz", page(commands, date))


@main.command()
@click.argument("version")
@click.argument("development")
@click.argument("release")
def version(version: str, development: str, release: str) -> None:
    """Tells the version of the package."""
    from debian_package.control_file import debian_version

    click.echo(debian_version(version, development, release))


@main.command()
@click.option("--version", required=True)
@click.option("--architecture", required=True)
@click.option("--maintainer", required=True)
@click.option("--python", required=True)
@click.option("--libraries", required=True)
@click.option("--kibibytes", type=int, required=True)
def control(**fields: str | int) -> None:
    """Writes the control file to the standard output."""
    from debian_package.control_file import control as text

    click.echo(text(**fields), nl=False)  # type: ignore[arg-type]


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # The same bytes whenever it is built: no name and no time in the compressed file.
    data = text.encode()
    file.write_bytes(gzip.compress(data, mtime=0) if file.suffix == ".gz" else data)
    file.chmod(0o644)


if __name__ == "__main__":
    main()
