"""Window for pairing one page: opened at the desk, held by the first page that asks, closed for good.

A state machine; the clock, random values and names are arguments. It closes after two minutes, three wrong codes, an
accepted one, or when the page that holds it leaves. Whoever comes second never has a turn.
"""

import hmac
from collections import deque
from typing import Final

import msgspec

from vitale_protocol.errors import NotAuthenticated, PairingFailed
from vitale_protocol.methods import PairingAttempt, PairingRequest
from vitale_protocol.privacy import concealed
from vitale_protocol.web.pairing import check_reveal, code
from vitale_reader.daemon.web.page_keys import NEVER_GRANTED

__all__ = ["MOST_ATTEMPTS", "MOST_WRONG", "SECONDS", "HoldingPage", "PairingWindow"]

#: Seconds for which a window is open.
SECONDS: Final = 120.0
#: Wrong codes that close it.
MOST_WRONG: Final = 3
#: Sites that asked in vain, of which the desk is told.
MOST_ATTEMPTS: Final = 5


class HoldingPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page that holds the window.

    Attributes:
        pairing: the name of this pairing.
        owner: the number of its conversation.
        site: the web origin that the browser named.
        asked: what the page said.
        nonce_d: the desk's nonce.
        nonce_p: the page's; empty until it is revealed.
    """

    __repr__ = concealed

    pairing: str
    owner: int
    site: str
    asked: PairingRequest
    nonce_d: bytes
    nonce_p: bytes = b""


class PairingWindow:
    """One window at a time.

    Attributes:
        held: by whom, while somebody holds it.
    """

    def __init__(self, jkt_station: str) -> None:
        self._jkt_station = jkt_station
        self._expires = 0.0
        self._wrong = 0
        self._attempts: deque[PairingAttempt] = deque(maxlen=MOST_ATTEMPTS)
        self.held: HoldingPage | None = None

    @property
    def expires(self) -> float:
        """End of the window that was opened last, by the clock of the arguments."""
        return self._expires

    @property
    def attempts(self) -> tuple[PairingAttempt, ...]:
        """The sites that asked last while no window was open, the newest first."""
        return tuple(self._attempts)

    def is_open(self, now: float) -> bool:
        """True if a page may ask, or is asking."""
        return now < self._expires

    def open(self, now: float) -> None:
        """Opens a window; one that is open is closed."""
        self.close()
        self._expires = now + SECONDS
        self._wrong = 0

    def close(self) -> None:
        """Closes the window, if there is one."""
        self._expires = 0.0
        self.held = None

    def attempted(self, site: str, at: float) -> None:
        """Notes that a site asked in vain; once, however often it asks."""
        for attempt in [each for each in self._attempts if each.site == site]:
            self._attempts.remove(attempt)
        self._attempts.appendleft(PairingAttempt(site=site, at=at))

    def request(
        self, asked: PairingRequest, *, owner: int, site: str, pairing: str, nonce_d: bytes, now: float
    ) -> HoldingPage:
        """A page asks, and holds the window if nobody does.

        Raises:
            NotAuthenticated: there is no window, somebody holds it, or it asks for what no page has.
        """
        if not self.is_open(now) or self.held is not None or NEVER_GRANTED & set(asked.scopes):
            raise NotAuthenticated("no window is open for this page")
        self.held = HoldingPage(pairing=pairing, owner=owner, site=site, asked=asked, nonce_d=nonce_d)
        return self.held

    def reveal(self, pairing: str, nonce_p: bytes, *, owner: int, now: float) -> HoldingPage:
        """The page that holds the window reveals its nonce, once; its code can be typed from now on.

        Raises:
            NotAuthenticated: it does not hold the window, has revealed already, or had committed to another nonce.
                Whoever holds it and reveals wrongly loses it.
        """
        held = self.held
        if held is None or not self.is_open(now) or (held.pairing, held.owner, held.nonce_p) != (pairing, owner, b""):
            raise NotAuthenticated("the page does not hold the window")
        try:
            check_reveal(held.asked.commit, nonce_p)
        except NotAuthenticated:
            self.close()
            raise
        self.held = msgspec.structs.replace(held, nonce_p=nonce_p)
        return self.held

    def accept(self, typed: str, now: float) -> HoldingPage:
        """A person typed a code: the page that is to be paired. The window is closed then.

        Raises:
            PairingFailed: there is no window, no page shows a code yet, or it is another code.
        """
        if not self.is_open(now):
            raise PairingFailed("no window is open")
        held = self.held
        if held is None or not held.nonce_p:
            raise PairingFailed("no page shows a code", variant="nobody")
        expected = code(
            site=held.site,
            jkt_page=held.asked.jwk.thumbprint,
            jkt_station=self._jkt_station,
            nonce_p=held.nonce_p,
            nonce_d=held.nonce_d,
        )
        if hmac.compare_digest(expected.encode(), typed.encode()):
            self.close()
            return held
        self._wrong += 1
        if self._wrong >= MOST_WRONG:
            self.close()
            raise PairingFailed("the third wrong code")
        raise PairingFailed("another code", variant="code", data={"left": MOST_WRONG - self._wrong})

    def left(self, owner: int) -> bool:
        """A page is gone; whether it held the window, which is closed then."""
        if self.held is None or self.held.owner != owner:
            return False
        self.close()
        return True
