"""A code before a webcam: rendered, sent as a network camera would, OpenCV, zxing-cpp, daemon, token; read by PyJWT."""

import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import numpy as np
import pytest
import segno

from tests.posix import posix_only
from vitale_drivers.host.confinement import landlock_version
from vitale_firmware_sim.apcv_service.service import ApcvService
from vitale_firmware_sim.camera.live import LiveCamera
from vitale_firmware_sim.camera.video import AviWriter
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.scenario import load_scenario
from vitale_protocol.errors import Cancelled, Replayed
from vitale_protocol.events import PresentationProgress
from vitale_protocol.methods import DriverHealth, Scope
from vitale_reader import Connection, Presentation

pytestmark = posix_only()
assert sys.platform != "win32"

PATIENCE = 60.0
PAYLOAD: tuple[Scope, ...] = ("payload",)


def test_a_camera_that_comes_later_needs_no_restart(tmp_path: Path, phone_user: PhoneUser, start_daemon: Any) -> None:
    """Also where the worker's confinement could not allow its folder: beside the daemon's own."""
    video, string = tmp_path / "camera.avi", phone_user.tap()
    daemon = start_daemon(driver="camera", options=f'devices = ["{video}"]\nlook = 0.2')
    with daemon.connect() as client:
        (driver,) = client.station().drivers
        assert client.readers() == ()
        film(tmp_path / "part.avi", string)
        (tmp_path / "part.avi").rename(video)
        found, _ = glance(client, lambda: None)
        assert found.claims.payload == string.decode()
        # The file is replaced as a whole: by another one, of the same name.
        other = phone_user.tap()
        film(tmp_path / "part.avi", other)
        before = wait_for_camera(client)
        (tmp_path / "part.avi").rename(video)
        if landlock_version():
            wait_for_camera(client, other_than=before)
        found, _ = glance(client, lambda: None)
        assert found.claims.payload == other.decode()
    assert f"driver {driver.name} does not answer" not in daemon.log


@pytest.fixture
def phone_user() -> PhoneUser:
    return PhoneUser(load_scenario("famille"), "claire", clock=time.time, random=secrets.token_bytes)


@pytest.fixture
def camera() -> Iterator[LiveCamera]:
    with LiveCamera() as camera:
        yield camera


def options(camera: LiveCamera, *tables: str) -> str:
    return "\n".join([f'devices = ["{camera.url}"]', *tables])


def wait_for_camera(
    client: Connection, *, restarts: int | None = 0, other_than: DriverHealth | None = None
) -> DriverHealth:
    """Waits until the camera is there, in a process that was replaced so many times; to load OpenCV takes its time.

    How often does not matter where ``restarts`` is None.
    """
    end, pause = time.monotonic() + PATIENCE, threading.Event()
    while True:
        (driver,) = client.station().drivers
        is_another = other_than is None or driver.pid not in {None, other_than.pid}
        if is_another and restarts in {None, driver.restarts} and client.readers():
            return driver
        assert time.monotonic() < end, driver
        pause.wait(0.02)


def glance(
    client: Connection,
    act: Callable[[], object],
    step: str = "armed",
    scopes: tuple[Scope, ...] = PAYLOAD,
    restarts: int | None = 0,
) -> tuple[Presentation, list[tuple[str, str]]]:
    """Asks, acts once when that step is told, and returns what came and what was told."""
    told: list[tuple[str, str]] = []
    wait_for_camera(client, restarts=restarts)

    def follow(progress: PresentationProgress) -> None:
        told.append((progress.step, progress.message))
        if [one for one, _ in told].count(step) == 1 and progress.step == step:
            act()

    return client.read(media=["apcv-qr"], scopes=scopes, timeout=PATIENCE, on_progress=follow), told


def test_a_code_becomes_a_token(camera: LiveCamera, phone_user: PhoneUser, start_daemon: Any) -> None:
    string = phone_user.tap()
    camera.prepare(string)
    daemon = start_daemon(driver="camera", options=options(camera))
    with daemon.connect() as client:
        assert camera.connections == 0, "nobody asked"
        found, _ = glance(client, lambda: camera.show(string))
        (jwk,) = jwt.PyJWKSet.from_dict(client.keys()).keys
        claims = jwt.decode(found.token, jwk, algorithms=["ES256"], audience="local")
    assert (claims["medium"], claims["origin"]) == ("apcv-qr", "simulated")
    assert claims["proof"] == {"method": "apcv-transported", "verified": False, "freshness": "none"}
    assert claims["reader"] == {"id": f"camera:{camera.url}", "driver": "camera"}
    assert claims["payload"] == string.decode()
    assert string.decode() not in daemon.log


def test_a_code_counts_once_and_each_renewed_one_again(
    camera: LiveCamera, phone_user: PhoneUser, start_daemon: Any
) -> None:
    first, second, third = phone_user.tap(), phone_user.tap(), phone_user.tap()
    for string in (first, second, third):
        camera.prepare(string)
    # A camera that is slow on a busy machine shows its pictures before it is closed.
    daemon = start_daemon(driver="camera", options=options(camera, "linger = 60"))
    with daemon.connect() as client:
        found, _ = glance(client, lambda: camera.show(first))
        assert found.claims.payload == first.decode()
        assert camera.wait_frames(30, PATIENCE)
        # It still lies there: whoever asks next is told so, and gets the next one.
        found, told = glance(client, lambda: camera.show(second), step="retry")
        assert found.claims.payload == second.decode()
        assert [step for step, _ in told][:2] == ["armed", "retry"]
        assert "already" in dict(told)["retry"]
        camera.clear()
        with pytest.raises(Replayed):
            glance(client, lambda: camera.show(first))
        camera.clear()
        found, _ = glance(client, lambda: camera.show(third))
        assert found.claims.payload == third.decode()


def test_with_a_service_the_code_becomes_a_context(
    camera: LiveCamera, phone_user: PhoneUser, start_daemon: Any
) -> None:
    string = phone_user.tap()
    camera.prepare(string)
    with ApcvService(load_scenario("famille")) as service:
        tables = (
            "[apcv]",
            'resolver = "apcv-soap"',
            "[apcv.options]",
            f'url = "{service.url}"',
            'assertion = "simulator"',
            'rights = "simulator"',
            'identifiant_facturation = "123456782"',
            'code_specialite = "50"',
            'emetteur = "officine-essai"',
            'idam = "IDAM-0000"',
            'lps_nom = "vitale-reader"',
            'lps_version = "0.2"',
            'lps_instance = "comptoir-1"',
        )
        daemon = start_daemon(driver="camera", options=options(camera, *tables))
        with daemon.connect() as client:
            found, _ = glance(client, lambda: camera.show(string), scopes=("identity", "context", "dependants"))
    assert found.proof.method == "apcv-resolved"
    assert [person.prenom for person in found.beneficiaries] == ["CLAIRE", "LÉA", "TOM"]


def test_a_camera_that_goes_and_comes_back_needs_no_restart(
    camera: LiveCamera, phone_user: PhoneUser, start_daemon: Any
) -> None:
    string = phone_user.tap()
    camera.prepare(string)
    daemon = start_daemon(driver="camera", options=options(camera, "frame_limit = 0.5", "look = 0.2"))

    def return_and_show() -> None:
        camera.come_back()
        camera.show(string)

    camera.vanish()
    with daemon.connect() as client:
        found, told = glance(client, return_and_show, step="retry")
    assert found.claims.payload == string.decode()
    assert dict(told)["retry"] == "The camera gives no pictures. Please check that it is connected."


def test_a_camera_that_falls_silent_is_told_and_recovers(
    camera: LiveCamera, phone_user: PhoneUser, start_daemon: Any
) -> None:
    string = phone_user.tap()
    camera.prepare(string)
    daemon = start_daemon(driver="camera", options=options(camera, "frame_limit = 0.5", "look = 0.2"))
    woken = threading.Event()

    def fall_silent() -> None:
        assert camera.wait_frames(5, PATIENCE)
        camera.block()

    def wake() -> None:
        camera.come_back()
        camera.show(string)
        woken.set()

    def follow(progress: PresentationProgress) -> None:
        if progress.step == "armed":
            fall_silent()
        elif progress.step == "retry" and not woken.is_set():
            wake()

    with daemon.connect() as client:
        wait_for_camera(client)
        found = client.read(media=["apcv-qr"], scopes=PAYLOAD, timeout=PATIENCE, on_progress=follow)
    assert woken.is_set()
    assert found.claims.payload == string.decode()


def film(video: Path, string: bytes) -> None:
    """A second of a code."""
    modules = segno.make(string, micro=False).matrix_iter(scale=4, border=8)
    picture = np.where(np.array([list(row) for row in modules]) > 0, 0, 255).astype(np.uint8)
    with AviWriter(video, (picture.shape[1], picture.shape[0])) as writer:
        for _ in range(30):
            writer.write(picture)


def test_a_call_that_never_returns_costs_a_process_and_is_over(
    tmp_path: Path, phone_user: PhoneUser, start_daemon: Any
) -> None:
    # In a folder of its own, whose later files are in a confined worker's reach as well.
    video, string = tmp_path / "cameras" / "camera.avi", phone_user.tap()
    video.parent.mkdir()
    film(video, string)
    # It looks for cameras at its start, and not again while the test lasts.
    daemon = start_daemon(driver="camera", options=f'devices = ["{video}"]\nlook = 600\nopen_limit = 0.2')
    with daemon.connect() as client:
        before = wait_for_camera(client)
        # Nobody writes into the pipe: whoever opens it waits in the system, and no call ends that.
        video.unlink()
        os.mkfifo(video)

        def follow(progress: PresentationProgress) -> None:
            if progress.message == "The camera gives no pictures. Please check that it is connected.":
                read.cancel()

        with client.reading(media=["apcv-qr"], timeout=PATIENCE, on_progress=follow) as read, pytest.raises(Cancelled):
            read.result()
        video.unlink()
        film(video, string)
        wait_for_camera(client, restarts=None, other_than=before)
        # The process that follows is stuck as well where the request still waits for it.
        found, _ = glance(client, lambda: None, restarts=None)
    assert found.claims.payload == string.decode()
    assert f"driver camera is stuck in call to camera:{video}; killed" in daemon.log
