"""The man page, from click itself: every command and option, in the language that the command line was loaded in."""

import re
from collections.abc import Iterator

import click

from vitale_reader.cli.frame.language import t
from vitale_reader.version import VERSION

__all__ = ["commands", "page"]

#: As docs/reference/cli.md has them.
EXIT_STATUS = (
    (0, "fait", "done"),
    (
        1,
        "toute autre cause : erreur interne, base ou service absent",
        "anything else: internal, a store or service away",
    ),
    (2, "usage : commande, paramètres ou configuration", "usage: the command, its parameters or the configuration"),
    (3, "aucun service ne répond", "no daemon answers"),
    (4, "rien n’a été présenté à temps", "nothing was presented in time"),
    (5, "refus : droit, jeton ou support", "refused: no right to it, a token or a medium that may not be taken"),
    (6, "lecteur, support ou réservation en défaut", "device trouble: the reader, the medium or a lease"),
    (130, "interrompu par Ctrl-C", "interrupted by Ctrl-C"),
)

FILES = (
    ("~/.config/vitale-reader/config.toml", "Configuration d’un utilisateur.", "Configuration of a user."),
    ("~/.local/state/vitale-reader/", "Ses clés, son registre et ses jetons.", "Their keys, store and tokens."),
    ("/var/lib/vitale-reader/", "Les mêmes, pour le service de la machine.", "The same, of the machine's service."),
)


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """The commands below a group that are not hidden, with their full names."""
    if not isinstance(command, click.Group):
        return
    context = click.Context(command)
    for word in command.list_commands(context):
        child = command.get_command(context, word)
        if child is not None and not child.hidden:
            yield f"{name} {word}", child
            yield from commands(child, f"{name} {word}")


def page(root: click.Command, date: str) -> str:
    """Source of the page, for groff.

    Args:
        root: the whole command line.
        date: of the release, as ``YYYY-MM-DD``.
    """
    return "\n".join(_lines(root, date)) + "\n"


def _lines(root: click.Command, date: str) -> Iterator[str]:
    summary = _plain(root)
    title = t("Manuel de vitale-reader", "vitale-reader manual")
    yield f'.TH VITALE\\-READER 1 {date} "vitale\\-reader {_escaped(VERSION)}" "{title}"'
    yield from (
        f".SH {t('NOM', 'NAME')}",
        f"vitale\\-reader \\- {_escaped(summary[:1].lower() + summary[1:].rstrip('.'))}",
    )
    yield from (".SH SYNOPSIS", ".B vitale\\-reader", _escaped(" ".join(_usage(root))))
    yield from (".SH DESCRIPTION", _escaped(summary))
    yield from _parameters(root)
    yield f".SH {t('COMMANDES', 'COMMANDS')}"
    for name, command in commands(root, "vitale-reader"):
        yield f".SS {_escaped(' '.join((name, *_usage(command))))}"
        yield _escaped(_plain(command))
        if not isinstance(command, click.Group):
            yield from _parameters(command)
    yield f".SH {t('VALEUR RENVOYÉE', 'EXIT STATUS')}"
    for status, fr, en in EXIT_STATUS:
        yield from (".TP", f".B {status}", _escaped(t(fr, en)))
    yield f".SH {t('FICHIERS', 'FILES')}"
    for name, fr, en in FILES:
        yield from (".TP", f".I {_escaped(name)}", _escaped(t(fr, en)))
    yield f".SH {t('ENVIRONNEMENT', 'ENVIRONMENT')}"
    yield from (".TP", ".B VITALE_READER_HOME", _escaped(t("Dossier du poste.", "Folder of the station.")))
    yield from (f".SH {t('VOIR AUSSI', 'SEE ALSO')}", ".BR pcscd (8),", ".BR systemctl (1)")


def _usage(command: click.Command) -> list[str]:
    return command.collect_usage_pieces(click.Context(command))


def _plain(command: click.Command) -> str:
    """The help of a command in one paragraph."""
    return " ".join((command.help or command.short_help or "").replace("\b", " ").replace("``", "").split())


def _parameters(command: click.Command) -> Iterator[str]:
    context = click.Context(command)
    for parameter in command.params:
        if (record := parameter.get_help_record(context)) is not None:
            yield from (".TP", f".B {_escaped(record[0])}", _escaped(" ".join(record[1].split())))


def _escaped(text: str) -> str:
    """Text as groff prints it (groff(7)): no escape, no request, and hyphens that can be searched for and copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return re.sub(r"^(?=[.'])", r"\\&", text)
