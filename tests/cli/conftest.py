"""What all tests of commands share."""

import click
import pytest

from vitale_reader.cli.frame import command, language
from vitale_reader.cli.root import COMMANDS, root


def _load_in_english() -> None:
    """The help of a command is made when it is loaded: not in the language of whichever test is the first to use it."""
    former = language.language()
    language.use("en")
    for name in COMMANDS:
        root.get_command(click.Context(root), name)
    language.use(former)


_load_in_english()


@pytest.fixture(autouse=True)
def _no_daemon_is_no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in this process wait for no daemon that is not there; one that listens is heard as elsewhere."""
    monkeypatch.setattr(command, "CONNECT_TIMEOUT", 0.0)
