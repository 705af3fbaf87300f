"""``service``: what is shown before, what is told after, and what is refused."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.service.desk import Desk
from tests.service.systems import PID
from vitale_reader.cli.frame import command


@pytest.mark.posix("units of systemd")
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
    assert "✓ systemctl --user restart vitale-reader.service" in desk.run("restart").stdout.splitlines()
    assert f"remove {desk.unit}" in desk.run("uninstall", "--dry-run").stdout
    assert desk.unit.exists()
    assert not desk.json("uninstall")["state"]["installed"]


def test_a_program_that_is_gone_is_told(desk: Desk) -> None:
    desk.run("install")
    desk.program.unlink()
    assert "not there: install the service again" in desk.run("status").stdout


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_what_is_not_installed_is_neither_started_nor_ended(desk: Desk, verb: str) -> None:
    refused = desk.json(verb)["error"]
    assert ("local_misuse", "service_absent") == (refused["reason"], refused["variant"])
    assert "vitale-reader service install --system" == desk.json(verb, "--system")["error"]["detail"]


def test_the_service_of_the_machine_takes_no_folder(desk: Desk, tmp_path: Path) -> None:
    refused = desk.run("install", "--system", "--home", str(tmp_path))
    assert (2, [], False) == (refused.exit_code, desk.systemd.taken(), desk.unit.exists())
    assert "Parameter: --home\n" in refused.stderr


def test_a_folder_of_the_environment_is_named_as_that(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITALE_READER_HOME", str(tmp_path))
    refused = desk.run("install", "--system")
    assert 2 == refused.exit_code
    assert "Parameter: VITALE_READER_HOME\n" in refused.stderr


def test_a_daemon_that_was_started_by_hand_is_left_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def answers(*_: object, **__: object) -> Generator[None]:
        yield

    monkeypatch.setattr(command, "to_daemon", answers)
    desk.publish(99)
    refused = desk.json("install")["error"]
    assert ("daemon_running", "process 99 was started by hand") == (refused["reason"], refused["detail"])
    assert not desk.unit.exists()


@pytest.mark.parametrize("verb", ["install", "start", "restart"])
def test_a_daemon_that_serves_is_not_ended_for_settings_that_are_wrong(desk: Desk, verb: str) -> None:
    desk.run("install")
    desk.systemd.taken()
    desk.home.config.parent.mkdir(exist_ok=True)
    desk.home.config.touch(mode=0o600)
    desk.home.config.write_text("[station]\nnam = 1\n", "utf-8")
    refused = desk.json(verb)["error"]
    assert ("configuration_invalid", 2) == (refused["reason"], refused["data"]["line"])
    assert [] == desk.systemd.taken()
    assert desk.systemd.active
