"""The table of commands. A command's module is loaded when it is invoked, or for its own help."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from vitale_reader.cli.frame.fitting import colour
from vitale_reader.cli.frame.french import speak, subcommand
from vitale_reader.cli.frame.language import t, use
from vitale_reader.cli.frame.usage import help_in_order, mistakes_as_json
from vitale_reader.version import VERSION

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["COMMANDS", "CommandEntry", "root"]

_AS_JSON: Final = "vitale_reader.as_json"

speak()


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """Place of a command, and its one line of help in French and in English."""

    place: str
    fr: str
    en: str


COMMANDS = {
    "dashboard": CommandEntry(
        "dashboard:dashboard",
        "Ouvre le tableau de bord de ce poste dans un navigateur.",
        "Opens the dashboard of this desk in a browser.",
    ),
    "demo": CommandEntry(
        "demo.command:demo",
        "Démonstration complète, sur des lecteurs simulés.",
        "Shows everything, at simulated readers.",
    ),
    "serve": CommandEntry("serve:serve", "Lance le service au premier plan.", "Runs the daemon in the foreground."),
    "status": CommandEntry(
        "service.status:status",
        "Dit l’essentiel du poste d’un coup d’œil.",
        "Tells the essentials of the desk at a glance.",
    ),
    "service": CommandEntry(
        "service.group:service",
        "Installe et gère le service de ce système.",
        "Installs and looks after the service of this system.",
    ),
    "logs": CommandEntry("service.logs:logs", "Montre le journal du service.", "Shows the log of the daemon."),
    "readers": CommandEntry(
        "readers:readers", "Liste les lecteurs, ou les suit.", "Lists the readers, or follows them."
    ),
    "read": CommandEntry(
        "read:read",
        "Attend une carte, un téléphone ou un code, et affiche ce que dit son jeton.",
        "Waits for a card, a phone or a code, and shows what its token says.",
    ),
    "watch": CommandEntry("watch:watch", "Affiche chaque présentation.", "Shows every presentation."),
    "verify": CommandEntry("verify:verify", "Vérifie un jeton.", "Verifies a token."),
    "clients": CommandEntry(
        "clients:clients", "Appaire et révoque les logiciels.", "Pairs and revokes client programs."
    ),
    "web": CommandEntry("web.group:web", "Appaire et révoque les pages web.", "Pairs and revokes web pages."),
    "browser": CommandEntry(
        "web.browser:browser",
        "Déclare vitale-reader aux navigateurs, pour leur extension.",
        "Tells browsers of vitale-reader, for their extension.",
    ),
    "keys": CommandEntry(
        "keys:keys", "Montre et renouvelle les clés de signature.", "Shows and rotates the signing keys."
    ),
    "audit": CommandEntry(
        "audit:audit", "Contrôle et exporte le journal d’audit.", "Verifies and exports the audit trail."
    ),
    "opposition": CommandEntry(
        "opposition:opposition", "Tient les listes d’opposition du site.", "Keeps the opposition lists of the site."
    ),
    "site": CommandEntry(
        "site.group:site", "Entretient un site et sa base de données.", "Looks after a site and its database."
    ),
    "config": CommandEntry(
        "config.group:config",
        "Crée, montre, contrôle et modifie la configuration.",
        "Begins, shows, checks and changes the configuration.",
    ),
    "doctor": CommandEntry(
        "doctor.command:doctor",
        "Cherche ce qui ne va pas, et dit quoi faire.",
        "Looks for what is wrong, and says what to do.",
    ),
    "bench": CommandEntry(
        "bench:bench", "Mesure ce poste, et dit ce qui est lent.", "Measures this desk, and says what is slow."
    ),
    "sim": CommandEntry("sim.group:sim", "Simule des appareils.", "Simulates devices."),
    "completion": CommandEntry(
        "completion:completion", "Complétion pour bash, zsh ou fish.", "Completion for bash, zsh or fish."
    ),
}


class LazyGroup(click.Group):
    """A group whose commands stay unloaded; their names and help lines come from the table.

    Mistakes in the names of commands are told as JSON where ``--json`` is given, like those in options.
    """

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Reads the options before the command's name, and whether colours are wanted."""
        as_json = "--json" in args
        extra.setdefault("color", colour())
        with mistakes_as_json(as_json), help_in_order():
            context = super().make_context(info_name, args, parent, **extra)
        context.meta[_AS_JSON] = as_json
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command that is named."""
        with mistakes_as_json(ctx.meta[_AS_JSON]), help_in_order():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, loaded now."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.place.partition(":")
        command = getattr(import_module(f"vitale_reader.cli.{module}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.place} is not a command")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list["CompletionItem[str]"]:
        """The names from the table, and the options; no command is loaded for it."""
        from click.shell_completion import CompletionItem

        named = [
            CompletionItem(name, help=t(entry.fr, entry.en))
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without loading anything."""
        with formatter.section(t("Commandes\N{NO-BREAK SPACE}", "Commands")):
            formatter.write_dl([(name, t(entry.fr, entry.en)) for name, entry in COMMANDS.items()])


def _use(_: click.Context, __: click.Parameter, value: str | None) -> None:
    if value is not None:
        use("fr" if value == "fr" else "en")


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"vitale-reader {VERSION}")
        ctx.exit()


root = LazyGroup(
    name="vitale-reader",
    help=t(
        "Lit la carte Vitale présentée à ce poste et remet un jeton signé aux logiciels.",
        "Reads the carte Vitale presented at this desk and hands a signed token to programs.",
    ),
    no_args_is_help=True,
    subcommand_metavar=subcommand(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=[
        click.Option(
            ["--language"],
            type=click.Choice(["fr", "en"]),
            is_eager=True,
            expose_value=False,
            callback=_use,
            help=t(
                "Langue des messages ; par défaut celle du système.", "Language of messages; the system's by default."
            ),
        ),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help=t("Affiche la version.", "Shows the version."),
        ),
    ],
)
