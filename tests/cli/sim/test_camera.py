"""``vitale-reader sim camera``: videos that are opened, and a network camera as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import zxingcpp
from click.testing import CliRunner

from vitale_firmware_sim.camera.scene import KINDS
from vitale_firmware_sim.camera.sequence import SEQUENCES
from vitale_firmware_sim.phone.strings import StringSealer
from vitale_firmware_sim.scenario import load_scenario
from vitale_reader.cli.sim import group as sim

SMALL = ("--size", "640x480", "--grey")


def codes_in(opened: "cv2.VideoCapture", frames: int) -> list[bytes]:
    codes: list[bytes] = []
    for _ in range(frames):
        good, picture = opened.read()
        if not good:
            break
        codes += [bytes(symbol.bytes) for symbol in zxingcpp.read_barcodes(np.asarray(picture))]
    return codes


def test_a_video_of_a_phone(tmp_path: Path) -> None:
    file = tmp_path / "phone.avi"
    arguments = ("--file", str(file), "--sequence", "still", "--seconds", "0.5", "--phone", "paul", "--json")
    done = CliRunner().invoke(sim.sim, ["camera", *arguments])

    told = json.loads(done.stdout)
    assert (told["frames"], told["width"], told["height"], told["fps"]) == (15, 1280, 720, 30)
    assert (told["phone"], told["codes"]) == ("paul", 1)
    (code,) = set(codes_in(cv2.VideoCapture(str(file)), 20))
    assert StringSealer(load_scenario().secret).open(code).owner == "paul"
    assert code.decode() not in done.output
    assert "Frames…" in done.stderr


def test_a_film_of_a_difficulty_says_how_much_of_it_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "phone.AVI"
    arguments = ("--file", str(file), *SMALL, "--seconds", "1.2", "--kind", "size+dark_mode", "--severity", "medium")
    done = CliRunner().invoke(sim.sim, ["camera", *arguments])

    assert done.exit_code == 0
    assert "30 of 36" in done.stderr
    assert "36 frames" in done.stderr
    assert cv2.VideoCapture(str(file)).get(cv2.CAP_PROP_FRAME_WIDTH) == 640


@pytest.mark.posix("a process is sent a signal")
def test_a_network_camera() -> None:
    process = subprocess.Popen(
        (sys.executable, "-m", "vitale_reader", "--language", "en", "sim", "camera", "--serve", "--json", "--grey"),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        assert json.loads(process.stdout.readline()) == {"code": 1}
        codes = set(codes_in(cv2.VideoCapture(url, cv2.CAP_FFMPEG), 15))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    # The phone renews its code: whoever looks for long sees more than one.
    sealer = StringSealer(load_scenario().secret)
    assert {sealer.open(code).owner for code in codes} == {"claire"}
    assert [code for code in codes if code.decode() in out + err] == []


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_difficulties_and_gestures_are_listed(extra: tuple[str, ...]) -> None:
    done = CliRunner().invoke(sim.sim, ["camera", "--list", *extra])
    assert done.exit_code == 0
    for name in (*KINDS, *SEQUENCES, "light", "size+blur"):
        assert name in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--file", "x.avi", "--serve"),
        ("--serve", "--sequence", "still"),
        ("--serve", "--seconds", "3"),
        ("--serve", "--kind", "fog"),
        ("--serve", "70000"),
        ("--file", "x.mp4"),
        ("--file", "x.avi", "--kind", "fog"),
        ("--file", "x.avi", "--sequence", "waltz"),
        ("--file", "x.avi", "--size", "12x12"),
        ("--file", "x.avi", "--size", "large"),
        ("--file", "x.avi", "--phone", "nobody"),
        ("--file", "x.avi", "--phone", "lina"),
        ("--file", "x.avi", "--scenario", "inconnu"),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(sim.sim, ["camera", *arguments])
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert [] == list(tmp_path.iterdir())
