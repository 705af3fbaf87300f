"""A desk that lacks rights to its devices, with parts of another maker and an apCV service that cannot be reached.

It is told from the others by what it has no right to: a port of an imager, one of a reader for phones, a camera; and
cards, from the moment at which the PC/SC service refuses its user. Others have its second reader for phones and its
second camera. The administrator, who has all rights, runs it without that of opening other people's files.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

from tests.diagnosis.certificates import tls_server
from tests.resolvers.authorities import certificates
from tests.situations import other_maker
from tests.situations.held_devices import CAMERA, CAMERA_NODE, READER, HeldDevices, held_devices
from tests.situations.other_maker import FAULTY
from tests.situations.refusing_pcsc import RefusingPcsc
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_firmware_sim.card.unix import is_root
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.pn532.reader import Pn532Reader

__all__ = ["OtherDesk", "other_desk"]

ROOT = Path(__file__).parents[2]

CONFIGURATION = """
[station]
mode = "simulated"
[tls]
port = 0
[drivers]
enabled = ["other-maker", "scanner", "nfc", "camera", "pcsc"]
[drivers.options.scanner]
devices = [{imager}]
[drivers.options.nfc]
devices = [{reader}, "usb"]
[drivers.options.camera]
devices = [{camera}, {held}]
[apcv]
profiles = ["simulator"]
resolver = "apcv-soap"
timeout = 4.0
[apcv.options]
url = "https://localhost:{port}/apcv"
ca_file = {authority}
assertion = "other-maker"
identifiant_facturation = "123456782"
code_specialite = "50"
emetteur = "officine-essai"
idam = "IDAM-0000"
lps_nom = "vitale-reader"
lps_version = "0.2"
lps_instance = "comptoir-2"
"""


class OtherDesk:
    """The desk.

    Attributes:
        home: its folder, as the SDK takes it.
        imager: the id of the imager.
        reader: the id of the reader for phones.
        camera: the id of the camera.
        slot: the id of the slot for cards.
        held_reader: the id of the reader for phones that others have.
        held_camera: likewise.
        held: what has them; None where that cannot be mocked on this machine.
    """

    slot, held_reader, held_camera = "pcsc:virtual-pcd", READER, CAMERA

    def __init__(
        self,
        folder: Path,
        port: int,
        imager: str,
        reader: str,
        camera: str,
        pcsc: PcscService,
        held: HeldDevices | None,
    ) -> None:
        self.home, self.camera = folder / "home", f"camera:{camera}"
        self.imager, self.reader = f"scanner:{imager}", f"nfc:{reader}"
        self._folder, self._port = folder, port
        self._server = contextlib.ExitStack()
        self._pcsc, self.pcsc, self.held = pcsc, folder / "pcscd.comm", held
        self._refusing = RefusingPcsc(folder / "refusing.comm")
        self.pcsc.symlink_to(pcsc.socket_path)

    def refuse_cards(self) -> None:
        """The PC/SC service begins anew, and refuses the user of this desk from now on; until ``recover``."""
        self._server.enter_context(self._refusing)
        link = self.pcsc.with_suffix(".new")
        link.symlink_to(self._refusing.path)
        link.replace(self.pcsc)  # at once: a program that looks in between would find no service
        self._pcsc.stop()

    def let_plug_in_fail(self) -> None:
        """Has the plug-in fail until ``recover``."""
        (self._folder / "faulty").touch()

    def answer_as_a_stranger(self) -> None:
        """A server with a certificate that nobody trusts stands at the address of the service."""
        self._server.enter_context(tls_server(self._folder / "stranger.pem", self._port))

    def answer_against_the_standard(self) -> None:
        """A server whose authority lacks what the standard asks for stands at the address of the service."""
        made = (self._folder / "server.pem").read_bytes()
        self._server.enter_context(tls_server(self._folder / "odd.pem", self._port, made))

    def recover(self) -> None:
        """The plug-in works, and nothing stands at the address of the service."""
        (self._folder / "faulty").unlink(missing_ok=True)
        self._server.close()


@contextlib.contextmanager
def other_desk(folder: Path) -> Generator[OtherDesk]:
    """The desk, while its daemon runs."""
    folder.mkdir()
    other_maker.install(folder)
    certificates(folder, left_out="keyUsage")
    with contextlib.ExitStack() as stack:
        imager, reader = stack.enter_context(Imager()), stack.enter_context(Pn532Reader(baud="agreed"))
        camera = folder / "film.avi"
        camera.touch()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        pcsc = stack.enter_context(PcscService(folder / "pcsc"))
        held = stack.enter_context(held_devices())
        # By links: libumockdev aborts a program after fifty refusals of what has its name below /dev.
        places = {"imager": str(folder / "imager"), "reader": str(folder / "reader"), "camera": str(camera)}
        Path(places["imager"]).symlink_to(imager.path)
        Path(places["reader"]).symlink_to(reader.path)
        desk = OtherDesk(folder, port, **places, pcsc=pcsc, held=held)
        stack.callback(desk.recover)
        for place in places.values():
            Path(place).chmod(0)
        desk.home.mkdir(mode=0o700)
        told = {**places, "authority": str(folder / "ca.pem"), "held": CAMERA_NODE}
        tables = CONFIGURATION.format(port=port, **{name: json.dumps(place) for name, place in told.items()})
        config = desk.home / "config.toml"
        config.touch(mode=0o600)
        config.write_text(tables)
        daemon = subprocess.Popen(
            [
                *_without_rights(),
                *_environment(held),
                sys.executable,
                "-m",
                "vitale_reader",
                "serve",
                "--json",
                "--home",
                str(desk.home),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "PCSCLITE_CSOCK_NAME": str(desk.pcsc),
                FAULTY: str(folder / "faulty"),
                "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT), os.environ.get("PYTHONPATH", ""))),
            },
        )
        try:
            assert daemon.stdout is not None
            assert "endpoints" in json.loads(daemon.stdout.readline())
            yield desk
        finally:
            daemon.terminate()
            daemon.communicate(timeout=60.0)


def _environment(held: HeldDevices | None) -> tuple[str, ...]:
    """What a program needs from its very start, to find the devices that others have."""
    return () if held is None else ("env", *(f"{name}={value}" for name, value in held.environment.items()))


def _without_rights() -> tuple[str, ...]:
    """What an administrator's program needs to be refused like anybody's; nothing for an ordinary user."""
    if not is_root():
        return ()
    program = shutil.which("setpriv")
    assert program is not None, "it comes with unshare, which the PC/SC service was started by"
    less = "-dac_override,-dac_read_search"
    return (program, f"--bounding-set={less}", f"--inh-caps={less}")
