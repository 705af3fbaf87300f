"""``service``: what is shown before, what is told after, and what is refused."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.service.systems import PID, Systemd
from vitale_reader.cli.frame import command, language
from vitale_reader.cli.root import root
from vitale_reader.home import Endpoints, Home
from vitale_reader.service import machine
from vitale_reader.service.machine import Machine


class Desk:
    """A desk with a systemd that is played."""

    def __init__(self, folder: Path) -> None:
        self.systemd = Systemd()
        self.program = folder / "python"
        self.program.touch()
        self.home = Home.under(folder / "home")
        self.machine = Machine(
            system="linux",
            user="1000",
            environ={},
            root=folder / "root",
            own=folder / "own",
            temporary=folder,
            program=(str(self.program), "serve"),
            run=self.systemd,
        )

    @property
    def unit(self) -> Path:
        return self.machine.own / ".config/systemd/user/vitale-reader.service"

    def run(self, *arguments: str) -> Result:
        found = root.get_command(click.Context(root), "service")
        assert found is not None
        return CliRunner().invoke(found, arguments)

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Desk]:
    made = Desk(tmp_path)
    monkeypatch.setattr(machine, "Machine", lambda: made.machine)
    monkeypatch.setenv("VITALE_READER_HOME", "")
    monkeypatch.setattr(Home, "locate", lambda environ=None: made.home)
    former = language.language()
    language.use("en")
    yield made
    language.use(former)


def test_what_would_be_done_is_shown_and_not_done(desk: Desk) -> None:
    shown = desk.run("install", "--dry-run")
    assert 0 == shown.exit_code
    assert f"write {desk.unit}" in shown.stdout
    assert f"    ExecStart={desk.program} serve" in shown.stdout.splitlines()
    assert "systemctl --user enable vitale-reader.service" in shown.stdout.splitlines()
    assert (False, []) == (desk.unit.exists(), desk.systemd.taken())
    assert ["write", "run", "run", "run"] == [each["step"] for each in desk.json("install", "--dry-run")["steps"]]


def test_a_service_is_installed_looked_at_and_removed(desk: Desk) -> None:
    assert 3 == desk.run("status").exit_code
    done = desk.run("install")
    assert (0, True) == (done.exit_code, "Service\trunning (process 4711)" in done.stdout.splitlines())
    assert (0, PID) == (desk.run("status").exit_code, desk.json("status")["state"]["pid"])
    again = desk.json("install")
    assert [False, True, True, True] == [each["done"] for each in again["steps"]]
    assert "Service\tstopped" in desk.run("stop").stdout.splitlines()
    assert 3 == desk.run("status").exit_code
    assert 0 == desk.run("start").exit_code
    assert f"remove {desk.unit}" in desk.run("uninstall", "--dry-run").stdout
    assert desk.unit.exists()
    assert not desk.json("uninstall")["state"]["installed"]


def test_a_program_that_is_gone_is_told(desk: Desk) -> None:
    desk.run("install")
    desk.program.unlink()
    assert "not there: install the service again" in desk.run("status").stdout


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_what_is_not_installed_is_neither_started_nor_ended(desk: Desk, verb: str) -> None:
    refused = desk.json(verb)["error"]
    assert ("local_misuse", "service_absent") == (refused["reason"], refused["variant"])
    assert "vitale-reader service install --system" == desk.json(verb, "--system")["error"]["detail"]


def test_the_service_of_the_machine_takes_no_folder(desk: Desk, tmp_path: Path) -> None:
    refused = desk.run("install", "--system", "--home", str(tmp_path))
    assert (2, [], False) == (refused.exit_code, desk.systemd.taken(), desk.unit.exists())


def test_a_daemon_that_was_started_by_hand_is_left_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def answers(*_: object, **__: object) -> Generator[None]:
        yield

    monkeypatch.setattr(command, "to_daemon", answers)
    desk.home.run.mkdir(parents=True)
    desk.home.endpoints_file.write_bytes(msgspec.json.encode(Endpoints(pid=99, version="0")))
    refused = desk.json("install")["error"]
    assert ("daemon_running", "process 99 was started by hand") == (refused["reason"], refused["detail"])
    assert not desk.unit.exists()
