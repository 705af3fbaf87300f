"""``vitale-reader sim imager``, as an integrator runs it: a process of its own, and pyserial at its port."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import serial
from click.testing import CliRunner

from vitale_firmware_sim.apcv_service.contexts import ServiceContexts
from vitale_firmware_sim.scenario import load_scenario
from vitale_firmware_sim.serial.pseudo_terminal import PseudoTerminal
from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.cli.sim import group as sim

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
    out, err = process.communicate(timeout=20)
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


def test_the_screens_of_phones_take_turns_and_their_codes_are_good_at_the_service() -> None:
    contexts = ServiceContexts(load_scenario(), map(str, range(100)).__next__)
    with started("--phone", "claire", "--phone", "paul") as process, port(said(process)["path"]) as until:
        codes: list[bytes] = []
        for _ in range(3):
            type_in(process, b"")
            codes.append(until(b"\r")[:-1])
        assert codes[2] == codes[0], "the screen shows the same code for a while"
        records = [contexts.authenticate(code, time.time()).record for code in codes[:2]]
        stop(process)
    assert [next(one.prenom for one in record.beneficiaires or ()) for record in records] == ["CLAIRE", "PAUL"]


def test_it_scans_by_itself_and_stays_when_its_input_ends() -> None:
    with started("--phone", "claire", "--every", "0.1", "--prefix", "stx", "--suffix", "etx") as process:
        with port(said(process)["path"]) as until:
            assert process.stdin is not None
            process.stdin.close()
            assert [until(b"\x03")[:1] for _ in range(3)] == [b"\x02"] * 3
        process.stdin = None
        stop(process)


def test_it_scans_codes_in_turns_with_their_separators() -> None:
    arguments = ("--code", "01…<GS>21x", "--code", "3000012", "--aim", "--symbology", "gs1-datamatrix")
    with started(*arguments, "--every", "0.1") as process:
        with port(said(process)["path"]) as until:
            seen = {until(b"\r") for _ in range(3)}
        stop(process)
    assert seen == {"]d201…\x1d21x\r".encode(), b"]d23000012\r"}


def test_it_has_the_manners_of_a_maker() -> None:
    with started("--maker", "zebra", "--eci", "--suffix", "tab", "--code", r"a\b", "--every", "0.1") as process:
        with port(said(process)["path"]) as until:
            assert until(b"\t") == rb"P01\000026a\\b" + b"\t"
        stop(process)


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
