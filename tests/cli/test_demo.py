"""The demonstration: what a newcomer sees first has to work, with pcscd and without."""

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from vitale_firmware_sim.pcscd import virtual_reader_library
from vitale_protocol.errors import ToolMissing
from vitale_reader.cli.demo_play import Result, sound


def demo(*options: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        (sys.executable, "-m", "vitale_reader", "--language", "fr", "demo", "--repeat", "2", *options),
        capture_output=True,
        encoding="utf-8",
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def check(told: Any) -> None:
    assert [one["image"] for one in told["results"]] == ["adulte", "famille", "date-fictive"]
    assert {one["transport"] for one in told["results"]} == {"unix", "tls"}
    for one in told["results"]:
        assert one["claims"]["origin"] == "simulated"
        assert one["claims"]["proof"] == {"method": "card-clear-read", "verified": False, "freshness": "none"} or (
            one["claims"]["proof"]["verified"] is False
        )
        assert one["checks"].pop("token") == "accepted"
        assert "accepted" not in one["checks"].values()
        assert one["again_ms"] > 0


def test_without_pcscd() -> None:
    told = json.loads(demo("--no-pcscd", "--json").stdout)
    assert told["driver"] == "simulated-card"
    check(told)


@pytest.mark.pcscd
def test_with_a_real_pcscd() -> None:
    try:
        virtual_reader_library()
    except ToolMissing as error:
        pytest.skip(str(error))
    told = json.loads(demo("--json").stdout)
    assert told["driver"] == "pcsc"
    check(told)


def test_for_people() -> None:
    said = demo("--no-pcscd").stdout
    for word in ("EXEMPLE-MARCHAND CLAIRE", "NON authentifié", "SIMULÉE", "ES256 vérifié ✓", "card-clear-read", " ms"):
        assert word in said
    assert "ACCEPTÉ À TORT" not in said


def test_a_forgery_that_was_accepted_would_be_seen() -> None:
    told = json.loads(demo("--no-pcscd", "--json").stdout)["results"]
    results = msgspec.convert(told, list[Result])
    assert sound(results)
    assert not sound([msgspec.structs.replace(results[0], checks={"token": "accepted", "altered": "accepted"})])
    assert not sound([msgspec.structs.replace(results[0], checks={"token": "signature"})])
