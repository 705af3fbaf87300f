"""The reader on its pseudo-terminal: frames, wires, and hosts that interrupt; and programs that we did not write."""

import importlib
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.posix import posix_only
from vitale_firmware_sim.phone.card import PhoneCard
from vitale_firmware_sim.pn532.faults import NO_FAULTS, parse_nfc_faults
from vitale_firmware_sim.pn532.field import RfField
from vitale_firmware_sim.pn532.frames import ACK, ERROR, NACK, Data, encode
from vitale_firmware_sim.pn532.reader import Pn532Reader
from vitale_firmware_sim.serial.line import SerialLine
from vitale_protocol.errors import ConfigurationInvalid, LocalMisuse
from vitale_protocol.media.apcv_profile import SIMULATOR_AID

pytestmark = posix_only()
assert sys.platform != "win32"

STRING = b"chaine opaque " * 20
AWAKE = b"\x55\x55" + bytes(14)
PATIENCE = 30.0
LIST = "D44A0100"
SELECT = "D44001" + "00A404000A" + SIMULATOR_AID.hex() + "00"


def phone(**options: Any) -> PhoneCard:
    return PhoneCard(lambda: STRING, **options)


class Host:
    """A program at the other end, that looks at every byte."""

    def __init__(self, path: str) -> None:
        self._port = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self.write(AWAKE)
        self.ask("D41401")

    def close(self) -> None:
        os.close(self._port)

    def write(self, data: bytes) -> None:
        os.write(self._port, data)

    def read(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            assert select.select([self._port], [], [], PATIENCE)[0], f"only {received.hex()}"
            part = os.read(self._port, count - len(received))
            if not part:
                raise ConnectionAbortedError
            received += part
        return received

    def quiet(self, seconds: float = 0.05) -> bool:
        return not select.select([self._port], [], [], seconds)[0]

    def begin(self, command: str) -> None:
        self.write(encode(Data(bytes.fromhex(command))))
        assert self.read(6) == ACK

    def frame(self) -> bytes:
        head = self.read(5)
        if head[3:] == b"\xff\xff":
            head += self.read(3)
            return head + self.read((head[5] << 8 | head[6]) + 2)
        return head + self.read(head[3] + 2)

    def ask(self, command: str) -> str:
        self.begin(command)
        return self.frame()[5:-2].hex().upper()


@contextmanager
def host_of(reader: Pn532Reader) -> Generator[Host]:
    host = Host(reader.path)
    try:
        yield host
    finally:
        host.close()


def test_a_reader_has_a_path_while_it_is_open_and_a_link_where_wanted(tmp_path: Path) -> None:
    link = tmp_path / "ttyACM0"
    reader = Pn532Reader(link=link)
    with pytest.raises(LocalMisuse):
        _ = reader.path
    with reader:
        assert str(link.readlink()) == reader.path
        with pytest.raises(ConfigurationInvalid):
            Pn532Reader(link=link).open()
        reader.open()
        with host_of(reader) as host:
            assert host.ask("D402") == "D50332010607"
    assert not link.is_symlink()


def test_asleep_the_chip_misses_a_frame_without_a_wake_up() -> None:
    with Pn532Reader() as reader, host_of(reader) as host:
        assert host.ask("D41620") == "D51700"
        host.write(encode(Data(b"\xd4\x02")))
        assert host.quiet()
        host.write(AWAKE)
        assert host.ask("D402") == "D50332010607"


def test_what_is_no_command_gets_an_error_frame_and_what_is_no_frame_gets_nothing() -> None:
    with Pn532Reader() as reader, host_of(reader) as host:
        host.begin("D4FF")
        assert host.read(len(ERROR)) == ERROR
        host.write(bytes.fromhex("0000FF02FED4022B00"))
        host.write(encode(Data(b"\xd5\x02")))
        assert host.quiet()
        assert host.ask("D402") == "D50332010607"


def test_the_last_answer_is_said_again() -> None:
    with Pn532Reader(faults=parse_nfc_faults("garble=2")) as reader, host_of(reader) as host:
        host.begin("D402")
        garbled = host.frame()
        assert sum(garbled[5:]) & 0xFF != 0
        host.write(NACK)
        assert host.frame() == bytes.fromhex("0000FF06FAD50332010607E800")


def test_a_mute_reader() -> None:
    with Pn532Reader(faults=parse_nfc_faults("mute")) as reader:
        port = os.open(reader.path, os.O_RDWR | os.O_NOCTTY)
        os.write(port, AWAKE + encode(Data(b"\xd4\x02")))
        assert not select.select([port], [], [], 0.1)[0]
        os.close(port)


def test_a_search_without_end_waits_for_a_phone() -> None:
    with Pn532Reader() as reader, host_of(reader) as host:
        host.begin(LIST)
        assert host.quiet()
        reader.field.put(phone())
        assert host.frame()[5:9].hex() == "d54b0101"
        assert reader.commands == 2


@pytest.mark.parametrize("how", ["ack", "command"])
def test_the_host_ends_a_search_without_end(how: str) -> None:
    with Pn532Reader() as reader, host_of(reader) as host:
        host.begin(LIST)
        if how == "ack":
            host.write(ACK)
        assert host.ask("D402") == "D50332010607"
        assert host.quiet()


def test_a_search_is_ended_by_what_comes_together_with_it() -> None:
    with Pn532Reader() as reader, host_of(reader) as host:
        host.write(encode(Data(bytes.fromhex(LIST))) + ACK + encode(Data(b"\xd4\x02")))
        assert host.read(12) == ACK + ACK
        assert host.frame()[5:-2].hex().upper() == "D50332010607"


def test_an_answer_that_is_there_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    plain = SerialLine.send

    def send(self: SerialLine, data: bytes) -> None:
        plain(self, data)
        counted.append(reader.commands)

    monkeypatch.setattr(SerialLine, "send", send)
    with Pn532Reader() as reader, host_of(reader) as host:
        host.ask("D402")
    # Two commands, and of each the acknowledgement and the answer.
    assert counted == [0, 1, 1, 2]


def test_a_search_without_end_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []
    plain = SerialLine.receive

    def receive(self: SerialLine, seconds: float | None) -> bytes:
        waits.append(seconds)
        return plain(self, seconds)

    monkeypatch.setattr(SerialLine, "receive", receive)
    with Pn532Reader() as reader, host_of(reader) as host:
        host.begin(LIST)
        assert host.quiet(0.3)
        # Some for the command and its acknowledgement; the last until something wakes it.
        assert waits[-1] is None
        assert len(waits) < 10
        host.write(ACK)


def test_a_slow_phone_asks_for_time_and_gets_it() -> None:
    with Pn532Reader() as reader, host_of(reader) as host:
        reader.field.put(phone(), parse_nfc_faults("slow=150"))
        host.ask(LIST)
        began = time.monotonic()
        assert host.ask(SELECT).endswith("9000")
        assert time.monotonic() - began > 0.15


def test_a_phone_that_asks_for_time_for_ever_is_given_up_by_the_host() -> None:
    with Pn532Reader() as reader, host_of(reader) as host:
        reader.field.put(phone(), parse_nfc_faults("endless-wtx"))
        host.ask(LIST)
        host.begin(SELECT)
        assert host.quiet(0.2)
        host.write(ACK)
        # Its answer shows that nothing of the other is under way any more.
        assert host.ask("D402") == "D50332010607"
        reader.field.remove()
        reader.field.put(phone())
        assert host.ask(LIST).startswith("D54B01")
        assert host.ask(SELECT).endswith("9000")


def test_a_phone_taken_away_while_it_thinks() -> None:
    with Pn532Reader() as reader, host_of(reader) as host:
        card = phone()
        reader.field.put(card, parse_nfc_faults("slow=60000"))
        host.ask(LIST)
        host.begin(SELECT)
        assert host.quiet()
        reader.field.remove(card)
        assert host.frame()[5:8] == b"\xd5\x41\x01"


def test_unplugged_the_port_is_gone_and_a_new_one_works() -> None:
    reader = Pn532Reader(RfField(phone()))
    with reader:
        with host_of(reader) as host:
            host.begin("D44A0101" + "00FFFF0000")
            reader.unplug()
            with pytest.raises(OSError):  # noqa: PT011  EIO, or the end of the stream, as the kernel likes
                host.read(1000)
        reader.unplug()
        reader.open()
        with host_of(reader) as host:
            assert host.ask(LIST).startswith("D54B01")


@pytest.mark.parametrize("baud", [115_200, 921_600])
def test_a_wire_takes_its_time(baud: int) -> None:
    with Pn532Reader(baud=baud) as reader, host_of(reader) as host:
        question = encode(Data(b"\xd4\x00\x00" + bytes(200)))
        ideal = 10 * (len(question) + 6 + len(question)) / baud
        for _ in range(21):
            began = time.perf_counter()
            host.write(question)
            host.read(6 + len(question))
            assert time.perf_counter() - began > ideal - 0.0001


def test_the_wire_follows_the_agreed_speed_once_the_host_has_said_so() -> None:
    with Pn532Reader(baud="agreed") as reader, host_of(reader) as host:
        question = encode(Data(b"\xd4\x00\x00" + bytes(240)))

        def lasts() -> float:
            began = time.perf_counter()
            host.write(question)
            host.read(6 + len(question))
            return time.perf_counter() - began

        assert host.ask("D41007") == "D511"
        assert lasts() > 0.04
        host.write(ACK)
        # A busy machine is late at times: the slow wire would never be faster.
        end = time.monotonic() + PATIENCE
        while lasts() > 0.04:
            assert time.monotonic() < end


# ── nfcpy, over pyserial ─────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def nfcpy(reader: Pn532Reader) -> Generator[tuple[Any, Any]]:
    """nfcpy's package and a frontend on this reader; its names for ports cannot name a pseudo-terminal.

    It gives an acknowledgement 100 ms, and a reader in software on a busy machine may be late.
    """
    nfc: Any = importlib.import_module("nfc")
    pn532: Any = importlib.import_module("nfc.clf.pn532")
    transport: Any = importlib.import_module("nfc.clf.transport")
    frontend = nfc.ContactlessFrontend()
    tty = transport.TTY(reader.path)
    impatient = tty.read

    def read(timeout: float) -> Any:
        return impatient(max(timeout, 1000 * PATIENCE))

    tty.read = read
    frontend.device = pn532.init(tty)
    frontend.device._path = reader.path
    try:
        yield nfc, frontend
    finally:
        frontend.close()


@pytest.mark.parametrize("baud", [None, 921_600, "agreed"])
def test_nfcpy_activates_a_type_4_tag_and_exchanges_apdus(baud: Any) -> None:
    with Pn532Reader(baud=baud) as reader, nfcpy(reader) as (nfc, frontend):
        assert str(frontend.device.chipset_name) == "PN532v1.6"
        wanted = nfc.clf.RemoteTarget("106A")
        others = [nfc.clf.RemoteTarget("106B"), nfc.clf.RemoteTarget("212F")]
        assert frontend.sense(wanted, *others) is None
        reader.field.put(phone())
        tag = nfc.tag.activate(frontend, frontend.sense(wanted, *others))
        assert tag.type == "Type4Tag"
        assert bytes(tag.identifier) == bytes.fromhex("08A1B2C3")
        tag.send_apdu(0x00, 0xA4, 0x04, 0x00, SIMULATOR_AID, mrl=256)
        assert bytes(tag.send_apdu(0x00, 0xB0, 0x00, 0x00, mrl=255)) == STRING[:255]
        assert tag.is_present
        reader.field.remove()
        assert not tag.is_present


@pytest.mark.parametrize("faults", [NO_FAULTS, parse_nfc_faults("noise=9"), parse_nfc_faults("slow=100")])
def test_nfcpy_by_its_own_loop(faults: Any) -> None:
    read = list[bytes]()

    def connected(tag: Any) -> bool:
        tag.send_apdu(0x00, 0xA4, 0x04, 0x00, SIMULATOR_AID, mrl=256)
        read.append(bytes(tag.send_apdu(0x00, 0xB0, 0x00, 0x00, mrl=255)))
        return False

    with Pn532Reader() as reader, nfcpy(reader) as (_, frontend):
        reader.field.put(phone(), faults)
        assert frontend.connect(rdwr={"on-connect": connected, "interval": 0.02})
    assert read == [STRING[:255]]


def test_nfcpy_finds_a_card_of_type_b() -> None:
    class CardB(PhoneCard):
        atqb = bytes.fromhex("50 11223344 00000000 00 81 71")

    with Pn532Reader(RfField(CardB(lambda: STRING))) as reader, nfcpy(reader) as (nfc, frontend):
        target = frontend.sense(nfc.clf.RemoteTarget("106A"), nfc.clf.RemoteTarget("106B"))
        tag = nfc.tag.activate(frontend, target)
        assert target.brty == "106B"
        tag.send_apdu(0x00, 0xA4, 0x04, 0x00, SIMULATOR_AID, mrl=256)
        assert bytes(tag.send_apdu(0x00, 0xB0, 0x00, 0x00, mrl=10)) == STRING[:10]


# A /dev of our own: nfcpy looks for serial ports by their names there.
_OWN_DEV = """
dev=$(mktemp -d) && mount -t tmpfs tmpfs "$dev" && mkdir "$dev/pts" "$dev/bus" && mount --rbind /dev/pts "$dev/pts" &&
for one in null zero urandom tty; do touch "$dev/$one" && mount --bind "/dev/$one" "$dev/$one"; done
ln -s "$1" "$dev/ttyUSB0" && mount --rbind "$dev" /dev && rmdir "$dev" 2>/dev/null; shift; exec "$@"
"""


# The command, with the patience that the frontend above has.
_PATIENT = f"""
import runpy, sys
from nfc.clf.transport import TTY
impatient = TTY.read
TTY.read = lambda tty, timeout: impatient(tty, max(timeout, {1000 * PATIENCE}))
runpy.run_module("nfc", run_name="__main__")
"""


def test_nfcpy_as_a_command_finds_the_reader() -> None:
    unshare = shutil.which("unshare")
    own = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
    if unshare is None or subprocess.run([unshare, *own, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a mount namespace (util-linux)")
    with Pn532Reader(RfField(phone())) as reader:
        nfc = [sys.executable, "-c", _PATIENT, "--search-tty"]
        command = [unshare, *own, "sh", "-c", _OWN_DEV, "sh", reader.path, *nfc]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
    assert "** found PN532v1.6 at" in done.stdout, done


# ── libnfc ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def nfc_list() -> str:
    found = shutil.which("nfc-list")
    if found is None:
        pytest.skip("nfc-list is not installed: apt-get install libnfc-bin")
    return found


def libnfc(program: str, reader: Pn532Reader, *arguments: str, told: Sequence[str]) -> str:
    """What a program of libnfc says of a reader.

    It gives an answer 350 ms, and a reader in software on a busy machine may be late: then the program says less, and
    is asked again, as whoever holds a phone would.
    """
    environment = {**os.environ, "LIBNFC_DEFAULT_DEVICE": f"pn532_uart:{reader.path}"}
    end = time.monotonic() + PATIENCE
    while True:
        done = subprocess.run(
            [program, *arguments], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        said = " ".join(done.stdout.split())
        if all(words in said for words in told):
            return said
        assert time.monotonic() < end, (said, done.stderr)


@pytest.mark.parametrize("baud", [None, 115_200])
def test_nfc_list_shows_a_phone(nfc_list: str, baud: int | None) -> None:
    shown = (
        "1 ISO14443A passive target(s) found",
        "ISO/IEC 14443A (106 kbps) target: ATQA (SENS_RES): 00 04 UID (NFCID3): 08 a1 b2 c3",
        "SAK (SEL_RES): 20 ATS: 78 80 70 02 80 71 80",
    )
    with Pn532Reader(RfField(phone()), baud) as reader:
        assert libnfc(nfc_list, reader, told=shown)


def test_nfc_list_shows_two_phones(nfc_list: str) -> None:
    shown = ("2 ISO14443A passive target(s) found", "UID (NFCID1): 04 11 22 33 44 55 66")
    with Pn532Reader(RfField(phone(), phone(uid=bytes.fromhex("04112233445566")))) as reader:
        assert libnfc(nfc_list, reader, "-t", "1", told=shown)


@pytest.mark.parametrize(
    ("uid", "told"),
    [("08a1b2c3", "UID: 08a1b2c3"), ("04112233445566", "UID: 04112233445566")],
    ids=["four bytes", "seven bytes"],
)
def test_nfc_anticol_selects_a_phone_by_raw_frames(uid: str, told: str) -> None:
    """REQA of seven bits, anticollision and SELECT through InCommunicateThru, with checksums of the program's own."""
    program = shutil.which("nfc-anticol")
    if program is None:
        pytest.skip("nfc-anticol is not installed: apt-get install libnfc-examples")
    # The program shows the answer as it came: its length first, the checksum last.
    shown = (told, "SAK: 20", "ATS: 08 78 80 70 02 80 71 80 f9 ff")
    with Pn532Reader(RfField(phone(uid=bytes.fromhex(uid)))) as reader:
        assert libnfc(program, reader, told=shown)


def test_nfc_list_over_an_empty_field(nfc_list: str) -> None:
    with Pn532Reader() as reader:
        assert "passive target(s) found" not in libnfc(nfc_list, reader, told=["NFC device: user defined default"])
