"""The demonstration: what a newcomer sees first has to work, with pcscd and without."""

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from vitale_firmware_sim.pcscd import virtual_reader_library
from vitale_protocol.errors import ToolMissing
from vitale_reader.cli.demo_play import Result, scenes, sound
from vitale_reader.cli.stage import stage


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


CARDS = ["adulte", "famille", "date-fictive"]
CARD_PROOF = {"method": "card-clear-read", "verified": False, "freshness": "none"}
PHONE_PROOF = {"method": "apcv-resolved", "verified": True, "freshness": "window"}


def check(told: Any, phones: tuple[str, ...] = ("nfc",)) -> None:
    assert [one["name"] for one in told["results"] if one["place"] == "slot"] == CARDS
    assert tuple(one["place"] for one in told["results"] if one["place"] != "slot") == phones
    assert told["why_not_nfc"] is None
    assert {one["transport"] for one in told["results"]} == {"unix", "tls"}
    for one in told["results"]:
        assert one["claims"]["origin"] == "simulated"
        assert one["claims"]["proof"] == (CARD_PROOF if one["place"] == "slot" else PHONE_PROOF)
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
    check(told, ("nfc", "contactless"))
    phone, delegated = told["results"][3:]
    assert phone["checks"]["same_string"] == delegated["checks"]["same_string"] == "replayed"
    assert phone["claims"]["record"]["assure"]["code_regime"] == "01"
    assert phone["claims"]["record"]["beneficiaires"][0]["couvertures"][0]["code_situation"] == "0100"
    assert phone["claims"]["context"]["identifiant"]
    assert "context" not in delegated["claims"], "it was not asked for"
    assert delegated["claims"]["delegate"] == "PAUL MERLE-ESSAI"
    assert [one["claims"]["reader"]["driver"] for one in (phone, delegated)] == ["nfc", "pcsc"]


def test_for_people() -> None:
    said = demo("--no-pcscd").stdout
    words = ("EXEMPLE-MARCHAND CLAIRE", "NON authentifié", "SIMULÉE", "ES256 vérifié ✓", "card-clear-read", " ms")
    for word in (*words, "MERLE-ESSAI CLAIRE", "Régime, caisse, centre", "même chaîne", "apcv-resolved"):
        assert word in said
    assert "ACCEPTÉ À TORT" not in said


def test_a_forgery_that_was_accepted_would_be_seen() -> None:
    told = json.loads(demo("--no-pcscd", "--json").stdout)["results"]
    results = msgspec.convert(told, list[Result])
    assert sound(results)
    assert not sound([msgspec.structs.replace(results[0], checks={"token": "accepted", "altered": "accepted"})])
    assert not sound([msgspec.structs.replace(results[0], checks={"token": "signature"})])


def test_a_string_that_counted_twice_would_be_seen() -> None:
    told = json.loads(demo("--no-pcscd", "--json").stdout)["results"]
    phone = msgspec.convert(told, list[Result])[-1]
    assert phone.place == "nfc"
    assert not sound([msgspec.structs.replace(phone, checks={**phone.checks, "same_string": "accepted"})])


@pytest.mark.parametrize("module", ["vitale_drivers.nfc_devices", "vitale_firmware_sim.pn532_reader"])
def test_without_a_reader_for_phones_it_says_so_and_goes_on(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # so that importing it raises ImportError
    with stage(simulated_driver=True, phones=True) as scenery:
        assert scenery.phones is not None
        assert scenery.phones.reader is None
        assert scenery.phones.why
        assert {scene.place for scene in scenes(scenery)} == {"slot"}
