"""The frame of every command: errors become exit statuses, and the options that lead to a daemon are shared."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vitale_protocol.errors import ConfigurationInvalid, LocalMisuse, VitaleError
from vitale_protocol.extras import EXTRA_OF, Extra, missing
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.exit_status import BROKEN_PIPE, INTERRUPTED, USAGE, exit_status
from vitale_reader.cli.frame.french import name_values, subcommand
from vitale_reader.cli.frame.language import language, t, use
from vitale_reader.cli.frame.signals import ending_in_good_order
from vitale_reader.cli.frame.usage import mistakes_as_json

if TYPE_CHECKING:
    from vitale_reader.client.blocking import Connection
    from vitale_reader.client.connection import Settings

__all__ = [
    "CliCommand",
    "Group",
    "Simulation",
    "as_json",
    "command",
    "daemon_options",
    "daemon_settings",
    "home_option",
    "to_daemon",
]

F = TypeVar("F", bound=Callable[..., Any])

# A person waits at the prompt: long enough for a daemon that is just starting, short enough for one that is not there.
CONNECT_TIMEOUT = 1.0

# One that listens is there: at the start of a machine or under a backup it answers late, and Ctrl-C is at hand.
CALL_TIMEOUT = 30.0

# A service that is restarted or updated is back in seconds; a machine with a slow disk takes longer.
RESTART = 120.0


class CliCommand(click.Command):
    """A command that ends with a status and a sentence, never with a traceback for what was foreseen.

    Attributes:
        extra: the extra of the installation that brings all that the command uses. None stands for the extra of the
            package that is missing.
    """

    extra: Extra | None = None

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Reads what was given; what it cannot be is told as any other error, where ``--json`` is among it."""
        with mistakes_as_json("--json" in args):
            return super().make_context(info_name, args, parent, **extra)

    def run(self, ctx: click.Context) -> Any:
        """Runs the command proper.

        Raises:
            ToolMissing: a package of an extra is not installed.
        """
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            extra = EXTRA_OF.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            raise missing(error, ctx.command_path, extra=self.extra or extra) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command, and ends it as it has to end."""
        try:
            return self.run(ctx)
        except VitaleError as error:
            output.report(error, as_json=bool(ctx.params.get("as_json")))
            ctx.exit(exit_status(error))
        except click.ClickException as error:
            if not ctx.params.get("as_json"):
                raise
            output.report(LocalMisuse(error.format_message()), as_json=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo(err=True)
            ctx.exit(INTERRUPTED)
        except click.Abort:  # Ctrl-C or an end of what is typed, instead of an answer
            click.echo(f"\n{t('Interrompu.', 'Interrupted.')}", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            output.discard_output()
            ctx.exit(BROKEN_PIPE)
        except (UnicodeError, RecursionError) as error:
            # Something given is no text, or nested beyond sense; its content is not repeated.
            detail = "bytes that are no UTF-8" if isinstance(error, UnicodeError) else "nested too deep"
            output.report(LocalMisuse(detail), as_json=bool(ctx.params.get("as_json")))
            ctx.exit(USAGE)
        except OSError as error:
            output.report(output.refused(error), as_json=bool(ctx.params.get("as_json")))
            ctx.exit(USAGE)


class Simulation(CliCommand):
    """A command that no configuration concerns: what is not valid was given on its command line.

    SIGTERM and a closed terminal end it as Ctrl-C does. What it laid on a reader is taken off, and its links are
    removed.
    """

    extra = "sim"

    def run(self, ctx: click.Context) -> Any:
        """Runs the command proper."""
        try:
            with ending_in_good_order():
                return super().run(ctx)
        except ConfigurationInvalid as error:
            raise LocalMisuse(error.detail, data=error.data) from error


class Group(click.Group):
    """A group of such commands."""

    command_class = CliCommand

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"subcommand_metavar": subcommand(), **options})


def command(
    name: str,
    *,
    help: str,  # noqa: A002  click's own word
    cls: type[CliCommand] = CliCommand,
    extra: Extra | None = None,
) -> Callable[[Callable[..., Any]], CliCommand]:
    """Declares a command with the options that all have."""

    def declare(function: Callable[..., Any]) -> CliCommand:
        declared = click.command(name, cls=cls, help=help)(language_option(function))
        declared.extra = extra or cls.extra
        name_values(declared)
        return declared

    return declare


def language_option(function: F) -> F:
    """``--language``, also after the command's name."""

    def chosen(_: click.Context, __: click.Parameter, value: str | None) -> None:
        if value is not None:
            use("fr" if value == "fr" else "en")

    return click.option(
        "--language",
        type=click.Choice(["fr", "en"]),
        is_eager=True,
        expose_value=False,
        callback=chosen,
        help=t("Langue des messages.", "Language of messages."),
    )(function)


def as_json(function: F) -> F:
    """Adds the option ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help=t("Affiche du JSON, pour un programme.", "Prints JSON, for a program.")
    )(function)


def home_option(function: F) -> F:
    """Adds the option ``--home``."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="VITALE_READER_HOME",
        help=t("Dossier du poste.", "Folder of the station."),
    )(function)


def daemon_options(function: F) -> F:
    """Adds the options that lead to a daemon: ``--home``, or ``--pairing`` and ``--address``; see ``to_daemon``."""
    for decorate in (
        click.option(
            "--pairing",
            type=click.Path(path_type=Path, dir_okay=False),
            help=t("Fichier d’appairage, pour TLS.", "Pairing file, for TLS."),
        ),
        click.option(
            "--address",
            metavar="URL",
            help=t("unix:///chemin ou tls://hôte:port.", "unix:///path or tls://host:port."),
        ),
        home_option,
    ):
        function = decorate(function)
    return function


def to_daemon(home: Path | None, address: str | None, pairing: Path | None, *, lasting: bool = False) -> "Connection":
    """A connection for a command; a ``lasting`` one outlives a restart of the daemon."""
    from vitale_reader.client.blocking import Connection

    return Connection(daemon_settings(home, address, pairing, reconnect_timeout=RESTART if lasting else None))


def daemon_settings(
    home: Path | None, address: str | None, pairing: Path | None, *, reconnect_timeout: float | None = None
) -> "Settings":
    """Returns the way to the daemon that ``daemon_options`` give."""
    from vitale_reader.client.connection import Settings
    from vitale_reader.client.pairing import Pairing
    from vitale_reader.home import Home

    return Settings(
        home=Home.chosen(home),
        address=address,
        pairing=None if pairing is None else Pairing.load(pairing),
        language=language(),
        name="vitale-reader",
        connect_timeout=CONNECT_TIMEOUT,
        call_timeout=CALL_TIMEOUT,
        reconnect_timeout=reconnect_timeout,
    )
