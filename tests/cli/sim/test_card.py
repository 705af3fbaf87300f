"""``vitale-reader sim card``, as an integrator runs it: a process of its own, and a program that reads the card."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from smartcard import scard

from vitale_firmware_sim.card.images import DEFAULT_IMAGE, image_names, load_image
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_reader.cli.sim import card
from vitale_reader.cli.sim import group as sim

READER = "Virtual PCD 00 00"
IN_TIME = 40_000


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        (sys.executable, "-m", "vitale_reader", "--language", "en", "sim", "card", *arguments),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.fixture
def context(pcsc_service: PcscService) -> Iterator[int]:
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    assert result == scard.SCARD_S_SUCCESS
    yield context
    scard.SCardReleaseContext(context)


def connect(context: int) -> int:
    state, atr = scard.SCARD_STATE_UNAWARE, list[int]()
    while not state & scard.SCARD_STATE_PRESENT:
        result, states = scard.SCardGetStatusChange(context, IN_TIME, [(READER, state)])
        assert result == scard.SCARD_S_SUCCESS
        _, state, atr = states[0]
    assert bytes(atr) == load_image("famille").atr
    result, card, _ = scard.SCardConnect(context, READER, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0)
    assert result == scard.SCARD_S_SUCCESS
    return card


def send(card: int, apdu: str) -> bytes:
    result, response = scard.SCardTransmit(card, scard.SCARD_PCI_T0, list(bytes.fromhex(apdu)))
    assert result == scard.SCARD_S_SUCCESS
    return bytes(response)


@pytest.mark.pcscd
def test_a_card_for_any_program_shown_without_its_data(pcsc_service: PcscService, context: int) -> None:
    with start("--image", "famille", "--vpcd", f"127.0.0.1:{pcsc_service.ports[0]}", "--json") as process:
        card = connect(context)
        assert send(card, "00A40000023F00") == bytes.fromhex("6118")
        assert "LEFÈVRE".encode("latin-1") in send(card, "00B0820040")
        # Said beside the exchanges, and no more once it was interrupted.
        assert process.stderr is not None
        assert "Ctrl-C removes it" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    shown = [json.loads(line) for line in out.splitlines()]
    assert [(one["command"], one["sw"], one["bytes"]) for one in shown] == [
        ("00A40000 Lc=2", "6118", 0),
        ("00B08200 Le=64", "9000", 64),
    ]
    assert "LEFÈVRE" not in out + err


@pytest.mark.pcscd
def test_a_card_that_withdraws_itself_ends_the_command(pcsc_service: PcscService, context: int) -> None:
    address = f"127.0.0.1:{pcsc_service.ports[0]}"
    with start("--image", "famille", "--vpcd", address, "--fault", "withdrawn@1") as process:
        scard.SCardTransmit(connect(context), scard.SCARD_PCI_T0, list(bytes.fromhex("00A40000023F00")))
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "withdrew itself" in err


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_the_images_are_listed(extra: tuple[str, ...]) -> None:
    done = CliRunner().invoke(sim.sim, ["card", "--list", *extra])
    assert done.exit_code == 0
    for name in image_names():
        assert name in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--image", "inconnue"),
        ("--fault", "inconnue"),
        ("--vpcd", "nowhere"),
        ("--vpcd", "127.0.0.1:0"),
        ("--vpcd", ":35963"),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(sim.sim, ["card", *arguments])
    assert done.exit_code not in {0, None}
    assert "Traceback" not in done.output


def test_the_default_is_the_default_image() -> None:
    option = next(one for one in card.card.params if one.name == "image")
    assert option.default == DEFAULT_IMAGE
