"""click's own words in French, where the command line speaks French.

click takes its words from gettext, which wants compiled catalogues and goes by the environment alone; here
``--language`` counts. What a release of click says in other words than these stays English.
"""

import sys
from typing import Final

import click

from vitale_reader.cli.frame.language import language

__all__ = ["WORDS", "name_values", "speak", "subcommand"]

#: Names of values in the usage, by the type of an option or the name of an argument.
_VALUES: Final = {
    "text": "TEXTE",
    "integer": "ENTIER",
    "integer range": "ENTIER",
    "float": "NOMBRE",
    "float range": "NOMBRE",
    "client_id": "IDENTIFIANT",
    "file": "FICHIER",
    "name": "NOM",
    "station": "POSTE",
    "token": "JETON",
}

WORDS: Final = {
    "Usage:": "Utilisation :",
    "Options": "Options\N{NO-BREAK SPACE}",
    "Commands": "Commandes\N{NO-BREAK SPACE}",
    "Show this message and exit.": "Affiche cette aide.",
    "required": "obligatoire",
    "default: {default}": "par défaut : {default}",
    "env var: {var}": "variable : {var}",
    "file": "fichier",
    "directory": "dossier",
    "path": "chemin",
    "Aborted!": "Interrompu.",
    "Error: {message}": "Erreur : {message}",
    "Try '{command} {option}' for help.": "« {command} {option} » donne de l’aide.",
    "No such option: {name}": "L’option {name} n’existe pas.",
    "No such option {name!r}.": "L’option {name} n’existe pas.",
    "No such command {name!r}.": "La commande {name} n’existe pas.",
    "Did you mean {possibility}?": "Vouliez-vous dire {possibility} ?",
    "(Possible options: {possibilities})": "(Options voisines : {possibilities})",
    "(Did you mean one of: {possibilities}?)": "(Vouliez-vous dire : {possibilities} ?)",
    "Missing command.": "Il manque la commande.",
    "Missing argument": "Il manque l’argument",
    "Missing option": "Il manque l’option",
    "Missing parameter": "Il manque le paramètre",
    "Missing parameter: {param_name}": "Il manque le paramètre {param_name}",
    "Choose from:\n\t{choices}": "Au choix :\n\t{choices}",
    "Invalid value: {message}": "Valeur non valide : {message}",
    "Invalid value for {param_hint}: {message}": "Valeur non valide pour {param_hint} : {message}",
    "Could not open file {filename!r}: {message}": "Le fichier {filename!r} ne s’ouvre pas : {message}",
    "Got unexpected extra argument ({args})": "Argument en trop ({args})",
    "Got unexpected extra arguments ({args})": "Arguments en trop ({args})",
    "Option {name!r} does not take a value.": "L’option {name} ne prend pas de valeur.",
    "Option {name!r} requires an argument.": "L’option {name} requiert une valeur.",
    "Option {name!r} requires {nargs} arguments.": "L’option {name} requiert {nargs} valeurs.",
    "{value!r} is not {choice}.": "{value!r} n’est pas {choice}.",
    "{value!r} is not one of {choices}.": "{value!r} n’est pas parmi {choices}.",
    "{value} is not in the range {range}.": "{value} n’est pas dans l’intervalle {range}.",
    "{value!r} is not a valid {number_type}.": "{value!r} n’est pas un nombre.",
    "{name} {filename!r} does not exist.": "{name} {filename!r} n’existe pas.",
    "{name} {filename!r} is a file.": "{name} {filename!r} est un fichier.",
    "{name} {filename!r} is a directory.": "{name} {filename!r} est un dossier.",
    "{name} {filename!r} is not readable.": "{name} {filename!r} n’est pas lisible.",
    "{name} {filename!r} is not writable.": "{name} {filename!r} n’est pas modifiable.",
}
"""What click says, and what is said instead."""

_MODULES = ("core", "decorators", "exceptions", "formatting", "parser", "termui", "types", "utils")


def speak() -> None:
    """Makes click look here for its words."""
    for name in _MODULES:
        words = vars(sys.modules[f"click.{name}"]) if f"click.{name}" in sys.modules else {}
        for each, said in (("_", _said), ("ngettext", _said_of)):
            if each in words:
                words[each] = said


def name_values(command: click.Command) -> None:
    """Names the values of options and arguments in French, unless the command names them or French is not spoken."""
    if language() != "fr":
        return
    for parameter in command.params:
        argument = isinstance(parameter, click.Argument)
        name = _VALUES.get((parameter.name or "") if argument else parameter.type.name)
        flag = isinstance(parameter, click.Option) and (parameter.is_flag or parameter.count)
        if name is not None and parameter.metavar is None and not flag:
            parameter.metavar = f"[{name}]" if argument and not parameter.required else name


def subcommand() -> str:
    """The place of a command and its arguments in the usage of a group."""
    return "COMMANDE [ARGUMENTS]..." if language() == "fr" else "COMMAND [ARGS]..."


def _said(message: str) -> str:
    return WORDS.get(message, message) if language() == "fr" else message


def _said_of(one: str, many: str, count: int) -> str:
    # In French, none is singular too.
    return _said(one if count == 1 or (language() == "fr" and count == 0) else many)
