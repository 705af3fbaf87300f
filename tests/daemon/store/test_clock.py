"""Clocks that are wrong, go forward, go back: nothing that several desks share is judged by one of them."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, func, insert, select

from vitale_protocol.errors import StoreUnavailable
from vitale_protocol.methods import OutboxToken
from vitale_reader.daemon.clients.callers import Peer
from vitale_reader.daemon.clients.registry import ClientRegistry
from vitale_reader.daemon.issuing.contexts import Contexts
from vitale_reader.daemon.issuing.opposition import Opposition
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.replay import ReplayGuard
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site.external_changes import ExternalChanges
from vitale_reader.daemon.store.audit_trail.audit import DAY, Audit
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.clock import MOST_OFF, MOST_UNHEARD, StoreClock, ahead_of
from vitale_reader.daemon.store.local_anchor import HEARD_ANEW, Heard, Remembered
from vitale_reader.daemon.store.machine_run import boot, steady
from vitale_reader.daemon.store.row_upgrade import bring_forward
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import audit, contexts, outbox, seen

VAULT = Vault.of_site(b"k" * 32)
NOW = 1_800_000_000.0
KEPT = (outbox, audit, seen, contexts)
pytestmark = pytest.mark.usefixtures("patient")


class Hand:
    """The two clocks of a desk, in the hands of a test."""

    def __init__(self, now: float = NOW) -> None:
        self.wall = now
        self.steady = 1_000.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def clock_of(hand: Hand, remembered: Remembered | None = None) -> StoreClock:
    return StoreClock(remembered or Remembered(), wall=lambda: hand.wall, steady=lambda: hand.steady)


# ── one desk ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_time_that_passes_is_believed() -> None:
    hand = Hand()
    clock = clock_of(hand)
    for _ in range(3):
        hand.pass_by(7 * DAY)
        assert clock.believed() == hand.wall


def test_a_clock_that_jumps_forward_is_believed_a_day_an_hour() -> None:
    hand = Hand()
    clock = clock_of(hand)
    assert clock.believed() == NOW
    hand.wall += 400 * DAY
    assert clock.believed() == NOW
    hand.pass_by(3_600)
    assert clock.believed() == NOW + DAY
    hand.wall -= 400 * DAY
    assert clock.believed() == NOW + 3_600, "it was set right again"


def test_a_clock_that_goes_back_takes_nothing_back() -> None:
    hand, remembered = Hand(), Remembered()
    clock = clock_of(hand, remembered)
    clock.believed()
    hand.wall = 0.0
    assert clock.believed() == 0.0, "nothing is forgotten by it"
    assert clock.lasting() == NOW, "and what is to be kept for long is kept as long as ever"
    assert remembered.latest == NOW


def test_a_night_is_caught_up_in_the_morning() -> None:
    hand, remembered = Hand(), Remembered()
    clock_of(hand, remembered).believed()
    hand.wall, hand.steady = NOW + 14 * 3_600, 5.0
    clock = clock_of(hand, remembered)
    assert clock.believed() == NOW
    hand.pass_by(2_400)
    assert clock.believed() == hand.wall


@pytest.mark.parametrize("behind", [6.0, 400 * DAY])
def test_a_clock_that_is_behind_what_was_seen_is_told(behind: float, caplog: pytest.LogCaptureFixture) -> None:
    remembered = Remembered()
    remembered.saw_time(NOW)
    clock_of(Hand(NOW - behind), remembered)
    assert "behind" in caplog.text


@pytest.mark.parametrize("by", [3_600.0, -3_600.0, 400 * DAY])
def test_a_clock_that_is_set_while_it_runs_is_told_once(by: float, caplog: pytest.LogCaptureFixture) -> None:
    hand = Hand()
    clock = clock_of(hand)
    hand.pass_by(60)
    clock.look()
    assert caplog.text == ""
    hand.wall += by
    clock.look()
    clock.look()
    assert caplog.text.count("was set by") == 1


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


class Desk:
    """What a desk keeps, by its own clock and in one store."""

    def __init__(self, store: Store, clock: StoreClock, station: str, remembered: Remembered) -> None:
        resolver: Any = None  # none is asked
        chain = Chain(VAULT, station)
        self.store = store
        self.clock = clock
        self.outbox = Outbox(store, VAULT, chain, clock=clock)
        self.guard = ReplayGuard(store, VAULT, days=2, clock=clock)
        self.audit = Audit(store, chain, remembered=remembered, days=365, clock=clock)
        self.contexts = Contexts(
            store,
            VAULT,
            resolver,
            station=station,
            mode="production",
            notify=lambda _client, _event: False,
            clock=clock,
        )
        self.station = station

    async def keep(self, number: int, now: float) -> None:
        await self.guard.claim(VAULT.digest("string", f"{self.station} {number}".encode()))
        name = f"{self.station[:8]}-{number}"
        await self.outbox.put(
            OutboxToken(jti=name, exp=int(now + 120), token="token"),
            client_id="c",
            presentation=name,
            entry=AuditEntry(at=now, action="presentation.request", outcome="ok"),
        )
        row = {"digest": name, "client_id": "c", "notice_at": now, "noticed": False, "ends_at": now + 1_800}
        await self.store.run(
            lambda connection: connection.execute(insert(contexts), row | {"sealed": b"", "station": self.station})
        )

    async def purge(self) -> int:
        return sum([await forgetful.purge() for forgetful in (self.outbox, self.guard, self.contexts, self.audit)])

    async def counts(self) -> list[int]:
        return [await self.store.run(partial(_count, table=table)) for table in KEPT]


@contextlib.asynccontextmanager
async def opened(place: Path | str) -> AsyncGenerator[Store]:
    store = Store(place)
    await store.open()
    try:
        await bring_forward(store, VAULT, Remembered())
        yield store
    finally:
        await store.close()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


@pytest.mark.parametrize("how", ["while it runs", "at its start"])
def test_a_desk_alone_that_jumps_forward_forgets_nothing(tmp_path: Path, how: str) -> None:
    async def work() -> None:
        hand, remembered = Hand(), Remembered()
        async with opened(tmp_path / "store.db") as store:
            desk = Desk(store, clock_of(hand, remembered), "1" * 36, remembered)
            await desk.keep(1, NOW)
            assert await desk.purge() == 0
            if how == "at its start":
                hand.steady = 5.0
            hand.wall += 400 * DAY
            if how == "at its start":
                desk = Desk(store, clock_of(hand, remembered), "1" * 36, remembered)
            assert await desk.purge() == 0
            assert await desk.counts() == [1, 1, 1, 1]
            hand.wall -= 400 * DAY
            assert [one.jti for one in await desk.outbox.list("c")] == ["11111111-1"]

    run(work)


def test_a_string_that_is_used_while_the_clock_is_behind_counts_as_long_as_ever(tmp_path: Path) -> None:
    async def work() -> None:
        hand, remembered = Hand(), Remembered()
        async with opened(tmp_path / "store.db") as store:
            desk = Desk(store, clock_of(hand, remembered), "1" * 36, remembered)
            await desk.purge()
            hand.wall = 0.0
            await desk.guard.claim("d")
            hand.wall = NOW + 60
            hand.steady += 60
            assert await desk.guard.purge() == 0
            assert await desk.guard.knows("d")

    run(work)


# ── a site ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ahead", [150.0, -150.0, 400 * DAY, -400 * DAY])
def test_a_desk_with_a_wrong_clock_forgets_nothing_of_the_others(site_database: str, ahead: float) -> None:
    async def work() -> None:
        async with opened(site_database) as store:
            good = Desk(store, StoreClock(Remembered(), shared=True), "1" * 36, Remembered())
            for number in range(3):
                await good.keep(number, time.time())
            remembered = Remembered()
            wrong = StoreClock(remembered, shared=True, wall=lambda: time.time() + ahead)
            desk = Desk(store, wrong, "2" * 36, remembered)
            assert await desk.purge() == 0
            assert await desk.counts() == [3, 3, 3, 3]
            assert len(await desk.outbox.list("c")) == 3
            assert abs(wrong.now() - time.time()) < 60.0, "its own clock counts no more"
            assert abs(wrong.offset - ahead) < 60.0

    run(work)


def test_a_desk_whose_clock_is_wrong_issues_nothing_and_says_so(
    site_database: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitale_reader.daemon.store.clock.TOLD_OFF", 1_000.0)

    async def work() -> None:
        async with opened(site_database) as store:
            ahead = 0.0
            clock = StoreClock(Remembered(), shared=True, wall=lambda: time.time() + ahead)
            desk = Desk(store, clock, "1" * 36, Remembered())
            await store.run(clock.read)
            await desk.keep(1, time.time())
            assert "is off" not in caplog.text
            ahead = MOST_OFF + DAY  # a look that takes long says less of it, by half of the time that it took
            for _ in range(3):
                await store.run(clock.read)
            assert caplog.text.count("is off by +86") == 1
            with pytest.raises(StoreUnavailable) as refused:
                await desk.keep(2, time.time())
            (offset,) = refused.value.data.values()
            assert (refused.value.variant, tuple(refused.value.data)) == ("clock", ("offset",))
            assert abs(int(str(offset)) - ahead) < 60
            ahead = 0.0
            await store.run(clock.read)
            await desk.keep(3, time.time())

    run(work)


@pytest.mark.parametrize("by", [40.0, -40.0, 400 * DAY])
def test_a_clock_that_is_set_between_two_looks_issues_nothing_from_that_moment_on(
    by: float, caplog: pytest.LogCaptureFixture
) -> None:
    """By a time server, a hand, or a virtual machine that resumes; also while the database is away."""
    hand = Hand()
    clock = StoreClock(Remembered(), shared=True, wall=lambda: hand.wall, steady=lambda: hand.steady)
    clock.saw(NOW, hand.steady, hand.steady)
    hand.pass_by(60)
    clock.right()
    hand.wall += by
    with pytest.raises(StoreUnavailable) as refused:
        clock.right()
    assert (refused.value.variant, refused.value.data) == ("clock", {"offset": round(by)})
    clock.look()
    assert caplog.text.count("is off by") == 1
    hand.wall -= by
    clock.right()
    assert clock.offset == 0.0


def site_clock(hand: Hand, remembered: Remembered, boot: str = "first") -> StoreClock:
    return StoreClock(remembered, shared=True, wall=lambda: hand.wall, steady=lambda: hand.steady, boot=lambda: boot)


def refused_offset(clock: StoreClock) -> int | None:
    """By how many seconds a clock is said to be off where nothing is issued; None where it is."""
    try:
        clock.right()
    except StoreUnavailable as refused:
        (offset,) = refused.data.values()
        return int(str(offset))
    return None


def heard_once(file: Path, hand: Hand) -> None:
    """A run of the daemon that has heard its site, and was killed."""
    remembered = Remembered(file)
    remembered.saw_end(1, b"m")
    site_clock(hand, remembered).saw(NOW, hand.steady, hand.steady)
    remembered.write(durable=False)


@pytest.mark.parametrize("ahead", [0.0, 20.0, -20.0])
def test_what_is_issued_bears_the_time_of_the_site(ahead: float) -> None:
    """Also where the clock of the desk is off by less than is refused, or is set at that moment."""
    hand = Hand()
    clock = site_clock(hand, Remembered())
    clock.saw(NOW, hand.steady, hand.steady)
    hand.pass_by(60)
    hand.wall += ahead
    assert clock.right() == NOW + 60


@pytest.mark.parametrize("by", [40.0, -40.0, 400 * DAY, -400 * DAY])
def test_a_daemon_that_starts_anew_while_its_site_is_away_holds_its_clock_against_what_was_heard(
    tmp_path: Path, by: float
) -> None:
    hand = Hand()
    heard_once(tmp_path / "anchor", hand)
    hand.pass_by(3 * DAY)
    hand.wall += by
    clock = site_clock(hand, Remembered.read(tmp_path / "anchor"))
    assert refused_offset(clock) == round(by)
    assert clock.now() == NOW + 3 * DAY
    hand.wall -= by
    assert clock.right() == NOW + 3 * DAY


@pytest.mark.parametrize(
    ("since", "refused"),
    [
        (-400 * DAY, -400 * DAY),
        (-40.0, -40.0),
        (-20.0, None),
        (5 * DAY, None),
        (MOST_UNHEARD, None),
    ],
)
def test_a_machine_that_starts_anew_while_its_site_is_away_believes_a_clock_that_can_be_right(
    tmp_path: Path, since: float, refused: float | None
) -> None:
    hand = Hand()
    heard_once(tmp_path / "anchor", hand)
    hand.steady = 5.0
    hand.wall = NOW + since
    clock = site_clock(hand, Remembered.read(tmp_path / "anchor"), boot="second")
    assert refused_offset(clock) == refused
    clock.saw(NOW + since, hand.steady, hand.steady)  # the site is back, and says that the clock is right
    assert refused_offset(clock) is None


def test_a_desk_that_has_not_heard_its_site_for_six_weeks_issues_nothing_and_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hand = Hand()
    heard_once(tmp_path / "anchor", hand)
    hand.wall, hand.steady = NOW + 400 * DAY, 5.0
    clock = site_clock(hand, Remembered.read(tmp_path / "anchor"), boot="second")
    with pytest.raises(StoreUnavailable) as refused:
        clock.right()
    assert (refused.value.variant, refused.value.data) == ("unheard", {})
    assert "not heard since the start" in caplog.text
    assert "is off" not in caplog.text, "its clock may be right"
    clock.saw(NOW + 400 * DAY, hand.steady, hand.steady)
    assert clock.right() == NOW + 400 * DAY


@pytest.mark.parametrize("boot", ["first", ""])
def test_a_system_that_does_not_name_its_runs_goes_on_by_its_clock(tmp_path: Path, boot: str) -> None:
    hand = Hand()
    remembered = Remembered(tmp_path / "anchor")
    assert refused_offset(site_clock(hand, remembered, boot)) is None, "nothing was heard yet"
    site_clock(hand, remembered, "").saw(NOW, hand.steady, hand.steady)
    hand.wall += DAY
    assert refused_offset(site_clock(hand, remembered, boot)) is None


def test_a_look_that_took_long_is_not_what_is_remembered(tmp_path: Path) -> None:
    hand = Hand()
    remembered = Remembered(tmp_path / "anchor")
    site_clock(hand, remembered).saw(NOW, hand.steady, hand.steady + 80)
    assert remembered.heard is None


def test_the_time_of_the_site_is_written_down_now_and_then(tmp_path: Path) -> None:
    hand = Hand()
    remembered = Remembered(tmp_path / "anchor")
    clock = site_clock(hand, remembered)
    heard: list[Heard | None] = []
    for passed in (0.0, 2.0, 2.0, HEARD_ANEW, 2.0):
        hand.pass_by(passed)
        clock.saw(hand.wall, hand.steady, hand.steady)
        heard.append(remembered.heard)
    assert [None if each is None else each.at - NOW for each in heard] == [0, 0, 0, HEARD_ANEW + 4, HEARD_ANEW + 4]


def test_the_system_names_each_run_of_the_machine_and_counts_its_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "registry").write_text("{}", "utf-8")  # of the stand-in for Windows; nobody else looks at it
    monkeypatch.setenv("VITALE_STAND_IN_REGISTRY", str(tmp_path / "registry"))
    monkeypatch.setenv("VITALE_STAND_IN_BOOT", str(uuid.uuid4()))
    assert boot() == boot()
    assert len(boot()) == 36
    assert 0 < steady() <= steady()


def test_a_name_that_comes_again_with_fewer_seconds_is_of_another_run(tmp_path: Path) -> None:
    hand = Hand()
    remembered = Remembered(tmp_path / "anchor")
    site_clock(hand, remembered, "run").saw(NOW, hand.steady, hand.steady)
    hand.steady = 10.0
    hand.wall += DAY
    assert refused_offset(site_clock(hand, remembered, "run")) is None, "its clock may be right"
    assert site_clock(hand, remembered, "run").now() == hand.wall


def test_a_look_that_took_long_calls_no_clock_wrong() -> None:
    hand = Hand()
    clock = StoreClock(Remembered(), shared=True, wall=lambda: hand.wall, steady=lambda: hand.steady)
    hand.pass_by(80)
    clock.saw(NOW + 5, 1_000.0, 1_080.0)
    assert clock.offset == 0.0
    clock.saw(NOW - 5, 1_079.0, 1_080.0)
    assert clock.offset == 84.5


def test_a_revocation_is_heard_whatever_the_clocks_say(site_database: str) -> None:
    """One desk is an hour ahead: what the other one revokes after it bears an earlier date."""

    async def work() -> None:
        async with opened(site_database) as store:
            ahead = ClientRegistry(store, VAULT, clock=lambda: NOW + 3_600)
            right = ClientRegistry(store, VAULT, clock=lambda: NOW)
            third = ClientRegistry(store, VAULT, clock=lambda: NOW - 3_600)
            paired = [await right.add(name, scopes=("nir",), transports=("unix",)) for name in ("X", "Y")]
            told: list[str] = []
            news = ExternalChanges(
                store,
                third,
                Opposition(store, VAULT),
                None,
                clock=StoreClock(Remembered(), shared=True),
                revoked=told.append,
                called=lambda: False,
                due=asyncio.Event(),
            )
            await news.look()
            assert [third.authenticate(Peer(transport="unix"), secret).name for _, secret in paired] == ["X", "Y"]
            for desk, (client_id, _) in zip((ahead, right), paired, strict=True):
                await desk.refresh()
                assert await desk.revoke(client_id)
                await news.look()
                assert told[-1] == client_id

    run(work)


@pytest.mark.parametrize(
    ("told", "before", "after", "ahead"),
    [(100.0, 100.0, 100.0, 0.0), (100.0, 90.0, 110.0, 0.0), (100.0, 130.0, 150.0, 30.0), (100.0, 50.0, 70.0, -30.0)],
    ids=["at once", "late", "ahead", "behind"],
)
def test_an_answer_that_took_long_is_no_error_of_a_clock(
    told: float, before: float, after: float, ahead: float
) -> None:
    assert ahead == ahead_of(told, before, after)
