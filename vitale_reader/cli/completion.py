"""``vitale-reader completion``: the script that teaches a shell the commands and options."""

import click
from click.shell_completion import get_completion_class

from vitale_reader.cli.frame.command import command
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.root import root

__all__ = ["completion"]


@command(
    "completion",
    help=t(
        'Écrit le script de complétion ; par exemple : eval "$(vitale-reader completion bash)"',
        'Writes the completion script; for example: eval "$(vitale-reader completion bash)"',
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Runs the command ``vitale-reader completion``."""
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(t("interpréteur inconnu", "unknown shell"))
    click.echo(made(root, {}, "vitale-reader", "_VITALE_READER_COMPLETE").source())
