"""The service that the system starts, as ``doctor`` tells of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.service.systems import Launchd, Scheduler, System, Systemd
from vitale_protocol.diagnosis.findings import tell
from vitale_reader.diagnosis.desk.installed_service import look
from vitale_reader.diagnosis.machine import InspectedMachine
from vitale_reader.service import machine as places
from vitale_reader.service.scope import Scope
from vitale_reader.service.services import service
from vitale_reader.service.steps import carried_out

SYSTEMS: dict[str, type[System]] = {"linux": Systemd, "darwin": Launchd, "win32": Scheduler}


@pytest.mark.parametrize("platform", SYSTEMS)
@pytest.mark.parametrize("scope", ["user", "system"])
def test_a_service_runs_is_ended_and_loses_its_program(tmp_path: Path, platform: str, scope: Scope) -> None:
    program = tmp_path / "python"
    program.touch()
    system = SYSTEMS[platform]()
    machine = InspectedMachine(root=tmp_path / "root", system=platform, environ={"HOME": str(tmp_path / "own")})
    assert [] == list(look(machine, system))
    place = places.Machine(
        system=platform,
        environ=machine.environ,
        root=machine.root,
        own=tmp_path / "own",
        temporary=tmp_path,
        program=(str(program), "serve"),
        run=system,
    )
    installed = service(scope, place)
    list(carried_out(installed.install(), system))
    assert [("service_runs", "ok")] == [(row.id, row.state) for row in look(machine, system)]
    list(carried_out([installed.stop()], system))
    assert [("service_stopped", "note")] == [(row.id, row.state) for row in look(machine, system)]
    program.unlink()
    (row,) = look(machine, system)
    assert ("service_program_gone", "wrong") == (row.id, row.state)
    assert str(program) in tell(row, "fr").title


@pytest.mark.posix("units of systemd")
def test_the_unit_of_a_package_is_told_of_once_it_is_switched_on(tmp_path: Path) -> None:
    system = Systemd()
    unit = tmp_path / "usr/lib/systemd/system/vitale-reader.service"
    unit.parent.mkdir(parents=True)
    program = tmp_path / "vitale-reader"
    program.touch()
    unit.write_text(f"[Service]\nExecStart={program} serve\n")
    machine = InspectedMachine(root=tmp_path, system="linux", environ={"HOME": str(tmp_path / "own")})
    told: list[list[str]] = []
    for system.active, system.enabled in ((False, False), (True, False), (True, True), (False, True)):
        told.append([row.id for row in look(machine, system)])
    expected = [[], ["service_runs"], ["service_runs"], ["service_stopped"]]
    assert expected == told


def test_a_system_that_is_not_known_has_none(tmp_path: Path) -> None:
    machine = InspectedMachine(root=tmp_path, system="openbsd7", environ={"HOME": str(tmp_path)})
    assert [] == list(look(machine, Systemd()))


def test_a_machine_without_systemd_has_none(tmp_path: Path) -> None:
    machine = replace(InspectedMachine(), root=tmp_path, system="linux", environ={"HOME": str(tmp_path), "PATH": ""})
    assert [] == list(look(machine))
