"""``vitale-reader completion``: the script that teaches a shell the commands, options and ids."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from vitale_reader.cli.frame.command import command
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.root import root

__all__ = ["SHELLS", "completion", "script"]

# As click's own, but for ids with colons: bash ends words at colons and equal signs, and replaces the last word alone.
_BASH = r"""
%(complete_func)s() {
    local -a words=()
    local word part='' index response completion type value prefix

    for ((index = 0; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if [[ ${#words[@]} -gt 1 && ($word == [:=]* || $part == *[:=]) ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        part=$word
    done
    value=${words[${#words[@]} - 1]#--*=}
    prefix=${value%%"${value##*:}"}

    local IFS=$'\n'
    response=$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) %(complete_var)s=bash_complete "$1")
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        if [[ $type == 'dir' ]]; then
            COMPREPLY=()
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            COMPREPLY=()
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=("${value#"$prefix"}")
        fi
    done
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(BashComplete):
    source_template = _BASH


SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": ZshComplete, "fish": FishComplete}


def script(shell: str) -> str:
    """The script for one of ``SHELLS``."""
    return SHELLS[shell](root, {}, "vitale-reader", "_VITALE_READER_COMPLETE").source()


@command(
    "completion",
    help=t(
        'Écrit le script de complétion ; par exemple : eval "$(vitale-reader completion bash)"',
        'Writes the completion script; for example: eval "$(vitale-reader completion bash)"',
    ),
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell: str) -> None:
    """Runs the command ``vitale-reader completion``."""
    click.echo(script(shell))
