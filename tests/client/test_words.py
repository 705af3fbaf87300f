"""Errors of the SDK speak the language of the connection, and say what to do."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import vitale_reader
from tests.client.connections import not_again
from tests.client.fake_daemon import FakeDaemon
from vitale_protocol import catalogue
from vitale_protocol.catalogue import LANGUAGES, Language
from vitale_protocol.errors import AmbiguousMedium, Choice, DaemonUnreachable, JsonValue, MediumMute, VitaleError
from vitale_reader import Connection
from vitale_reader.client.connection import Connection as AsyncConnection

# Every call that can be made wrongly, or at a time when it cannot succeed.
CALLS: dict[str, Callable[[Connection], object]] = {
    "read": lambda reader: reader.read(),
    "read too long": lambda reader: reader.read(timeout=601),
    "submit": lambda reader: reader.submit("typed"),
    "submit half a character": lambda reader: reader.submit("\udc80"),
    "subscribe": lambda reader: next(reader.subscribe()),
    "lease": lambda reader: reader.lease("pcsc:one").__enter__(),
    "lease for too long": lambda reader: reader.lease("pcsc:one", ttl=61).__enter__(),
    "watch": lambda reader: next(reader.watch()),
    "wait_until_empty": lambda reader: reader.wait_until_empty("pcsc:one"),
    "acknowledge": lambda reader: reader.acknowledge("jti"),
    "pending": lambda reader: reader.pending(),
    "readers": lambda reader: reader.readers(),
    "restore_context": lambda reader: reader.restore_context("x"),
    "rotate_keys": lambda reader: reader.rotate_keys(),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("call", CALLS)
def test_every_error_has_words_in_the_language_of_the_connection(
    daemon: FakeDaemon, home: Path, call: str, language: Language
) -> None:
    with Connection(not_again(home, language=language)) as reader:
        daemon.stop()
        with pytest.raises(VitaleError) as caught:
            CALLS[call](reader)
    error = caught.value
    words = catalogue.text(error.reason, language, error.variant)
    assert (words.title, words.cause, words.remedy) == (error.title, error.cause, error.remedy)
    assert str(error).startswith(f"{words.title}. {words.remedy} ({error.reason}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_so_it_is_before_and_after_the_connection(home: Path, language: Language) -> None:
    reader = vitale_reader.connect(home=home, language=language, connect_timeout=0)
    with pytest.raises(VitaleError) as closed:
        reader.ping()
    with pytest.raises(VitaleError) as unreachable:
        reader.open()
    with pytest.raises(VitaleError) as unpaired:
        vitale_reader.connect(pairing=home / "none", language=language)
    assert [language] * 3 == [each.value.language for each in (closed, unreachable, unpaired)]


def test_so_it_is_in_asyncio(daemon: FakeDaemon, home: Path) -> None:
    async def work() -> list[Language | None]:
        found: list[Language | None] = []
        async with AsyncConnection(not_again(home, language="en")) as reader:
            await asyncio.to_thread(daemon.stop)
            for call in (reader.read, reader.ping, reader.pending, lambda: reader.read(timeout=0)):
                with pytest.raises(VitaleError) as caught:
                    await call()
                found.append(caught.value.language)
        return found

    assert ["en"] * 4 == asyncio.run(work())


def test_what_the_daemon_told_is_told(daemon: FakeDaemon, home: Path) -> None:
    daemon.handlers["presentation.request"] = lambda _, __: MediumMute()
    with vitale_reader.connect(home=home, language="fr") as reader, pytest.raises(MediumMute) as caught:
        reader.read()
    told = (caught.value.data["message"], caught.value.data["cause"], caught.value.data["remedy"])
    assert told == (caught.value.title, caught.value.cause, caught.value.remedy)


def test_without_a_connection_they_are_for_logs_and_speak_french() -> None:
    error = DaemonUnreachable("so")
    assert str(error) == "daemon_unreachable: so"
    assert error.title == catalogue.text("daemon_unreachable", "fr").title
    assert VitaleError("so").title == "Erreur"


def test_choices_are_typed(daemon: FakeDaemon, home: Path) -> None:
    listed: list[JsonValue] = [{"reader": "a", "name": "Lecteur A", "medium": "vitale-card"}, {"reader": "b"}]
    daemon.handlers["presentation.request"] = lambda _, __: AmbiguousMedium(data={"choices": listed})
    with vitale_reader.connect(home=home) as reader, pytest.raises(AmbiguousMedium) as caught:
        reader.read()
    assert (Choice("a", "Lecteur A", "vitale-card"), Choice("b", "b", None)) == caught.value.choices
    assert AmbiguousMedium().choices == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_that_dies_of_it_shows_the_remedy_and_little_else(home: Path, language: Language) -> None:
    program = (
        "import vitale_reader\n"
        f"with vitale_reader.connect(home={str(home)!r}, language={language!r}, connect_timeout=0) as reader:\n"
        "    reader.read()\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program], capture_output=True, encoding="utf-8", timeout=90, check=False
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert catalogue.text("daemon_unreachable", language).remedy in lines[-1]
    assert "FileNotFoundError" in done.stderr, "why is kept"
    assert len(lines) <= 24, done.stderr
