"""``watch`` outlives two cards, ``readers --watch`` a restart of the daemon; ``read`` asks for its media."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.client.fake_daemon import READER, FakeDaemon, Talk
from vitale_protocol.errors import AmbiguousMedium, JsonValue, NoReader, VitaleError
from vitale_protocol.events import ReaderEvent
from vitale_protocol.methods import Result
from vitale_protocol.session.session import Called
from vitale_reader.client import reconnecting
from vitale_reader.client.blocking import Connection
from vitale_reader.client.connection import Settings

pytestmark = pytest.mark.posix

OTHER = msgspec.structs.replace(READER, id="pcsc:two", name="Lecteur 2")


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with tempfile.TemporaryDirectory(prefix="vr-") as folder:  # short, for the socket
        fake = FakeDaemon(Path(folder))
        fake.start()
        yield fake
        fake.close()


@contextmanager
def running(daemon: FakeDaemon, *arguments: str) -> "Generator[subprocess.Popen[str]]":
    environ = {**os.environ, "VITALE_READER_HOME": str(daemon.home.config.parent), "PYTHONIOENCODING": "utf-8"}
    command = (sys.executable, "-m", "vitale_reader", *arguments)
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_watch_goes_on_when_either_of_two_cards_is_taken_out(daemon: FakeDaemon) -> None:
    daemon.readers = tuple(msgspec.structs.replace(each, state="present") for each in (READER, OTHER))
    choices: list[JsonValue] = [
        {"reader": each.id, "name": each.name, "medium": "vitale-card"} for each in daemon.readers
    ]
    answers: list[VitaleError] = [AmbiguousMedium(data={"choices": choices}), NoReader()]

    def request(_: Talk, __: Called) -> Result | VitaleError:
        return answers.pop(0)

    daemon.handlers["presentation.request"] = request
    with running(daemon, "watch", "--json") as watch:
        assert watch.stdout is not None
        assert json.loads(watch.stdout.readline())["error"]["reason"] == "ambiguous_medium"
        (talk,) = daemon.talks
        emptied = ReaderEvent(reader=msgspec.structs.replace(OTHER, state="empty"))
        daemon.later(lambda: talk.notify("reader.changed", emptied))
        assert json.loads(watch.stdout.read())["error"]["reason"] == "no_reader"
        assert watch.wait(60) == 6


def test_the_readers_are_followed_over_a_restart_that_takes_its_time(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def counted(*arguments: object) -> object:
        nonlocal tries
        tries += 1
        if tries == 10:  # after these pauses the patience of a first connection is over
            daemon.start()
        return resolve(*arguments)

    resolve: Callable[..., object] = reconnecting.__dict__["resolve"]
    settings = Settings(home=daemon.home, connect_timeout=0.01, call_timeout=100.0, reconnect_timeout=100.0)
    with Connection(settings) as client:
        changes = client.watch()
        assert next(changes).kind == "added"
        daemon.readers = (READER, OTHER)
        monkeypatch.setattr(reconnecting, "resolve", counted)
        daemon.stop()
        assert next(changes).reader == OTHER
    assert tries >= 10


@pytest.mark.parametrize(
    ("media", "asked"),
    [
        ((), "Insérez la carte Vitale ou présentez le téléphone."),
        (("cps-card",), "Insérez la carte de professionnel."),
        (("ins-datamatrix", "2d-doc"), "Scannez le Datamatrix INS, ou scannez le code 2D-Doc."),
    ],
)
def test_what_is_read_is_asked_for(media: tuple[str, ...], asked: str, daemon: FakeDaemon) -> None:
    daemon.handlers["presentation.request"] = lambda _, __: NoReader()
    options = [word for medium in media for word in ("--media", medium)]
    with running(daemon, "--language", "fr", "read", *options) as read:
        assert read.stderr is not None
        assert read.stderr.readline().rstrip("\n") == asked
