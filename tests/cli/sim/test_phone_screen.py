"""``vitale-reader sim phone --screen``, as an integrator runs it: a process of its own, and its page."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
import zxingcpp
from click.testing import CliRunner
from PIL import Image, ImageDraw

from vitale_firmware_sim.phone import screen_page as phone_screen
from vitale_reader.cli.frame import output
from vitale_reader.cli.sim import group as sim
from vitale_reader.cli.sim import phone_screen as sim_screen


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        (sys.executable, "-m", "vitale_reader", "--language", "en", "sim", "phone", "--screen", *arguments),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def told(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("GET", parts.path + "state.json")
    state: dict[str, object] = json.loads(connection.getresponse().read())
    connection.close()
    return state


def stop(process: "subprocess.Popen[str]") -> str:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out + err


@pytest.mark.posix("a process is sent a signal")
@pytest.mark.parametrize(
    ("arguments", "screen", "name"),
    [
        ((), "shown", "CLAIRE MERLE-ESSAI"),
        (("--porteur", "1"), "shown", "LÉA MERLE-ESSAI"),
        (("--for", "yvonne"), "shown", "YVONNE ESSAI"),
        (("--locked", "--porteur", "9"), "locked", ""),
        (("--phone", "lina", "--enrol"), "shown", "LINA PINSON-ESSAI"),
    ],
)
def test_the_page_is_where_it_says(arguments: tuple[str, ...], screen: str, name: str) -> None:
    with start("--json", *arguments) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        state = told(url)
        rest = stop(process)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
    assert (state["screen"], state["name"]) == (screen, name)
    assert "ESSAI" not in rest


def test_for_people_it_is_told_in_words() -> None:
    with start("--lan", "127.0.0.1") as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{22}/", line)
        assert found is not None
        assert told(found[0])["screen"] == "shown"
        assert "knows this address" in process.stderr.readline()
        stop(process)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--lan", "0.0.0.0"), 2),  # noqa: S104  refused
        (("--lan", "8.8.8.8"), 2),
        (("--lan", "comptoir"), 2),
        (("--port", "70000"), 2),
        (("--phone", "hugo"), 2),
        (("--porteur", "9"), 2),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, ...], status: int) -> None:
    done = CliRunner().invoke(sim.sim, ["phone", "--screen", *arguments])
    assert done.exit_code == status
    assert "Traceback" not in done.output


def test_the_address_is_drawn_for_the_phone_that_is_to_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "interactive", lambda: True)
    monkeypatch.setattr(sim_screen, "time", Ended)
    monkeypatch.setattr(phone_screen, "lan_address", {"10.0.0.1": "127.0.0.1"}.__getitem__)
    done = CliRunner().invoke(sim.sim, ["phone", "--screen", "--lan", "10.0.0.1"])

    rows = [line for line in done.output.splitlines() if set(line) & set("█▀▄")]
    image = Image.new("L", (len(rows[0]), 2 * len(rows)), 0)
    draw = ImageDraw.Draw(image)
    for y, row in enumerate(rows):
        for x, character in enumerate(row):
            if character in "█▀":
                draw.point((x, 2 * y), 255)
            if character in "█▄":
                draw.point((x, 2 * y + 1), 255)
    (code,) = zxingcpp.read_barcodes(image.resize((image.width * 4, image.height * 4)))
    assert code.text in done.output.replace("\n", " ")
    assert code.text.startswith("http://127.0.0.1:")


class Ended:
    """A clock whose user presses Ctrl-C at once."""

    @staticmethod
    def time() -> float:
        return 1_800_000_000.0

    @staticmethod
    def sleep(_: float) -> None:
        raise KeyboardInterrupt
