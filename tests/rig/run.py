"""A site with everything at once: it plays a scenario, and holds what the clients saw against what must be true.

Invariants, all of them from the wire, the command line or the system, none from inside:

- nothing is lost: a token that was made is held by its client, or listed until it ends;
- nothing is given twice: one token a nonce, a string, a presentation; nothing is listed again once it was acknowledged;
- nothing goes to another, nobody acknowledges what is another's, every token verifies by the clock of the clients;
- nobody who was revoked, or was planted in the database, comes in;
- the trail is whole, or is told not to be;
- a stop takes its time at most, memory is bounded, no daemon says ``internal_error`` or writes a traceback.
"""

import contextlib
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.rig.clients import Client, Pairing, Pairings
from tests.rig.database import Database
from tests.rig.desk import Desk, faketime
from tests.rig.ledger import Ledger
from tests.rig.pgbouncer import Bouncer
from tests.rig.scenario import Event, Scenario
from tests.rig.tamper import Tamperer
from tests.rig.wire import HungUp, Refused, Schema

__all__ = ["Outcome", "play"]

#: Seconds until all is as it should be once the troubles are over, and until a revocation is heard without them.
SETTLED, HEARD = 120.0, 20.0
GROWTH = 96 << 20
#: Programs that are revoked one after the other; all of them try to come in all the time.
MOST_REVOKED = 24
#: Seconds of a stop. The daemon promises five; a machine that is busy with all of this takes some more to schedule it.
STOP = 5.0
#: Those that stream to a standby are not a desk's.
BACKENDS_END = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE usename = 'desk' AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
#: What a desk's log must not have in it.
UNSEEMLY = ("Traceback", "incident")


class Outcome(NamedTuple):
    """Result of a run.

    Attributes:
        faults: breaches; empty at the end of a good run.
        counts: how often what happened.
        figures: what was measured.
    """

    faults: list[str]
    counts: dict[str, int]
    figures: dict[str, float]

    def __str__(self) -> str:
        lines = [f"{name:32} {number}" for name, number in sorted(self.counts.items())]
        lines += [f"{name:32} {figure:.2f}" for name, figure in sorted(self.figures.items())]
        return "\n".join([*lines, *(f"FAULT {fault}" for fault in self.faults), f"{len(self.faults)} faults"])


def play(
    scenario: Scenario, folder: Path, database: Database, *, desks: int, clients: int, stop: float = STOP
) -> Outcome:
    """Plays a scenario in a folder, on a database that it restarts, and has fail over where the scenario says so."""
    name = database.create()
    with contextlib.ExitStack() as stack:
        stack.callback(database.drop, name)
        pooler = None if scenario.pooled is None else stack.enter_context(Bouncer(database, "session"))
        return _Site(scenario, folder, database, name, pooler, desks, clients, stop).play()


class _Site:
    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        database: Database,
        name: str,
        pooler: Bouncer | None,
        desks: int,
        clients: int,
        stop: float,
    ) -> None:
        self._scenario = scenario
        self._folder = folder
        self._database = database
        self._url = database.url(name)
        self._ledger = Ledger()
        self._schema = Schema.published()
        self._stopped = threading.Event()
        self._trouble_until = time.monotonic()
        self._stop = stop
        self._figures: dict[str, float] = {}
        self._victims: list[Pairing] = []
        self._number = clients
        self._desks = [
            Desk(
                folder,
                number,
                database=self._url,
                socket=pooler.socket if pooler is not None and number == scenario.pooled else database.socket,
                key=folder / "site.key",
                clock=faketime() if number == desks - 1 else None,
                small=f"disk {number}" in scenario.lanes,
            )
            for number in range(desks)
        ]
        self._pairings = Pairings(self._desks, self._schema, folder)

    def play(self) -> Outcome:
        with contextlib.ExitStack() as stack:
            first, *others = [stack.enter_context(desk) for desk in self._desks]
            first.start()  # it makes the key
            with ThreadPoolExecutor() as pool:
                list(pool.map(Desk.start, others))
            clients = self._paired()
            warm = {desk.number: desk.resident for desk in self._desks}
            self._bad_times(clients)
            self._settle(clients)
            self._hold_trail(clients)
            self._hold_daemons(warm)
        return Outcome(self._ledger.faults, dict(self._ledger.counts), self._figures)

    def _paired(self) -> list[Client]:
        number = len(self._desks)
        pairings = [
            self._pairings.tls(index % number) if index % 4 == 3 else self._pairings.unix(index % number)
            for index in range(self._number)
        ]
        revocations = sum(event.what == "revoke" for event in self._scenario.lanes["pairings"])
        self._victims = [self._pairings.unix(index % number) for index in range(min(revocations, MOST_REVOKED))]
        self._hostile = self._pairings.unix()
        strings = [f"VITALESIM.{secrets.token_hex(12)}" for _ in range(20 + int(self._scenario.seconds))]
        return [self._client(pairing, strings, seed) for seed, pairing in enumerate(pairings)]

    def _client(self, pairing: Pairing, strings: Sequence[str] = (), seed: int = 0) -> Client:
        seed += 1_000 * self._scenario.seed
        return Client(pairing, self._desks, self._schema, self._ledger, strings, seed)

    # ── bad times ──

    def _bad_times(self, clients: Sequence[Client]) -> None:
        began = time.monotonic()
        works: list[Callable[[], None]] = [self._move_cards, self._try_doors]
        works += [partial(client.run, self._stopped) for client in clients]
        works += [partial(self._befall, began, *lane) for lane in self._scenario.lanes.items()]
        threads = [threading.Thread(target=self._work, args=(work,)) for work in works]
        with Tamperer(self._url, self._ledger, self._scenario.seed, self._try_planted), self._flood():
            for thread in threads:
                thread.start()
            threading.Event().wait(self._scenario.seconds)
            self._wait_for_load()
            self._stopped.set()
            for thread in threads:
                thread.join(180)
                if thread.is_alive():
                    self._ledger.fault("a client or a trouble does not end")

    def _wait_for_load(self) -> None:
        """Goes on where a slow machine gave the clients too little to hold anything against."""
        end, pause = time.monotonic() + SETTLED, threading.Event()
        while self._ledger.counts["given"] <= self._number and time.monotonic() < end:
            pause.wait(0.1)

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._ledger.fault(f"the rig itself: {error!r}")
            raise

    @contextlib.contextmanager
    def _flood(self) -> Generator[None]:
        assert self._hostile.credential is not None
        path = str(self._desks[0].home / "run" / "daemon.sock")
        command = [sys.executable, "-m", "tests.rig.clients", path, self._hostile.credential]
        process = subprocess.Popen([*command, str(self._scenario.seconds), str(self._scenario.seed)])
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def _move_cards(self) -> None:
        number = 0
        while not self._stopped.wait(0.15):
            number += 1
            desk = self._desks[number % len(self._desks)]
            for words in ("remove comptoir", "insert comptoir famille"):
                with contextlib.suppress(OSError):  # the driver is not there now
                    desk.card(words)
                self._stopped.wait(0.1)

    def _befall(self, began: float, lane: str, events: Sequence[Event]) -> None:
        what, _, number = lane.partition(" ")
        act = {
            "line": self._line_event,
            "desk": self._desk_event,
            "clock": self._clock_event,
            "disk": self._disk_event,
            "database": self._database_event,
            "pairings": self._pairings_event,
        }[what]
        for event in events:
            if self._stopped.wait(max(0.0, began + event.at - time.monotonic())):
                return
            act(self._desks[int(number or 0)], event)
            self._ledger.note(f"trouble: {event.what}")
            if what != "pairings":
                self._trouble_until = time.monotonic()

    def _line_event(self, desk: Desk, event: Event) -> None:
        line = desk.line
        match event.what:
            case "round trip":
                line.delay = event.value
            case "rate":
                line.rate = event.value
            case "silence":
                line.swallow("up", "down")
            case "half-open":
                line.swallow("up", "down", new=False)
            case "swallowed answers":
                line.swallow("down")
            case "refused":
                line.refuse()
            case _:
                line.cut()
        self._last(event)
        line.delay, line.rate = 0.0, None
        line.heal()

    def _desk_event(self, desk: Desk, event: Event) -> None:
        if event.what == "kill":
            desk.kill()
        else:
            if event.what == "stop in silence":
                desk.line.swallow("up", "down")
            desk.stop()
            desk.line.heal()
        self._last(event)
        desk.start()

    def _clock_event(self, desk: Desk, event: Event) -> None:
        desk.set_clock(event.value)
        self._last(event)
        desk.set_clock(0)

    def _disk_event(self, desk: Desk, event: Event) -> None:
        assert desk.disk is not None
        desk.disk.fill()
        self._last(event)
        desk.disk.free()

    def _database_event(self, _: Desk, event: Event) -> None:
        match event.what:
            case "backends end":
                with contextlib.suppress(subprocess.CalledProcessError):
                    self._database.execute(BACKENDS_END)
            case "failover":
                self._database.fail_over(partial(self._last, event))
            case _:
                self._database.restart(partial(self._last, event))

    def _pairings_event(self, _: Desk, event: Event) -> None:
        number = int(event.value) % len(self._desks)
        try:
            if event.what == "rotate keys":
                self._pairings.rotate(number)
                return
            known = [one for one in self._victims if self._ledger.revoked(one.client_id) is None]
            if known and self._pairings.revoke(number, known[0].client_id):
                self._ledger.revoke(known[0].client_id)
        except (Refused, HungUp, OSError, TimeoutError):
            self._ledger.note("not revoked, and said so")

    def _last(self, event: Event) -> None:
        self._stopped.wait(event.lasts)
        self._trouble_until = time.monotonic()

    # ── doors ──

    def _try_doors(self) -> None:
        """Those who were revoked try to come in, at every desk, all the time."""
        while not self._stopped.wait(2.0):
            for pairing in self._victims:
                if (at := self._ledger.revoked(pairing.client_id)) is None:
                    continue
                for desk in range(len(self._desks)):
                    quiet_since = max(at, self._trouble_until)
                    if self._comes_in(pairing, desk) and time.monotonic() - quiet_since > HEARD:
                        self._ledger.fault(f"{pairing.client_id}: revoked, and comes in at desk {desk}")

    def _try_planted(self, client_id: str, credential: str) -> None:
        for desk in range(len(self._desks)):
            if self._comes_in(Pairing(client_id, credential), desk):
                self._ledger.fault(f"{client_id}: planted in the database, and comes in at desk {desk}")

    def _comes_in(self, pairing: Pairing, desk: int) -> bool:
        try:
            with self._client(pairing).session(desk):
                return True
        except (Refused, HungUp, OSError, TimeoutError):
            self._ledger.note("door: refused")
            return False

    # ── afterwards ──

    def _settle(self, clients: Sequence[Client]) -> None:
        """Heals all; waits until every client finds every token of its that it should, at every desk."""
        began = time.monotonic()
        for each in self._desks:
            each.set_clock(0)
            each.line.heal()
        missing: dict[str, set[str]] = {}
        let_in: list[str] = []
        while time.monotonic() - began < SETTLED:
            missing = {}
            for client in clients:
                for desk in range(len(self._desks)):
                    if lost := self._not_listed(client, desk):
                        missing[f"{client.pairing.client_id} at desk {desk}"] = lost
            let_in = [one.client_id for one in self._victims if self._let_in(one)]
            if not missing and not let_in:
                break
            threading.Event().wait(0.5)
        else:
            self._ledger.faults += [f"lost, {who}: {sorted(lost)[:5]}" for who, lost in missing.items()]
            self._ledger.faults += [f"{who}: revoked, and comes in when all is quiet" for who in let_in]
        self._figures["settled after, s"] = time.monotonic() - began

    def _let_in(self, pairing: Pairing) -> bool:
        revoked = self._ledger.revoked(pairing.client_id) is not None
        return revoked and any(self._comes_in(pairing, desk) for desk in range(len(self._desks)))

    def _not_listed(self, client: Client, desk: int) -> set[str]:
        kept = self._ledger.kept(client.pairing.client_id)
        try:
            with client.session(desk) as wire:
                # It acknowledges some of what it lists: what it holds is looked at before and after.
                listed = client.list(wire)
        except (Refused, HungUp, OSError, TimeoutError) as error:
            return {f"no list: {error!r}"}
        return (kept - listed) & self._ledger.kept(client.pairing.client_id)

    def _hold_trail(self, clients: Sequence[Client]) -> None:
        """Every token in the trail has a holder, or is in an outbox; the trail is whole, or told not to be."""
        exported = self._desks[0].command("audit", "export")
        if exported.returncode:
            self._ledger.fault(f"the trail is not exported: {exported.stderr[-300:]}")
        rows = [json.loads(line) for line in exported.stdout.splitlines()]
        issued = {str(row["jti"]): row for row in rows if "jti" in row and row.get("outcome") == "ok"}
        self._figures["rows of the trail"] = len(rows)
        self._figures["tokens in the trail"] = len(issued)
        for client in clients:
            for desk in range(len(self._desks)):
                try:
                    with client.session(desk) as wire:
                        client.list(wire, quiet=True)
                except Refused as refused:
                    self._ledger.fault(f"{client.pairing.client_id}: {refused.reason} when all is quiet")
        known = self._ledger.known()
        gone = {jti for jti, row in issued.items() if row["at"] < time.time() - 590}
        good = {client.pairing.client_id for client in clients}
        for jti in issued.keys() - known - gone:
            if issued[jti].get("client_id") in good:
                self._ledger.fault(f"{jti}: in the trail, and neither given nor kept: {issued[jti]}")
        for jti in known - issued.keys():
            self._ledger.fault(f"{jti}: given, and not in the trail")
        verified = self._desks[0].command("audit", "verify", "--json")
        told: dict[str, Any] = json.loads(verified.stdout or "{}")
        self._figures["audit verify, exit status"] = verified.returncode
        if verified.returncode:
            # All was put back: a break is told for ever only where a desk met it, and wrote so into the trail.
            self._ledger.note("trail: a break is told")
            met = {row.get("station") for row in rows if row["action"] == "audit.lost"}
            breaks = [one for one in told.get("chains", ()) if one.get("broken")]
            if told.get("faults") or not breaks or {one["station"] for one in breaks} - met:
                self._ledger.fault(f"audit verify: {breaks} {told.get('faults')} {verified.stderr[-300:]}")

    def _hold_daemons(self, warm: dict[int, int | None]) -> None:
        for desk in self._desks:
            before, after = warm[desk.number], desk.resident
            if before is None or after is None:
                self._ledger.fault(f"desk {desk.number} is not there at the end")
                continue
            self._figures[f"desk {desk.number}: memory, MiB"] = after / (1 << 20)
            if after - before > GROWTH:
                self._ledger.fault(f"desk {desk.number}: {(after - before) >> 20} MiB more memory")
            desk.stop()
            self._figures[f"desk {desk.number}: slowest stop, s"] = max(desk.stops)
            self._ledger.counts["stops"] += len(desk.stops)
            self._ledger.counts["starts refused"] += desk.refused_starts
            if max(desk.stops) > self._stop or any(desk.statuses):
                self._ledger.fault(f"desk {desk.number}: stops took {desk.stops}, statuses {desk.statuses}")
            for word in UNSEEMLY:
                lines = [line for line in desk.log.splitlines() if word in line]
                if lines:
                    self._ledger.fault(f"desk {desk.number}: {len(lines)} × {word} in its log: {lines[0][:300]}")
