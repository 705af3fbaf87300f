"""``vitale-reader sim reader``, as an integrator runs it: a process of its own, and nfcpy at its port."""

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vitale_firmware_sim.serial.pseudo_terminal import PseudoTerminal
from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.media.apcv_profile import SIMULATOR_AID
from vitale_reader.cli.sim import group as sim

PATIENCE_MS = 60_000


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        (sys.executable, "-m", "vitale_reader", "--language", "en", "sim", "reader", "--json", *arguments),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def path_of(process: "subprocess.Popen[str]") -> str:
    """The port, once all was said of it: nothing more is, where it is interrupted."""
    assert process.stdout is not None
    assert process.stderr is not None
    path = json.loads(process.stdout.readline())["path"]
    assert isinstance(path, str)
    assert "Ctrl-C ends it" in process.stderr.readline()
    return path


def stop(process: "subprocess.Popen[str]") -> tuple[list[dict[str, Any]], str]:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()], err


def patient_line(path: str) -> Any:
    """A line of nfcpy's, which waits for 100 ms by itself: a chip in another process may have its turn later."""
    line: Any = importlib.import_module("nfc.clf.transport").TTY

    def read(self: Any, timeout: float) -> Any:
        return line.read(self, max(timeout, PATIENCE_MS))

    return type("PatientLine", (line,), {"read": read})(path)


def read(path: str) -> list[bytes]:
    """What nfcpy gets for SELECT and GET DATA; empty where nothing lies on the reader."""
    nfc: Any = importlib.import_module("nfc")
    pn532: Any = importlib.import_module("nfc.clf.pn532")
    frontend = nfc.ContactlessFrontend()
    frontend.device = pn532.init(patient_line(path))
    try:
        target = frontend.sense(nfc.clf.RemoteTarget("106A"))
        if target is None:
            return []
        tag = nfc.tag.activate(frontend, target)
        select = tag.send_apdu(0x00, 0xA4, 0x04, 0x00, SIMULATOR_AID, mrl=256, check_status=False)
        data = tag.send_apdu(0x00, 0xCA, 0x00, 0x5E, mrl=256, check_status=False)
        return [bytes(select), bytes(data)]
    finally:
        frontend.close()


@pytest.mark.posix("it is played at a pseudo-terminal")
def test_a_phone_for_any_program_shown_without_its_data() -> None:
    with start("--phone", "claire") as process:
        select, data = read(path_of(process))
        shown, err = stop(process)
    assert (select[-2:], data[:1], data[-2:]) == (b"\x90\x00", b"\x5e", b"\x90\x00")
    assert [(one["command"], one["sw"]) for one in shown] == [
        ("00A40400 Lc=10 Le=256", "9000"),
        ("00CA005E Le=256", "9000"),
    ]
    assert data[3:-2].decode() not in err


@pytest.mark.posix("it is played at a pseudo-terminal")
def test_a_link_and_a_locked_phone(tmp_path: Path) -> None:
    link = tmp_path / "ttyUSB0"
    with start("--link", str(link), "--locked", "--baud", "agreed") as process:
        assert path_of(process) == str(link)
        assert read(str(link)) == [b"\x69\x85", b"\x6a\x82"]
        stop(process)
    assert not link.is_symlink()


@pytest.mark.posix("it is played at a pseudo-terminal")
def test_a_phone_that_tears_itself_away_leaves_the_reader_behind() -> None:
    with start("--fault", "tear@5") as process:
        path = path_of(process)
        assert read(path) == []
        assert process.stderr is not None
        assert any("The phone left" in line for line in process.stderr)
        assert read(path) == []
        stop(process)


@pytest.mark.posix("it is played at a pseudo-terminal")
def test_an_empty_reader() -> None:
    with start("--empty", "--baud", "921600") as process:
        assert read(path_of(process)) == []
        stop(process)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--scenario", "inconnu"),
        ("--phone", "inconnu"),
        ("--fault", "inconnue"),
        ("--baud", "vite"),
        ("--baud", "12"),
        ("--link", "/"),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(sim.sim, ["reader", *arguments])
    assert done.exit_code not in {0, None}
    assert "Traceback" not in done.output


def test_without_pseudo_terminals_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> PseudoTerminal:
        raise ConfigurationInvalid("this system has no pseudo-terminals", data={"path": "sim"})

    monkeypatch.setattr("vitale_firmware_sim.serial.line.open_pseudo_terminal", none)
    done = CliRunner().invoke(sim.sim, ["reader", "--empty"])
    assert done.exit_code not in {0, None}
    assert "Traceback" not in done.output
