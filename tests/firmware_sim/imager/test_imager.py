"""An imager on its pseudo-terminal, read by others' programs; its faults; what a keyboard makes of it."""

import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from tests.posix import posix_only
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.imager.faults import (
    IDENTIFIERS,
    NO_FAULTS,
    Behaviour,
    ImagerFaults,
    framed,
    misread,
    parse_imager_faults,
)
from vitale_firmware_sim.imager.keyboard import Layout, typed
from vitale_protocol.errors import ConfigurationInvalid, LocalMisuse
from vitale_protocol.media.wedge import repair

pytestmark = posix_only()
assert sys.platform != "win32"

STRING = b"VITALESIM.an opaque string"
INS = b"IS01" + b"0" * 22 + b"S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU\x1dS4GARCIA"
PATIENCE = 30.0


@contextmanager
def port(imager: Imager) -> Generator[serial.Serial]:
    """The port of an imager, as any program opens it."""
    opened = serial.Serial(imager.path, 115_200, timeout=PATIENCE)
    try:
        yield opened
    finally:
        opened.close()


# ── scans ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("behaviour", "symbology", "expected"),
    [
        (Behaviour(), "qr", INS + b"\r"),
        (Behaviour(suffix=b"\r\n"), "qr", INS + b"\r\n"),
        (Behaviour(suffix=b"\n", aim=True), "qr", b"]Q1" + INS + b"\n"),
        (Behaviour(prefix=b"\x02", suffix=b"\x03", aim=True), "gs1-datamatrix", b"\x02]d2" + INS + b"\x03"),
        (Behaviour(suffix=b""), "ean", INS),
    ],
)
def test_a_scan_is_sent_as_the_imager_is_set_up(behaviour: Behaviour, symbology: str, expected: bytes) -> None:
    with Imager(behaviour) as imager, port(imager) as opened:
        imager.scan(INS, symbology)
        assert opened.read(len(expected)) == expected
        assert imager.scans == 1


def test_a_long_scan_comes_whole() -> None:
    content = bytes(range(14, 256)) * 40
    with Imager() as imager, port(imager) as opened:
        phone_user = threading.Thread(target=imager.scan, args=(content,))
        phone_user.start()
        assert opened.read(len(content) + 1) == content + b"\r"
        phone_user.join()


def test_scans_together_come_in_one_read() -> None:
    with Imager() as imager, port(imager) as opened:
        imager.scan_together([(b"one", "qr"), (b"two", "qr")])
        assert select.select([opened.fileno()], [], [], PATIENCE)[0]
        assert os.read(opened.fileno(), 4096) == b"one\rtwo\r"


def test_a_wire_is_as_slow_as_a_wire() -> None:
    with Imager(baud=9600) as imager, port(imager) as opened:
        began = time.monotonic()
        imager.scan(b"x" * 95)
        assert opened.read(96) == b"x" * 95 + b"\r"
        assert time.monotonic() - began >= 96 * 10 / 9600 * 0.9


def test_bytes_as_they_are() -> None:
    with Imager() as imager, port(imager) as opened:
        imager.send(b"\x00\xff")
        assert opened.read(2) == b"\x00\xff"
        assert imager.scans == 0


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", NO_FAULTS),
        ("tear@0", ImagerFaults(tear_after=0)),
        ("split=3, drop-gs", ImagerFaults(split=3, drop_separators=True)),
        ("no-suffix,endless", ImagerFaults(no_suffix=True, endless=True)),
        ("misread=4800", ImagerFaults(heard_at=4800)),
    ],
)
def test_the_words_of_the_faults(words: str, expected: ImagerFaults) -> None:
    assert parse_imager_faults(words) == expected


@pytest.mark.parametrize(
    "words", ["tear", "tear=3", "split=0", "misread=", "split@3", "smoke", "drop-gs=1x", "misread=0"]
)
def test_words_that_are_no_faults(words: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse_imager_faults(words)


def test_an_imager_torn_out_after_some_bytes_is_back_under_the_same_link(tmp_path: Path) -> None:
    link = tmp_path / "imager"
    with Imager(link=link) as imager:
        imager.faults = ImagerFaults(tear_after=10)
        with port(imager) as opened:
            phone_user = threading.Thread(target=imager.scan, args=(STRING,))
            phone_user.start()
            assert opened.read(10) == STRING[:10]
            phone_user.join()
            with pytest.raises(serial.SerialException):
                opened.read(1)
        assert not imager.plugged
        assert not link.is_symlink()
        assert imager.scans == 0
        with pytest.raises(LocalMisuse):
            imager.scan(STRING)
        imager.open()
        imager.open()
        with port(imager) as opened:
            imager.scan(STRING)
            assert opened.read(len(STRING) + 1) == STRING + b"\r"
        assert str(link.resolve()) == imager.path
    assert not link.is_symlink()


def test_an_endless_line_ends_with_its_imager() -> None:
    with Imager(faults=parse_imager_faults("endless")) as imager, port(imager) as opened:
        phone_user = threading.Thread(target=imager.scan, args=(STRING,))
        phone_user.start()
        assert opened.read(20_000).isalpha()
        imager.unplug()
        phone_user.join()
        assert not imager.faults.endless


def test_pieces_separators_and_the_missing_end() -> None:
    assert framed(b"a\x1db\x1ec\x1fd", "qr", Behaviour(), parse_imager_faults("drop-gs")) == b"abcd\r"
    assert framed(b"a", "qr", Behaviour(), parse_imager_faults("no-suffix")) == b"a"
    with Imager(faults=parse_imager_faults("split=3"), baud=115_200) as imager, port(imager) as opened:
        imager.scan(STRING)
        assert opened.read(len(STRING) + 1) == STRING + b"\r"


@given(st.binary(max_size=60))
def test_at_the_same_speed_nothing_is_misread(data: bytes) -> None:
    assert misread(data, 9600, 9600) == data
    # A clock may be two per cent off, at each end.
    assert misread(data, 9600, 9800) == data
    assert misread(data, 9600, 9400) == data


@given(st.binary(min_size=1, max_size=60), st.sampled_from([300, 1200, 4800, 19_200, 115_200]))
def test_at_another_speed_it_is_garbage(data: bytes, heard: int) -> None:
    assert misread(data, 9600, heard) != data or set(data) <= {0x00, 0xFF}


def test_the_link_must_be_free(tmp_path: Path) -> None:
    (tmp_path / "imager").touch()
    with pytest.raises(ConfigurationInvalid):
        Imager(link=tmp_path / "imager").open()
    with pytest.raises(LocalMisuse):
        _ = Imager().path
    with pytest.raises(LocalMisuse):
        Imager().send(b"x")
    Imager().unplug()


def test_every_identifier_is_one() -> None:
    assert all(identifier[:1] == b"]" and len(identifier) == 3 for identifier in IDENTIFIERS.values())


# ── programs that we did not write ───────────────────────────────────────────────────────────────────────────────────


def output_until(process: "subprocess.Popen[bytes]", expected: bytes, imager: Imager, content: bytes) -> bytes:
    """What a program prints; the code is scanned anew for as long as the program may not have opened the port yet."""
    assert process.stdout is not None
    printed, end = b"", time.monotonic() + PATIENCE
    while expected not in printed:
        assert time.monotonic() < end, printed
        imager.scan(content)
        if select.select([process.stdout], [], [], 0.3)[0]:
            printed += os.read(process.stdout.fileno(), 4096)
    return printed


def test_cat_reads_it() -> None:
    program = shutil.which("cat")
    if program is None:
        pytest.skip("there is no cat on this system")
    with (
        Imager(Behaviour(suffix=b"\r\n")) as imager,
        subprocess.Popen([program, imager.path], stdout=subprocess.PIPE) as process,
    ):
        try:
            assert INS + b"\r\n" in output_until(process, INS + b"\r\n", imager, INS)
        finally:
            imager.unplug()
        process.wait(PATIENCE)


def test_the_terminal_of_pyserial_reads_it() -> None:
    keyboard, end = os.openpty()
    with Imager() as imager:
        command = [sys.executable, "-m", "serial.tools.miniterm", "--raw", "--quiet", imager.path, "9600"]
        with subprocess.Popen(command, stdin=end, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            try:
                assert STRING in output_until(process, STRING, imager, STRING)
            finally:
                process.send_signal(signal.SIGKILL)
    os.close(keyboard)
    os.close(end)


# ── as a keyboard ────────────────────────────────────────────────────────────────────────────────────────────────────

INS_WHOLE = (
    b"IS01" + b"0" * 22 + b"S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU\x1dS4GARCIA\x1dS5FS601-01-1977S701154"
)
STRING_OF_PHONE = b"VITALESIM.op0xkNpLHZcprGQD5Qwhfid2n0mAeGune0jhDdna2xsqq2KLAtuprtPgSO1_Ycf9ZmTBeJaFZrY1yMQIypmW-_0"
ASCII = bytes(range(0x20, 0x7F))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"IS010000S1277010115400329", "ISà&ààààS&éèèà&à&&('àà\"éç"),
        (b"qwerty AZM;", "azerty QW?m"),
        (b"https://a.b/c?d=e_f", "httpsM!!q:b!c§d=e°f"),
        (b"[e{u[ {x^", "êü^¨x6"),
        (b"a\x1db\xe9c", "qbc"),
    ],
)
def test_what_becomes_of_a_code_on_a_french_keyboard(data: bytes, expected: str) -> None:
    assert typed(data, "fr", enter=False) == expected


def test_caps_lock_turns_letters_and_on_a_french_keyboard_digits() -> None:
    assert typed(b"Ab1", "us", caps_lock=True) == "aB1\n"
    assert typed(b"Ab1!", "fr", caps_lock=True, enter=False) == "qB1&"


@pytest.mark.parametrize("layout", get_args(Layout))
@pytest.mark.parametrize("caps_lock", [False, True])
@pytest.mark.parametrize("code", [INS_WHOLE, STRING_OF_PHONE, b"277010115400329"])
def test_what_was_typed_on_either_keyboard_is_repaired(code: bytes, layout: Layout, caps_lock: bool) -> None:
    text = typed(code, layout, caps_lock=caps_lock, separators=True)
    assert repair(text)[0] == code


def test_an_american_keyboard_types_what_was_scanned() -> None:
    assert typed(ASCII, "us", enter=False) == ASCII.decode()


def test_every_key_but_one_types_another_character_on_a_french_keyboard() -> None:
    # Dead keys are followed by a space, so that each stands alone.
    shown = [typed(bytes((byte, 0x20)), "fr", enter=False).strip() for byte in ASCII[1:]]
    assert len({text for text in shown if text}) == len(shown) - 1
    assert shown[ASCII[1:].index(b"~")] == ""
