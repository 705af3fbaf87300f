"""``doctor --card``, ``--phone``, ``--scan``, ``--camera``, as a person runs them: steps, words, exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pytest
from click.testing import CliRunner

from tests.conftest import InsertCard
from tests.posix import OWN_DOOR
from vitale_firmware_sim.camera.live import LiveCamera
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.phone.card import PhoneCard
from vitale_firmware_sim.pn532.reader import Pn532Reader
from vitale_reader.cli.doctor import device_examination
from vitale_reader.cli.doctor.command import doctor

pytestmark = pytest.mark.posix


def configured(home: Path, text: str) -> Path:
    (home / "config.toml").write_text(f"{OWN_DOOR}{text}", "utf-8")
    (home / "config.toml").chmod(0o600)
    return home


def options(driver: str, device: str) -> str:
    return f'[drivers]\nenabled = ["{driver}"]\n[drivers.options.{driver}]\ndevices = ["{device}"]\n'


def tried(home: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(doctor, [*arguments, "--json", "--language", "fr", "--home", str(home)])
    return done.exit_code, json.loads(done.output)


def test_a_card(virtual_card: InsertCard, tmp_path: Path) -> None:
    virtual_card(image="famille")
    status, told = tried(configured(tmp_path, ""), "--card", "--reader", "00 00", "--seconds", "100")
    assert (status, told["status"], told["healthy"]) == (0, 0, True)
    (read,) = [one["title"] for one in told["findings"] if one["id"] == "card_read"]
    assert read.startswith("Carte lue\u00a0: 5 personne(s), 5 NIR")


@pytest.mark.parametrize(
    ("image", "faults", "expected"),
    [("adulte", "mute", "medium_mute"), ("vitale-1", "", "medium_unsupported.vitale-1")],
)
def test_a_card_that_is_not_read(
    image: str, faults: str, expected: str, virtual_card: InsertCard, tmp_path: Path
) -> None:
    virtual_card(image=image, faults=faults)
    status, told = tried(configured(tmp_path, ""), "--card", "--reader", "00 00", "--seconds", "100")
    assert (status, told["findings"][-1]["id"]) == (6, expected)
    assert told["findings"][-1]["remedy"]


def test_a_phone(tmp_path: Path) -> None:
    with Pn532Reader() as reader:
        reader.field.put(PhoneCard(lambda: b"an opaque string"))
        settings = f'[station]\nmode = "simulated"\n[apcv]\nprofiles = ["simulator"]\n{options("nfc", reader.path)}'
        status, told = tried(configured(tmp_path, settings), "--phone", "--seconds", "100")
    assert (status, told["findings"][-1]["id"]) == (0, "phone_read")


def test_an_imager(tmp_path: Path) -> None:
    with Imager() as imager:
        configured(tmp_path, options("scanner", imager.path))
        command = [sys.executable, "-m", "vitale_reader", "--language", "en", "doctor", "--scan", "--seconds", "100"]
        environ = {**os.environ, "VITALE_READER_HOME": str(tmp_path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
            try:
                assert process.stdout is not None
                first = process.stdout.readline()
                imager.scan(b"3400930000000", "ean")
                rest = process.stdout.read()
                process.wait()
            finally:
                process.kill()
        assert first.startswith("✓ Scan a code with")
        assert "The configured framing fits: line" in rest
        assert process.returncode == 0


def test_a_camera_that_is_not_there(tmp_path: Path) -> None:
    status, told = tried(configured(tmp_path, options("camera", "/nowhere/film.avi")), "--camera")
    assert (status, told["findings"][-1]["id"]) == (6, "no_reader")


def test_what_a_camera_saw_is_written_on_request(tmp_path: Path) -> None:
    file = tmp_path / "seen.jpg"
    with LiveCamera() as camera:
        camera.show(b"https://example.org/ordonnance")
        configured(tmp_path, options("camera", camera.url))
        _, told = tried(tmp_path, "--camera", "--seconds", "100")
        assert "camera_picture" not in [one["id"] for one in told["findings"]]
        _, told = tried(tmp_path, "--camera", "--seconds", "100", "--picture", str(file))
    assert told["findings"][-1]["title"] == f"Image de la caméra écrite dans {file}"
    assert "jpeg" not in told["findings"][-1]["data"]
    assert (file.read_bytes()[:2], file.stat().st_mode & 0o077) == (b"\xff\xd8", 0)


@pytest.mark.parametrize("trial", [("--camera",), ("--card",), ()])
def test_a_picture_is_one_of_a_camera_and_in_a_new_file(trial: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "seen.jpg").touch()
    status, told = tried(configured(tmp_path, ""), *trial, "--picture", str(tmp_path / "seen.jpg"))
    assert (status, told["error"]["reason"]) == (2, "local_misuse")
    assert (tmp_path / "seen.jpg").read_bytes() == b""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--card", "--phone"), "une seule à la fois\u00a0: --card, --phone"),
        (("--scan", "--bundle", "b.zip"), "une seule à la fois\u00a0: --bundle, --scan"),
        (("--reader", "Gemalto"), "--reader va avec --card, --phone, --scan, --camera"),
        (("--seconds", "5", "--bundle", "b.zip"), "--seconds va avec --card, --phone, --scan, --camera"),
        (("--yes",), "--yes va avec --bundle"),
        (("--card", "--yes"), "--yes va avec --bundle"),
    ],
    ids=["two devices", "device and bundle", "reader alone", "time of a bundle", "yes alone", "yes to a device"],
)
def test_an_option_that_would_have_no_effect_is_refused(
    arguments: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, told = tried(tmp_path, *arguments)
    assert (status, told["error"]["detail"], [*tmp_path.iterdir()]) == (2, says, [])


def test_nothing_presented_has_its_own_status(tmp_path: Path) -> None:
    with Imager() as imager:
        status, told = tried(configured(tmp_path, options("scanner", imager.path)), "--scan", "--seconds", "1")
    assert (status, told["findings"][-1]["id"]) == (4, "timeout")


def test_options_that_are_wrong_are_told(tmp_path: Path) -> None:
    settings = f"{options('scanner', '/nowhere')}speeed = 1\n"
    status, told = tried(configured(tmp_path, settings), "--scan")
    assert (status, told["findings"][-1]["id"]) == (2, "configuration_invalid")


def test_a_device_that_the_daemon_has_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Daemon:
        drivers = (type("Driver", (), {"name": "scanner"})(),)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...

        def station(self) -> "Daemon":
            return self

    def to_daemon(*_: object) -> Daemon:
        return Daemon()

    monkeypatch.setattr(device_examination, "to_daemon", to_daemon)
    status, told = tried(configured(tmp_path, options("scanner", "/nowhere")), "--scan")
    assert (status, told["error"]["reason"]) == (2, "local_misuse")
    assert "arrêtez-le" in told["error"]["detail"]
