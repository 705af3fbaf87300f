"""Accounts of what clients asked for, were given and acknowledged, and of what must never be true: the invariants.

A nonce has one token, a string has one, a presentation has one; each is of the client that asked. What was acknowledged
is not listed again; what was not is listed until it ends. Nobody who was revoked comes in.
"""

import collections
import threading
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

__all__ = ["Given", "Ledger"]

#: Seconds before its end from which on a token need not be listed any more.
ENDING = 5.0


class Given(NamedTuple):
    """A token that a client holds."""

    jti: str
    client_id: str
    nonce: str
    exp: int
    token: str
    where: str


class Ledger:
    """The accounts of a run, kept by all clients at once.

    Attributes:
        counts: how often what happened.
        faults: breaches of what must hold; empty at the end of a good run.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[str, tuple[str, str]] = {}
        self._of_string: dict[str, str] = {}
        self._of_nonce: dict[str, str] = {}
        self._of_presentation: dict[str, str] = {}
        self._given: dict[str, Given] = {}
        self._acknowledged: dict[int, dict[str, float]] = {}
        self._touched: set[str] = set()
        self._released: set[str] = set()
        self._revoked: dict[str, float] = {}
        self.counts: collections.Counter[str] = collections.Counter()
        self.faults: list[str] = []

    def note(self, what: str) -> None:
        """Counts that something happened once more."""
        with self._lock:
            self.counts[what] += 1

    def fault(self, what: str) -> None:
        """Notes a breach of what must hold."""
        with self._lock:
            self.faults.append(what)

    # ── tokens ──

    def ask(self, client_id: str, nonce: str, string: str = "") -> None:
        """Notes that a client asks; for a string where it submits one."""
        with self._lock:
            self._asked[nonce] = (client_id, string)
            self.counts["asked"] += 1

    def give(self, client_id: str, claims: dict[str, Any], token: str, *, presentation: str = "") -> None:
        """Notes a token that a client was given, by an answer or by its outbox, and holds it against the others."""
        jti, nonce = str(claims["jti"]), str(claims["nonce"])
        kept = "in the spool" if "store_degraded" in claims.get("warnings", ()) else "at the site"
        where = f"{kept}, of {claims['reader']['id']}, {'by an answer' if presentation else 'by the outbox'}"
        with self._lock:
            asked_by, string = self._asked.get(nonce, ("nobody", ""))
            if asked_by != client_id:
                self.faults.append(f"{jti}: given to {client_id}, asked for by {asked_by}")
            self._once(self._of_nonce, nonce, jti, "nonce")
            self._once(self._of_string, string, jti, "string")
            self._once(self._of_presentation, presentation, jti, "presentation")
            before = self._given.setdefault(jti, Given(jti, client_id, nonce, int(claims["exp"]), token, where))
            if before.token != token:
                self.faults.append(f"{jti}: two tokens")
            if presentation:
                self.counts["given"] += 1

    def _once(self, of: dict[str, str], key: str, jti: str, what: str) -> None:
        if key and of.setdefault(key, jti) != jti:
            self.faults.append(f"{jti}: a second token for one {what}, after {of[key]}")

    def release(self, jti: str) -> None:
        """Notes, before the call, that a client acknowledges a token: from now on it need not be listed."""
        with self._lock:
            self._released.add(jti)

    def acknowledge(self, jti: str, desk: int) -> None:
        """Notes that a desk said so: from now on it must not list it, and the others not when all is quiet."""
        with self._lock:
            self._acknowledged.setdefault(desk, {})[jti] = time.monotonic()
            self.counts["acknowledged"] += 1

    def acknowledged(self, desk: int | None = None) -> frozenset[str]:
        """Tokens acknowledged by now, at a desk or at any; taken before a list is asked for, to be held against it."""
        with self._lock:
            of = self._acknowledged.values() if desk is None else [self._acknowledged.get(desk, {})]
            return frozenset[str]().union(*of)

    def touch(self, jti: str) -> None:
        """Notes a token whose row somebody altered or took away, and put back: it may be there again."""
        with self._lock:
            self._touched.add(jti)

    def listed(self, desk: int, jtis: Iterable[str], acknowledged: frozenset[str]) -> None:
        """Holds a desk's list against what had been acknowledged before it was asked for."""
        for jti in acknowledged.intersection(jtis) - self._touched:
            told = {one: f"{time.monotonic() - at[jti]:.1f} s" for one, at in self._acknowledged.items() if jti in at}
            self._touched.add(jti)  # said once
            where = self._given[jti].where if jti in self._given else "nowhere"
            self.fault(f"{jti}: given {where}, listed at desk {desk}, acknowledged at {told} ago")

    def kept(self, client_id: str) -> set[str]:
        """The tokens that a client holds, did not acknowledge, and that have some time left."""
        soon = time.time() + ENDING
        with self._lock:
            return {
                one.jti
                for one in self._given.values()
                if one.client_id == client_id and one.exp > soon and one.jti not in self._released
            }

    def known(self) -> set[str]:
        """Every token that somebody holds."""
        with self._lock:
            return set(self._given)

    def of_others(self, client_id: str) -> list[str]:
        """Tokens of other clients, for a thief."""
        with self._lock:
            return [one.jti for one in list(self._given.values())[-20:] if one.client_id != client_id]

    # ── revocations ──

    def revoke(self, client_id: str) -> None:
        """Notes that a desk said that a client is revoked."""
        with self._lock:
            self._revoked[client_id] = time.monotonic()
            self.counts["revoked"] += 1

    def revoked(self, client_id: str) -> float | None:
        """Time at which it was revoked, on the monotonic clock."""
        with self._lock:
            return self._revoked.get(client_id)
