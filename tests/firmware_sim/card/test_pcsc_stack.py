"""The simulated card behind a real pcscd, as programs that we did not write see it."""

import os
import re
import shutil
import subprocess
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from smartcard import scard

from vitale_drivers.cards.channel import Channel
from vitale_firmware_sim.card import pcscd
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.images import load_image
from vitale_firmware_sim.card.pcscd import PcscService, virtual_reader_library
from vitale_firmware_sim.card.vpcd import VpcdLink
from vitale_protocol.errors import ReaderUnavailable, ToolMissing
from vitale_protocol.media import interpret, reading_script
from vitale_protocol.records import Reading

pytestmark = pytest.mark.pcscd

InsertCard = Callable[..., VpcdLink]
FIRST, SECOND = "Virtual PCD 00 00", "Virtual PCD 00 01"
PATIENCE = 40.0
PROTOCOL = scard.SCARD_PROTOCOL_T0


class Watch:
    """What PC/SC says of a reader; waits for it to say what is wanted."""

    def __init__(self) -> None:
        result, self.context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        assert result == scard.SCARD_S_SUCCESS

    def until(self, reader: str, wanted: Callable[[int], bool]) -> list[int]:
        """Waits for a state; returns the ATR."""
        state = scard.SCARD_STATE_UNAWARE
        while True:
            result, states = scard.SCardGetStatusChange(self.context, round(1_000 * PATIENCE), [(reader, state)])
            assert result == scard.SCARD_S_SUCCESS
            _, state, atr = states[0]
            if wanted(state):
                return atr

    def connect(self, reader: str) -> int:
        result, card, _ = scard.SCardConnect(self.context, reader, scard.SCARD_SHARE_SHARED, PROTOCOL)
        assert result == scard.SCARD_S_SUCCESS
        return card

    def close(self) -> None:
        scard.SCardReleaseContext(self.context)


def present(state: int) -> bool:
    return bool(state & scard.SCARD_STATE_PRESENT) and not state & scard.SCARD_STATE_MUTE


def mute(state: int) -> bool:
    return bool(state & scard.SCARD_STATE_MUTE)


def empty(state: int) -> bool:
    return not state & scard.SCARD_STATE_PRESENT


def torn(result: int, response: list[int]) -> bool:
    """Whether a card left amid an exchange: vpcd 3.3 calls that a success, with a response of no bytes."""
    return result != scard.SCARD_S_SUCCESS or not response


def needs(program: str, package: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: apt-get install {package}")
    return found


def run(service: PcscService, command: list[str], **more: str) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, **service.environment, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout.decode("utf-8", "replace")


# ── the card in the slot ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def watch(pcsc_service: PcscService) -> Watch:
    return Watch()


def test_a_card_comes_and_goes(watch: Watch, virtual_card: InsertCard) -> None:
    watch.until(FIRST, empty)
    link = virtual_card("adulte")
    assert bytes(watch.until(FIRST, present)) == load_image("adulte").atr
    link.remove()
    watch.until(FIRST, empty)
    link.insert(Card(load_image("famille")))
    assert bytes(watch.until(FIRST, present)) == load_image("famille").atr
    watch.close()


def test_a_card_in_each_slot(watch: Watch, virtual_card: InsertCard) -> None:
    virtual_card("vitale-1", slot=0)
    virtual_card("cps", slot=1)
    assert bytes(watch.until(FIRST, present)) == load_image("vitale-1").atr
    assert bytes(watch.until(SECOND, present)) == load_image("cps").atr
    watch.close()


def read(watch: Watch, reader: str, image: str) -> Reading:
    watch.until(reader, present)
    card = watch.connect(reader)

    def transmit(apdu: bytes) -> bytes:
        result, response = scard.SCardTransmit(card, scard.SCARD_PCI_T0, list(apdu))
        assert result == scard.SCARD_S_SUCCESS
        return bytes(response)

    evidence = Channel(transmit, t0=True).run(reading_script(load_image(image).atr))
    scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
    return interpret("vitale-card", evidence, simulated=True)


@pytest.mark.parametrize("image", ["adulte", "dix-neuf"])
def test_a_card_is_read_through_the_service(watch: Watch, virtual_card: InsertCard, image: str) -> None:
    virtual_card(image)
    reading = read(watch, FIRST, image)
    assert [one.prenom for one in reading.record.beneficiaires or ()] == [
        one.prenom for one in load_image(image).beneficiaires
    ]
    watch.close()


def test_a_mute_card_is_mute(watch: Watch, virtual_card: InsertCard) -> None:
    link = virtual_card(faults="mute")
    watch.until(FIRST, mute)
    link.remove()
    watch.until(FIRST, empty)
    watch.close()


def test_a_card_that_withdraws_itself_is_gone(watch: Watch, virtual_card: InsertCard) -> None:
    link = virtual_card(faults="withdrawn@0")
    watch.until(FIRST, present)
    card = watch.connect(FIRST)
    assert torn(*scard.SCardTransmit(card, scard.SCARD_PCI_T0, [0x00, 0xA4, 0x00, 0x00, 0x02, 0x3F, 0x00]))
    assert link.wait_removed(PATIENCE)
    assert not link.inserted
    watch.until(FIRST, empty)
    watch.close()


def test_a_stuck_card_can_be_pulled_out(watch: Watch, virtual_card: InsertCard) -> None:
    link = virtual_card(faults="stuck")
    watch.until(FIRST, present)
    card = watch.connect(FIRST)
    threading.Timer(0.2, link.remove).start()
    assert torn(*scard.SCardTransmit(card, scard.SCARD_PCI_T0, [0x00, 0xA4, 0x00, 0x00, 0x02, 0x3F, 0x00]))
    watch.until(FIRST, empty)
    watch.close()


def test_the_card_is_back_after_the_service_was_killed(pcsc_service: PcscService, virtual_card: InsertCard) -> None:
    link = virtual_card("adulte")
    assert link.connected.wait(PATIENCE)
    pcsc_service.kill()
    assert pcsc_service.pid is None
    pcsc_service.start()
    watch = Watch()
    assert bytes(watch.until(FIRST, present)) == load_image("adulte").atr
    watch.close()


def test_the_number_of_a_killed_service_may_be_anothers(pcsc_service: PcscService) -> None:
    number = pcsc_service.socket_path.with_name("pcscd.pid")
    assert number.exists()
    pcsc_service.kill()
    number.write_text(str(os.getpid()), encoding="ascii")
    pcsc_service.start()
    assert pcsc_service.pid is not None


def test_a_link_outlives_a_service_that_is_not_there() -> None:
    # Port 9 (discard) of the loopback interface: nobody listens.
    with VpcdLink(Card(load_image("adulte")), port=9) as link:
        link.insert()
        assert not link.connected.wait(0.1)
        assert link.inserted


# ── the service ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_readers_come_go_and_are_renumbered_with_a_restart(pcsc_service: PcscService, virtual_card: InsertCard) -> None:
    port = pcsc_service.ports[0]
    virtual_card("adulte")
    pcsc_service.restart(("Virtual PCD 2", "Virtual PCD"))
    assert pcsc_service.ports[2] == port
    watch = Watch()
    assert scard.SCardListReaders(watch.context, [])[1] == [
        "Virtual PCD 2 00 00",
        "Virtual PCD 2 00 01",
        FIRST,
        SECOND,
    ]
    watch.until(FIRST, present)
    watch.until("Virtual PCD 2 00 00", empty)
    watch.close()


def test_start_and_stop_may_be_repeated(pcsc_service: PcscService) -> None:
    pid = pcsc_service.pid
    pcsc_service.start()
    assert pcsc_service.pid == pid
    pcsc_service.stop()
    pcsc_service.stop()
    assert pcsc_service.pid is None


def test_a_service_that_cannot_start_says_so(tmp_path: Path) -> None:
    # Its socket would have a path longer than the 108 bytes that a Unix socket has room for.
    with pytest.raises(ReaderUnavailable) as failed:
        PcscService(tmp_path / "nulle-part", readers=('bad" name',)).start()
    assert failed.value.data["service"] == "pcscd"


@pytest.mark.parametrize(
    ("tool", "package"), [("pcscd", "pcscd"), ("unshare", "util-linux"), ("libifdvpcd.so", "vsmartcard-vpcd")]
)
def test_what_is_missing_is_named_with_its_remedy(
    tool: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def which(name: str, path: str | None = None) -> str | None:
        return None if name == tool else f"/usr/bin/{name}"

    monkeypatch.setattr(shutil, "which", which)
    if tool.startswith("lib"):
        monkeypatch.setattr(pcscd, "_LIBRARY_FOLDERS", (tmp_path,))
        with pytest.raises(ToolMissing):
            virtual_reader_library()
    with pytest.raises(ToolMissing) as missing:
        PcscService(tmp_path).start()
    assert missing.value.data == {"tool": tool, "remedy": f"apt-get install {package}"}


# ── programs that we did not write ───────────────────────────────────────────────────────────────────────────────


def test_pcsc_scan_names_a_vitale_2(pcsc_service: PcscService, watch: Watch, virtual_card: InsertCard) -> None:
    pcsc_scan = needs("pcsc_scan", "pcsc-tools")
    virtual_card("adulte")
    watch.until(FIRST, present)
    # Its analysis of the ATR is a program of its own, which pcsc_scan runs without waiting for it in one-shot mode.
    analysis = run(pcsc_service, [needs("ATR_analysis", "pcsc-tools"), load_image("adulte").atr.hex(" ").upper()])
    assert "Carte Vitale 2" in analysis
    assert FIRST in run(pcsc_service, [pcsc_scan, "-r"])
    watch.close()


def test_opensc_tool_exchanges_apdus(pcsc_service: PcscService, watch: Watch, virtual_card: InsertCard) -> None:
    opensc_tool = needs("opensc-tool", "opensc")
    virtual_card("adulte")
    watch.until(FIRST, present)
    vitale = "00:A4:04:00:0B:D2:50:00:00:02:56:49:54:41:4C:45"
    output = run(pcsc_service, [opensc_tool, "-r", FIRST, "-s", vitale, "-s", "00:B0:82:00:00", "-s", "00:B0:85:00:00"])
    statuses = re.findall(r"SW1=0x(\w\w), SW2=0x(\w\w)", output)
    assert statuses == [("90", "00"), ("90", "00"), ("6A", "82")]
    received = bytes.fromhex("".join(re.findall(r"^((?:[0-9A-F]{2} )+)", output, re.MULTILINE)))
    assert b"285071399032107" in received
    watch.close()


@pytest.mark.parametrize("image", ["adulte", "famille", "dix-neuf", "date-fictive"])
def test_cardpeek_finds_the_same_people(
    pcsc_service: PcscService, watch: Watch, virtual_card: InsertCard, tmp_path: Path, image: str
) -> None:
    cardpeek = needs("cardpeek", "cardpeek")
    virtual_card(image)
    ours = read(watch, FIRST, image)
    watch.close()
    people = ours.record.beneficiaires or ()
    view = _cardpeek_view(pcsc_service, cardpeek, tmp_path)
    assert _texts(view, "80") == [one.nom_usuel for one in people]
    assert _texts(view, "81") == [one.prenom for one in people]
    assert _texts(view, "82") == [one.date_naissance for one in people]
    assert _texts(view, "90") == [one.nationalite for one in people]
    assert _texts(view, "93") == [f"{one.nir}{one.cle_nir}" for one in people]


def _cardpeek_view(service: PcscService, cardpeek: str, home: Path) -> ET.Element:
    """Lets cardpeek's own script for the Vitale 2 read the card, and returns the tree that it shows.

    At its first start cardpeek asks two questions in its console. At the end of its input it would go on asking for
    ever, therefore ``os.exit``, and no more output kept than is of use.
    """
    saved = home / "view.xml"
    script = f"dofile('vitale_2.lua') ui.save_view('{saved}') os.exit(0)"
    for command in ("os.exit(0)", script):
        subprocess.run(
            [cardpeek, "--console", "--reader", f"pcsc://{FIRST}", "--exec", command],
            env={**os.environ, **service.environment, "HOME": str(home)},
            input=b"1\n1\nos.exit(0)\n",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    # Its XML declaration has an attribute that XML does not know.
    _, _, body = saved.read_text(encoding="utf-8").partition("?>")
    # The file was written a moment ago by a program of this machine.
    return ET.fromstring(body)  # noqa: S314


def _attribute(node: ET.Element, name: str) -> str:
    return next((one.text or "" for one in node.findall("attr") if one.get("name") == name), "")


def _texts(view: ET.Element, tag: str) -> list[str]:
    """The values of a tag in every person's template, as text."""
    people = [node for node in view.iter("node") if _attribute(node, "id") == "65"]
    fields = [field for one in people for field in one.findall("node") if _attribute(field, "id") == tag]
    # cardpeek writes bytes as "8:HEX".
    return [bytes.fromhex(_attribute(field, "val").removeprefix("8:")).decode("latin-1") for field in fields]


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("unshare: unshare failed: Operation not permitted", "namespace"),
        ("00000001 somebody else runs", None),
        ("", None),
    ],
)
def test_why_it_does_not_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, refused: str | None
) -> None:
    (tmp_path / "unshare").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n", encoding="utf-8")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(ReaderUnavailable) as told:
        PcscService(tmp_path / "s").start()
    assert said in str(told.value.detail)
    assert (told.value.data["said"], told.value.data.get("refused")) == (said, refused)
