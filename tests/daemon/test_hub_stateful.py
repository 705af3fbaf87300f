"""All the rules of the hub together: thousands of interleavings of clients, cards, readers and drivers."""

import itertools
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle as HypothesisBundle
from hypothesis.stateful import RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from vitale_drivers.base import Arm, Presented
from vitale_protocol.errors import MediumMute, ReaderUnavailable
from vitale_protocol.events import Reader
from vitale_reader.daemon.decisions import Action, ArmDriver, Deliver, DisarmDriver, Key, Refuse, Waiting
from vitale_reader.daemon.hub import Hub

READERS = ("a", "b", "c")
MEDIA = ("vitale-card", "cps-card")
MOST_TIME = 700.0


class ModelDriver:
    """A driver that keeps the rules of ``vitale_drivers.base``, without a device."""

    def __init__(self) -> None:
        self.medium: dict[str, str | None] = {}
        self.unread: set[str] = set()
        self.arm: Arm | None = None

    def armed(self, arm: Arm) -> None:
        self.arm = arm
        self.unread |= {name for name in arm.again if self.medium.get(name)}

    def due(self) -> list[str]:
        """The readers whose medium is to be read now."""
        arm = self.arm
        if arm is None:
            return []
        return sorted(
            name for name in self.unread if (not arm.readers or name in arm.readers) and self.medium[name] in arm.media
        )


class HubMachine(RuleBasedStateMachine):
    requests: HypothesisBundle[Key] = HypothesisBundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.hub = Hub()
        self.driver: ModelDriver | None = None
        self.now = 0.0
        self.numbers = itertools.count(1)
        self.asked: dict[Key, Waiting] = {}
        self.ended: dict[Key, str] = {}
        self.presentations: dict[str, Key] = {}

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case ArmDriver(arm=arm):
                    assert self.driver is not None, "armed a driver that is not there"
                    self.driver.armed(arm)
                case DisarmDriver():
                    assert self.driver is not None
                    self.driver.arm = None
                case Deliver(request=request, presentation=presentation):
                    assert presentation.id not in self.presentations, "a presentation went to two requests"
                    self.presentations[presentation.id] = request.key
                    assert presentation.medium in request.media
                    assert not request.readers or presentation.reader in request.readers
                    assert self.candidates(request) == [presentation.reader], "one of two media was taken by luck"
                    self.end(request.key, "delivered")
                case Refuse(request=request, error=error):
                    self.end(request.key, error.reason)
                case _:
                    pass

    def end(self, key: Key, how: str) -> None:
        assert key not in self.ended, f"request {key} ended twice: {self.ended.get(key)}, {how}"
        assert key in self.asked
        self.ended[key] = how

    def reader(self, name: str) -> Reader:
        assert self.driver is not None
        medium = self.driver.medium[name]
        state: Any = "present" if medium else "empty"
        return Reader(id=name, name=name, driver="pcsc", media=MEDIA, state=state, medium=medium)

    def candidates(self, request: Waiting) -> list[str]:
        """The readers where something lies that could answer a request."""
        media = self.driver.medium if self.driver is not None else {}
        return [
            name
            for name, medium in sorted(media.items())
            if medium in request.media and (not request.readers or name in request.readers)
        ]

    # ── the world ──

    @initialize()
    def two_readers(self) -> None:
        self.driver_starts()
        self.plug_or_unplug("a")
        self.plug_or_unplug("b")

    @rule()
    @precondition(lambda self: self.driver is None)
    def driver_starts(self) -> None:
        self.driver = ModelDriver()
        self.do(self.hub.driver_up("pcsc", MEDIA, self.now))

    @rule(sure=st.sampled_from([False, False, False, True]))
    @precondition(lambda self: self.driver is not None)
    def driver_dies(self, sure: bool) -> None:
        if sure:
            self.driver = None
            self.do(self.hub.driver_down("pcsc", "reader_unavailable", self.now))

    @rule(name=st.sampled_from(READERS))
    @precondition(lambda self: self.driver is not None)
    def plug_or_unplug(self, name: str) -> None:
        assert self.driver is not None
        if name not in self.driver.medium:
            self.driver.medium[name] = None
            self.do(self.hub.reader_added(self.reader(name), self.now))
        else:
            del self.driver.medium[name]
            self.driver.unread.discard(name)
            self.do(self.hub.reader_removed(name, self.now))

    @rule(
        data=st.data(),
        medium=st.sampled_from(("vitale-card", "vitale-card", "cps-card", "unknown-card")),
        at_once=st.booleans(),
    )
    @precondition(lambda self: self.driver is not None and self.driver.medium)
    def insert_or_withdraw(self, data: st.DataObject, medium: str, at_once: bool) -> None:
        assert self.driver is not None
        name = data.draw(st.sampled_from(sorted(self.driver.medium)))
        if self.driver.medium[name] is None:
            self.driver.medium[name] = medium
            self.driver.unread.add(name)
        else:
            self.driver.medium[name] = None
            self.driver.unread.discard(name)
        self.do(self.hub.reader_changed(self.reader(name), self.now))
        while at_once and self.driver.due():
            self.read(None)

    @rule(failure=st.sampled_from([None, None, None, MediumMute(), ReaderUnavailable()]))
    @precondition(lambda self: self.driver is not None and self.driver.due())
    def read(self, failure: MediumMute | ReaderUnavailable | None) -> None:
        assert self.driver is not None
        name = self.driver.due()[0]
        self.driver.unread.discard(name)
        if failure is not None:
            self.do(self.hub.failed(name, failure, self.now))
            return
        number = next(self.numbers)
        medium = self.driver.medium[name] or ""
        oldest = next(
            (
                key
                for key, request in self.asked.items()
                if key not in self.ended
                and medium in request.media
                and (not request.readers or name in request.readers)
            ),
            None,
        )
        presentation = Presented(id=f"p{number}", medium=medium, reader=name, at=0.0, evidence={}, simulated=True)
        self.do(self.hub.presented(presentation, self.now))
        if oldest is not None:
            assert self.ended.get(oldest) in {"delivered", "ambiguous_medium"}, (
                "the oldest matching request was passed over"
            )

    # ── the clients ──

    @rule(
        target=requests,
        session=st.integers(1, 3),
        media=st.sampled_from([{"vitale-card"}, {"vitale-card"}, {"cps-card"}, set(MEDIA)]),
        readers=st.sampled_from([set[str](), set[str](), {"a"}, {"b", "c"}]),
        timeout=st.sampled_from([5.0, 60.0, 600.0]),
    )
    def ask(self, session: int, media: set[str], readers: set[str], timeout: float) -> Key:
        key = (session, next(self.numbers))
        request = Waiting(
            key=key,
            media=frozenset(media),
            readers=frozenset(readers),
            asked_at=self.now,
            deadline=self.now + timeout,
        )
        self.asked[key] = request
        self.do(self.hub.ask(request, self.now))
        return key

    @rule(key=consumes(requests), sure=st.sampled_from([False, False, True]))
    def cancel(self, key: Key, sure: bool) -> None:
        if sure:
            self.do(self.hub.cancel(key, self.now))
            assert key in self.ended

    @rule(session=st.sampled_from([1, 9, 9, 9]))
    def leave(self, session: int) -> None:
        self.do(self.hub.session_ended(session, self.now))
        for key in self.asked:
            if key[0] == session and key not in self.ended:
                self.ended[key] = "left"

    @rule(seconds=st.sampled_from([0.1, 0.5, 0.5, 3.0, 59.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.do(self.hub.tick(self.now))
        assert all(request.deadline > self.now for request in self.hub.waiting), "a deadline passed without an answer"

    # ── what always holds ──

    @invariant()
    def nobody_is_forgotten(self) -> None:
        assert {request.key for request in self.hub.waiting} == self.asked.keys() - self.ended.keys()

    @invariant()
    def whoever_waits_has_an_end(self) -> None:
        if self.hub.waiting:
            assert self.hub.next_deadline is not None
            assert self.hub.next_deadline <= self.now + MOST_TIME

    @invariant()
    def armed_only_for_who_waits(self) -> None:
        if self.driver is not None:
            here = self.driver.medium.keys()
            wanted = any(not request.readers or request.readers & here for request in self.hub.waiting)
            assert (self.driver.arm is not None) == wanted
            assert self.driver.arm is None or set(self.driver.arm.readers) <= here, "a name that clients made up"

    @invariant()
    def a_card_that_was_there_first_will_be_read(self) -> None:
        """No request starves: one that came after its card has a reading due, unless the reader failed."""
        if self.driver is None:
            return
        for request in self.hub.waiting:
            slots = [self.hub._slots[name] for name in self.candidates(request)]  # pyright: ignore[reportPrivateUsage] - a look inside
            if any(request.asked_at >= slot.since and slot.usable for slot in slots):
                assert self.driver.due(), f"{request.key} waits for a card that nobody will read"


TestHub = HubMachine.TestCase
TestHub.settings = settings(max_examples=400, stateful_step_count=60, deadline=None)
