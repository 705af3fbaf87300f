"""Submitting what an application read itself, by the SDK: over a real Unix socket, and to a real daemon."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import vitale_reader
from tests.client.connections import PATIENCE, patient
from tests.client.fake_daemon import FakeDaemon, Talk
from vitale_protocol.errors import Cancelled, LocalMisuse, MediumUnsupported, PayloadInvalid, Replayed
from vitale_protocol.events import PresentationProgress
from vitale_protocol.methods import PresentationCancel, PresentationSubmit, Result
from vitale_protocol.session.session import Called
from vitale_reader.cli.demo.environment import demo_environment
from vitale_reader.client.blocking import Connection

NONCE = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def reader(daemon: FakeDaemon, home: Path) -> Iterator[Connection]:
    with vitale_reader.connect(home=home, language="en", connect_timeout=PATIENCE, call_timeout=PATIENCE) as connection:
        yield connection


def submitted(call: Called) -> PresentationSubmit:
    assert isinstance(call.params, PresentationSubmit)
    return call.params


def test_text_goes_as_text_and_bytes_in_base64(reader: Connection, daemon: FakeDaemon) -> None:
    found = reader.submit("typed\r", scopes=["identity", "payload"], purpose=["fse"])
    assert (found.medium, found.claims.reader.id) == ("apcv-qr", "submitted")
    reader.submit(b"\x00\xff")
    text, encoded = (submitted(call) for call in daemon.named("presentation.submit"))
    assert (text.payload, text.payload_b64) == ("typed\r", None)
    assert (text.scopes, text.purpose) == (("identity", "payload"), ("fse",))
    assert (encoded.payload, encoded.payload_b64) == (None, "AP8=")
    assert text.nonce != encoded.nonce


def test_its_token_is_acknowledged_or_left_to_the_caller(reader: Connection, daemon: FakeDaemon) -> None:
    reader.submit("typed")
    daemon.wait_for("outbox.ack")
    assert daemon.outbox == {}
    found = reader.submit("typed", nonce=NONCE, acknowledge=False)
    assert found.claims.nonce == NONCE
    assert [token.jti for token in reader.pending()] == [found.jti]
    found.acknowledge()
    assert daemon.outbox == {}


@pytest.mark.parametrize("error", [Replayed, PayloadInvalid, MediumUnsupported])
def test_a_refusal_is_raised_as_its_class(
    reader: Connection, daemon: FakeDaemon, error: type[Replayed | PayloadInvalid | MediumUnsupported]
) -> None:
    daemon.handlers["presentation.submit"] = lambda _, __: error("so")
    with pytest.raises(error):
        reader.submit("typed")


def test_progress_is_told_in_the_callers_thread(reader: Connection, daemon: FakeDaemon) -> None:
    def submit(talk: Talk, call: Called) -> Result:
        assert call.id is not None
        talk.notify("presentation.progress", PresentationProgress(request=call.id, step="resolving", message="…"))
        return daemon.issue(submitted(call).nonce)

    daemon.handlers["presentation.submit"] = submit
    heard: list[tuple[str, int]] = []
    reader.submit("typed", on_progress=lambda told: heard.append((told.step, threading.get_ident())))
    assert heard == [("resolving", threading.get_ident())]


def test_it_can_be_cancelled(daemon: FakeDaemon, home: Path) -> None:
    daemon.handlers["presentation.submit"] = lambda _, __: None

    async def work() -> None:
        async with vitale_reader.aio.connect(home=home) as reader:
            task = asyncio.create_task(reader.submit("typed"))
            await asyncio.to_thread(daemon.wait_for, "presentation.submit")
            reader.cancel()
            with pytest.raises(Cancelled):
                await task
            await asyncio.to_thread(daemon.wait_for, "presentation.cancel")

    asyncio.run(work())
    cancelled = daemon.named("presentation.cancel")[0].params
    assert isinstance(cancelled, PresentationCancel)
    assert cancelled.request == daemon.named("presentation.submit")[0].id


def test_a_token_that_was_issued_and_not_delivered_is_recovered(reader: Connection, daemon: FakeDaemon) -> None:
    def issue_and_die(_: Talk, call: Called) -> None:
        daemon.issue(submitted(call).nonce)
        daemon.later(daemon.talks[0].drop)

    daemon.handlers["presentation.submit"] = issue_and_die
    assert reader.submit("typed", nonce=NONCE).claims.nonce == NONCE
    assert len(daemon.named("presentation.submit")) == 1


def test_what_was_lost_on_the_way_is_submitted_again(reader: Connection, daemon: FakeDaemon) -> None:
    def die_once(talk: Talk, call: Called) -> Result | None:
        if not daemon.named("presentation.submit"):
            daemon.later(talk.drop)
            return None
        return daemon.issue(submitted(call).nonce)

    daemon.handlers["presentation.submit"] = die_once
    assert reader.submit("typed").medium == "vitale-card"
    first, second = daemon.named("presentation.submit")
    assert submitted(first) == submitted(second)


def test_text_with_half_characters_is_misuse_and_is_not_shown(reader: Connection) -> None:
    with pytest.raises(LocalMisuse) as caught:
        reader.submit("SECRET\udc80")
    assert "SECRET" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


def test_a_real_daemon_takes_each_code_of_a_phone_once() -> None:
    with demo_environment(simulated_driver=True) as station, patient(station.home) as reader:
        found = reader.submit("VITALESIM.once", scopes=["payload"])
        assert (found.medium, found.origin, found.claims.payload) == ("apcv-qr", "simulated", "VITALESIM.once")
        with pytest.raises(Replayed):
            reader.submit(b"VITALESIM.once")
