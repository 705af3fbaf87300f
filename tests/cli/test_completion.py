"""Completion in real shells: commands, options, and the ids of readers and clients, with colons in them."""

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.slot import station_with_a_slot
from vitale_reader.cli.demo.environment import DemoEnvironment

pytestmark = pytest.mark.posix

Completed = Callable[..., list[str]]
SHELLS = ("bash", "zsh", "fish")

#: What a shell does with a line at the press of TAB, without a terminal.
ASK = {
    "bash": """
eval "$(vitale-reader completion bash)"
compopt() { echo "$2"; }
COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
COMP_WORDS=() word=''
for ((at = 0; at < ${#LINE}; at++)); do
    sign=${LINE:at:1}
    if [[ $sign == [=:\\ ] ]]; then
        [[ $word ]] && COMP_WORDS+=("$word")
        [[ $sign != ' ' ]] && COMP_WORDS+=("$sign")
        word=''
    else
        word+=$sign
    fi
done
[[ $word || $sign == ' ' ]] && COMP_WORDS+=("$word")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_vitale_reader_completion vitale-reader "${COMP_WORDS[COMP_CWORD]}"
printf '%s\\n' "${COMPREPLY[@]}"
""",
    "zsh": """
compdef() { true; }
_describe() { local name=$3; print -rl -- "${(@P)name}"; }
compadd() { local name=$5; print -rl -- "${(@P)name}"; }
_path_files() { print -r -- files; }
eval "$(vitale-reader completion zsh)"
words=("${(@s: :)LINE}")
CURRENT=${#words}
_vitale_reader_completion
""",
    "fish": """
vitale-reader completion fish | source
complete -C "$LINE"
""",
}


@pytest.fixture(scope="module")
def station() -> Iterator[DemoEnvironment]:
    with station_with_a_slot() as running:
        yield running


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


#: The command line; what it says for a shell, which is the same each time, is asked for once.
PROGRAM = """#!/bin/sh
[ "$1" = completion ] && [ -e {scripts}/"$2" ] && exec cat {scripts}/"$2"
[ "$1" = completion ] && exec {python} -m vitale_reader "$@" | tee {scripts}/"$2"
exec {python} -m vitale_reader "$@"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what the command line says for each shell is kept."""
    return tmp_path_factory.mktemp("scripts")


@pytest.fixture
def completed(tmp_path: Path, scripts: Path) -> Completed:
    """Asks a shell for the words that it offers for the end of a line."""
    return functools.partial(offered, tmp_path, scripts)


def offered(tmp_path: Path, scripts: Path, shell: str, line: str, home: Path | None = None) -> list[str]:
    """The words that a shell offers for the end of a line."""
    program = tmp_path / "bin" / "vitale-reader"
    program.parent.mkdir(exist_ok=True)
    program.write_text(PROGRAM.format(python=shlex.quote(sys.executable), scripts=scripts))
    program.chmod(0o755)
    environment = {
        **os.environ,
        "LINE": line,
        "LC_ALL": "C.UTF-8",
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "VITALE_READER_HOME": str(home or tmp_path / "home"),
        "HOME": str(tmp_path),
    }
    options = {"bash": ("--norc", "--noprofile"), "zsh": ("-f",), "fish": ("--no-config",)}[shell]
    done = subprocess.run(
        (shell, *options, "-c", ASK[shell]),
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert done.stderr == ""
    return [_word(shell, line, offered) for offered in done.stdout.splitlines() if offered]


def _word(shell: str, line: str, offered: str) -> str:
    """The word without its description; whole, where bash replaces what comes behind the last colon alone."""
    if shell == "bash":
        typed = line.rpartition(" ")[2].rpartition("=")[2]
        return typed[: typed.rfind(":") + 1] + offered
    if shell == "zsh":
        return re.split(r"(?<!\\):", offered)[0].replace(r"\:", ":")
    return offered.partition("\t")[0]


def test_commands_and_options(shell: str, completed: Completed) -> None:
    assert set(completed(shell, "vitale-reader rea")) == {"read", "readers"}
    assert completed(shell, "vitale-reader read --time") == ["--timeout"]


@pytest.mark.parametrize("typed", ["", "simulated-card:com"])
def test_readers_of_the_daemon(shell: str, typed: str, station: DemoEnvironment, completed: Completed) -> None:
    line = f"vitale-reader read --reader {typed}"
    assert completed(shell, line, station.home) == ["simulated-card:comptoir"]


def test_bash_ends_words_at_equal_signs_too(station: DemoEnvironment, completed: Completed) -> None:
    line = "vitale-reader read --reader=simulated-card:com"
    assert completed("bash", line, station.home) == ["simulated-card:comptoir"]


def test_names_of_the_simulator(shell: str, completed: Completed) -> None:
    assert completed(shell, "vitale-reader sim card --image da") == ["date-fictive"]
    line = "vitale-reader sim phone --scenario incidents --phone sus"
    assert completed(shell, line) == ["suspendu"]


def test_without_a_daemon_nothing_is_completed(shell: str, completed: Completed) -> None:
    assert completed(shell, "vitale-reader clients revoke ") == []
