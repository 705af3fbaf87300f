"""One test for each rule of leases, and all orders of what can happen to them."""

import contextlib
import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vitale_drivers.base import Command, LeaseCommand, Leased, Unlease, Unleased
from vitale_protocol.errors import LeaseConflict, LeaseExpired, VitaleError
from vitale_protocol.events import LeaseEnded, Reader
from vitale_protocol.problems import Problem
from vitale_reader.daemon.arbitration.leases import ACCESS, MOST_ENDED, Lease, Leases

READER = Reader(id="a", name="A", driver="pcsc", media=("vitale-card",), state="present", medium="vitale-card")
OTHER = Reader(id="b", name="B", driver="pcsc", media=("vitale-card",), state="present", medium="vitale-card")
ATR = b"\x3b\x00"


class Session:
    """A session of a client."""

    def __init__(self, number: int, client_id: str) -> None:
        self.number = number
        self.client_id = client_id
        self.told: list[LeaseEnded] = []

    def lease_ended(self, event: LeaseEnded) -> None:
        self.told.append(event)


class World:
    """Leases, a driver that obeys, and what became of each attempt."""

    def __init__(self) -> None:
        names = itertools.count(1)
        self.sent: list[tuple[str, Command]] = []
        self.answers: list[Lease | VitaleError] = []
        self.now = 100.0
        self.leases = Leases(lambda driver, command: self.sent.append((driver, command)), lambda: f"l{next(names)}")

    def ask(self, session: Session, previous: str | None = None, *, reader: Reader = READER, ttl: float = 5.0) -> int:
        """Asks for a lease; the number by which the driver knows it."""
        self.leases.acquire(
            session,
            session.client_id,
            reader,
            previous=previous,
            ttl=ttl,
            now=self.now,
            answer=self.answers.append,
        )
        command = self.sent[-1][1]
        assert isinstance(command, LeaseCommand)
        return command.id

    def acquire(self, session: Session, previous: str | None = None, **options: float) -> Lease:
        number = self.ask(session, previous, **options)  # type: ignore[arg-type]  # passed through
        self.leases.leased("pcsc", Leased(id=number, atr=ATR), self.now)
        lease = self.answers[-1]
        assert isinstance(lease, Lease)
        return lease

    def why(self, session: Session, name: str) -> str:
        with pytest.raises(LeaseExpired) as ended:
            self.leases.held(session, session.client_id, name)
        return str(ended.value.data["why"])

    def unleased(self) -> list[int]:
        """The leases that the driver was told to end."""
        return [command.id for _, command in self.sent if isinstance(command, Unlease)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def anne() -> Session:
    return Session(1, "anne")


@pytest.fixture
def bea() -> Session:
    return Session(2, "bea")


def test_a_lease_belongs_to_who_acquired_it(world: World, anne: Session) -> None:
    lease = world.acquire(anne)
    assert (lease.atr, lease.reader) == (ATR, "a")
    assert world.leases.held(anne, "anne", lease.id) == lease


def test_a_person_frees_a_reader_and_the_holder_hears_of_it(world: World, anne: Session) -> None:
    lease = world.acquire(anne)
    assert world.leases.free("a")
    assert [LeaseEnded(lease=lease.id, why="ttl")] == anne.told
    assert "ttl" == world.why(anne, lease.id)
    assert [lease.number] == world.unleased()
    assert not world.leases.free("a")


def test_a_lease_that_never_was_cannot_be_replaced(world: World, bea: Session) -> None:
    with pytest.raises(LeaseConflict):
        world.ask(bea, "l7")
    assert world.sent == []


@pytest.mark.parametrize("believed", ["l1", "l7", None])
def test_another_client_is_refused_and_learns_nothing_of_the_lease(
    world: World, anne: Session, bea: Session, believed: str | None
) -> None:
    world.acquire(anne)
    with pytest.raises(LeaseConflict) as refused:
        world.ask(bea, believed)
    assert refused.value.data == {}


def test_a_lease_of_one_reader_leaves_the_others_free(world: World, anne: Session, bea: Session) -> None:
    first = world.acquire(anne)
    second = world.acquire(bea, reader=OTHER)  # type: ignore[arg-type]  # passed through
    assert (first.reader, second.reader) == ("a", OTHER.id)
    assert world.leases.held(anne, "anne", first.id) == first
    assert world.leases.held(bea, "bea", second.id) == second


def test_a_lease_that_is_being_acquired_counts(world: World, anne: Session, bea: Session) -> None:
    world.ask(anne)
    with pytest.raises(LeaseConflict):
        world.ask(bea)


def test_a_lease_is_replaced_by_its_own_client_only(world: World, anne: Session, bea: Session) -> None:
    window = Session(3, "anne")
    first = world.acquire(anne)
    with pytest.raises(LeaseConflict):
        world.ask(bea, first.id)
    second = world.acquire(window, first.id)
    assert world.unleased() == [first.number]
    assert anne.told == [LeaseEnded(lease=first.id, why="replaced")]
    assert world.why(anne, first.id) == "replaced"
    assert world.leases.held(window, "anne", second.id) is second


def test_its_time_begins_when_the_card_is_held_and_can_be_renewed(world: World, anne: Session) -> None:
    number = world.ask(anne, ttl=5.0)
    world.now += 8.0
    world.leases.leased("pcsc", Leased(id=number, atr=ATR), world.now)
    lease = world.answers[-1]
    assert isinstance(lease, Lease)
    assert world.leases.next_end == world.now + 5.0
    world.leases.renew(lease, 2.0, world.now + 4.0)
    assert world.sent[-1] == ("pcsc", LeaseCommand(id=number, reader="a", until=world.now + 6.0))
    world.leases.tick(world.now + 5.9)
    assert anne.told == []
    world.leases.tick(world.now + 6.0)
    assert anne.told == [LeaseEnded(lease=lease.id, why="ttl")]
    assert world.unleased() == [number]
    assert world.why(anne, lease.id) == "ttl"


def test_a_card_that_cannot_be_held_in_time_is_busy(world: World, anne: Session, bea: Session) -> None:
    number = world.ask(anne)
    world.leases.tick(world.now + ACCESS)
    assert isinstance(refused := world.answers[-1], VitaleError)
    assert refused.reason == "reader_busy"
    assert world.unleased() == [number]
    world.leases.leased("pcsc", Leased(id=number, atr=ATR), world.now)
    assert len(world.answers) == 1
    world.acquire(bea)


def test_the_drivers_reason_is_the_answer(world: World, anne: Session) -> None:
    number = world.ask(anne)
    world.leases.leased("pcsc", Leased(id=number, problem=Problem("medium_removed", data={"x": 1})), world.now)
    assert isinstance(refused := world.answers[-1], VitaleError)
    assert (refused.reason, refused.data) == ("medium_removed", {"x": 1})
    world.acquire(anne)


@pytest.mark.parametrize("how", ["client", "card", "reader"])
def test_a_lease_ends_with_its_session_its_card_and_its_reader(
    world: World, anne: Session, bea: Session, how: str
) -> None:
    lease = world.acquire(anne)
    if how == "client":
        world.leases.leave(anne)
        assert world.unleased() == [lease.number]
    elif how == "card":
        world.leases.unleased("pcsc", Unleased(id=lease.number, why="card"))
    else:
        world.leases.removed("a")
    assert [event.why for event in anne.told] == ([] if how == "client" else [how])
    assert world.why(Session(4, "anne"), lease.id) == how, "also where it comes back as another session"
    with pytest.raises(LeaseConflict):
        world.leases.held(bea, "bea", lease.id)
    with pytest.raises(LeaseConflict):
        world.ask(anne, lease.id)
    world.acquire(bea)


def test_a_lease_that_is_asked_for_ends_with_its_session_and_its_reader(world: World, anne: Session) -> None:
    world.ask(anne)
    world.leases.leave(anne)
    world.ask(anne)
    world.leases.removed("a")
    assert [answer.reason for answer in world.answers if isinstance(answer, VitaleError)] == ["lease_expired"] * 2
    assert anne.told == []


def test_the_end_that_it_asked_for_is_not_told_to_the_holder(world: World, anne: Session) -> None:
    lease = world.acquire(anne)
    world.leases.release(lease)
    world.leases.unleased("pcsc", Unleased(id=lease.number, why="released"))
    assert anne.told == []
    assert world.why(anne, lease.id) == "released"


def test_anybody_else_is_told_nothing(world: World, anne: Session, bea: Session) -> None:
    lease = world.acquire(anne)
    for session, name in ((bea, lease.id), (bea, "l9"), (anne, "l9"), (Session(3, "anne"), lease.id)):
        with pytest.raises(LeaseConflict) as refused:
            world.leases.held(session, session.client_id, name)
        assert refused.value.data == {}


def test_another_drivers_word_does_not_count(world: World, anne: Session) -> None:
    lease = world.acquire(anne)
    world.leases.unleased("nfc", Unleased(id=lease.number, why="card"))
    assert world.leases.held(anne, "anne", lease.id) is lease


def test_what_is_remembered_has_a_limit(world: World, anne: Session) -> None:
    first = world.acquire(anne)
    world.leases.release(first)
    for _ in range(MOST_ENDED):
        world.leases.release(world.acquire(anne))
    with pytest.raises(LeaseConflict):
        world.leases.held(anne, "anne", first.id)


def test_the_stop_of_the_daemon_lets_every_card_go(world: World, anne: Session) -> None:
    lease = world.acquire(anne)
    asked = world.ask(anne, reader=OTHER)
    world.leases.stop()
    assert world.unleased() == [lease.number, asked]
    assert world.leases.next_end == float("inf")


class LeaseMachine(RuleBasedStateMachine):
    """Two clients with three sessions, two readers, and a driver that holds the cards that it is told to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.sessions = [Session(1, "anne"), Session(2, "anne"), Session(3, "bea")]
        self.pending: dict[int, str] = {}
        self.held: dict[str, int] = {}
        self.seen = 0
        self.granted: list[Lease] = []

    def obey(self) -> None:
        """The driver does what it was told: one card for one lease, the ends before the beginnings."""
        for _, command in self.world.sent[self.seen :]:
            match command:
                case Unlease(id=number, reader=reader):
                    self.pending.pop(number, None)
                    if self.held.get(reader) == number:
                        del self.held[reader]
                case LeaseCommand(id=number, reader=reader) if self.held.get(reader) != number:
                    assert reader not in self.pending.values()
                    assert reader not in self.held, "told to hold what is held for somebody else"
                    self.pending[number] = reader
                case _:
                    pass
        self.seen = len(self.world.sent)

    @rule(
        session=st.integers(0, 2),
        reader=st.sampled_from([READER, OTHER]),
        right=st.booleans(),
        ttl=st.sampled_from([0.1, 5.0]),
    )
    def acquire(self, session: int, reader: Reader, right: bool, ttl: float) -> None:
        current = next((lease.id for lease in self.granted if self.holds(lease) and lease.reader == reader.id), None)
        with contextlib.suppress(LeaseConflict):
            self.world.ask(self.sessions[session], current if right else None, reader=reader, ttl=ttl)
        self.obey()

    @rule(atr=st.booleans())
    def driver_answers(self, atr: bool) -> None:
        for number, reader in list(self.pending.items()):
            del self.pending[number]
            report = Leased(id=number, atr=ATR) if atr else Leased(id=number, problem=Problem("reader_busy"))
            if atr:
                self.held[reader] = number
            self.world.leases.leased("pcsc", report, self.world.now)
            self.granted += [answer for answer in self.world.answers if isinstance(answer, Lease)]
            self.world.answers.clear()
        self.obey()

    @rule(reader=st.sampled_from(["a", "b"]), why=st.sampled_from(["card", "ttl"]))
    def driver_lets_go(self, reader: str, why: str) -> None:
        if reader in self.held:
            self.world.leases.unleased("pcsc", Unleased(id=self.held.pop(reader), why=why))  # type: ignore[arg-type]  # one of them

    @rule(reader=st.sampled_from(["a", "b"]))
    def reader_goes(self, reader: str) -> None:
        self.held.pop(reader, None)
        self.pending = {number: where for number, where in self.pending.items() if where != reader}
        self.world.leases.removed(reader)

    @rule(session=st.integers(0, 2))
    def leave(self, session: int) -> None:
        self.world.leases.leave(self.sessions[session])
        self.obey()

    @rule(seconds=st.sampled_from([0.1, 3.0, ACCESS]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.leases.tick(self.world.now)
        self.obey()
        assert self.world.leases.next_end > self.world.now

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        current = [lease for lease in self.granted if self.holds(lease)]
        if current:
            self.world.leases.release(data.draw(st.sampled_from(current)))
            self.obey()

    def holds(self, lease: Lease) -> bool:
        try:
            return self.world.leases.held(lease.holder, lease.client_id, lease.id) is lease
        except (LeaseConflict, LeaseExpired):
            return False

    @invariant()
    def one_holder_for_one_card(self) -> None:
        holding = {lease.reader: lease.number for lease in self.granted if self.holds(lease)}
        assert holding == self.held, "the driver holds other cards than the sessions have"

    @invariant()
    def nobody_else_can_use_it(self) -> None:
        for lease, session in itertools.product(self.granted[-3:], self.sessions):
            if session is not lease.holder and session.client_id != lease.client_id:
                with pytest.raises(LeaseConflict):
                    self.world.leases.held(session, session.client_id, lease.id)


TestLeaseMachine = LeaseMachine.TestCase
TestLeaseMachine.settings = settings(max_examples=30, stateful_step_count=40)
