"""The desk as onlookers are told of it: each of them hears of each change."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, cast

import msgspec
import pytest

from vitale_protocol.errors import LimitExceeded
from vitale_protocol.events import DeskState, DriverHealth, Reader
from vitale_protocol.session.framing import MESSAGE_BYTES
from vitale_reader.daemon.arbitration.actions import PATIENT_MEDIA, PendingSubscription
from vitale_reader.daemon.dashboard import desk_view
from vitale_reader.daemon.dashboard.desk_view import DeskView
from vitale_reader.daemon.dashboard.simulators import Simulators
from vitale_reader.daemon.desk.coordinator import Coordinator

SIMULATORS = Simulators("production")

#: Seconds for what happens at once.
PATIENCE = 20.0


def nobody() -> None:
    """Nothing: no view was made yet."""


@dataclass
class Desk:
    """A desk with one driver, whose restarts are all that changes."""

    restarts: int = 0
    starting: bool = False
    waiting: tuple[tuple[str, PendingSubscription], ...] = ()
    readers: tuple[Reader, ...] = ()
    last: None = None
    changed: Callable[[], None] = nobody

    @property
    def drivers(self) -> tuple[DriverHealth, ...]:
        state: Literal["ready", "starting"] = "starting" if self.starting else "ready"
        return (DriverHealth(name="pcsc", state=state, media=(), restarts=self.restarts),)

    def on_change(self, told: Callable[[], None]) -> None:
        self.changed = told

    def restart(self) -> None:
        self.restarts += 1
        self.changed()


@dataclass
class Looker:
    """A session that looks on."""

    number: int
    heard: asyncio.Queue[DeskState] = field(default_factory=asyncio.Queue[DeskState])

    def desk_changed(self, event: DeskState) -> None:
        self.heard.put_nowait(event)

    async def next(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return restarts(await self.heard.get())


def restarts(state: DeskState) -> int:
    return state.drivers[0].restarts


def test_who_comes_just_after_a_change_keeps_it_from_nobody() -> None:
    async def looked() -> tuple[int, int]:
        desk, first, second = Desk(), Looker(1), Looker(2)
        view = DeskView(cast("Coordinator", desk), lambda: (), SIMULATORS)
        view.watch(first)
        desk.restart()
        return restarts(view.watch(second)), await first.next()

    assert (1, 1) == asyncio.run(looked())


def test_a_change_that_is_taken_back_is_told_to_whoever_has_seen_it() -> None:
    async def looked() -> tuple[int, int]:
        desk, first, second = Desk(), Looker(1), Looker(2)
        view = DeskView(cast("Coordinator", desk), lambda: (), SIMULATORS)
        view.watch(first)
        desk.restart()
        seen = restarts(view.watch(second))
        desk.restarts = 0
        return seen, await second.next()

    assert (1, 0) == asyncio.run(looked())


def test_whoever_comes_back_is_told_of_changes_since_alone() -> None:
    async def looked() -> tuple[int, int]:
        desk, looker = Desk(), Looker(1)
        view = DeskView(cast("Coordinator", desk), lambda: (), SIMULATORS)
        view.watch(looker)
        view.unwatch(looker)
        desk.restart()
        before = restarts(view.watch(looker))
        desk.restart()
        return before, await looker.next()

    assert (1, 2) == asyncio.run(looked())


def test_a_driver_that_has_started_without_a_word_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_view, "STARTING", 0.01)

    async def looked() -> tuple[str, str]:
        desk, looker = Desk(starting=True), Looker(1)
        before = DeskView(cast("Coordinator", desk), lambda: (), SIMULATORS).watch(looker)
        desk.starting = False
        async with asyncio.timeout(PATIENCE):
            after = await looker.heard.get()
        return before.drivers[0].state, after.drivers[0].state

    assert ("starting", "ready") == asyncio.run(looked())


class Deaf(Looker):
    """A session that can be told of nothing."""

    def desk_changed(self, event: DeskState) -> None:
        super().desk_changed(event)
        raise LimitExceeded("the message is too long", variant="message_bytes")


def test_who_cannot_be_told_keeps_no_change_from_another(caplog: pytest.LogCaptureFixture) -> None:
    async def looked() -> list[int]:
        desk, deaf, looker = Desk(), Deaf(1), Looker(2)
        view = DeskView(cast("Coordinator", desk), lambda: (), SIMULATORS)
        heard = list[int]()
        for each in (deaf, looker):
            view.watch(each)
        for _ in range(2):
            desk.restart()
            heard += [await deaf.next(), await looker.next()]
        return heard

    assert [1, 1, 2, 2] == asyncio.run(looked())
    assert 2 == caplog.text.count("incident "), "and each time it is told why"


def waiting_for(number: int, readers: set[str]) -> tuple[str, PendingSubscription]:
    return "c" * 22, PendingSubscription(
        key=(number, number), client="other", media=PATIENT_MEDIA, readers=frozenset(readers)
    )


def test_readers_that_clients_invent_never_make_the_desk_too_large_to_be_told() -> None:
    reader = Reader(id="z", name="Slot", driver="pcsc", media=("vitale-card",), state="empty")
    invented = {f"{number:02}" + "\1" * 198 for number in range(63)}
    waiting = tuple(waiting_for(number, {*invented, reader.id}) for number in range(100))

    async def looked() -> DeskState:
        desk = Desk(waiting=waiting, readers=(reader,))
        return DeskView(cast("Coordinator", desk), lambda: (), SIMULATORS).watch(Looker(1))

    state = asyncio.run(looked())
    assert len(msgspec.json.encode(state)) < MESSAGE_BYTES / 2
    assert {("z", *sorted(invented)[:3])} == {each.readers for each in state.waiting}, "those that there are come first"


def test_who_waits_for_a_reader_that_is_gone_is_not_shown_as_waiting_for_any() -> None:
    async def looked() -> DeskState:
        desk = Desk(waiting=(waiting_for(1, {"gone"}),))
        return DeskView(cast("Coordinator", desk), lambda: (), SIMULATORS).watch(Looker(1))

    assert [("gone",)] == [each.readers for each in asyncio.run(looked()).waiting]
