"""Questions to the person at the terminal, answered in either language."""

import sys
from typing import Final

import click

from vitale_reader.cli.frame.language import t

__all__ = ["agreed", "somebody_is_there"]

_YES: Final = frozenset({"o", "oui", "y", "yes"})
_NO: Final = frozenset({"n", "non", "no"})


def somebody_is_there() -> bool:
    """True if a person can be asked."""
    return sys.stdin.isatty()


def agreed(question: str, *, default: bool) -> bool:
    """Asks until the answer is yes or no; Enter is the default."""
    choices = t("[O/n]", "[Y/n]") if default else t("[o/N]", "[y/N]")
    while True:
        told: str = click.prompt(f"{question} {choices}", default="", show_default=False, err=True)
        answer = told.strip().lower()
        if not answer:
            return default
        if answer in _YES | _NO:
            return answer in _YES
        click.echo(t("Répondez par oui ou par non.", "Answer yes or no."), err=True)
