"""``vitale-reader read --submit``: from standard input or a file, never from the command line."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.warm_interpreter import WarmInterpreter
from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment


@pytest.fixture(scope="module")
def station() -> Iterator[DemoEnvironment]:
    with demo_environment(simulated_driver=True) as running:
        yield running


Submit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def submit(interpreter: WarmInterpreter) -> Submit:
    """Runs the command with bytes on its standard input."""

    def run(station: DemoEnvironment, *arguments: str, given: bytes = b"") -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "VITALE_READER_HOME": str(station.home), "LC_ALL": "C.UTF-8"}
        done = interpreter.run("-m", "vitale_reader", "read", *arguments, given=given, env=environment)
        assert "Traceback" not in done.stderr
        return done

    return run


def test_standard_input(submit: Submit, station: DemoEnvironment) -> None:
    done = submit(station, "--submit", "-", "--scope", "payload", "--json", given=b"VITALESIM.typed\r\n")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["verified"] is True
    assert told["claims"]["reader"] == {"id": "submitted", "driver": "submit"}
    assert told["claims"]["payload"] == "VITALESIM.typed"


def test_a_file_of_bytes(submit: Submit, station: DemoEnvironment, tmp_path: Path) -> None:
    file = tmp_path / "code"
    file.write_bytes(b"VITALESIM.\xff\x00")
    done = submit(station, "--submit", str(file), "--scope", "payload", "--json")
    assert json.loads(done.stdout)["claims"]["payload_b64"] == "VklUQUxFU0lNLv8A"


def test_without_json_it_is_told_in_words(submit: Submit, station: DemoEnvironment) -> None:
    done = submit(station, "--submit", "-", given=b"VITALESIM.in words")
    assert done.returncode == 0
    assert "apcv-qr" in done.stdout or "QR" in done.stdout
    assert "VITALESIM" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("given", "reason"),
    [(b"", "payload_invalid"), (b"x" * 5000, "payload_invalid"), (b"mdoc:abc", "medium_unsupported")],
)
def test_what_is_no_code_of_a_patient(submit: Submit, station: DemoEnvironment, given: bytes, reason: str) -> None:
    done = submit(station, "--submit", "-", "--json", given=given)
    assert done.returncode != 0
    assert json.loads(done.stdout)["error"]["reason"] == reason


@pytest.mark.parametrize("option", [("--reader", "pcsc:x"), ("--media", "vitale-card")])
def test_it_waits_for_no_reader(submit: Submit, station: DemoEnvironment, option: tuple[str, str]) -> None:
    assert submit(station, "--submit", "-", *option, given=b"x").returncode == 2


def test_a_file_that_is_not_there(submit: Submit, station: DemoEnvironment, tmp_path: Path) -> None:
    assert submit(station, "--submit", str(tmp_path / "none")).returncode == 2
