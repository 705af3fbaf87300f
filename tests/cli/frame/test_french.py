"""click's own words: French where French is spoken, whatever the environment says, and English elsewhere."""

import re
import string
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from vitale_reader.cli.frame import language as text
from vitale_reader.cli.frame.french import WORDS
from vitale_reader.cli.root import COMMANDS, root


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = text.language()
    yield
    text.use(before)


def invoke(*arguments: str) -> str:
    return CliRunner().invoke(root, arguments, prog_name="vitale-reader").output


def commands() -> Iterator[tuple[str, ...]]:
    """Every command, groups and their commands among them."""
    context = click.Context(root)
    for name in COMMANDS:
        yield (name,)
        command = root.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((name, child) for child in command.commands)


@pytest.mark.parametrize("names", list(commands()), ids=" ".join)
def test_help(names: tuple[str, ...]) -> None:
    french = invoke("--language", "fr", *names, "--help")
    assert french.startswith("Utilisation : vitale-reader")
    for word in ("Usage", "[default", "required]", "Commands:"):
        assert word not in french
    english = invoke("--language", "en", *names, "--help")
    assert english.startswith("Usage: vitale-reader")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rea",), "Erreur : La commande rea n’existe pas."),
        (("read", "--tout"), "Erreur : L’option --tout n’existe pas."),
        (("read", "--timeout"), "Erreur : L’option --timeout requiert une valeur."),
        (("read", "--timeout", "0"), "0.0 n’est pas dans l’intervalle 1<=x<=600."),
        (("read", "--timeout", "un"), "'un' n’est pas un nombre"),
        (("read", "--scope", "tout"), "'tout' n’est pas parmi 'identity', 'nir'"),
        (("read", "--json=1"), "L’option --json ne prend pas de valeur."),
        (("read", "carte"), "Argument en trop (carte)"),
        (("read", "carte", "vitale"), "Arguments en trop (carte vitale)"),
        (("clients", "add"), "Il manque l’argument 'NAME'."),
    ],
)
def test_mistakes(arguments: tuple[str, ...], said: str) -> None:
    told = invoke("--language", "fr", *arguments)
    assert said in told
    assert "Error" in invoke("--language", "en", *arguments)


def test_a_program_of_its_own_speaks_french_throughout() -> None:
    command = (sys.executable, "-m", "vitale_reader", "--language", "fr", "read")
    told = subprocess.run((*command, "--help"), capture_output=True, encoding="utf-8", timeout=100, check=True).stdout
    assert "Affiche cette aide." in told
    assert "--home DOSSIER" in told
    wrong = subprocess.run((*command, "--tout"), capture_output=True, encoding="utf-8", timeout=100, check=False)
    assert wrong.returncode == 2
    assert "« vitale-reader read --help » donne de l’aide." in wrong.stderr


HELPS = """
import click
from vitale_reader.cli.frame import language
language.use("fr")
from vitale_reader.cli.root import COMMANDS, root
context = click.Context(root, info_name="vitale-reader", terminal_width=200)
print(root.get_help(context))
for name in COMMANDS:
    command = root.get_command(context, name)
    own = click.Context(command, parent=context, info_name=name)
    print(command.get_help(own))
    if isinstance(command, click.Group):
        for word, child in command.commands.items():
            print(child.get_help(click.Context(child, parent=own, info_name=word)))
"""


def test_values_have_french_names_and_texts_french_apostrophes() -> None:
    shown = subprocess.run(
        (sys.executable, "-c", HELPS), capture_output=True, encoding="utf-8", timeout=100, check=True
    ).stdout
    english = re.findall(r"\b(?:ARGS|CLIENT_ID|COMMAND|FILE|FLOAT|INTEGER|NAME|RANGE|STATION|TEXT|TOKEN)\b", shown)
    assert english == []
    assert re.findall(r".*[a-zà-ÿ]'[a-zà-ÿ].*", shown, re.IGNORECASE) == []


def test_each_phrase_says_what_the_other_says() -> None:
    def named(phrase: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(phrase)} - {None}

    for english, french in WORDS.items():
        # What click calls a type of numbers is English: "float range".
        assert named(french) == named(english) - {"number_type"}
