"""Each example gets its token from a real daemon process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HOLDER = "EXEMPLE-MARCHAND CLAIRE"


@pytest.fixture(scope="module")
def station() -> Iterator[DemoEnvironment]:
    with demo_environment(simulated_driver=True) as running:
        assert running.slot is not None
        running.slot.insert("adulte")
        yield running


def run(station: DemoEnvironment, *command: str, given: str = "") -> str:
    done = subprocess.run(
        command,
        input=given,
        env={**os.environ, "VITALE_READER_HOME": str(station.home), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def runtime(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_counter(station: DemoEnvironment) -> None:
    said = run(station, sys.executable, str(EXAMPLES / "counter.py"), "--count", "1")
    assert HOLDER in said
    assert "jeton vérifié ; lecture non authentifiée (card-clear-read), origine simulated" in said
    assert "bénéficiaire : CLAIRE, 1985-07-14" in said


def test_service_asyncio(station: DemoEnvironment) -> None:
    said = run(station, sys.executable, str(EXAMPLES / "service_asyncio.py"), "--count", "1")
    assert HOLDER in said
    assert "token verified; reading not authenticated (card-clear-read), origin simulated" in said


def test_plain_socket(station: DemoEnvironment) -> None:
    # -I: nothing of this environment, the standard library alone.
    said = run(station, sys.executable, "-I", "-S", str(EXAMPLES / "plain_socket.py"))
    assert HOLDER in said
    assert "signature not verified by this program" in said
    assert "proof card-clear-read, verified: False, origin: simulated" in said


def test_keyboard_imager(station: DemoEnvironment) -> None:
    ins = "IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8S3SARAHS4GARCIAS5FS625-01-1977S701154"
    typed = f"VITALESIM.typed\nVITALESIM.typed\n{ins}\n277010115400329"
    said = run(station, sys.executable, str(EXAMPLES / "keyboard_imager.py"), given=typed)
    assert "contenu transporté, non lu\n  apcv-qr, jeton vérifié ; contenu non authentifié" in said
    assert "origine simulated" in said
    assert "déjà" in said, "the second time"
    assert "GARCIA SARAH" in said
    assert len(said.splitlines()) >= 8


def test_node(station: DemoEnvironment) -> None:
    said = run(station, runtime("node"), str(EXAMPLES / "client.mjs"))
    assert HOLDER in said
    assert "token verified: ES256" in said
    assert "proof card-clear-read, verified: false, origin: simulated" in said


def test_java(station: DemoEnvironment) -> None:
    said = run(station, runtime("java"), str(EXAMPLES / "Client.java"))
    assert HOLDER in said
    assert "token verified: ES256" in said
    assert "proof card-clear-read, verified: false, origin: simulated" in said


def test_every_example_is_told_of_and_run() -> None:
    told = (EXAMPLES / "README.md").read_text("utf-8")
    run_here = Path(__file__).read_text("utf-8")
    for file in EXAMPLES.iterdir():
        if file.suffix in {".py", ".mjs", ".java"}:
            assert f"`{file.name}`" in told
            assert f'"{file.name}"' in run_here
