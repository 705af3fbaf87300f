"""Whatever goes on for as long as the daemon runs: a fault in one round is an incident, and the next round comes."""

# Rounds are made to fail where nothing of a desk could.
# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon import app, lifecycle
from vitale_reader.daemon.fairness.audit_queue import Notes
from vitale_reader.daemon.issuing.contexts import Contexts
from vitale_reader.daemon.site import external_changes, listener
from vitale_reader.daemon.site.external_changes import ExternalChanges
from vitale_reader.daemon.site.listener import SiteListener
from vitale_reader.daemon.workers.heartbeat import Beat
from vitale_reader.daemon.workers.worker import Worker

#: Whatever is not used: a store, a registry, a clock.
NOBODY = cast("Any", None)

Work = Coroutine[Any, Any, object]


class Rounds:
    """Rounds of which the first one fails."""

    def __init__(self) -> None:
        self.count = 0
        self.second = asyncio.Event()

    def begin(self, *_: object, **__: object) -> Any:
        self.count += 1
        if self.count == 1:
            raise ZeroDivisionError
        self.second.set()

    async def take(self, *_: object, **__: object) -> Any:
        await asyncio.sleep(0)
        return self.begin()


Loop = Callable[[Rounds, pytest.MonkeyPatch], Work]


def cleaning(rounds: Rounds, patch: pytest.MonkeyPatch) -> Work:
    patch.setattr(app, "PURGE_INTERVAL", 0.0)
    return app._clean(cast("Any", SimpleNamespace(purge=rounds.take)))


def expiring_contexts(rounds: Rounds, patch: pytest.MonkeyPatch) -> Work:
    def at_once(_: Contexts) -> float:
        return 0.0

    patch.setattr(Contexts, "_until_next", at_once)
    patch.setattr(Contexts, "_attend", rounds.take)
    return Contexts(NOBODY, NOBODY, NOBODY, station="s", mode="simulated", notify=NOBODY, clock=NOBODY).watch()


def changes(rounds: Rounds, patch: pytest.MonkeyPatch) -> Work:
    patch.setattr(external_changes, "LOOK", 0.0)
    patch.setattr(ExternalChanges, "look", rounds.take)
    due = asyncio.Event()
    return ExternalChanges(
        NOBODY, NOBODY, NOBODY, None, clock=NOBODY, revoked=NOBODY, called=lambda: False, due=due
    ).watch()


def home(rounds: Rounds, patch: pytest.MonkeyPatch) -> Work:
    patch.setattr(lifecycle, "WATCHING", 0.0)
    patch.setattr(lifecycle.HeldHome, "look", rounds.begin)
    return lifecycle.HeldHome(()).watch()


def beats(rounds: Rounds, patch: pytest.MonkeyPatch) -> Work:
    async def look(_: bool) -> None:
        raise StoreUnavailable("away")

    patch.setattr(listener, "BEAT", 0.0)
    return SiteListener("", (), look=look, away=rounds.begin, hear=NOBODY).watch()


def notifications(rounds: Rounds, patch: pytest.MonkeyPatch) -> Work:
    patch.setattr(listener, "RECONNECT", 0.0)
    patch.setattr(SiteListener, "_connected", rounds.take)
    return SiteListener("postgresql://nowhere/none", (), look=NOBODY, away=NOBODY, hear=NOBODY).listen()


def audit_lines(rounds: Rounds, _: pytest.MonkeyPatch) -> Work:
    notes = Notes(cast("Any", SimpleNamespace(note=rounds.take)), clock=lambda: 0.0)
    for outcome in ("ok", "refused"):
        notes.add("session.open", outcome)
    return notes._run()


def drivers(rounds: Rounds, patch: pytest.MonkeyPatch) -> Work:
    patch.setattr(Worker, "_live_in", rounds.take)
    return Worker("fake", {}, on_report=NOBODY, on_end=lambda _driver, _problem: None, beat=Beat(backoff=(0.0,))).run()


@pytest.mark.parametrize(
    "loop",
    [
        cleaning,
        expiring_contexts,
        changes,
        home,
        beats,
        pytest.param(notifications, marks=pytest.mark.posix("psycopg refuses the loop of Windows; nobody listens")),
        audit_lines,
        drivers,
    ],
)
def test_a_fault_in_one_round_is_an_incident_and_the_next_round_comes(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        rounds = Rounds()
        task, second = (asyncio.create_task(work) for work in (loop(rounds, monkeypatch), rounds.second.wait()))
        await asyncio.wait((task, second), return_when=asyncio.FIRST_COMPLETED)
        for each in (task, second):
            each.cancel()
        await asyncio.gather(task, second, return_exceptions=True)
        assert rounds.count > 1

    asyncio.run(main())
    told = [record for record in caplog.records if record.exc_info and record.exc_info[0] is ZeroDivisionError]
    assert ["incident"] == [record.getMessage().partition(" ")[0] for record in told]


def test_a_file_that_cannot_be_looked_at_ends_no_look(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert external_changes._identity(tmp_path / "file") is not None
    assert external_changes._identity(tmp_path / "file" / "beneath") is None
