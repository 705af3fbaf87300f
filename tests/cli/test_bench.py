"""``bench`` at a desk: its figures with a simulated card and a film before a camera; nothing read without consent."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import vitale_reader
from tests.cli.slot import card_in, station_with_a_slot
from vitale_protocol.methods import Scope
from vitale_reader.cli import bench
from vitale_reader.cli.audit import audit
from vitale_reader.cli.bench import judged
from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment
from vitale_reader.cli.frame.language import use
from vitale_reader.client.pairing import Pairing


@pytest.fixture(scope="module")
def station() -> Iterator[DemoEnvironment]:
    with station_with_a_slot() as running:
        yield running


@pytest.fixture
def card(station: DemoEnvironment) -> Iterator[DemoEnvironment]:
    with card_in(station):
        yield station


def run(home: Path, *arguments: str, language: str = "en", given: str = "") -> "subprocess.CompletedProcess[str]":
    command = (sys.executable, "-m", "vitale_reader", "bench", "--trips", "20", "--language", language, *arguments)
    environment = {**os.environ, "VITALE_READER_HOME": str(home), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command, env=environment, input=given, capture_output=True, encoding="utf-8", timeout=100, check=False
    )
    assert "Traceback" not in done.stderr
    return done


def figures(home: Path, *arguments: str) -> list[dict[str, Any]]:
    done = run(home, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["figures"]
    return found


def audited(home: Path, client_id: str) -> int:
    """How often a client asked for a presentation, by the audit trail so far."""
    done = CliRunner().invoke(audit, ["export", "--home", str(home)])
    assert done.exit_code == 0, done.output
    lines = map(json.loads, done.stdout.splitlines())
    return sum((line["action"], line.get("client_id")) == ("presentation.request", client_id) for line in lines)


@pytest.mark.posix("a card is moved through a Unix socket")
def test_daemon_store_and_the_card_that_is_there(card: DemoEnvironment) -> None:
    found = figures(card.home, "--yes")
    assert [one["subject"] for one in found] == ["connection", "store", "reader"]
    for one in found:
        assert one["unit"] == "ms"
        assert 0 < one["p50"] <= one["p95"] < 30_000


@pytest.mark.posix("a card is moved through a Unix socket")
def test_its_tokens_are_acknowledged_and_nobody_is_named(card: DemoEnvironment) -> None:
    done = run(card.home, "--yes")
    assert done.returncode == 0
    for word in ("eyJ", "EXEMPLE", "CLAIRE"):
        assert word not in done.stdout + done.stderr
    with vitale_reader.connect(home=card.home) as client:
        assert client.pending() == ()


def paired(station: DemoEnvironment, file: Path, *scopes: Scope) -> str:
    """A client with these scopes, whose pairing is in a file: its id."""
    tls = station.endpoints.tls
    assert tls is not None
    with vitale_reader.connect(home=station.home) as admin:
        added = admin.add_client("bench", scopes=scopes, transports=["tls"])
    Pairing.of(added, address=f"tls://{tls.host}:{tls.port}").save(file)
    return added.client_id


@pytest.mark.posix("a card is moved through a Unix socket")
@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_without_consent_no_card_is_read(card: DemoEnvironment, arguments: tuple[str, ...], tmp_path: Path) -> None:
    client_id = paired(card, tmp_path / "bench.toml", "identity")
    done = run(card.home, "--pairing", str(tmp_path / "bench.toml"), *arguments, given="y\n")
    assert "not read without consent (--yes)" in done.stdout
    with vitale_reader.connect(pairing=tmp_path / "bench.toml") as client:
        client.read()
    # Lines come into the trail in their order, behind the answers: with that of this reading are those before it.
    end = time.monotonic() + 60
    while not (asked := audited(card.home, client_id)):
        assert time.monotonic() < end
    assert 1 == asked


@pytest.mark.posix("a card is moved through a Unix socket")
def test_a_pairing_that_may_not_read_is_told_so(card: DemoEnvironment, tmp_path: Path) -> None:
    paired(card, tmp_path / "bench.toml", "apdu")
    (reader,) = figures(card.home, "--yes", "--pairing", str(tmp_path / "bench.toml"))[2:]
    assert reader["left_out"] == "it needs a pairing with the scope identity"
    assert "p50" not in reader


@pytest.mark.posix("a card is moved through a Unix socket")
def test_without_a_card_this_is_said(station: DemoEnvironment) -> None:
    done = run(station.home, "--yes", language="fr")
    assert done.returncode == 0
    assert "Aucune carte Vitale" in done.stderr
    verdicts = [line.split("\t")[3] for line in done.stdout.splitlines()]
    assert 2 == len(verdicts)
    assert {*verdicts} <= {"bien", "LENT"}, "which of them, a busy machine decides"


@pytest.mark.posix("a card is moved through a Unix socket")
def test_a_card_that_cannot_be_read_is_no_figure(station: DemoEnvironment) -> None:
    with card_in(station, "vitale-1"):
        (one,) = [one for one in figures(station.home, "--yes") if one["subject"] == "reader"]
    assert one["left_out"]
    assert "p50" not in one


def test_without_a_daemon(tmp_path: Path) -> None:
    assert run(tmp_path, "--json").returncode == 3


def test_a_camera_gives_pictures() -> None:
    pytest.importorskip("cv2")
    with demo_environment(simulated_driver=True, codes=True) as running:
        with vitale_reader.connect(home=running.home) as client:
            # To load OpenCV takes its time.
            next(one for one in client.watch() if one.reader.driver == "camera" and one.reader.state == "empty")
        found = [one for one in figures(running.home) if one["subject"] == "camera"]
    assert [one["unit"] for one in found] == ["/s"]
    assert 0 < found[0]["p50"] <= 10


@pytest.mark.parametrize(
    ("subject", "seconds", "slow"),
    [
        ("connection", [0.001] * 20, False),
        ("connection", [0.001] * 10 + [0.020] * 10, True),
        ("store", [0.020] * 20, False),
        ("store", [0.030], True),
        ("reader", [0.5] * 8 + [3.0] * 2, False),
        ("reader", [2.5] * 10, True),
    ],
)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_what_is_slow_has_a_remedy(subject: bench.Subject, seconds: list[float], slow: bool, language: str) -> None:
    use("fr" if language == "fr" else "en")
    one = judged(subject, "a name", seconds)
    assert (one.slow, bool(one.remedy)) == (slow, slow)


def test_help_needs_no_daemon() -> None:
    assert CliRunner().invoke(bench.bench, ["--help"]).exit_code == 0
