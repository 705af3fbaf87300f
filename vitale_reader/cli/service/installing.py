"""``vitale-reader service install`` and its kin: the daemon as a service, installed, looked at and removed."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec
from click.core import ParameterSource

from vitale_protocol.errors import ConfigurationInvalid, DaemonRunning, DaemonUnreachable, LocalMisuse
from vitale_protocol.extras import missing_part
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option
from vitale_reader.cli.frame.exit_status import DONE, NO_DAEMON
from vitale_reader.cli.frame.language import t
from vitale_reader.home import Home

if TYPE_CHECKING:
    from vitale_reader.service.base import Service, ServiceState
    from vitale_reader.service.steps import Step, StepDone

__all__ = ["install", "restart", "scope_option", "start", "status", "stop", "this_service", "uninstall"]

F = TypeVar("F", bound=Callable[..., Any])


def this_service(home: Path | None, *, system: bool) -> "Service":
    """The service of this user, or of this machine.

    Raises:
        LocalMisuse: a folder is named for that of the machine, which has its own.
        ToolMissing: no service is known for this system.
    """
    from vitale_reader.service import services
    from vitale_reader.service.machine import Machine

    if system and home is not None:
        why = t(
            "avec --system, le dossier est celui de la machine\N{NO-BREAK SPACE}: ôtez --home ou VITALE_READER_HOME",
            "with --system the folder is that of the machine: leave out --home or VITALE_READER_HOME",
        )
        raise LocalMisuse(why, data={"path": _named_by()})
    where = None if home is None else Home.under(home).config.parent
    return services.service("system" if system else "user", Machine(), where)


def _named_by() -> str:
    context = click.get_current_context(silent=True)
    named = None if context is None else context.get_parameter_source("home")
    return "VITALE_READER_HOME" if named is ParameterSource.ENVIRONMENT else "--home"


def scope_option(function: F) -> F:
    """Adds the options ``--user`` and ``--system``, and ``--home`` for the former."""
    decorate = click.option(
        "--system/--user",
        "system",
        default=False,
        help=t(
            "Pour toute la machine, ou pour cet utilisateur (par défaut).",
            "For the whole machine, or for this user (the default).",
        ),
    )
    return decorate(home_option(function))


def dry_run_option(function: F) -> F:
    """Adds the option ``--dry-run``."""
    decorate = click.option(
        "--dry-run",
        is_flag=True,
        help=t("Montre ce qui serait fait, sans rien faire.", "Shows what would be done, and does nothing."),
    )
    return decorate(function)


@command(
    "install",
    help=t(
        "Installe le service, le démarre, et le fait démarrer tout seul.",
        "Installs the service, starts it, and has it start by itself.",
    ),
)
@dry_run_option
@scope_option
@as_json
def install(dry_run: bool, system: bool, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader service install``."""
    if (absent := missing_part("daemon", "vitale-reader service install")) is not None:
        raise absent
    found = this_service(home, system=system)
    if dry_run:
        _show(found, found.install(), as_json=as_json)
        return
    found.require()
    _require_a_start(found, home)
    done = _carry_out(found, found.install())
    _tell(found, done, as_json=as_json)


@command(
    "uninstall",
    help=t(
        "Arrête et retire le service ; clés, base et configuration restent.",
        "Ends and removes the service; keys, store and configuration stay.",
    ),
)
@dry_run_option
@scope_option
@as_json
def uninstall(dry_run: bool, system: bool, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader service uninstall``."""
    found = this_service(home, system=system)
    if dry_run:
        _show(found, found.uninstall(), as_json=as_json)
        return
    found.require()
    _tell(found, _carry_out(found, found.uninstall()), as_json=as_json)


@command("start", help=t("Démarre le service.", "Starts the service."))
@scope_option
@as_json
def start(system: bool, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader service start``."""
    found = _installed(home, system=system)
    _require_a_start(found, home)
    _tell(found, _carry_out(found, [found.start()]), as_json=as_json)


@command(
    "stop",
    help=t(
        "Arrête le service, jusqu’à ce qu’il soit démarré ou qu’il redémarre tout seul.",
        "Ends the service, until somebody starts it or it starts by itself.",
    ),
)
@scope_option
@as_json
def stop(system: bool, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader service stop``."""
    found = _installed(home, system=system)
    _tell(found, _carry_out(found, [found.stop()]), as_json=as_json)


@command("restart", help=t("Redémarre le service.", "Starts the service anew."))
@scope_option
@as_json
def restart(system: bool, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader service restart``."""
    found = _installed(home, system=system)
    _require_a_start(found, home)
    _tell(found, _carry_out(found, found.restart()), as_json=as_json)


@command(
    "status",
    help=t("Dit si le service est installé et s’il tourne.", "Tells whether the service is installed and runs."),
)
@scope_option
@as_json
def status(system: bool, as_json: bool, home: Path | None) -> None:
    """Runs ``vitale-reader service status``."""
    found = this_service(home, system=system)
    state = found.state()
    if as_json:
        output.print_json({"scope": found.scope, "state": state})
    else:
        output.lines(_described(found, state))
    click.get_current_context().exit(DONE if state.running else NO_DAEMON)


def _installed(home: Path | None, *, system: bool) -> "Service":
    """The service, which is there.

    Raises:
        LocalMisuse: it is not.
    """
    found = this_service(home, system=system)
    if not found.state().installed:
        option = " --system" if system else ""
        raise LocalMisuse(f"vitale-reader service install{option}", variant="service_absent")
    return found


def _require_a_start(found: "Service", home: Path | None) -> None:
    """Makes sure that a daemon of this user would start.

    So a daemon that serves is not ended for a configuration that is wrong.

    Raises:
        ConfigurationInvalid, ToolMissing, StoreUnavailable: it would not.
        DaemonRunning: another was started by hand.
    """
    if found.scope == "system":  # the files of its account
        return
    place = Home.chosen(home)
    with output.progress(t("Contrôle de la configuration…", "Checking the configuration…")):
        _require_settings(place)
    if not found.state().running:
        _require_no_other(place, home)


def _require_settings(place: Home) -> None:
    from vitale_reader.daemon import config_check
    from vitale_reader.daemon.config import load, located

    try:
        config_check.check(place, load(place.config))
    except ConfigurationInvalid as error:
        raise located(error, place.config) from error


def _require_no_other(place: Home, home: Path | None) -> None:
    from vitale_reader.cli.frame.command import to_daemon

    try:
        with to_daemon(home, None, None):
            pid = place.endpoints().pid
    except DaemonUnreachable:
        return
    why = t(f"le processus {pid} a été lancé à la main", f"process {pid} was started by hand")
    raise DaemonRunning(why, data={"pid": pid, "home": str(place.state)})


def _carry_out(found: "Service", steps: "Iterable[Step]") -> "list[StepDone]":
    with output.progress(t("Un instant…", "One moment…")):
        return list(found.carry_out(steps))


def _plain(steps: "list[StepDone] | list[Step]") -> object:
    return msgspec.to_builtins(steps, enc_hook=str)


def _show(found: "Service", steps: "Iterable[Step]", *, as_json: bool) -> None:
    """Shows steps that are not taken."""
    from vitale_reader.service.steps import SystemCommand, WriteFile

    planned = list(steps)
    if as_json:
        output.print_json({"dry_run": True, "scope": found.scope, "steps": _plain(planned)})
        return
    for step in planned:
        if isinstance(step, WriteFile):
            click.echo(_words(step) + _kept(step.former))
            click.echo("".join(f"    {line}\n" for line in step.text.splitlines()))
        else:
            click.echo(_words(step))
    if not any(isinstance(step, SystemCommand) for step in planned):
        click.echo(t("Rien d’autre.", "Nothing else."))


def _tell(found: "Service", done: "list[StepDone]", *, as_json: bool) -> None:
    state = found.state()
    if as_json:
        output.print_json({"dry_run": False, "scope": found.scope, "steps": _plain(done), "state": state})
        return
    for each in done:
        sign = click.style("✓", fg="green") if each.done else click.style("·", dim=True)
        click.echo(f"{sign} {_words(each.step)}{_kept(each.former)}")
    output.lines(_described(found, state))


def _words(step: "Step") -> str:
    from vitale_reader.service.steps import SystemCommand, WriteFile

    if isinstance(step, SystemCommand):
        return " ".join(step.command)
    if isinstance(step, WriteFile):
        return t(f"écrire {step.file}", f"write {step.file}")
    return t(f"retirer {step.file}", f"remove {step.file}")


def _kept(former: Path | None) -> str:
    if former is None:
        return ""
    return t(f"\N{NO-BREAK SPACE}; ce qui y était reste dans {former.name}", f"; what was there stays in {former.name}")


def _described(found: "Service", state: "ServiceState") -> list[tuple[str, str]]:
    if not state.installed and not state.off:
        return [(t("Service", "Service"), t("non installé", "not installed"))]
    pid = f" ({t('processus', 'process')} {state.pid})" if state.pid else ""
    told = [
        (t("Service", "Service"), _activity(state) + pid),
        (t("Démarrage", "Start"), _beginning(found, state)),
    ]
    if state.file:
        told.append((t("Fichier", "File"), state.file))
    gone = t(" (introuvable\N{NO-BREAK SPACE}: réinstallez le service)", " (not there: install the service again)")
    told.append((t("Programme", "Program"), state.program + (gone if state.program_missing else "")))
    return told


def _activity(state: "ServiceState") -> str:
    if state.running:
        return t("en marche", "running")
    if state.off:
        return t(
            "désactivé pour cet utilisateur (`vitale-reader service install` le réactive)",
            "off for this user (`vitale-reader service install` switches it on)",
        )
    return t("arrêté", "stopped")


def _beginning(found: "Service", state: "ServiceState") -> str:
    if not state.starts:
        return t("manuel", "by hand only")
    if found.starts_with_the_machine:
        return t("automatique, avec la machine", "by itself, with the machine")
    return t("automatique, à l’ouverture de session", "by itself, at log-in")
