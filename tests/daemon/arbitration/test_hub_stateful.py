"""All the rules of the hub together: thousands of interleavings of clients, cards, codes, leases, readers and drivers.

Two drivers: ``pcsc`` with slots, which comes and goes, and ``optics`` with a camera, which sees only while it is armed,
and a scanner, whose presences are over when they were read.
"""

import itertools
from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle as HypothesisBundle
from hypothesis.stateful import (
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from vitale_drivers.base import Arm, Presented
from vitale_protocol.errors import MediumMute, ReaderUnavailable
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem
from vitale_reader.daemon.arbitration.actions import (
    Action,
    ArmDriver,
    Deliver,
    DisarmDriver,
    Key,
    NotifyProgress,
    Pending,
    PendingRequest,
    PendingSubscription,
    Refuse,
    Unread,
)
from vitale_reader.daemon.arbitration.hub import Hub

READERS = ("a", "b", "c")
MEDIA = ("vitale-card", "cps-card")
CODES = ("apcv-qr", "2d-doc")
CAMERA, SCANNER = "cam", "scan"
MOST_TIME = 700.0


def client_of(session: int) -> str:
    """Two of the three sessions are of one client."""
    return f"client {session % 2}"


class ModelDriver:
    """A driver that keeps the rules of ``vitale_drivers.base``, without a device."""

    def __init__(self) -> None:
        self.medium: dict[str, str | None] = {}
        self.unread: set[str] = set()
        self.leased: set[str] = set()
        self.arm: Arm | None = None

    def armed(self, arm: Arm) -> None:
        self.arm = arm
        self.unread |= {name for name in arm.again if self.medium.get(name)}

    def wants(self, name: str, medium: str | None) -> bool:
        arm = self.arm
        return arm is not None and (not arm.readers or name in arm.readers) and medium in arm.media

    def due(self) -> list[str]:
        """The readers whose medium is to be read now."""
        return [name for name in self.owed() if name not in self.leased]

    def owed(self) -> list[str]:
        """The readers whose medium is to be read now, or when its lease has ended."""
        return sorted(name for name in self.unread if self.wants(name, self.medium[name]))

    def came(self, name: str, medium: str) -> None:
        self.medium[name] = medium
        self.unread.add(name)

    def left(self, name: str) -> None:
        self.medium[name] = None
        self.unread.discard(name)
        self.leased.discard(name)


class ModelOptics(ModelDriver):
    """A camera and a scanner: what is before the camera, and which string each of them sees."""

    def __init__(self) -> None:
        super().__init__()
        self.medium = {CAMERA: None, SCANNER: None}
        self.strings: dict[str, bytes] = {}
        self.view: tuple[str, bytes] | None = None

    @property
    def seen(self) -> tuple[str, bytes] | None:
        medium = self.medium[CAMERA]
        return (medium, self.strings[CAMERA]) if medium else None

    @property
    def open(self) -> bool:
        """Whether the camera is: the media that it is armed for do not matter, its name does."""
        return self.arm is not None and (not self.arm.readers or CAMERA in self.arm.readers)


class HubMachine(RuleBasedStateMachine):
    requests: HypothesisBundle[Key] = HypothesisBundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.hub = Hub()
        self.driver: ModelDriver | None = None
        self.optics = ModelOptics()
        self.shown: dict[str, bytes] = {}  # the one-time code read in this presence
        self.used: dict[str, bytes] = {}  # the last one that answered a request
        self.now = 0.0
        self.numbers = itertools.count(1)
        self.asked: dict[Key, PendingRequest] = {}
        self.ended: dict[Key, str] = {}
        self.presentations: dict[str, Key] = {}
        self.handed: list[tuple[Presented, float]] = []  # what requests got, and when
        self.declining: tuple[str, ...] = ()  # the reader of what goes from one request to the next
        self.subscribed: list[PendingSubscription] = []  # the one that was served longest ago first
        self.handed_to: dict[Hashable, int] = {}  # when a client got what no request claimed, or first asked for it
        self.came: dict[Key, int] = {}  # the order in which requests came
        self.turns: dict[tuple[Hashable, str], int] = {}  # when a client was answered at a reader, in the same order

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case ArmDriver(driver=driver, arm=arm):
                    self.model(driver).armed(arm)
                case DisarmDriver(driver=driver):
                    self.model(driver).arm = None
                case Deliver(request=PendingRequest() as request, presentation=presentation):
                    self.deliver(request, presentation)
                case Deliver(request=PendingSubscription() as subscription, presentation=presentation):
                    self.hand_out(subscription, presentation)
                case Unread(subscription=subscription, reader=reader):
                    assert subscription in self.subscribed
                    assert not self.who_waits(reader, self.lying(reader)), "a failure that a request was owed"
                case NotifyProgress(request=pending):
                    self.is_there(pending)
                case Refuse(request=request, error=error):
                    if error.reason == "ambiguous_medium":
                        assert len({*self.candidates(request), *self.declining}) > 1, "there was no choice to be made"
                    self.end(request.key, error.reason)
                case _:
                    pass
        if self.optics.medium[CAMERA] and not self.optics.open:
            self.see_nothing()

    def model(self, driver: str) -> ModelDriver:
        found = self.optics if driver == "optics" else self.driver
        assert found is not None, "armed a driver that is not there"
        return found

    def deliver(self, request: PendingRequest, presentation: Presented) -> None:
        there = {*self.candidates(request), *self.declining}
        assert there == {presentation.reader}, "one of two media was taken by luck"
        self.note_delivery(request, presentation)
        self.handed.append((presentation, self.now))
        self.end(request.key, "delivered")

    def hand_out(self, subscription: PendingSubscription, presentation: Presented) -> None:
        assert not self.who_waits(presentation.reader, presentation.medium), "a request was passed over"
        wanting = [each for each in self.subscribed if self.matches(each, presentation.reader, presentation.medium)]
        turn = min(wanting, key=lambda each: self.handed_to[each.client])
        assert subscription == turn, "it was another one's turn"
        self.handed_to[subscription.client] = next(self.numbers)
        self.note_delivery(subscription, presentation)
        self.subscribed.remove(subscription)
        self.subscribed.append(subscription)

    def note_delivery(self, pending: Pending, presentation: Presented) -> None:
        reader = presentation.reader
        assert presentation.id not in self.presentations, "a presentation went to two clients"
        assert reader not in (self.driver.leased if self.driver is not None else ()), "what is leased was given away"
        self.presentations[presentation.id] = pending.key
        self.is_there(pending)
        assert presentation.medium in pending.media
        assert not pending.readers or reader in pending.readers
        if presentation.medium == "apcv-qr":
            string = presentation.evidence["string"]
            assert self.used.get(reader) != string, "a one-time code answered twice"
            self.used[reader] = string

    def is_there(self, pending: Pending) -> None:
        """Nothing is said to one that did not ask, or does not wait any more."""
        if isinstance(pending, PendingSubscription):
            assert pending in self.subscribed
        else:
            assert pending.key in self.asked
            assert pending.key not in self.ended

    def matches(self, pending: Pending, name: str, medium: str | None) -> bool:
        media = CODES if name in self.optics.medium else MEDIA
        wanted = pending.media & ({medium} if medium else set(media))
        return bool(wanted) and (not pending.readers or name in pending.readers)

    def who_waits(self, name: str, medium: str | None) -> list[Key]:
        """The requests that a presentation would answer, the one whose turn it is first."""
        waiting = (
            key for key, request in self.asked.items() if key not in self.ended and self.matches(request, name, medium)
        )
        return sorted(waiting, key=lambda key: self.turn(key, name))

    def turn(self, key: Key, name: str) -> tuple[int, int]:
        """The place of a request at a reader: what its client was given there sets it back."""
        came = self.came[key]
        return max(came, self.turns.get((self.asked[key].client, name), 0)), came

    def end(self, key: Key, how: str) -> None:
        assert key not in self.ended, f"request {key} ended twice: {self.ended.get(key)}, {how}"
        assert key in self.asked
        self.ended[key] = how

    def reader(self, name: str) -> Reader:
        optical = name in self.optics.medium
        medium = self.model("optics" if optical else "pcsc").medium[name]
        state: Any = "leased" if name in self.model(self.owner(name)).leased else "present" if medium else "empty"
        driver, media = ("optics", CODES) if optical else ("pcsc", MEDIA)
        return Reader(id=name, name=name, driver=driver, media=media, state=state, medium=medium)

    def owner(self, name: str) -> str:
        return "optics" if name in self.optics.medium else "pcsc"

    def lying(self, name: str) -> str | None:
        """The medium that lies there, if it is one that can be asked for."""
        medium = self.model(self.owner(name)).medium[name]
        return medium if medium in {*MEDIA, *CODES} else None

    def candidates(self, request: PendingRequest) -> list[str]:
        """The readers where something lies that could answer a request."""
        media = {**self.optics.medium, **(self.driver.medium if self.driver is not None else {})}
        return [
            name
            for name, medium in sorted(media.items())
            if medium in request.media and (not request.readers or name in request.readers) and not self.spent(name)
        ]

    def spent(self, name: str) -> bool:
        one_time = self.optics.medium.get(name) == "apcv-qr"
        return one_time and name in self.shown and self.shown[name] == self.used.get(name)

    # ── the world ──

    @initialize()
    def two_readers(self) -> None:
        self.driver_starts()
        self.plug_or_unplug("a")
        self.plug_or_unplug("b")
        self.do(self.hub.driver_up("optics", CODES, self.now))
        for name in (CAMERA, SCANNER):
            self.do(self.hub.reader_added(self.reader(name), self.now))

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
            self.do(self.hub.driver_down("pcsc", Problem("reader_unavailable"), self.now))

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
            self.driver.leased.discard(name)
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
            self.driver.came(name, medium)
        else:
            self.driver.left(name)
        self.do(self.hub.reader_changed(self.reader(name), self.now))
        while at_once and self.driver.due():
            self.read(None)

    @rule(data=st.data())
    @precondition(lambda self: self.driver is not None and any(self.driver.medium.values()))
    def lease_or_end_it(self, data: st.DataObject) -> None:
        """A client has what lies there for its own commands, or no more; nothing is read meanwhile."""
        assert self.driver is not None
        name = data.draw(st.sampled_from(sorted(name for name, medium in self.driver.medium.items() if medium)))
        self.driver.leased ^= {name}
        self.do(self.hub.reader_changed(self.reader(name), self.now))

    # A phone shows one string until it shows the next one; there may be two phones, and papers.
    codes = st.tuples(st.sampled_from(("apcv-qr", "apcv-qr", "2d-doc")), st.sampled_from((b"1", b"1", b"2")))

    @rule(view=st.none() | codes)
    def show(self, view: tuple[str, bytes] | None) -> None:
        """Before the camera, whether it looks or not."""
        self.optics.view = view

    @rule()
    @precondition(lambda self: self.optics.open and self.optics.seen != self.optics.view)
    def look(self) -> None:
        view = self.optics.view
        if view is None:
            self.see_nothing()
            return
        medium, self.optics.strings[CAMERA] = view
        if self.optics.medium[CAMERA] is None:
            self.shown.pop(CAMERA, None)
        self.optics.came(CAMERA, medium)
        self.do(self.hub.reader_changed(self.reader(CAMERA), self.now))

    @rule(code=codes)
    def leave_a_phone(self, code: tuple[str, bytes]) -> None:
        """A short way to what chance seldom finds: a code that was used stays in view, since somebody still waits."""
        for _ in range(2):
            self.wait_for(2, set(CODES), {CAMERA}, 600.0)
        self.optics.view = code
        if self.optics.open and self.optics.seen != code:
            self.look()
        while CAMERA in self.optics.due():
            self.read_one(self.optics, CAMERA, None)

    def see_nothing(self) -> None:
        self.optics.left(CAMERA)
        self.shown.pop(CAMERA, None)
        self.do(self.hub.reader_changed(self.reader(CAMERA), self.now))

    @rule(code=codes)
    @precondition(lambda self: self.optics.medium[SCANNER] is None)
    def scan(self, code: tuple[str, bytes]) -> None:
        medium, self.optics.strings[SCANNER] = code
        self.optics.came(SCANNER, medium)
        self.do(self.hub.reader_changed(self.reader(SCANNER), self.now))
        if SCANNER in self.optics.due():
            self.read_one(self.optics, SCANNER, None)

    @rule()
    @precondition(lambda self: self.optics.medium[SCANNER] is not None)
    def grace_ends(self) -> None:
        self.forget_scan()

    def forget_scan(self) -> None:
        self.optics.left(SCANNER)
        self.shown.pop(SCANNER, None)
        self.do(self.hub.reader_changed(self.reader(SCANNER), self.now))

    @rule(reader=st.sampled_from((CAMERA, SCANNER)))
    @precondition(lambda self: bool(self.used))
    def give_back(self, reader: str) -> None:
        """The service was not reached: the string was sent to nobody."""
        if reader in self.used:
            presentation = self.presentation(reader, "apcv-qr", self.used.pop(reader))
            self.do(self.hub.returned(presentation, self.now))

    @rule(data=st.data())
    @precondition(lambda self: bool(self.handed))
    def decline(self, data: st.DataObject) -> None:
        """The request was one of another desk, and over there before anything was done for it."""
        handed = data.draw(st.sampled_from(self.handed[-3:]))
        self.handed.remove(handed)
        presentation, at = handed
        name, medium = presentation.reader, presentation.medium
        del self.presentations[presentation.id]
        if medium == "apcv-qr" and self.used.get(name) == presentation.evidence["string"]:
            del self.used[name]
        there = any(reader.id == name and reader.state != "leased" for reader in self.hub.readers)
        with_it = [key for key in self.who_waits(name, medium) if self.asked[key].asked_at <= at]
        self.declining = (name,)
        self.do(self.hub.reassigned(presentation, at, self.now))
        self.had_its_turn(with_it[:1], name)
        self.declining = ()
        if there and with_it:
            assert self.ended.get(with_it[0]) in {"delivered", "ambiguous_medium"}, "who waited with it was passed over"
        elif not there:
            assert presentation.id not in self.presentations

    @rule(failure=st.sampled_from([None, None, None, MediumMute(), ReaderUnavailable()]))
    @precondition(lambda self: self.driver is not None and self.driver.due())
    def read(self, failure: MediumMute | ReaderUnavailable | None) -> None:
        assert self.driver is not None
        self.read_one(self.driver, self.driver.due()[0], failure)

    @rule(failure=st.sampled_from([None, None, None, MediumMute()]))
    @precondition(lambda self: self.optics.due())
    def decode(self, failure: MediumMute | None) -> None:
        self.read_one(self.optics, self.optics.due()[0], failure)

    def presentation(self, name: str, medium: str, string: bytes) -> Presented:
        number = next(self.numbers)
        evidence = {"string": string}
        return Presented(id=f"p{number}", medium=medium, reader=name, at=0.0, evidence=evidence, simulated=True)

    def read_one(self, driver: ModelDriver, name: str, failure: MediumMute | ReaderUnavailable | None) -> None:
        driver.unread.discard(name)
        if failure is not None:
            waiting = self.who_waits(name, self.lying(name))
            self.do(self.hub.failed(name, failure, self.now))
            self.had_its_turn(waiting[:1], name)
        else:
            self.present(name, driver.medium[name] or "")
        if name == SCANNER and self.optics.medium[SCANNER]:
            self.forget_scan()

    def present(self, name: str, medium: str) -> None:
        string = self.optics.strings.get(name, b"")
        first = next(iter(self.who_waits(name, medium)), None)
        subscribed = any(self.matches(each, name, medium) for each in self.subscribed)
        given = len(self.presentations)
        if medium == "apcv-qr":
            self.shown[name] = string
        else:
            self.shown.pop(name, None)
        spent = self.spent(name)
        self.do(self.hub.presented(self.presentation(name, medium, string), self.now))
        self.had_its_turn([] if first is None else [first], name)
        if first is not None and spent:
            assert first not in self.ended, "a code that was used ended a request"
        elif first is not None:
            assert self.ended.get(first) in {"delivered", "ambiguous_medium"}, "whose turn it was was passed over"
        else:
            assert len(self.presentations) - given == (subscribed and not spent), (
                "what nobody claimed is a subscription's"
            )

    def had_its_turn(self, keys: list[Key], name: str) -> None:
        """Notes when the client of a request was answered at a reader, if it was."""
        for key in keys:
            if key in self.ended:
                self.turns[self.asked[key].client, name] = next(self.numbers)

    # ── the clients ──

    @rule(
        target=requests,
        session=st.integers(1, 3),
        media=st.sampled_from(
            [{"vitale-card"}, set(MEDIA), {"apcv-qr"}, set(CODES), {"vitale-card", *CODES}, {"vitale-card", *CODES}]
        ),
        readers=st.sampled_from([set[str](), set[str](), set[str](), {"a", CAMERA}, {"b", "c"}, {SCANNER}]),
        timeout=st.sampled_from([5.0, 60.0, 600.0]),
    )
    def ask(self, session: int, media: set[str], readers: set[str], timeout: float) -> Key:
        return self.wait_for(session, media, readers, timeout)

    def wait_for(self, session: int, media: set[str], readers: set[str], timeout: float) -> Key:
        key = (session, next(self.numbers))
        request = PendingRequest(
            key=key,
            client=client_of(session),
            media=frozenset(media),
            readers=frozenset(readers),
            asked_at=self.now,
            deadline=self.now + timeout,
        )
        self.asked[key] = request
        self.came[key] = next(self.numbers)
        self.do(self.hub.ask(request, self.now))
        return key

    @rule(key=consumes(requests), sure=st.sampled_from([False, False, True]))
    def cancel(self, key: Key, sure: bool) -> None:
        if sure:
            self.do(self.hub.cancel(key, self.now))
            assert key in self.ended

    @rule(
        session=st.integers(1, 3),
        media=st.sampled_from([{"vitale-card"}, {"apcv-qr"}, {"vitale-card", *CODES}]),
        readers=st.sampled_from([set[str](), set[str](), {"a", CAMERA}]),
    )
    def subscribe(self, session: int, media: set[str], readers: set[str]) -> None:
        key = (session, f"sub-{next(self.numbers)}")
        subscription = PendingSubscription(
            key=key, client=client_of(session), media=frozenset(media), readers=frozenset(readers)
        )
        self.subscribed.append(subscription)
        self.handed_to.setdefault(subscription.client, next(self.numbers))
        self.do(self.hub.subscribe(subscription, self.now))

    @rule(data=st.data())
    @precondition(lambda self: self.subscribed)
    def unsubscribe(self, data: st.DataObject) -> None:
        subscription = data.draw(st.sampled_from(self.subscribed))
        self.end_subscriptions([subscription])
        self.do(self.hub.unsubscribe(subscription.key, self.now))

    def end_subscriptions(self, ended: list[PendingSubscription]) -> None:
        self.subscribed = [each for each in self.subscribed if each not in ended]
        left = {each.client for each in self.subscribed}
        self.handed_to = {client: at for client, at in self.handed_to.items() if client in left}

    @rule(session=st.sampled_from([1, 9, 9, 9]))
    def leave(self, session: int) -> None:
        self.do(self.hub.session_ended(session, self.now))
        for key in self.asked:
            if key[0] == session and key not in self.ended:
                self.ended[key] = "left"
        self.end_subscriptions([each for each in self.subscribed if each.key[0] == session])

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
    def turns_are_kept(self) -> None:
        assert [*self.hub.subscribed] == self.subscribed

    @invariant()
    def whoever_waits_has_an_end(self) -> None:
        if self.hub.waiting:
            assert self.hub.next_deadline is not None
            assert self.hub.next_deadline <= self.now + MOST_TIME

    @invariant()
    def armed_only_for_who_waits(self) -> None:
        for driver, media in ((self.driver, MEDIA), (self.optics, CODES)):
            if driver is None:
                continue
            here = driver.medium.keys()
            wanted = any(
                not request.media.isdisjoint(media) and (not request.readers or request.readers & here)
                for request in (*self.hub.waiting, *self.subscribed)
            )
            assert (driver.arm is not None) == wanted
            assert driver.arm is None or set(driver.arm.readers) <= here, "a name that clients made up"

    @invariant()
    def what_was_there_first_will_be_read(self) -> None:
        """No request starves: one that came after its card or code has a reading due, unless the reader failed."""
        for request in self.hub.waiting:
            slots = [self.hub._slots[name] for name in self.candidates(request)]  # pyright: ignore[reportPrivateUsage] - a look inside
            if any(request.asked_at >= slot.since and slot.usable for slot in slots):
                due = [*self.optics.due(), *(self.driver.owed() if self.driver is not None else ())]
                assert due, f"{request.key} waits for what nobody will read"


TestHub = HubMachine.TestCase
TestHub.settings = settings(max_examples=60, stateful_step_count=60)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_thousands_of_interleavings() -> None:
    thorough = settings(max_examples=5_000, stateful_step_count=120)
    run_state_machine_as_test(HubMachine, settings=thorough)
