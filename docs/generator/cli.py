"""docs/reference/cli.md: every command and option, from click itself."""

import importlib
from collections.abc import Iterator

import click

from docs.generator.markdown import GENERATED, anchor, table
from vitale_reader.cli.frame import language as text

__all__ = ["commands", "page", "root"]

INTRODUCTION = """
The installed command is `vitale-reader`; in a checkout without installation, `python cli.py` is the same. Every command
that prints data has `--json`, and with it prints its mistakes as JSON too, an object `error`; people get tables and
progress. `--help` explains each command, in French where the system is French or `--language fr` says so.

Tables become records, and texts are wrapped, where the terminal is narrow. With `NO_COLOR` set, or `TERM=dumb`, there
are no colours and no bold type. [Shells complete](../how-to/install.md#completion-in-the-shell) commands, options and
ids.
"""

EXIT_STATUS = table(
    ("status", "meaning"),
    (
        ("0", "done"),
        ("1", "anything else: an internal error, a store or a service that is away"),
        ("2", "usage: the command, its parameters or the configuration"),
        ("3", "no daemon answers"),
        ("4", "nothing was presented in time"),
        ("5", "refused: no right to it, a token that does not verify, a medium that may not be taken"),
        ("6", "device trouble: the reader, the medium or a lease"),
        ("130", "interrupted by Ctrl-C"),
    ),
)


def root() -> click.Group:
    """The command line in English; its texts are made when it is loaded, so that this must come first."""
    text.use("en")
    module = importlib.import_module("vitale_reader.cli.root")
    group = module.root
    assert isinstance(group, click.Group)  # noqa: S101 - narrows for the type checker; a root is nothing else
    return group


def commands(command: click.Command, name: str = "vitale-reader") -> Iterator[tuple[str, click.Command]]:
    """Every command that is not hidden, with its full name, groups before their members."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            child = command.get_command(context, word)
            if child is not None and not child.hidden:
                yield from commands(child, f"{name} {word}")


def parameters(command: click.Command) -> Iterator[tuple[str, str]]:
    """The options and arguments of a command with their help, as click shows them."""
    context = click.Context(command)
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield f"`{parameter.make_metavar(context)}`", "argument"
        elif (record := parameter.get_help_record(context)) is not None:
            yield f"`{record[0]}`", " ".join(record[1].split())


def section(name: str, command: click.Command) -> str:
    """Renders the section of one command."""
    context = click.Context(command, info_name=name)
    usage = f"```text\n{name} {' '.join(command.collect_usage_pieces(context))}\n```"
    words = (command.help or command.short_help or "").replace("\b\n", "").replace("``", "`").strip()
    parts = [f"## `{name}`", words, usage]
    if rows := list(parameters(command)):
        parts.append(table(("option", "meaning"), rows))
    return "\n\n".join(part for part in parts if part)


def overview(found: list[tuple[str, click.Command]]) -> str:
    """Every command that does something itself, with its first sentence."""
    rows = [
        (f"[`{name}`](#{anchor(name)})", command.get_short_help_str(limit=200))
        for name, command in found
        if not isinstance(command, click.Group)
    ]
    return table(("command", "what it does"), rows)


def page() -> str:
    """Renders the page docs/reference/cli.md."""
    found = list(commands(root()))
    parts = [GENERATED, "# Command line", INTRODUCTION.strip(), "## Commands", overview(found)]
    parts += ["## Exit status", EXIT_STATUS, *(section(*each) for each in found)]
    return "\n\n".join(parts) + "\n"
