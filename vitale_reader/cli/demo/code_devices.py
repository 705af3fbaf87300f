"""Devices of the demonstration that read codes: a webcam as a stream over HTTP, an imager on a pseudo-terminal.

The camera needs OpenCV and zxing-cpp, and no particular system: its address is opened everywhere. The imager needs
pseudo-terminals, which Windows lacks, and pyserial. Without them, ``why_camera`` and ``why_imager`` say so.
"""

import importlib
import json
import secrets
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.scenario import Scenario, load_scenario
from vitale_protocol.errors import ToolMissing
from vitale_protocol.extras import Extra, missing
from vitale_protocol.media.ins_datamatrix import OID_DEMO, InsDatamatrix
from vitale_reader.cli.demo.phone_devices import SCENARIO
from vitale_reader.cli.demo.pseudo_terminals import needing_pseudo_terminals

if TYPE_CHECKING:
    from vitale_firmware_sim.camera.live import LiveCamera
    from vitale_firmware_sim.imager.device import Imager

__all__ = ["CodeDevices", "CodePlace", "Screen", "code_devices"]

_SENT_WITHIN: Final = 1.0


class CodePlace(Protocol):
    """Place at which one driver sees codes.

    Attributes:
        driver: the driver that reads there.
    """

    driver: str

    def prepare(self, code: bytes) -> None:
        """Does what takes time, before the code is shown."""
        ...

    def show(self, code: bytes, symbology: str) -> None:
        """Shows a code to the driver."""
        ...

    def shown_at(self, code: bytes) -> float:
        """Earliest time at which the code could be read, by ``time.perf_counter``."""
        ...

    def clear(self) -> None:
        """Takes away what is shown."""
        ...


class CameraPlace:
    """Place before the webcam, for QR codes on the screen of a phone."""

    driver = "camera"

    def __init__(self, camera: "LiveCamera") -> None:
        self._camera = camera

    def prepare(self, code: bytes) -> None:
        """Renders the phone with this code."""
        self._camera.prepare(code)

    def show(self, code: bytes, symbology: str) -> None:
        """Holds the phone before the camera."""
        del symbology  # the scene is a phone with a QR code
        self._camera.show(code)

    def shown_at(self, code: bytes) -> float:
        """Time at which the first frame with this code left the camera."""
        return self._camera.wait_sent(code, _SENT_WITHIN) or time.perf_counter()

    def clear(self) -> None:
        """Takes the phone away."""
        self._camera.clear()


class ImagerPlace:
    """Place before the imager, for any code."""

    driver = "scanner"

    def __init__(self, imager: "Imager") -> None:
        self._imager = imager
        self._scanned = 0.0

    def prepare(self, code: bytes) -> None:
        """Does nothing: an imager in software needs no picture."""

    def show(self, code: bytes, symbology: str) -> None:
        """Pulls the trigger before the code."""
        self._scanned = time.perf_counter()
        self._imager.scan(code, symbology)

    def shown_at(self, code: bytes) -> float:
        """Time of the last pull of the trigger."""
        del code
        return self._scanned

    def clear(self) -> None:
        """Does nothing: a scan is over at once."""


class Screen:
    """The screen of a phone in somebody's hand, who has it show another code each time that is wanted."""

    def __init__(self, phone_user: PhoneUser) -> None:
        self._phone_user = phone_user

    def renewed(self) -> bytes:
        """Returns the next code of the phone."""
        self._phone_user.unlock()
        return self._phone_user.phone.qr(time.time()).string


@dataclass(frozen=True)
class CodeDevices:
    """Places at which codes are shown, and the phones that show them.

    Attributes:
        camera: a webcam, or None where no driver could read it.
        imager: a handheld imager, or None where there can be none.
        scenario: the people, their phones and papers.
        why_camera: why there is no camera, or empty.
        why_imager: why there is no imager, or empty.
    """

    camera: "LiveCamera | None"
    imager: "Imager | None"
    scenario: Scenario
    why_camera: str = ""
    why_imager: str = ""

    @property
    def drivers(self) -> tuple[str, ...]:
        """The drivers that have something to read."""
        return tuple(place.driver for place in self.places.values())

    @property
    def places(self) -> dict[str, CodePlace]:
        """Places at which codes are shown, by name."""
        places: dict[str, CodePlace] = {}
        if self.camera is not None:
            places["camera"] = CameraPlace(self.camera)
        if self.imager is not None:
            places["imager"] = ImagerPlace(self.imager)
        return places

    @property
    def configuration(self) -> str:
        """The drivers' tables, in TOML."""
        lines: list[str] = []
        if self.camera is not None:
            lines += ["[drivers.options.camera]", f"devices = [{json.dumps(self.camera.url)}]"]
        if self.imager is not None:
            # The demonstration's hand is quicker than the second within which a code is taken for the same scan.
            lines += ["[drivers.options.scanner]", f"devices = [{json.dumps(self.imager.path)}]", "repeat = 0"]
        return "".join(f"{line}\n" for line in lines)

    def screen(self, owner: str) -> Screen:
        """The screen of somebody's phone."""
        return Screen(PhoneUser(self.scenario, owner, clock=time.time, random=secrets.token_bytes))

    def paper(self, owner: str) -> bytes:
        """The INS Datamatrix on a paper of the owner of a phone."""
        person = self.scenario.phone(owner).owner
        year, month, day = (person.date_naissance_iso or "").split("-")
        return InsDatamatrix(
            matricule=f"{person.nir_certifie}{person.cle_nir_certifie}",
            oid=OID_DEMO,
            prenoms=person.prenom,
            nom=person.nom_patronymique or person.nom_usuel,
            sexe="F" if (person.nir_certifie or "").startswith("2") else "M",
            date_naissance=f"{day}-{month}-{year}",
            code_lieu_naissance="13990",
        ).encode()


@contextmanager
def code_devices() -> Generator[CodeDevices, None, None]:
    """The camera and the imager, each where there can be one."""
    with ExitStack() as stack:
        camera, why_camera = None, ""
        try:
            camera = stack.enter_context(_camera())
        except ToolMissing as error:
            why_camera = error.detail
        imager, why_imager = None, ""
        try:
            imager = stack.enter_context(_imager())
        except ToolMissing as error:
            why_imager = error.detail
        yield CodeDevices(camera, imager, load_scenario(SCENARIO), why_camera, why_imager)


def _camera() -> "LiveCamera":
    # The only sure way to know whether the driver will have OpenCV with the libraries that it loads, and zxing-cpp.
    _loaded("vitale_drivers.camera.opencv", "driver camera", "camera")
    _loaded("vitale_drivers.decoding", "driver camera", "camera")
    _loaded("vitale_firmware_sim.camera.live", "the simulated webcam", "sim")
    from vitale_firmware_sim.camera.live import LiveCamera

    return LiveCamera(clock=time.perf_counter)


def _imager() -> "Imager":
    _loaded("vitale_drivers.scanner.ports", "driver scanner", "scanner")
    with needing_pseudo_terminals():
        from vitale_firmware_sim.imager.device import Imager
        from vitale_firmware_sim.imager.faults import Behaviour

        imager = Imager(Behaviour(aim=True))
        imager.open()
    return imager


def _loaded(module: str, who: str, extra: Extra) -> None:
    try:
        importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise missing(error, who, extra=extra) from error
