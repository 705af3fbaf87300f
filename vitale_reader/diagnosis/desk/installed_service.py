"""The services that the system starts, of this user and of the machine: their states, and their programs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.errors import VitaleError
from vitale_reader.diagnosis.machine import InspectedMachine
from vitale_reader.service import machine as places
from vitale_reader.service import services
from vitale_reader.service.base import ServiceState
from vitale_reader.service.scope import Scope
from vitale_reader.service.steps import Run

__all__ = ["look"]

_SCOPES: Final[tuple[Scope, ...]] = ("user", "system")


def look(machine: InspectedMachine, run: Run = places.run) -> Iterator[CheckResult]:
    """Looks at the services that are installed.

    Args:
        machine: the one that is looked at.
        run: runs a command of the system.
    """
    told = set[str]()
    for scope in _SCOPES:
        state = _state(machine, scope, run)
        # On Windows one task has one name, whoever made it.
        if state is not None and state.installed and not _is_left_off(state) and state.file not in told:
            told.add(state.file)
            yield _row(state, scope)


def _is_left_off(state: ServiceState) -> bool:
    """True if a package brought it and nobody uses it, as the machine's where each user has a daemon."""
    return state.packaged and not state.running and not state.starts


def _state(machine: InspectedMachine, scope: Scope, run: Run) -> ServiceState | None:
    own = Path(machine.environ.get("HOME") or places.own_place())
    place = places.Machine(system=machine.system, environ=machine.environ, root=machine.root, own=own, run=run)
    try:
        return services.service(scope, place).state()
    except (VitaleError, OSError):  # nothing here looks after services
        return None


def _row(state: ServiceState, scope: Scope) -> CheckResult:
    option = " --system" if scope == "system" else ""
    values = {"place": state.file or "vitale-reader", "program": state.program, "option": option}
    if state.program_missing:
        return CheckResult(id="service_program_gone", subject="daemon", state="wrong", values=values)
    if state.running:
        return CheckResult(id="service_runs", subject="daemon", state="ok", values=values)
    return CheckResult(id="service_stopped", subject="daemon", state="note", values=values)
