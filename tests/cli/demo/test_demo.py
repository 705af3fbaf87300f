"""The demonstration: what a newcomer sees first has to work, with pcscd, NFC, cameras and imagers, and without."""

# pyright: reportPrivateUsage=false

import json
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from vitale_firmware_sim.card.pcscd import virtual_reader_library
from vitale_protocol.errors import ReaderUnavailable, ToolMissing
from vitale_reader.cli.demo import environment, show
from vitale_reader.cli.demo.code_devices import code_devices
from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment
from vitale_reader.cli.demo.play import SceneResult, scenes, sound
from vitale_reader.cli.frame import language as text
from vitale_reader.cli.root import root
from vitale_reader.home import Endpoints, TlsEndpoint

# Whichever test is first waits for the demonstration that the others look at.
pytestmark = pytest.mark.timeout(400)


def demo(*options: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        (sys.executable, "-m", "vitale_reader", "--language", "fr", "demo", "--repeat", "2", *options),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
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


@pytest.mark.posix("readers of phones and imagers are played at pseudo-terminals")
def test_without_pcscd(told: Any) -> None:
    assert told["driver"] == "simulated-card"
    check(told)


@pytest.mark.posix("readers of phones and imagers are played at pseudo-terminals")
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


def nothing() -> None:
    """There is no daemon to be started again."""


@pytest.mark.posix("readers of phones and imagers are played at pseudo-terminals")
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
            yield DemoEnvironment(
                Path(), Endpoints(pid=1, version=""), None, "simulated-card", "no pcscd", codes=codes, restart=nothing
            )

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
    qr, datamatrix = "appli carte Vitale, code QR « claire » → camera → tls", "Datamatrix INS « claire » → scanner"
    for word in (
        "OpenCV",
        qr,
        datamatrix,
        "code visible",
        "la même chaîne, présentée de nouveau, est refusée ✓ (replayed)",
    ):
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
        yield DemoEnvironment(Path(), Endpoints(pid=1, version=""), None, "simulated-card", restart=nothing)

    monkeypatch.setattr("vitale_reader.cli.demo.play.play", played)
    monkeypatch.setattr("vitale_reader.cli.demo.environment.demo_environment", set_up)
    done = CliRunner().invoke(root, ["--language", "en", "demo"])
    assert done.exit_code == 1
    assert "the same string is WRONGLY ACCEPTED ✗" in done.output
    assert "; WRONGLY" in done.output


@pytest.fixture
def english() -> Generator[None, None, None]:
    before = text.language()
    text.use("en")
    yield
    text.use(before)


def words_of(environment: DemoEnvironment, capsys: pytest.CaptureFixture[str]) -> str:
    show.opening(environment)
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


@pytest.mark.usefixtures("english")
def test_the_stage_is_told_with_all_that_stands_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    phones: Any = SimpleNamespace(
        reader=SimpleNamespace(path="/dev/pts/7"), service=SimpleNamespace(url="http://127.0.0.1:9"), why=""
    )
    codes: Any = SimpleNamespace(
        camera=SimpleNamespace(url="http://127.0.0.1:8"), imager=SimpleNamespace(path="/dev/pts/8")
    )
    tls = TlsEndpoint(host="127.0.0.1", port=7816, sha256="ab" * 32)
    endpoints = Endpoints(pid=1, version="1", unix="/run/socket", tls=tls)
    said = words_of(
        DemoEnvironment(Path(), endpoints, None, "pcsc", phones=phones, codes=codes, restart=nothing), capsys
    )
    for word in ("a real pcscd", "/dev/pts/7", "http://127.0.0.1:9", "http://127.0.0.1:8", "/dev/pts/8", "/run/socket"):
        assert word in said
    assert "127.0.0.1:7816, client certificate, daemon pinned abababababababab…" in said


@pytest.mark.usefixtures("english")
def test_what_is_missing_on_the_stage_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    phones: Any = SimpleNamespace(reader=None, service=SimpleNamespace(url="http://127.0.0.1:9"), why="no nfcpy")
    codes: Any = SimpleNamespace(camera=None, imager=None, why_camera="no OpenCV", why_imager="no pyserial")
    endpoints = Endpoints(pid=1, version="1")
    said = words_of(
        DemoEnvironment(
            Path(), endpoints, None, "simulated-card", "no pcscd", phones=phones, codes=codes, restart=nothing
        ),
        capsys,
    )
    for word in ("(no pcscd)", "hence no phone (no nfcpy)", "(no OpenCV)", "(no pyserial)", "comes over TLS, too"):
        assert word in said


@pytest.mark.usefixtures("english")
def test_a_result_tells_who_presented_it_and_that_it_was_refused(told: Any, capsys: pytest.CaptureFixture[str]) -> None:
    one = msgspec.convert(told["results"], list[SceneResult])[0]
    claims = msgspec.structs.replace(one.claims, delegate="CLAIRE", warnings=("store_degraded",))
    show.result(msgspec.structs.replace(one, claims=claims, checks={"token": "signature"}, place="contactless"))
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for word in ("Presented by CLAIRE", "Warning", "REFUSED ✗", "400 ms that pcscd takes"):
        assert word in said


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_table_of_all_is_whole_at_any_width(told: Any, width: int) -> None:
    results = msgspec.convert(told["results"], list[SceneResult])
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(show.summary(results, width))
    shown = captured.get()
    assert max(map(len, shown.splitlines())) <= width
    words = " ".join(shown.replace("│", " ").split())
    for one in results:
        assert one.claims.proof.method in words
        assert one.claims.reader.driver in words
    assert "CLAIRE" in words


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ReaderUnavailable(data={"refused": "namespace", "said": "unshare: no"}), "takes CAP_SYS_ADMIN"),
        (ToolMissing(data={"tool": "pcscd", "remedy": "apt install pcscd"}), "pcscd is not installed: apt install"),
        (ReaderUnavailable(data={"said": "no libusb"}), "pcscd did not start: no libusb"),
        (ReaderUnavailable("it ended"), "it ended"),
    ],
)
def test_why_there_is_no_pcscd_is_told(error: ToolMissing | ReaderUnavailable, said: str) -> None:
    assert said in environment._why_not(error)


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


@pytest.mark.posix("readers of phones and imagers are played at pseudo-terminals")
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
        stage_without = DemoEnvironment(
            Path(), Endpoints(pid=1, version=""), None, "simulated-card", codes=codes, restart=nothing
        )
        assert missing not in {scene.place for scene in scenes(stage_without)}
