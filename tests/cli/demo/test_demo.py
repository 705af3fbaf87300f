"""The demonstration: what a newcomer sees first has to work, with pcscd, NFC, cameras and imagers, and without."""

import json
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from vitale_firmware_sim.card.pcscd import virtual_reader_library
from vitale_protocol.errors import ToolMissing
from vitale_reader.cli.demo.code_devices import code_devices
from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment
from vitale_reader.cli.demo.play import SceneResult, scenes, sound
from vitale_reader.cli.frame import language as text
from vitale_reader.cli.root import root
from vitale_reader.home import Endpoints


def demo(*options: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        (sys.executable, "-m", "vitale_reader", "--language", "fr", "demo", "--repeat", "2", *options),
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def told() -> Any:
    """What one demonstration without pcscd tells programs."""
    return json.loads(demo("--no-pcscd", "--json").stdout)


CARDS = ["adulte", "famille", "date-fictive"]
CARD_PROOF = {"method": "card-clear-read", "verified": False, "freshness": "none"}
PHONE_PROOF = {"method": "apcv-resolved", "verified": True, "freshness": "window"}
PAPER_PROOF = {"method": "code-clear-read", "verified": False, "freshness": "none"}
CODES = ("camera", "imager", "imager")
PROOFS = {"vitale-card": CARD_PROOF, "apcv-nfc": PHONE_PROOF, "apcv-qr": PHONE_PROOF, "ins-datamatrix": PAPER_PROOF}


def check(told: Any, phones: tuple[str, ...] = ("nfc",)) -> None:
    assert [one["name"] for one in told["results"] if one["place"] == "slot"] == CARDS
    assert tuple(one["place"] for one in told["results"] if one["place"] != "slot") == phones + CODES
    assert [told[f"why_not_{what}"] for what in ("nfc", "camera", "imager")] == [None, None, None]
    assert {one["transport"] for one in told["results"]} == {"unix", "tls"}
    for one in told["results"]:
        assert one["claims"]["origin"] == "simulated"
        assert one["claims"]["proof"] == PROOFS[one["claims"]["medium"]]
        assert {name for name, said in one["checks"].items() if said == "accepted"} == {"token"}
        assert one["checks"].get("same_string") == ("replayed" if "apcv" in one["claims"]["medium"] else None)
        assert one["again_ms"] > 0


def test_without_pcscd(told: Any) -> None:
    assert told["driver"] == "simulated-card"
    check(told)


def test_codes(told: Any) -> None:
    camera, imager, paper = told["results"][-3:]
    assert [one["claims"]["medium"] for one in (camera, imager, paper)] == ["apcv-qr", "apcv-qr", "ins-datamatrix"]
    assert [one["claims"]["reader"]["driver"] for one in (camera, imager, paper)] == ["camera", "scanner", "scanner"]
    assert camera["claims"]["context"]["identifiant"]
    assert imager["claims"]["record"]["beneficiaires"][0]["droits_amo"]
    assert paper["claims"]["record"]["beneficiaires"][0]["nom_patronymique"] == "ESSAI"


@pytest.mark.pcscd
def test_with_a_real_pcscd() -> None:
    try:
        virtual_reader_library()
    except ToolMissing as error:
        pytest.skip(str(error))
    told = json.loads(demo("--json").stdout)
    assert told["driver"] == "pcsc"
    check(told, ("nfc", "contactless"))
    phone, delegated = told["results"][3:5]
    assert phone["checks"]["same_string"] == delegated["checks"]["same_string"] == "replayed"
    assert phone["claims"]["record"]["assure"]["code_regime"] == "01"
    assert phone["claims"]["record"]["beneficiaires"][0]["couvertures"][0]["code_situation"] == "0100"
    assert phone["claims"]["context"]["identifiant"]
    assert "context" not in delegated["claims"], "it was not asked for"
    assert delegated["claims"]["delegate"] == "PAUL MERLE-ESSAI"
    assert [one["claims"]["reader"]["driver"] for one in (phone, delegated)] == ["nfc", "pcsc"]


def test_for_people(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    results = msgspec.convert(told["results"], list[SceneResult])

    async def played(
        _environment: DemoEnvironment, _repeat: int, show: Callable[[SceneResult], None]
    ) -> list[SceneResult]:
        for one in results:
            show(one)
        return results

    @contextmanager
    def set_up(**_wishes: bool) -> Generator[DemoEnvironment, None, None]:
        with code_devices() as codes:
            yield DemoEnvironment(Path(), Endpoints(pid=1, version=""), None, "simulated-card", "no pcscd", codes=codes)

    monkeypatch.setattr("vitale_reader.cli.demo.play.play", played)
    monkeypatch.setattr("vitale_reader.cli.demo.environment.demo_environment", set_up)
    before = text.language()
    try:
        done = CliRunner().invoke(root, ["--language", "fr", "demo"])
    finally:
        text.use(before)
    assert done.exit_code == 0
    words = ("EXEMPLE-MARCHAND CLAIRE", "NON authentifiée", "SIMULÉE", "ES256 vérifié ✓", "card-clear-read", " ms")
    for word in (*words, "MERLE-ESSAI CLAIRE", "Régime, caisse, centre", "apcv-resolved", "no pcscd"):
        assert word in done.stdout
    codes = ("OpenCV", "QR code « claire » → camera → tls", "Datamatrix INS « claire » → scanner", "code visible")
    for word in (*codes, "la même chaîne, présentée de nouveau, est refusée ✓ (replayed)"):
        assert word in done.stdout
    assert "ACCEPTÉ À TORT" not in done.stdout
    assert "démarrent" in done.output


def test_an_unsound_demonstration_fails(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = msgspec.convert(told["results"], list[SceneResult])[0]
    wrong = msgspec.structs.replace(one, checks={**one.checks, "altered": "accepted", "same_string": "accepted"})

    async def played(
        _environment: DemoEnvironment, _repeat: int, show: Callable[[SceneResult], None]
    ) -> list[SceneResult]:
        show(wrong)
        return [wrong]

    @contextmanager
    def set_up(**_wishes: bool) -> Generator[DemoEnvironment, None, None]:
        yield DemoEnvironment(Path(), Endpoints(pid=1, version=""), None, "simulated-card")

    monkeypatch.setattr("vitale_reader.cli.demo.play.play", played)
    monkeypatch.setattr("vitale_reader.cli.demo.environment.demo_environment", set_up)
    done = CliRunner().invoke(root, ["--language", "en", "demo"])
    assert done.exit_code == 1
    assert "the same string is WRONGLY ACCEPTED ✗" in done.output
    assert "; WRONGLY" in done.output


def test_a_forgery_that_was_accepted_would_be_seen(told: Any) -> None:
    results = msgspec.convert(told["results"], list[SceneResult])
    assert sound(results)
    assert not sound([msgspec.structs.replace(results[0], checks={"token": "accepted", "altered": "accepted"})])
    assert not sound([msgspec.structs.replace(results[0], checks={"token": "signature"})])


def test_a_string_that_counted_twice_would_be_seen(told: Any) -> None:
    results = msgspec.convert(told["results"], list[SceneResult])
    for one in results:
        if "same_string" in one.checks:
            assert not sound([msgspec.structs.replace(one, checks={**one.checks, "same_string": "accepted"})])


@pytest.mark.parametrize("module", ["vitale_drivers.nfc.devices", "vitale_firmware_sim.pn532.reader"])
def test_without_a_reader_for_phones_it_says_so_and_goes_on(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # so that importing it raises ImportError
    with demo_environment(simulated_driver=True, phones=True) as environment:
        assert environment.phones is not None
        assert environment.phones.reader is None
        assert environment.phones.why
        assert {scene.place for scene in scenes(environment)} == {"slot"}


@pytest.mark.parametrize(
    ("module", "missing"),
    [
        ("vitale_drivers.camera.opencv", "camera"),
        ("vitale_drivers.decoding", "camera"),
        ("vitale_drivers.scanner.ports", "imager"),
        ("vitale_firmware_sim.imager.device", "imager"),
    ],
)
def test_without_what_reads_codes_it_says_so_and_goes_on(
    module: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with code_devices() as codes:
        assert set(codes.places) == {"camera", "imager"} - {missing}
        assert {"camera": codes.why_camera, "imager": codes.why_imager}[missing]
        assert len(codes.drivers) == 1
        stage_without = DemoEnvironment(Path(), Endpoints(pid=1, version=""), None, "simulated-card", codes=codes)
        assert missing not in {scene.place for scene in scenes(stage_without)}
