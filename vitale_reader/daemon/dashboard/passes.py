"""Passes into the dashboard: tickets and codes good once, and the bearers that they give for a while.

A state machine; the clock is an argument. Secrets are kept as digests.

- An invitation is a ticket, handed in by the owner's file, and a code, typed by a person. Either spends both.
- A new invitation takes the place of the one before. A few wrong codes end it.
- A bearer is over after half an hour in which nobody did anything, and after eight hours.
- While the patient screen is shown, it lasts without use. After the half hour it is good for that screen alone. Whoever
  touches the screen then does not come to the dashboard behind it.
"""

import hashlib
import hmac
import math
import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from vitale_protocol.errors import NotAuthenticated
from vitale_protocol.privacy import concealed

__all__ = [
    "CODE_LETTERS",
    "IDLE_SECONDS",
    "INVITATION_SECONDS",
    "LONGEST_SECONDS",
    "SHOWN_SECONDS",
    "Invitation",
    "Pass",
    "Passes",
]

#: Seconds for which an invitation is good: a browser that starts slowly takes ten, a person with a code some more.
INVITATION_SECONDS: Final = 60.0

#: Seconds of a bearer: without anything done with it, and at most.
IDLE_SECONDS: Final = 1_800.0
LONGEST_SECONDS: Final = 28_800.0

#: Seconds after which a patient screen that is not heard of any more is not shown: it is heard of every minute.
SHOWN_SECONDS: Final = 150.0

#: Letters of a code. Without vowels no word comes of them; none is taken for another.
CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
CODE_LENGTH: Final = 8

#: Codes that are typed wrongly before the invitation ends: of 20^8 that is no chance.
MOST_WRONG: Final = 5

#: Bearers at a time; the one that was used longest ago goes.
MOST_PASSES: Final = 8

SECRET_BYTES: Final = 32


class Invitation(msgspec.Struct, frozen=True):
    """A way in, to be told to its owner."""

    __repr__ = concealed

    ticket: str
    code: str


class Pass(msgspec.Struct):
    """A bearer, as far as is kept of it.

    Attributes:
        digest: of the bearer.
        began: when it was given.
        used: when something was done with it last.
        shown: when the patient screen was heard of last.
    """

    digest: bytes
    began: float
    used: float
    shown: float = -math.inf

    @property
    def use_end(self) -> float:
        """The time from which it is good for the patient screen at most."""
        return min(self.used + IDLE_SECONDS, self.began + LONGEST_SECONDS)

    @property
    def end(self) -> float:
        """The time at which it is over, unless it is used or the patient screen is heard of before."""
        return max(self.use_end, min(self.shown + SHOWN_SECONDS, self.began + LONGEST_SECONDS))


class Passes:
    """The invitation that is open, and the bearers that count.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._open: frozenset[bytes] = frozenset()
        self._until = 0.0
        self._wrong = 0
        self._passes: list[Pass] = []

    def invite(self) -> Invitation:
        """A new invitation; the one before counts no more."""
        made = Invitation(
            ticket=secrets.token_urlsafe(SECRET_BYTES),
            code="".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH)),
        )
        self._open = frozenset({_digest(made.ticket), _digest(made.code)})
        self._until = self._clock() + INVITATION_SECONDS
        self._wrong = 0
        return made

    def withdraw(self) -> None:
        """Nobody is let in any more by the invitation."""
        self._open = frozenset()

    def enter(self, handed: str) -> str:
        """Spends the invitation; a bearer.

        Raises:
            NotAuthenticated: it is none, another, spent, or too old.
        """
        now = self._clock()
        if not self._open or now >= self._until:
            raise NotAuthenticated("no invitation is open")
        if not _is_among(_digest(handed), self._open):
            self._wrong += 1
            if self._wrong >= MOST_WRONG:
                self.withdraw()
            raise NotAuthenticated("not what was invited with")
        self.withdraw()
        bearer = secrets.token_urlsafe(SECRET_BYTES)
        self._passes = [each for each in self._passes if each.end > now]
        self._passes.sort(key=lambda each: each.used)
        del self._passes[: max(len(self._passes) + 1 - MOST_PASSES, 0)]
        self._passes.append(Pass(_digest(bearer), now, now))
        return bearer

    def admit(self, bearer: str) -> Pass:
        """The pass of a bearer; it counts as used.

        Raises:
            NotAuthenticated: there is none, or it is over.
        """
        digest = _digest(bearer)
        for each in self._passes:
            if hmac.compare_digest(each.digest, digest):
                self.use(each)
                return each
        raise NotAuthenticated("no bearer of the dashboard")

    def use(self, of: Pass) -> None:
        """Something is done with a pass.

        Raises:
            NotAuthenticated: it is over.
        """
        now = self._clock()
        if of not in self._passes or now >= of.use_end:
            raise NotAuthenticated("the pass into the dashboard is over")
        of.used = now

    def show(self, of: Pass) -> None:
        """The patient screen is shown with a pass; that is no use of it.

        Raises:
            NotAuthenticated: it is over.
        """
        now = self._clock()
        if of not in self._passes or now >= of.end:
            raise NotAuthenticated("the pass into the dashboard is over")
        of.shown = now

    def end(self) -> None:
        """No invitation and no bearer counts any more."""
        self.withdraw()
        self._passes.clear()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _is_among(digest: bytes, known: frozenset[bytes]) -> bool:
    return sum(hmac.compare_digest(digest, each) for each in known) > 0
