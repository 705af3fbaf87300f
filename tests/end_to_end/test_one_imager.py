"""One imager for boxes and patients: whatever is scanned goes where it belongs, over the whole of the real stacks."""

import contextlib
import os
import queue
import random
import threading
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from tests.end_to_end.test_imager_to_token import wait_for
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.imager.faults import Behaviour
from vitale_protocol.events import CodeRead, PresentationProgress
from vitale_reader import Connection, Presentation

PATIENCE = 60.0
SPEED = 9_600
"""Bits a second of the wire: many times what a hand does, and below the hundred scans a second that are noise."""


WHOLE = "line_timeout = 10"
"""Imager and driver may be kept from the processor in the middle of a line: that is no torn one."""


class Desk:
    """An imager at a daemon, a program that listens to boxes, and one that reads patients."""

    def __init__(self, imager: Imager, boxes: Connection, patients: Connection) -> None:
        self.imager = imager
        self.patients = patients
        self.heard: queue.Queue[CodeRead] = queue.Queue()
        self._boxes = boxes
        self._ready = threading.Event()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        with contextlib.closing(self._boxes.codes()) as stream:
            for code in stream:
                self.heard.put(code)

    def listening(self) -> None:
        """Waits until what is scanned is heard: the imager is open, and whoever listens to boxes has said so."""
        wait_for(self.patients, "empty")
        while self.heard.empty():
            self.imager.scan(b"3000012", "code39")
            with contextlib.suppress(queue.Empty):
                self.heard.put(self.heard.get(timeout=0.5))
                return

    def forget(self) -> None:
        """Forgets what was scanned so far, to the last."""
        self.imager.scan(b"the last one", "code128")
        while self.heard.get(timeout=PATIENCE).data != "the last one":
            pass

    def close(self) -> None:
        self._boxes.close()
        self._listener.join()


class Box:
    """A code that is no patient's, and what is to be heard of it."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.symbology, self.data = BOXES[chance.randrange(len(BOXES))](number, chance)

    @property
    def expected(self) -> tuple[str, bytes]:
        return self.symbology, self.data


def ean(number: int, _: random.Random) -> tuple[str, bytes]:
    return "ean", _with_key(b"34009%07d" % number)


def gs1(number: int, _: random.Random) -> tuple[str, bytes]:
    gtin = b"0" + _with_key(b"34009%07d" % number)
    return "gs1-datamatrix", b"01" + gtin + b"1727123110L%d\x1d21S%d" % (number, number)


def wrong_gs1(number: int, _: random.Random) -> tuple[str, bytes]:
    gtin = b"0" + _with_key(b"34009%07d" % number)
    return "gs1-datamatrix", b"01" + gtin + b"1727023110L%d" % number


def cip7(number: int, _: random.Random) -> tuple[str, bytes]:
    return "code39", b"%07d" % number


def address(number: int, _: random.Random) -> tuple[str, bytes]:
    return "qr", b"https://example.org/ordonnance/%d" % number


def parcel(number: int, chance: random.Random) -> tuple[str, bytes]:
    return "code128", b"COLIS-%d-%d" % (number, chance.randrange(10**6))


BOXES = (ean, gs1, wrong_gs1, cip7, address, parcel)


def _with_key(digits: bytes) -> bytes:
    total = sum((one - 0x30) * (3 if place % 2 else 1) for place, one in enumerate(digits))
    return digits + b"%d" % (-total % 10)


def patient(number: int) -> tuple[str, bytes]:
    """The code of a phone, or of a document; each of them names its number."""
    if number % 2:
        return "qr", b"VITALESIM.patient-no-%06d" % number
    letters = "".join(chr(ord("A") + int(digit)) for digit in f"{number:06d}")
    code = b"IS01" + b"0" * 22 + b"S1277010115400329S21.2.250.1.213.1.4.10\x1dS3ZOE\x1dS4%s\x1d" % letters.encode()
    return "datamatrix", code + b"S5FS601-01-1977S701154"


@pytest.fixture
def desk(tmp_path: Path, start_daemon: Any) -> Iterator[Desk]:
    link = tmp_path / "imager"
    with Imager(Behaviour(aim=True), baud=SPEED, link=link) as imager:
        daemon = start_daemon(driver="scanner", options=f'devices = ["{link}"]\n{WHOLE}')
        with daemon.connect() as boxes, daemon.connect() as patients:
            made = Desk(imager, boxes, patients)
            try:
                made.listening()
                made.forget()
                yield made
            finally:
                made.close()


def read(desk: Desk, number: int, before: list[Box], after: list[Box]) -> tuple[Presentation, list[Box]]:
    """A patient's read, with boxes scanned while it waits; all of it in one go."""
    symbology, code = patient(number)
    scans = [box.expected for box in before] + [(symbology, code)] + [box.expected for box in after]
    sent = [(data, kind) for kind, data in scans]

    def follow(step: PresentationProgress) -> None:
        assert step.step == "armed", step
        for data, kind in sent:
            desk.imager.scan(data, kind)

    found = desk.patients.read(
        media=["apcv-qr", "ins-datamatrix"], scopes=["identity", "payload"], timeout=PATIENCE, on_progress=follow
    )
    return found, [*before, *after]


def payload_of(found: Presentation) -> bytes:
    text, encoded = found.claims.payload, found.claims.payload_b64
    return (text or "").encode() if encoded is None else b64decode(encoded)


def mixed(desk: Desk, scans: int, seed: int) -> None:
    """Scans boxes and patients at random, and looks at where each went."""
    chance = random.Random(seed)
    scanned = patients = 0
    expected: list[tuple[str, bytes]] = []
    while scanned < scans:
        number, turn = scanned, chance.random()
        if turn < 0.4:
            box = Box(number, chance)
            desk.imager.scan(box.data, box.symbology)
            expected.append(box.expected)
            scanned += 1
            continue
        before = [Box(number * 10 + place, chance) for place in range(chance.randrange(3))]
        after = [Box(number * 10 + 5 + place, chance) for place in range(chance.randrange(3))]
        found, boxes = read(desk, number, before, after)
        assert payload_of(found) == patient(number)[1]
        expected += [box.expected for box in boxes]
        scanned += 1 + len(boxes)
        patients += 1
    heard = [desk.heard.get(timeout=PATIENCE) for _ in expected]
    assert expected == [(code.symbology, (code.data or "").encode()) for code in heard]
    right = [code.gs1.lot for code in heard if code.gs1 is not None]
    numbers = [data for kind, data in expected if kind == "gs1-datamatrix" and b"17271231" in data]
    assert [data.split(b"10L")[1].split(b"\x1d")[0].decode() for data in numbers] == [(lot or "")[1:] for lot in right]
    assert desk.heard.empty()
    assert patients > scans // 8


def test_boxes_and_patients_mixed(desk: Desk) -> None:
    mixed(desk, 100, seed=1)


def test_an_old_program_gets_the_boxes_at_a_port_of_its_own(tmp_path: Path, start_daemon: Any) -> None:
    link = tmp_path / "imager"
    # Where the driver's process may write: among the devices.
    old = Path(f"/dev/shm/vitale-old-{os.getpid()}")
    with Imager(Behaviour(aim=True), baud=SPEED, link=link) as imager:
        daemon = start_daemon(driver="scanner", options=f'devices = ["{link}"]\n{WHOLE}\npassthrough = "pty:{old}"')
        with daemon.connect() as client:

            def follow(step: PresentationProgress) -> None:
                assert step.step == "armed", "a box that goes somewhere is no news to who waits for a patient"
                imager.scan(b"3400930000120", "ean")
                imager.scan(patient(1)[1])

            wait_for(client, "empty")
            with contextlib.closing(serial.Serial(str(old), timeout=PATIENCE)) as port:
                imager.scan(b"3000012", "code39")
                assert port.read(8) == b"3000012\r"
                found = client.read(media=["apcv-qr"], scopes=["payload"], timeout=PATIENCE, on_progress=follow)
                assert payload_of(found) == patient(1)[1]
                assert port.read(14) == b"3400930000120\r"
        assert daemon.stop() == 0
    assert not old.is_symlink()


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_thousand_boxes_and_patients_mixed(desk: Desk) -> None:
    mixed(desk, 1000, seed=2)
