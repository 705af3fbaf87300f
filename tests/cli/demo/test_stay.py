"""The demonstration that stays: its devices are played by whoever is at the dashboard, until Ctrl-C."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.events import SimulatorPlace
from vitale_protocol.methods import DeskWatched, Done, Empty, SimPlay
from vitale_reader import aio
from vitale_reader.cli.demo import stay
from vitale_reader.cli.demo.environment import DemoEnvironment
from vitale_reader.cli.demo.simulator_controls import SimulatedPlace, SimulatorControls
from vitale_reader.cli.root import root
from vitale_reader.client.reconnecting import ReconnectingTransport, settings_of

pytestmark = pytest.mark.timeout(400)


def refuses(_: str) -> None:
    raise ConfigurationInvalid("no such image")


def breaks(_: str) -> None:
    raise OSError("the line is gone")


def test_the_hand_does_what_it_is_told_and_knows_what_is_there() -> None:
    done: list[str] = []
    slot = SimulatedPlace("card", ("adulte",), lambda thing: done.append(f"put {thing}"), lambda: done.append("took"))
    imager = SimulatedPlace("scan", ("claire",), lambda thing: done.append(f"scanned {thing}"))
    controls = SimulatorControls({"slot": slot, "imager": imager})

    assert ["", "", ""] == [
        controls.act("slot", "adulte"),
        controls.act("imager", "claire"),
        controls.act("imager", None),
    ]
    assert (
        SimulatorPlace(place="slot", kind="card", things=("adulte",), holds="adulte"),
        SimulatorPlace(place="imager", kind="scan", things=("claire",)),
    ) == controls.told
    assert "" == controls.act("slot", None)
    assert [None, None] == [place.holds for place in controls.told]
    assert ["put adulte", "scanned claire", "took"] == done


def test_a_hand_that_fails_says_why_and_leaves_all_as_it_was() -> None:
    controls = SimulatorControls(
        {
            "slot": SimulatedPlace("card", ("x",), refuses, lambda: None),
            "imager": SimulatedPlace("scan", ("y",), breaks),
        }
    )
    assert ["no such image", "the line is gone"] == [controls.act("slot", "x"), controls.act("imager", "y")]
    assert [None, None] == [place.holds for place in controls.told]


def test_what_renews_itself_is_shown_anew_while_it_is_there() -> None:
    shown: list[str] = []
    controls = SimulatorControls(
        {"camera": SimulatedPlace("screen", ("claire",), shown.append, lambda: None, shown.append)}
    )
    controls.renew()
    controls.act("camera", "claire")
    controls.renew()
    controls.act("camera", None)
    controls.renew()
    assert ["claire", "claire"] == shown


@pytest.mark.parametrize("option", ["--print", "--ip"])
def test_how_the_dashboard_opens_is_said_of_one_that_does(option: str) -> None:
    done = CliRunner().invoke(root, ["--language", "fr", "demo", option])
    assert (2, True) == (done.exit_code, "--dashboard" in done.output)


@pytest.mark.posix
def test_everything_is_played_until_it_is_ended() -> None:
    command = ("-m", "vitale_reader", "demo", "--no-pcscd", "--dashboard", "--print", "--json")
    with subprocess.Popen((sys.executable, *command), stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        try:
            told: dict[str, Any] = json.loads(demo.stdout.readline())
            assert told["url"].startswith("http://desk-")
            with socket.create_connection(("127.0.0.1", told["web_port"]), timeout=60):
                pass  # pages of this machine may come
            asyncio.run(plays(told["home"]))
        finally:
            demo.send_signal(signal.SIGINT)
            assert 0 == demo.wait(60)


@pytest.mark.parametrize(("found", "called"), [("somewhere", "vitale-reader"), (None, ".venv/bin/vitale-reader")])
def test_it_says_how_a_token_comes_of_it(
    found: str | None, called: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a command that is found as this one was, in the home of this station."""
    monkeypatch.setattr(sys, "argv", [".venv/bin/vitale-reader"])
    monkeypatch.setattr(shutil, "which", {"vitale-reader": found}.get)
    environment = SimpleNamespace(home="/tmp/demo/home", endpoints=SimpleNamespace(web=None))

    stay._explain(cast("DemoEnvironment", environment))  # pyright: ignore[reportPrivateUsage]

    assert f"  export VITALE_READER_HOME=/tmp/demo/home\n  {called} read\n" in capsys.readouterr().err


async def plays(home: str) -> None:
    desk = ReconnectingTransport(settings_of(home=home), lambda _name, _event: None)
    try:
        places = (await desk.ask("desk.watch", Empty(), DeskWatched)).desk.simulators
        assert "slot" in [place.place for place in places]
        async with aio.connect(home=home) as program:
            reading = asyncio.create_task(program.read(media=["vitale-card"], timeout=60))
            # Whether it lies there before it is asked for or after does not matter.
            await desk.ask_service("sim.play", SimPlay(place="slot", thing="adulte"), Done)
            assert "simulated" == (await reading).claims.origin
    finally:
        await desk.close()
