"""``vitale-reader sim imager``, as an integrator runs it: a process of its own, and pyserial at its port."""

# pyright: reportPrivateUsage=false

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import serial
from click.testing import CliRunner

from vitale_firmware_sim.apcv_service.contexts import ServiceContexts
from vitale_firmware_sim.phone.application import QR_RENEWS_EVERY
from vitale_firmware_sim.phone.strings import StringSealer
from vitale_firmware_sim.scenario import load_scenario
from vitale_firmware_sim.serial.pseudo_terminal import PseudoTerminal
from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.cli.sim import group as sim
from vitale_reader.cli.sim import imager

PATIENCE = 40.0
CODE = b"VITALESIM.un code scann\xc3\xa9\x1davec son s\xc3\xa9parateur"


@contextmanager
def started(*arguments: str) -> Generator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        (sys.executable, "-m", "vitale_reader", "--language", "en", "sim", "imager", "--json", *arguments),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def type_in(process: "subprocess.Popen[bytes]", line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line + b"\n")
    process.stdin.flush()


def stop(process: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err


@contextmanager
def port(path: str) -> Generator[Callable[[bytes], bytes]]:
    """Reads a serial port up to a mark."""
    opened = serial.Serial(path, timeout=PATIENCE)

    def until(mark: bytes) -> bytes:
        found = b""
        while not found.endswith(mark):
            piece = opened.read(1)
            assert piece, found
            found += piece
        return found

    try:
        yield until
    finally:
        opened.close()


def whole(until: Callable[[bytes], bytes], mark: bytes) -> Iterator[bytes]:
    """Codes that come by themselves; whoever opens the port may do so in the middle of the first."""
    until(mark)
    while True:
        yield until(mark)


@pytest.mark.posix("it is played at a pseudo-terminal")
def test_each_line_is_a_code_for_any_program_and_is_not_shown(tmp_path: Path) -> None:
    link = tmp_path / "imager"
    with started("--link", str(link), "--suffix", "crlf", "--aim", "--symbology", "datamatrix") as process:
        path = said(process)["path"]
        assert path == str(link)
        with port(path) as until:
            type_in(process, CODE)
            assert until(b"\r\n") == b"]d1" + CODE + b"\r\n"
        assert said(process) == {"scanned": True, "symbology": "datamatrix", "bytes": len(CODE)}
        out, err = stop(process)
    assert CODE not in out + err
    assert b"Ctrl-C ends it" in err
    assert not link.is_symlink()


@pytest.mark.posix("it is played at a pseudo-terminal")
def test_the_screens_of_phones_take_turns_and_their_codes_are_good_at_the_service() -> None:
    scenario = load_scenario()
    contexts, sealer = ServiceContexts(scenario, map(str, range(100)).__next__), StringSealer(scenario.secret)
    with started("--phone", "claire", "--phone", "paul") as process, port(said(process)["path"]) as until:
        codes: list[bytes] = []
        for _ in range(3):
            type_in(process, b"")
            codes.append(until(b"\r")[:-1])
        stop(process)
    assert [sealer.open(code).owner for code in codes] == ["claire", "paul", "claire"]
    records = [contexts.authenticate(code, sealer.open(code).made_at).record for code in codes[:2]]
    assert [next(one.prenom for one in record.beneficiaires or ()) for record in records] == ["CLAIRE", "PAUL"]


def test_a_screen_shows_the_same_code_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(time=lambda: 1_800_000_000.0)
    monkeypatch.setattr(imager, "time", clock)
    screen = imager._screen("famille", "claire")
    code = screen()
    clock.time = lambda: 1_800_000_000.0 + QR_RENEWS_EVERY - 0.1
    assert screen() == code
    clock.time = lambda: 1_800_000_000.0 + QR_RENEWS_EVERY
    assert screen() != code


@pytest.mark.posix("a process is sent a signal")
def test_it_scans_by_itself_and_stays_when_its_input_ends() -> None:
    with started("--phone", "claire", "--every", "0.1", "--prefix", "stx", "--suffix", "etx") as process:
        with port(said(process)["path"]) as until:
            assert process.stdin is not None
            process.stdin.close()
            assert [code[:1] for code in islice(whole(until, b"\x03"), 3)] == [b"\x02"] * 3
        process.stdin = None
        stop(process)


@pytest.mark.posix("a process is sent a signal")
def test_it_scans_codes_in_turns_with_their_separators() -> None:
    arguments = ("--code", "01…<GS>21x", "--code", "3000012", "--aim", "--symbology", "gs1-datamatrix")
    with started(*arguments, "--every", "0.1") as process:
        with port(said(process)["path"]) as until:
            seen = {*islice(whole(until, b"\r"), 3)}
        stop(process)
    assert seen == {"]d201…\x1d21x\r".encode(), b"]d23000012\r"}


@pytest.mark.posix("a process is sent a signal")
def test_it_has_the_manners_of_a_maker() -> None:
    with started("--maker", "zebra", "--eci", "--suffix", "tab", "--code", r"a\b", "--every", "0.1") as process:
        with port(said(process)["path"]) as until:
            assert next(whole(until, b"\t")) == rb"P01\000026a\\b" + b"\t"
        stop(process)


@pytest.mark.posix("it is played at a pseudo-terminal")
def test_torn_out_it_is_back_at_the_next_line(tmp_path: Path) -> None:
    link = tmp_path / "imager"
    with started("--link", str(link), "--fault", "tear@5") as process:
        said(process)
        with port(str(link)) as until:
            type_in(process, CODE)
            assert until(CODE[4:5]) == CODE[:5]
        assert said(process)["scanned"] is False
        assert not link.is_symlink()
        type_in(process, b"first")
        assert said(process)["scanned"] is True
        with port(str(link)) as until:
            type_in(process, CODE)
            assert until(b"\r") == CODE + b"\r"
        _, err = stop(process)
    assert b"The imager left" in err
    assert b"plugged in again" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--scenario", "inconnu", "--phone", "claire"),
        ("--phone", "inconnu"),
        ("--fault", "inconnue"),
        ("--baud", "12"),
        ("--link", "/"),
        ("--suffix", "runes"),
        ("--symbology", "runes"),
        ("--every", "1"),
        ("--maker", "nobody"),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(sim.sim, ["imager", *arguments])
    assert done.exit_code not in {0, None}
    assert "Traceback" not in done.output


def test_without_pseudo_terminals_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> PseudoTerminal:
        raise ConfigurationInvalid("this system has no pseudo-terminals", data={"path": "sim"})

    monkeypatch.setattr("vitale_firmware_sim.serial.line.open_pseudo_terminal", none)
    done = CliRunner().invoke(sim.sim, ["imager"])
    assert done.exit_code not in {0, None}
    assert "Traceback" not in done.output
