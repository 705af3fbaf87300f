"""A service that is installed, changed, ended and removed, on each system, by the commands that it has for that."""

import errno
import plistlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.service.systems import PID, Launchd, Scheduler, System, Systemd
from vitale_protocol.errors import LocalMisuse, ToolMissing
from vitale_reader.service import launchd, logon_task
from vitale_reader.service.base import Service
from vitale_reader.service.machine import Machine, run
from vitale_reader.service.scope import Scope
from vitale_reader.service.services import service
from vitale_reader.service.steps import Step, StepDone, carried_out

SCOPES: tuple[Scope, ...] = ("user", "system")
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def parsed(task: str) -> Any:
    """A task; its text is no longer in the encoding that it declares."""
    return etree.fromstring(task.partition("?>")[2])


@dataclass
class Desk:
    """A machine with a system that is played."""

    machine: Machine
    system: System

    def service(self, scope: Scope = "user", home: Path | None = None) -> Service:
        return service(scope, self.machine, home)

    def carry_out(self, steps: "list[Step]") -> list[StepDone]:
        return list(carried_out(steps, self.machine.run))

    def install(self, scope: Scope = "user") -> list[str]:
        self.carry_out_each(self.service(scope).install)
        return self.system.taken()

    def uninstall(self, scope: Scope = "user") -> list[str]:
        self.carry_out_each(self.service(scope).uninstall)
        return self.system.taken()

    def carry_out_each(self, steps: "Callable[[], object]") -> None:
        self.carry_out(list(steps()))  # type: ignore[call-overload]

    def files(self) -> list[str]:
        top = self.machine.root.parent
        return sorted(str(file.relative_to(top)) for file in top.rglob("*") if file.is_file() and file != self.program)

    @property
    def program(self) -> Path:
        return Path(self.machine.program[0])


def desk(folder: Path, platform: str, system: System) -> Desk:
    program = folder / "an environment" / "python"
    program.parent.mkdir()
    program.touch()
    for each in ("root", "own", "temporary"):
        (folder / each).mkdir()
    machine = Machine(
        system=platform,
        user="501" if platform == "darwin" else "S-1-5-21-1",
        environ={},
        root=folder / "root",
        own=folder / "own",
        temporary=folder / "temporary",
        program=(str(program), "-P", "-m", "vitale_reader", "serve"),
        run=system,
    )
    return Desk(machine, system)


@pytest.fixture
def linux(tmp_path: Path) -> Desk:
    return desk(tmp_path, "linux", Systemd())


@pytest.fixture
def macos(tmp_path: Path) -> Desk:
    return desk(tmp_path, "darwin", Launchd())


@pytest.fixture
def windows(tmp_path: Path) -> Desk:
    return desk(tmp_path, "win32", Scheduler())


@pytest.fixture(params=["linux", "macos", "windows"])
def any_desk(request: pytest.FixtureRequest) -> Desk:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Desk)
    return found


@pytest.mark.parametrize("scope", SCOPES)
def test_a_service_is_installed_ended_started_and_removed(any_desk: Desk, scope: Scope) -> None:
    found = any_desk.service(scope)
    assert (False, False) == (found.state().installed, found.state().running)
    any_desk.install(scope)
    state = found.state()
    assert (True, True, True) == (state.installed, state.running, state.starts)
    assert (str(any_desk.program), False) == (state.program, state.program_missing)
    any_desk.carry_out([found.stop()])
    assert (True, False) == (found.state().installed, found.state().running)
    any_desk.carry_out([found.start()])
    assert found.state().running
    any_desk.carry_out(list(found.restart()))
    assert found.state().running
    any_desk.uninstall(scope)
    assert (False, False) == (found.state().installed, found.state().running)
    assert [] == any_desk.files()


def test_what_is_there_already_is_left_alone(any_desk: Desk) -> None:
    any_desk.install()
    files = any_desk.files()
    again = any_desk.install()
    assert files == any_desk.files()
    # A daemon that serves is not ended for it.
    assert [] == [each for each in again if "restart" in each or "bootout" in each or "/End" in each]
    assert any_desk.service().state().running


def test_what_is_not_there_is_removed_without_a_complaint(any_desk: Desk) -> None:
    any_desk.uninstall()
    assert [] == any_desk.files()


def test_another_program_takes_the_place_of_the_former(any_desk: Desk) -> None:
    any_desk.install()
    other = any_desk.program.with_name("python of an upgrade")
    any_desk.machine = replace(any_desk.machine, program=(str(other), "serve"))
    any_desk.install()
    state = any_desk.service().state()
    assert (str(other), True, True) == (state.program, state.program_missing, state.running)
    other.touch()
    assert not any_desk.service().state().program_missing


def test_a_command_that_fails_is_quoted(any_desk: Desk) -> None:
    any_desk.system.refused = {"linux": "enable", "darwin": "bootstrap", "win32": "/Create"}[any_desk.machine.system]
    with pytest.raises(LocalMisuse, match="Access denied") as told:
        any_desk.install()
    assert "service_command" == told.value.variant


def test_units_of_a_user_and_of_the_machine(linux: Desk) -> None:
    assert [
        "systemctl --user daemon-reload",
        "systemctl --user enable vitale-reader.service",
        "systemctl --user restart vitale-reader.service",
    ] == linux.install()
    assert ["own/.config/systemd/user/vitale-reader.service"] == linux.files()
    linux.uninstall()
    accounts = linux.machine.root / "etc/sysusers.d/vitale-reader.conf"
    assert f"systemd-sysusers {accounts}" == linux.install("system")[0]
    assert [
        "root/etc/polkit-1/rules.d/50-vitale-reader.rules",
        "root/etc/systemd/system/vitale-reader.service",
        "root/etc/sysusers.d/vitale-reader.conf",
    ] == linux.files()


@pytest.mark.posix("links take a privilege on Windows")
@pytest.mark.parametrize("home", ["home/paul", "root", "run/user/1000"])
@pytest.mark.parametrize("linked", [False, True])
def test_the_service_of_the_machine_runs_no_program_of_a_home(linux: Desk, home: str, linked: bool) -> None:
    program = linux.machine.root / home / "python"
    program.parent.mkdir(parents=True)
    program.touch()
    if linked:
        linux.program.unlink()
        linux.program.symlink_to(program)
    else:
        linux.machine = replace(linux.machine, program=(str(program), "serve"))
    with pytest.raises(LocalMisuse) as refused:
        linux.install("system")
    assert ("program_in_a_home", []) == (refused.value.variant, linux.system.taken())
    assert linux.install("user")


@pytest.mark.parametrize(
    ("named", "found"), [("{}/other", "other"), ("other", "own/.config"), ("", "own/.config"), ("~", "own/.config")]
)
def test_the_folder_of_units_is_where_the_user_says(linux: Desk, tmp_path: Path, named: str, found: str) -> None:
    linux.machine = replace(linux.machine, environ={"XDG_CONFIG_HOME": named.format(tmp_path)})
    linux.install()
    assert [f"{found}/systemd/user/vitale-reader.service"] == linux.files()


@pytest.mark.parametrize("name", ["a\nExecStartPre=evil", "a\r", "a\x1b[2J", "a\udcff", "a\u2028b", "a\x85"])
def test_a_name_that_would_be_more_than_a_name_is_refused(any_desk: Desk, name: str) -> None:
    machine = any_desk.machine
    for home, program in ((Path("/") / name, machine.program), (None, (*machine.program, name))):
        any_desk.machine = replace(machine, program=program)
        with pytest.raises(LocalMisuse) as refused:
            list(any_desk.service(home=home).install())
        assert ("odd_name", [], []) == (refused.value.variant, any_desk.system.taken(), any_desk.files())
        assert "\n" not in refused.value.detail


@pytest.mark.parametrize("platform", ["linux", "macos"])
def test_what_somebody_wrote_by_hand_is_kept_and_told(platform: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(platform)
    assert isinstance(found, Desk)
    found.install()
    file = Path(found.service().state().file)
    file.write_text("by hand", "utf-8")
    done = found.carry_out(list(found.service().install()))
    former = file.with_name(f"{file.name}.old")
    assert [former] == [each.former for each in done if each.former is not None]
    assert ("by hand", True) == (former.read_text("utf-8"), found.service().state().running)
    assert [] == [each.former for each in found.carry_out(list(found.service().install())) if each.former]
    found.uninstall()
    assert [] == found.files()


def test_several_who_install_at_once_leave_one_whole_file_and_lose_nothing(linux: Desk) -> None:
    linux.install()
    file = Path(linux.service().state().file)
    text = file.read_text("utf-8")
    file.write_text("by hand", "utf-8")
    with ThreadPoolExecutor(8) as several:
        done = [several.submit(linux.install) for _ in range(40)]
    assert [] == [each.exception() for each in done if each.exception()]
    assert {file.name: text, f"{file.name}.old": "by hand"} == {
        each.name: each.read_text("utf-8") for each in file.parent.iterdir()
    }


def test_a_file_that_cannot_be_written_whole_is_not_written(linux: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    linux.install()
    file = Path(linux.service().state().file)
    file.write_text("by hand", "utf-8")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        linux.install()
    assert ["by hand"] == [each.read_text("utf-8") for each in file.parent.iterdir()]


def packaged(linux: Desk, scope: Scope) -> Path:
    """The unit of a package; a user's is on for all users."""
    file = linux.machine.root / f"usr/lib/systemd/{scope}/vitale-reader.service"
    file.parent.mkdir(parents=True)
    file.write_text("[Service]\nExecStart=/usr/bin/vitale-reader serve\n", "utf-8")
    assert isinstance(linux.system, Systemd)
    linux.system.file = linux.machine.own / ".config/systemd/user/vitale-reader.service"
    linux.system.everywhere = scope == "user"
    return file


@pytest.mark.posix("units of systemd")
@pytest.mark.parametrize("scope", SCOPES)
def test_the_unit_of_a_package_is_switched_on_and_off_and_neither_written_nor_removed(
    linux: Desk, scope: Scope
) -> None:
    file, option = packaged(linux, scope), " --user" if scope == "user" else ""
    on = [f"systemctl{option} enable vitale-reader.service", f"systemctl{option} start vitale-reader.service"]
    assert on == linux.install(scope)
    state = linux.service(scope).state()
    assert (True, True, False, str(file), "/usr/bin/vitale-reader") == (
        state.installed,
        state.starts,
        state.off,
        state.file,
        state.program,
    )
    linux.uninstall(scope)
    state = linux.service(scope).state()
    assert (False, False, str(file)) == (state.running, state.starts, state.file)
    assert file.exists()


def test_the_unit_that_a_package_switches_on_for_all_is_off_for_the_user_who_says_so(linux: Desk) -> None:
    packaged(linux, "user")
    linux.install()
    assert [
        "systemctl --user disable --now vitale-reader.service",
        "systemctl --user mask vitale-reader.service",
    ] == linux.uninstall()
    state = linux.service().state()
    assert (False, False, False, True) == (state.installed, state.running, state.starts, state.off)
    assert [] == linux.uninstall()
    assert "systemctl --user unmask vitale-reader.service" == linux.install()[0]
    state = linux.service().state()
    assert (True, True, False) == (state.installed, state.running, state.off)


def test_a_unit_of_one_s_own_takes_the_place_of_one_that_was_switched_off(linux: Desk) -> None:
    file = packaged(linux, "user")
    linux.uninstall()
    file.unlink()  # the package is removed
    assert (False, False) == (linux.service().state().installed, linux.service().state().off)
    linux.install()
    assert (True, str(linux.program)) == (linux.service().state().installed, linux.service().state().program)


def test_nothing_is_written_where_no_manager_answers(linux: Desk) -> None:
    linux.system.refused = "show"
    with pytest.raises(LocalMisuse, match="--property=Version") as told:
        linux.service().require()
    assert "service_command" == told.value.variant


def test_a_folder_of_the_user_goes_with_the_service(any_desk: Desk, tmp_path: Path) -> None:
    home = tmp_path / "a folder & more"
    any_desk.carry_out(list(any_desk.service(home=home).install()))
    system = any_desk.system
    if isinstance(system, Scheduler):
        arguments = parsed(system.task).findtext(f".//{TASK}Arguments")
        assert f'-P -m vitale_reader serve --home "{home}"' == arguments
    elif isinstance(system, Launchd):
        agent = plistlib.loads(Path(any_desk.service().state().file).read_bytes())
        assert {"VITALE_READER_HOME": str(home)} == agent["EnvironmentVariables"]
    else:
        text = Path(any_desk.service().state().file).read_text("utf-8")
        escaped = str(home).replace("\\", "\\\\")  # of a folder of Windows, on which this is played as well
        assert f'Environment="VITALE_READER_HOME={escaped}"' in text.splitlines()


def test_an_agent_stays_ended_when_it_was_asked_to(macos: Desk) -> None:
    macos.install()
    agent = plistlib.loads(Path(macos.service().state().file).read_bytes())
    assert ({"SuccessfulExit": False}, True, "Aqua") == (
        agent["KeepAlive"],
        agent["RunAtLoad"],
        agent["LimitLoadToSessionType"],
    )
    macos.carry_out([macos.service().stop()])
    assert ["launchctl kill SIGTERM gui/501/vitale-reader"] == macos.system.taken()
    assert PID == (macos.carry_out([macos.service().start()]), macos.service().state().pid)[1]


def test_an_agent_of_the_machine_is_one_for_each_who_logs_in(macos: Desk) -> None:
    macos.install("system")
    assert ["root/Library/LaunchAgents/vitale-reader.plist"] == macos.files()


def test_a_task_runs_in_the_session_of_its_user_for_as_long_as_it_lasts(windows: Desk) -> None:
    windows.install()
    assert isinstance(windows.system, Scheduler)
    task = parsed(windows.system.task)
    told = {name: task.findtext(f".//{TASK}{name}") for name in ("LogonType", "RunLevel", "ExecutionTimeLimit")}
    assert {"LogonType": "InteractiveToken", "RunLevel": "LeastPrivilege", "ExecutionTimeLimit": "PT0S"} == told
    assert ["S-1-5-21-1", "S-1-5-21-1"] == [each.text for each in task.iter(f"{TASK}UserId")]
    assert str(windows.program) == task.findtext(f".//{TASK}Command")


def test_a_task_of_the_machine_is_one_for_each_who_logs_in(windows: Desk) -> None:
    windows.install("system")
    assert isinstance(windows.system, Scheduler)
    task = parsed(windows.system.task)
    assert ("S-1-5-32-545", "Parallel") == (
        task.findtext(f".//{TASK}GroupId"),
        task.findtext(f".//{TASK}MultipleInstancesPolicy"),
    )
    assert None is task.find(f".//{TASK}UserId")


def test_no_window_opens_where_the_interpreter_without_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python.exe").touch()
    monkeypatch.setattr("sys.executable", str(tmp_path / "python.exe"))
    assert str(tmp_path / "python.exe") == Machine().program[0]
    (tmp_path / "pythonw.exe").touch()
    assert (str(tmp_path / "pythonw.exe"), "-P", "-m", "vitale_reader", "serve") == Machine().program


def test_an_installer_s_own_program_needs_no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.frozen", True, raising=False)
    monkeypatch.setattr("sys.executable", "/opt/vitale-reader")
    assert ("/opt/vitale-reader", "serve") == Machine().program


def test_a_system_without_a_known_service_says_so(linux: Desk) -> None:
    with pytest.raises(ToolMissing, match="openbsd7"):
        service("user", replace(linux.machine, system="openbsd7"))


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(ToolMissing) as told:
        run(("vitale-reader-no-such-command",))
    assert "vitale-reader-no-such-command" == told.value.data["tool"]


def test_a_file_of_the_machine_takes_an_administrator(linux: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: Path, _: Path) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(Path, "replace", refuse)
    machine, own = linux.service("system"), linux.service("user")
    with pytest.raises(LocalMisuse, match=r"vitale-reader\.service: Permission denied") as told:
        list(machine.carry_out(machine.install()))
    assert "administrator" == told.value.variant
    with pytest.raises(PermissionError):
        list(own.carry_out(own.install()))


def test_texts_without_a_program_name_none() -> None:
    assert ("", "", "") == (
        launchd.program_in("no property list"),
        launchd.program_in("<plist><dict></dict></plist>"),
        logon_task.program_in("<Task/>"),
    )


def test_a_task_holds_no_text_that_could_be_taken_for_its_own(windows: Desk) -> None:
    odd = '/a "folder" <b> & more/pythonw.exe'
    text = logon_task.task("user", (odd, "serve"), user="S-1-5-21-1")
    assert odd == parsed(text).findtext(f".//{TASK}Command")
    assert odd == logon_task.program_in(text)
    assert re.search(r'encoding="UTF-16"', text)
