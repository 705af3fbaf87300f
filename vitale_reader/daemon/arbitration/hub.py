"""Arbitration: which client gets which presentation, as a pure state machine.

Events go in, with the time; actions come out. No socket, no process, no clock: everything can be tested exhaustively.

Rules (``docs/explanation/arbitration.md`` names the test of each; a stateful one is for all of them together):

1.  A presentation goes to at most one client: the oldest waiting request that matches its medium and its reader. Where
    no request matches, it goes to a subscription.
2.  A card that was in the slot before the request answers at once. It is read once more for each such request.
3.  A request that waited before the card came, and was not the oldest, is not answered by it. It asks for the card to
    be removed and presented again.
4.  Two media present for one request are not resolved by chance. The request is answered with ``ambiguous_medium`` and
    the choices, unless it named one reader.
5.  A failed reading answers the oldest matching request, as a presentation would have. A reader or a service that goes
    away only delays the answer. The reading starts again when the reader is back.
6.  A request without any reader waits for ``GRACE_NEW`` seconds. It also waits for as long as drivers have not reported
    their readers since they were started. One that lost all its readers waits for ``GRACE_LOST``, and likewise for
    drivers that are started anew. Then ``no_reader``, ``reader_gone``, or why a reader that is there is of no use.
7.  A request ends once: by a presentation, an error, its deadline, its cancellation or the end of its session.
8.  Drivers are armed only while a request or a subscription matches, and only for readers that they have. Reader names
    that a client invents never reach a driver.
9.  A one-time code (``apcv-qr``) answers one request. While it still lies there, or is shown again at the same reader,
    it is no choice. No further reading of it is ordered. A waiting request asks for a new one (``retry``,
    ``replayed``), which is a presentation like any other. A code that was returned, because it was not sent, counts as
    if it had not been presented.
10. Subscriptions are served in turns. Among the clients with a matching one, the client served longest ago gets the
    presentation. Of its subscriptions, the one served longest ago is chosen.
11. A subscription takes what comes: nothing is read once more for it, and two media are two presentations. A failure is
    reported to the one whose turn it would have been, and ends nothing. A subscription waits without a limit, with
    readers or without, until it or its session ends.
12. What lies in a leased reader is read when the lease has ended. Until then waiting requests are notified (``retry``,
    ``reader_busy``).
13. A presentation delivered to a request of another desk that has ended is reassigned. It goes to the oldest request
    that waited at its delivery, or to a subscription. It is not reassigned while its reader is leased.
14. Waiting requests are notified when their reader disappears (``retry``, ``reader_gone``). One that ends while a
    reader of its own is in trouble says so (rule 17).
15. A page's request gets only what is presented for it. A medium that had lain there for more than ten seconds when the
    page asked does not count. Neither does one for which a page has had its token. The page is notified (``reinsert``),
    and its request waits for the medium to come again.
16. Clients are served in turns. At a reader, a client's waiting requests count as made when it was last answered there.
    Among themselves they keep their order.
17. The error of a request whose time runs out says what was missing. That is a reader (``no_reader``, ``reader_gone``),
    a reader that others hold (``reader_busy``), or any presentation (``timeout``). Where a reader did not work, or
    something could not be read, it says that (``timeout``, ``unread``, ``data.last``).
"""

from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import TypeAlias

import msgspec

from vitale_drivers.base import Presented
from vitale_protocol.errors import (
    AmbiguousMedium,
    Cancelled,
    JsonValue,
    MediumMute,
    MediumRemoved,
    MediumUnreadable,
    MediumUnsupported,
    NoReader,
    PayloadInvalid,
    PresentationTimeout,
    ReaderBusy,
    ReaderGone,
    ReaderUnavailable,
    Replayed,
    VitaleError,
)
from vitale_protocol.events import Reader, Step
from vitale_protocol.problems import Problem
from vitale_reader.daemon.arbitration.actions import (
    Action,
    Announce,
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
from vitale_reader.daemon.arbitration.arming import arm_for
from vitale_reader.daemon.arbitration.request_queue import RequestQueue
from vitale_reader.daemon.arbitration.slots import DriverState, Slot, fingerprint

__all__ = ["GRACE_LOST", "GRACE_NEW", "PRESENT", "Hub"]

#: Seconds in which a driver that is open tells its readers, if it does not say itself that it has.
GRACE_NEW = 4.0

#: Seconds: a PC/SC service is back within two of its restart.
GRACE_LOST = 5.0

#: Seconds for which a card may have lain there when a page asks. It was presented for this request then.
PRESENT = 10.0

#: Failures of the reader, not of what was presented: the same medium will be read when the reader is back.
DELAYS = frozenset({ReaderGone.reason, ReaderUnavailable.reason})

UNREAD = frozenset(
    {
        MediumRemoved.reason,
        MediumUnreadable.reason,
        MediumUnsupported.reason,
        MediumMute.reason,
        AmbiguousMedium.reason,
        PayloadInvalid.reason,
        Replayed.reason,
    }
)
"""What was presented and could not be read: a request that ends without a reading says so."""

TROUBLES = DELAYS | {ReaderBusy.reason}
"""Matters of the reader: a request that ends while one lasts says so, and not that nothing was presented."""

#: Media that are shown or scanned.
CODES = frozenset({"apcv-qr", "ins-datamatrix", "2d-doc"})

CARDS = frozenset({"vitale-card", "cps-card"})

SERVICES = frozenset({"pcsc", "pcsc-refused"})
"""Variants of a driver's trouble that say what is the matter with the system's service behind its readers."""


#: Problems that a request was told of, the last one last: of each reader that of what lay there, and that of itself.
ToldProblems: TypeAlias = dict[tuple[str, bool], Problem]


class Hub(msgspec.Struct):
    """The state machine. Each method takes one event and the time, and returns the actions to be done, in order."""

    _drivers: dict[str, DriverState] = msgspec.field(default_factory=dict[str, DriverState])
    _slots: dict[str, Slot] = msgspec.field(default_factory=dict[str, Slot])
    _pending: RequestQueue = msgspec.field(default_factory=RequestQueue)
    _unread: dict[Key, ToldProblems] = msgspec.field(default_factory=dict[Key, ToldProblems])
    _without_reader: dict[Key, tuple[float, type[NoReader | ReaderGone]]] = msgspec.field(
        default_factory=dict[Key, tuple[float, type[NoReader | ReaderGone]]]
    )

    # ── what can be asked ──

    @property
    def readers(self) -> tuple[Reader, ...]:
        """The readers, in the order of their ids."""
        return tuple(self._slots[name].reader for name in sorted(self._slots))

    @property
    def waiting(self) -> tuple[PendingRequest, ...]:
        """The requests that wait, oldest first."""
        return tuple(self._pending.waiting.values())

    @property
    def subscribed(self) -> tuple[PendingSubscription, ...]:
        """The subscriptions, the one whose turn it is first."""
        return tuple(self._pending.subscribed.values())

    @property
    def next_deadline(self) -> float | None:
        """Time at which ``tick`` has to be called, in hub time."""
        ends = [request.deadline for request in self._pending.waiting.values()]
        return min([*ends, *map(self._end_without_reader, self._without_reader)], default=None)

    def presentable(self, pending: Pending) -> frozenset[str]:
        """The media wanted that a reader here takes; all that are wanted where none does, since one may come."""
        here = {medium for slot in self._slots.values() if pending.fits(slot.reader) for medium in slot.reader.media}
        return pending.media & here or pending.media

    def starting(self, now: float) -> tuple[str, ...]:
        """Names of the drivers that have not told all their readers yet since they were started."""
        return tuple(sorted(name for name, state in self._drivers.items() if state.settles_by > now))

    # ── drivers and readers ──

    def expect(self, drivers: Iterable[str]) -> None:
        """Drivers are started, or started anew; each of them is up, or down again, sooner or later."""
        for driver in drivers:
            before = self._drivers.get(driver)
            trouble = None if before is None else before.trouble
            self._drivers[driver] = DriverState(frozenset(), trouble=trouble, settles_by=inf)

    def driver_up(self, driver: str, media: Iterable[str], now: float) -> list[Action]:
        """A driver is open."""
        self._drivers[driver] = DriverState(frozenset(media), settles_by=now + GRACE_NEW)
        return self._settle(now, [])

    def driver_settled(self, driver: str, now: float) -> list[Action]:
        """A driver has told all readers that were there when it opened."""
        if state := self._drivers.get(driver):
            state.settles_by = -inf
        return self._settle(now, [])

    def driver_down(self, driver: str, problem: Problem | None, now: float) -> list[Action]:
        """A driver's worker ended: its readers go, its requests stay."""
        self._drivers[driver] = DriverState(frozenset(), trouble=problem)
        gone = [slot.reader for slot in self._slots.values() if slot.reader.driver == driver]
        for reader in gone:
            for pending in self._pending.concerned(reader):
                self._remember(pending, reader.id, Problem(ReaderGone.reason, self._service(driver)))
        return self._settle(now, [action for reader in gone for action in self._remove(reader)], readers=True)

    def driver_health(self, driver: str, problem: Problem | None, now: float) -> list[Action]:
        """A driver says that it is well, or why it is not."""
        if state := self._drivers.get(driver):
            state.trouble = problem
        return self._settle(now, [])

    def reader_added(self, reader: Reader, now: float) -> list[Action]:
        """Takes a reader that a driver added."""
        self._slots[reader.id] = Slot(reader, now)
        self._recovers(self._slots[reader.id])
        return self._settle(now, [Announce("added", reader), *self._unknown_card(reader)], readers=True)

    def reader_changed(self, reader: Reader, now: float) -> list[Action]:
        """A reader's state or medium changed; a change of a reader that is not known is an addition.

        A driver that reports a reader as it was says that it works again.
        """
        slot = self._slots.get(reader.id)
        if slot is None:
            return self.reader_added(reader, now)
        if slot.reader == reader:
            self._recovers(slot)
            return []
        was_occupied, was_leased, was_medium = slot.occupied, slot.leased, slot.reader.medium
        slot.reader, slot.broken = reader, False
        self._recovers(slot)
        if not slot.occupied or not was_occupied:
            slot.begins(now)
        actions: list[Action] = [Announce("changed", reader)]
        # What a contactless card is, its reader may know only once it has asked.
        if not was_occupied or was_medium != reader.medium:
            actions += self._unknown_card(reader)
        if slot.leased and not was_leased:
            actions += [
                self._tell_leased(request, slot)
                for request in self._pending.requests(reader)
                if self._lies_for(request, slot)
            ]
        return self._settle(now, actions, readers=True)

    def reader_removed(self, reader_id: str, now: float) -> list[Action]:
        """Forgets a reader that a driver removed."""
        slot = self._slots.get(reader_id)
        if slot is None:
            return []
        problem = Problem(ReaderGone.reason, self._service(slot.reader.driver))
        told = [self._tell(pending, reader_id, problem) for pending in self._pending.concerned(slot.reader)]
        return self._settle(now, [*self._remove(slot.reader), *told], readers=True)

    # ── requests ──

    def ask(self, request: PendingRequest, now: float) -> list[Action]:
        """A client asks for the next presentation that matches."""
        if request.of_page:
            request = msgspec.structs.replace(request, stale=self._stale(now))
        if choices := self._ambiguous(request):
            return [Refuse(request, choices)]
        self._pending.add(request)
        self._watch_readers([request], now)
        actions: list[Action] = [NotifyProgress(request, "armed")]
        actions += [
            NotifyProgress(request, "reinsert", slot.reader.id, medium=slot.reader.medium or "")
            for slot in self._slots.values()
            if (slot.reader.id, slot.since) in request.stale and request.fits(slot.reader)
            if slot.reader.medium in request.media
        ]
        if not self._present(request):
            actions += [
                self._tell_renewed(request, slot)
                for slot in self._slots.values()
                if slot.spent and self._lies_for(request, slot)
            ]
        actions += [
            self._tell_leased(request, slot)
            for slot in self._slots.values()
            if slot.leased and self._lies_for(request, slot)
        ]
        # What lay there before is said at once as well, where it takes the only place.
        if not self._has_room(request):
            lying = [slot.reader for slot in self._slots.values() if request.fits(slot.reader)]
            actions += [told for one in lying for told in self._unsuited_to(request, one)]
        return self._settle(now, actions)

    def subscribe(self, subscription: PendingSubscription, now: float) -> list[Action]:
        """A client wants every presentation that matches and that no request claims."""
        self._pending.subscribe(subscription)
        return self._settle(now, [])

    def unsubscribe(self, key: Key, now: float) -> list[Action]:
        """A client has had enough; nothing if there is no such subscription."""
        self._pending.unsubscribe(key)
        return self._settle(now, [])

    def cancel(self, key: Key, now: float) -> list[Action]:
        """The client gives up a request; no action if it does not wait (any more)."""
        request = self._end(key)
        return self._settle(now, [Refuse(request, Cancelled())]) if request else []

    def session_ended(self, session: int, now: float) -> list[Action]:
        """A session ended: its requests end with it, unanswered, and its subscriptions."""
        for key in [key for key in self._pending.waiting if key[0] == session]:
            self._end(key)
        for key in [key for key in self._pending.subscribed if key[0] == session]:
            self._pending.unsubscribe(key)
        return self._settle(now, [])

    def refuse_all(self, make_error: Callable[[], VitaleError]) -> list[Action]:
        """The daemon stops: every request is answered; subscriptions end with their sessions."""
        return [Refuse(request, make_error()) for key in list(self._pending.waiting) if (request := self._end(key))]

    # ── presentations ──

    def progress(self, reader_id: str, step: Step, problem: Problem | None = None, medium: str = "") -> list[Action]:
        """A driver says how a presentation gets on: told to whom it would go."""
        slot = self._slots.get(reader_id)
        if slot is None:
            return []
        lying = slot.reader.medium if slot.reader.medium in slot.reader.media else None
        pending = self._pending.claimant(slot.reader, medium or lying)
        if pending is None:
            return []
        self._remember(pending, reader_id, problem)
        return [NotifyProgress(pending, step, reader_id, problem, medium)]

    def presented(self, presentation: Presented, now: float) -> list[Action]:
        """A driver read a medium."""
        slot = self._slots.get(presentation.reader)
        if slot is None:
            return []  # its reader's removal overtook it: what is no longer there is not told
        actions = self._presented(slot, presentation, now)
        if presentation.over:
            actions += self.reader_changed(msgspec.structs.replace(slot.reader, state="empty", medium=None), now)
        return actions

    def _presented(self, slot: Slot, presentation: Presented, now: float) -> list[Action]:
        slot.answered, slot.again, slot.shown = True, False, fingerprint(presentation)
        pending = self._pending.claimant(slot.reader, presentation.medium, since=slot.since)
        if pending is None:
            return self._settle(now, [])
        if slot.spent:
            concerned = self._pending.concerned(slot.reader, presentation.medium)
            return self._settle(now, [self._tell_renewed(other, slot) for other in concerned])
        return self._hand(pending, presentation, slot, now)

    def _hand(self, pending: Pending, presentation: Presented, slot: Slot, now: float) -> list[Action]:
        if isinstance(pending, PendingRequest):
            self._end(pending.key)
            self._pending.served(pending, slot.reader)
            if choices := self._ambiguous(pending, slot):
                return self._settle(now, [Refuse(pending, choices)])
            slot.served = slot.served or pending.of_page
        else:
            self._pending.served(pending, slot.reader)
        code = fingerprint(presentation)
        slot.used = code or slot.used
        actions: list[Action] = [Deliver(pending, presentation, slot.reader)]
        if code:
            requests = self._pending.requests(slot.reader, presentation.medium)
            actions += [self._tell_renewed(request, slot) for request in requests]
        else:
            actions += self._have_removed(slot)
        return self._settle(now, actions)

    def reassigned(self, presentation: Presented, delivered_at: float, now: float) -> list[Action]:
        """The request that it was delivered to was over elsewhere: the oldest that waited with it gets it instead."""
        slot = self._slots.get(presentation.reader)
        if slot is None:
            return []
        if slot.used == fingerprint(presentation):
            slot.used = b""
        pending = (
            None
            if slot.leased
            else self._pending.claimant(slot.reader, presentation.medium, since=slot.since, asked_by=delivered_at)
        )
        if pending is None:
            return self._settle(now, [])
        return self._hand(pending, presentation, slot, now)

    def returned(self, presentation: Presented, now: float) -> list[Action]:
        """A one-time code was delivered, and not used: it may be presented again."""
        slot = self._slots.get(presentation.reader)
        if slot is not None and slot.used == fingerprint(presentation):
            slot.used = b""
        return self._settle(now, [])

    def failed(self, reader_id: str, error: VitaleError, now: float) -> list[Action]:
        """A presentation gave no reading."""
        slot = self._slots.get(reader_id)
        if slot is None:
            return []
        slot.answered, slot.again = True, False
        # What could not be read may have no name that a request knows.
        medium = slot.reader.medium if slot.reader.medium in slot.reader.media else None
        pending = self._pending.claimant(slot.reader, medium)
        if pending is None:
            return self._settle(now, [])
        if medium == "cps-card":  # recognised, and read by nobody: whoever asked for it is told that
            error = MediumUnsupported(error.detail, variant="cps-asked", data=error.data)
        if error.reason in DELAYS:
            slot.broken = True
            return self._settle(now, [self._tell(pending, reader_id, Problem.of(error))], readers=True)
        if isinstance(pending, PendingSubscription):
            return self._settle(now, [Unread(pending, error, reader_id)])
        ended = self._end(pending.key)
        self._pending.served(pending, slot.reader)
        return self._settle(now, [*([Refuse(ended, error)] if ended else []), *self._have_removed(slot)])

    def tick(self, now: float) -> list[Action]:
        """Acts on the time that has passed."""
        actions: list[Action] = []
        for request in list(self._pending.waiting.values()):
            if request.deadline <= now:
                error = self._why_in_vain(request)
                self._end(request.key)
                actions.append(Refuse(request, error))
        for key in list(self._without_reader):
            if self._end_without_reader(key) <= now:
                error = self._reader_missing(key)
                actions += [Refuse(ended, error)] if (ended := self._end(key)) else []
        return self._settle(now, actions)

    # ── inside ──

    def _end_without_reader(self, key: Key) -> float:
        """Rule 6: when a request that has no reader ends; it waits for drivers that start."""
        end, _ = self._without_reader[key]
        return max([end, *(state.settles_by for state in self._drivers.values())]) if end < inf else end

    def _reader_missing(self, key: Key) -> VitaleError:
        """The error of a request without a reader: why those present are of no use, or the drivers' trouble."""
        _, error = self._without_reader[key]
        told = [problem for (reader, _), problem in self._unread.get(key, {}).items() if reader in self._slots]
        if told and told[-1].reason in TROUBLES - {ReaderGone.reason}:
            return told[-1].error(ReaderUnavailable)
        troubles = {name: each.trouble for name, each in sorted(self._drivers.items()) if each.trouble}
        drivers = {name: trouble.reason for name, trouble in troubles.items()}
        # The service behind the readers is why none is there: its remedy is the true one.
        service = next((each.variant for each in troubles.values() if each.variant in SERVICES), "")
        data: dict[str, JsonValue] = {"drivers": {**drivers}}
        if error is ReaderGone:
            return ReaderGone(variant=service, data=data)
        readers = self._pending.waiting[key].readers
        unknown = bool(readers) and not readers & self._slots.keys()
        return NoReader(variant=service or ("named" if unknown else ""), data=data)

    def _why_in_vain(self, request: PendingRequest) -> VitaleError:
        """The end of a request's time: rule 17."""
        if self._without_reader[request.key][0] < inf:
            return self._reader_missing(request.key)
        told = [*self._unread.get(request.key, {}).values()]
        unread = told[-1] if told else None
        if unread is not None and unread.reason == ReaderBusy.reason:
            return unread.error(ReaderBusy)
        return _too_late(self.presentable(request), unread)

    def _service(self, driver: str) -> str:
        """Names the trouble of the system's service behind a driver's readers; empty for none."""
        state = self._drivers.get(driver)
        variant = state.trouble.variant if state and state.trouble else ""
        return variant if variant in SERVICES else ""

    def _remember(self, pending: Pending, reader_id: str, problem: Problem | None) -> None:
        """Keeps why nothing was read so far, for the end of a request whose time runs out."""
        if problem is None or problem.reason not in UNREAD | TROUBLES or not isinstance(pending, PendingRequest):
            return
        told, what = self._unread.setdefault(pending.key, {}), (reader_id, problem.reason in TROUBLES)
        told.pop(what, None)
        told[what] = problem

    def _recovers(self, slot: Slot) -> None:
        """Forgets the trouble of a reader that works."""
        if slot.usable and not slot.leased:
            for told in self._unread.values():
                told.pop((slot.reader.id, True), None)

    def _tell(self, pending: Pending, reader_id: str, problem: Problem) -> NotifyProgress:
        """Notifies of a problem, and keeps it for the end."""
        self._remember(pending, reader_id, problem)
        return NotifyProgress(pending, "retry", reader_id, problem)

    def _end(self, key: Key) -> PendingRequest | None:
        self._without_reader.pop(key, None)
        self._unread.pop(key, None)
        return self._pending.end(key)

    def _remove(self, reader: Reader) -> list[Action]:
        del self._slots[reader.id]
        return [Announce("removed", reader)]

    def _lies_for(self, request: PendingRequest, slot: Slot) -> bool:
        """True if the reader and the medium in it are wanted by the request."""
        wanted = slot.occupied and slot.reader.medium in request.media and request.fits(slot.reader)
        return wanted and (slot.reader.id, slot.since) not in request.stale

    def _stale(self, now: float) -> frozenset[tuple[str, float]]:
        """Rule 15: media that do not count for a page's request, lying there for long or already served."""
        return frozenset(
            (slot.reader.id, slot.since)
            for slot in self._slots.values()
            if slot.occupied and (slot.served or now - slot.since > PRESENT)
        )

    def _present(self, request: PendingRequest, besides: Slot | None = None) -> list[Slot]:
        """Returns the readers with a medium for the request; ``besides`` is one that is known already."""
        return [
            slot
            for slot in self._slots.values()
            if slot is besides or (self._lies_for(request, slot) and not slot.spent)
        ]

    def _ambiguous(self, request: PendingRequest, besides: Slot | None = None) -> AmbiguousMedium | None:
        present = sorted(self._present(request, besides), key=lambda slot: slot.reader.id)
        if len(present) <= 1:
            return None
        return AmbiguousMedium(
            f"{len(present)} media are present",
            data={
                "choices": [
                    {"reader": slot.reader.id, "name": slot.reader.name, "medium": slot.reader.medium}
                    for slot in present
                ]
            },
        )

    def _unknown_card(self, reader: Reader) -> list[Action]:
        """Rule of courtesy: whoever waits for this reader learns that what lies there is not what is wanted."""
        return [
            unsuited for pending in self._pending.concerned(reader) for unsuited in self._unsuited_to(pending, reader)
        ]

    def _unsuited_to(self, pending: Pending, reader: Reader) -> list[Action]:
        """Notices about a card that is unknown or of the wrong kind: a professional's in place of a patient's.

        An unknown medium on an antenna gets none. Its driver says more, since a phone there may still become readable.
        """
        if reader.medium == "unknown-card" and reader.media != ("apcv-nfc",):
            problem = Problem(MediumUnsupported.reason)
        elif _is_unsuited(pending, reader) and reader.medium in CARDS and not self._has_room(pending):
            problem = Problem(MediumUnsupported.reason, reader.medium)
        else:
            return []
        self._remember(pending, reader.id, problem)
        return [NotifyProgress(pending, "remove_card", reader.id, problem)]

    def _has_room(self, pending: Pending) -> bool:
        """True if a reader is left for the wanted card: a professional's has its own slot on many desks."""
        return any(
            pending.fits(slot.reader) and not _is_unsuited(pending, slot.reader) for slot in self._slots.values()
        )

    def _have_removed(self, slot: Slot) -> list[Action]:
        """Rule 3: those who waited before the medium came need it to come again."""
        if not slot.occupied:
            return []
        return [
            NotifyProgress(request, "remove_card", slot.reader.id, medium=slot.reader.medium or "")
            for request in self._pending.requests(slot.reader, slot.reader.medium)
            if request.asked_at < slot.since
        ]

    def _tell_renewed(self, pending: Pending, slot: Slot) -> Action:
        """Rule 9: whoever waits needs another code than the one that was used."""
        return self._tell(pending, slot.reader.id, Problem(Replayed.reason))

    def _tell_leased(self, request: PendingRequest, slot: Slot) -> Action:
        """Notifies requests for a leased reader (rule 12)."""
        return self._tell(request, slot.reader.id, Problem(ReaderBusy.reason))

    def _settle(self, now: float, actions: list[Action], *, readers: bool = False) -> list[Action]:
        """Returns the actions of the new state: requests without a reader, if ``readers`` changed, and armings."""
        if readers:
            self._watch_readers(self._pending.waiting.values(), now)
        for name, state in self._drivers.items():
            actions += self._arming(name, state)
        return actions

    def _watch_readers(self, requests: Iterable[PendingRequest], now: float) -> None:
        for request in requests:
            known = self._without_reader.get(request.key)
            if any(slot.usable and request.fits(slot.reader) for slot in self._slots.values()):
                self._without_reader[request.key] = (inf, ReaderGone)
            elif known is None:
                self._without_reader[request.key] = (now + GRACE_NEW, NoReader)
            elif known[0] == inf:
                self._without_reader[request.key] = (now + GRACE_LOST, ReaderGone)

    def _arming(self, driver: str, state: DriverState) -> Iterator[Action]:
        mine = [slot for slot in self._slots.values() if slot.reader.driver == driver]
        arm = arm_for(self._pending, state.media, frozenset(slot.reader.id for slot in mine))
        if arm is None:
            if state.armed is not None:
                state.armed = None
                yield DisarmDriver(driver)
            return
        again = tuple(slot.reader.id for slot in mine if self._reread(slot))
        if again or arm != state.armed:
            state.armed = arm
            yield ArmDriver(driver, msgspec.structs.replace(arm, again=again))

    def _reread(self, slot: Slot) -> bool:
        """Notes, and returns, whether a medium is read once more for a later request (rule 2)."""
        if slot.occupied and slot.answered and slot.usable and not slot.again and not slot.spent:
            slot.again = self._pending.any_since(slot.since, slot.reader, slot.reader.medium)
            return slot.again
        return False


def _too_late(media: frozenset[str], unread: Problem | None) -> PresentationTimeout:
    """The end of a request's time: nothing was presented, or why it could not be read."""
    if unread is not None:
        data: dict[str, JsonValue] = {"last": {"reason": unread.reason, "variant": unread.variant}}
        return PresentationTimeout(variant="unread", data=data)
    if media <= CODES:
        return PresentationTimeout(variant="code")
    return PresentationTimeout(variant="phone") if media <= {"apcv-nfc"} else PresentationTimeout()


def _is_unsuited(pending: Pending, reader: Reader) -> bool:
    """True if a card lies in a reader that is not the one that is wanted."""
    return reader.medium == "unknown-card" or (reader.medium in CARDS and reader.medium not in pending.media)
