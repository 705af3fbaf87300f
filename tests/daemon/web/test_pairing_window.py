"""The window: one page, one code, two minutes; whoever comes second, late or with another nonce gets nothing."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.protocol.web import independent
from vitale_protocol.errors import NotAuthenticated, PairingFailed
from vitale_protocol.methods import PairingRequest
from vitale_protocol.signing import public_jwk
from vitale_reader.daemon.web.pairing_window import MOST_ATTEMPTS, MOST_WRONG, SECONDS, HoldingPage, PairingWindow

NOW = 1_000.0
SITE = "https://facturation.example.fr"
STATION = "s" * 43
KEY = ec.derive_private_key(7, ec.SECP256R1())
NONCE_P, NONCE_D = bytes(range(32)), bytes(range(32, 64))
ASKED = PairingRequest(
    name="Facturation",
    scopes=("identity", "nir"),
    jwk=public_jwk(KEY),
    commit=independent.commitment(NONCE_P),
)
CODE = independent.code(SITE, independent.thumbprint(KEY), STATION, NONCE_P, NONCE_D)
WRONG = f"{(int(CODE) + 1) % 1_000_000:06}"


def opened() -> PairingWindow:
    window = PairingWindow(STATION)
    window.open(NOW)
    return window


def request(window: PairingWindow, owner: int = 1, now: float = NOW, asked: PairingRequest = ASKED) -> HoldingPage:
    return window.request(asked, owner=owner, site=SITE, pairing=f"p-{owner}", nonce_d=NONCE_D, now=now)


def revealed() -> PairingWindow:
    window = opened()
    request(window)
    window.reveal("p-1", NONCE_P, owner=1, now=NOW)
    return window


def test_the_page_whose_code_was_typed_is_paired() -> None:
    window = revealed()
    held = window.accept(CODE, NOW)

    assert (SITE, ASKED, 1) == (held.site, held.asked, held.owner)
    assert not window.is_open(NOW)
    with pytest.raises(PairingFailed):
        window.accept(CODE, NOW)


def test_a_page_does_nothing_outside_of_a_window() -> None:
    window = PairingWindow(STATION)
    with pytest.raises(NotAuthenticated):
        request(window)
    with pytest.raises(NotAuthenticated):
        window.reveal("p-1", NONCE_P, owner=1, now=NOW)
    with pytest.raises(PairingFailed):
        window.accept(CODE, NOW)


def test_the_first_page_holds_it() -> None:
    window = opened()
    request(window)
    with pytest.raises(NotAuthenticated):
        request(window, owner=2)
    with pytest.raises(NotAuthenticated):
        request(window)
    with pytest.raises(NotAuthenticated):
        window.reveal("p-1", NONCE_P, owner=2, now=NOW)
    window.reveal("p-1", NONCE_P, owner=1, now=NOW)


@pytest.mark.parametrize("step", ["request", "reveal", "accept"])
def test_it_closes_after_two_minutes(step: str) -> None:
    late = NOW + SECONDS
    window = opened()
    if step == "request":
        with pytest.raises(NotAuthenticated):
            request(window, now=late)
        return
    request(window, now=late - 1)
    if step == "reveal":
        with pytest.raises(NotAuthenticated):
            window.reveal("p-1", NONCE_P, owner=1, now=late)
        return
    window.reveal("p-1", NONCE_P, owner=1, now=late - 1)
    with pytest.raises(PairingFailed):
        window.accept(CODE, late)


def test_three_wrong_codes_close_it() -> None:
    window = revealed()
    told: list[tuple[str, Any]] = []
    for _ in range(MOST_WRONG):
        with pytest.raises(PairingFailed) as failed:
            window.accept(WRONG, NOW)
        told.append((failed.value.variant, failed.value.data.get("left")))

    assert [("code", 2), ("code", 1), ("", None)] == told
    with pytest.raises(PairingFailed):
        window.accept(CODE, NOW)


def test_a_window_that_is_opened_again_counts_anew_and_forgets_who_held_it() -> None:
    window = revealed()
    with pytest.raises(PairingFailed):
        window.accept(WRONG, NOW)
    window.open(NOW)

    assert window.held is None
    request(window, owner=2)
    window.reveal("p-2", NONCE_P, owner=2, now=NOW)
    for left in (2, 1):
        with pytest.raises(PairingFailed) as failed:
            window.accept(WRONG, NOW)
        assert {"left": left} == failed.value.data


@pytest.mark.parametrize("typed", ["", CODE[:5], f"{CODE}0", "é"])
def test_something_else_is_a_wrong_code(typed: str) -> None:
    with pytest.raises(PairingFailed):
        revealed().accept(typed, NOW)


def test_nobody_is_accepted_before_a_page_shows_a_code() -> None:
    window = opened()
    for _ in range(MOST_WRONG + 1):
        with pytest.raises(PairingFailed) as failed:
            window.accept(CODE, NOW)
        assert "nobody" == failed.value.variant
    request(window)
    with pytest.raises(PairingFailed):
        window.accept(CODE, NOW)


def test_another_nonce_than_was_committed_to_loses_the_window() -> None:
    window = opened()
    request(window)
    with pytest.raises(NotAuthenticated):
        window.reveal("p-1", NONCE_D, owner=1, now=NOW)

    assert not window.is_open(NOW)


def test_a_nonce_is_revealed_once() -> None:
    window = revealed()
    with pytest.raises(NotAuthenticated):
        window.reveal("p-1", NONCE_P, owner=1, now=NOW)


def test_a_page_that_leaves_closes_the_window_it_holds() -> None:
    window = revealed()

    assert not window.left(2)
    assert window.is_open(NOW)
    assert window.left(1)
    assert not window.is_open(NOW)
    assert not window.left(1)


@pytest.mark.parametrize("scope", ["admin", "apdu", "payload", "preview"])
def test_a_page_that_asks_for_what_no_page_has_does_not_hold_it(scope: Any) -> None:
    window = opened()
    with pytest.raises(NotAuthenticated):
        request(window, asked=PairingRequest(name="x", scopes=("identity", scope), jwk=ASKED.jwk, commit=ASKED.commit))
    request(window)


def test_the_desk_is_told_of_the_last_sites_that_asked_in_vain() -> None:
    window = PairingWindow(STATION)
    for number in range(1_000):
        window.attempted(f"https://{number % 7}.example", NOW + number)

    assert MOST_ATTEMPTS == len(window.attempts)
    assert [f"https://{number % 7}.example" for number in range(999, 994, -1)] == [
        each.site for each in window.attempts
    ]


class Windows(RuleBasedStateMachine):
    """Pages, a relay and a desk in any order: nobody is paired but who holds a window, by the code that it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.window = PairingWindow(STATION)
        self.now = NOW
        self.holder: int | None = None
        self.shown = False
        self.opened_at: float | None = None

    @rule()
    def open(self) -> None:
        self.window.open(self.now)
        self.opened_at, self.holder, self.shown = self.now, None, False

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(owner=st.integers(1, 3))
    def ask(self, owner: int) -> None:
        try:
            request(self.window, owner, self.now)
        except NotAuthenticated:
            return
        assert self.holder is None
        self.holder = owner

    @rule(owner=st.integers(1, 3), right=st.booleans())
    def reveal(self, owner: int, right: bool) -> None:
        try:
            self.window.reveal(f"p-{owner}", NONCE_P if right else NONCE_D, owner=owner, now=self.now)
        except NotAuthenticated:
            if self.window.held is None:
                self.holder, self.shown = None, False
            return
        assert (owner, True, False) == (self.holder, right, self.shown)
        self.shown = True

    @rule(right=st.booleans())
    def type(self, right: bool) -> None:
        try:
            held = self.window.accept(CODE if right else WRONG, self.now)
        except PairingFailed:
            if self.window.held is None:
                self.holder, self.shown = None, False
            return
        assert (self.holder, True, True) == (held.owner, right, self.shown)
        self.holder, self.shown, self.opened_at = None, False, None

    @rule(owner=st.integers(1, 3))
    def leave(self, owner: int) -> None:
        if self.window.left(owner):
            assert self.holder == owner
            self.holder, self.shown = None, False

    @invariant()
    def a_window_is_open_for_two_minutes_at_most(self) -> None:
        if self.window.is_open(self.now):
            assert self.opened_at is not None
            assert self.now < self.opened_at + SECONDS


TestWindows = Windows.TestCase
TestWindows.settings = settings(max_examples=40, stateful_step_count=20)
