"""Verification for whoever receives tokens."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from tests.client.fake_daemon import CLIENT_ID, FakeDaemon
from vitale_protocol.errors import TokenInvalid
from vitale_reader import SeenTokens, verify
from vitale_reader.client import verification

NONCE = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def station(home: Path) -> Iterator[FakeDaemon]:
    fake = FakeDaemon(home)  # not started: only its key is needed
    yield fake
    fake.close()


def test_it_returns_the_claims(station: FakeDaemon) -> None:
    claims = station.claims(NONCE)
    assert verify(station.sign(claims), jwks=station.jwks, audience=CLIENT_ID, nonce=NONCE) == claims


def test_a_token_counts_once_in_a_process(station: FakeDaemon) -> None:
    token = station.sign(station.claims(NONCE))
    verify(token, jwks=station.jwks, audience=CLIENT_ID, nonce=NONCE)
    with pytest.raises(TokenInvalid) as caught:
        verify(token, jwks=station.jwks, audience=CLIENT_ID, nonce=NONCE)
    assert caught.value.data["check"] == "replayed"


def test_what_does_not_verify_does_not_count(station: FakeDaemon) -> None:
    token = station.sign(station.claims(NONCE))
    with pytest.raises(TokenInvalid):
        verify(token, jwks=station.jwks, audience=CLIENT_ID, nonce="another-nonce-of-this-length")
    verify(token, jwks=station.jwks, audience=CLIENT_ID, nonce=NONCE)


def test_the_clock_may_be_given(station: FakeDaemon) -> None:
    token = station.sign(station.claims(NONCE))
    with pytest.raises(TokenInvalid) as caught:
        verify(token, jwks=station.jwks, audience=CLIENT_ID, nonce=NONCE, now=time.time() + 3600)
    assert caught.value.data["check"] == "expired"


def test_the_memory_forgets_what_has_expired_and_nothing_else() -> None:
    seen = SeenTokens()
    for number in range(2000):
        seen.use(f"old-{number}", time.time() - 1)
    seen.use("living", time.time() + 100)
    for number in range(2000):
        seen.use(f"older-{number}", time.time() - 1)
    with pytest.raises(TokenInvalid):
        seen.use("living", time.time() + 100)
    seen.use("old-1", time.time() + 100)


class Clock:
    """Seconds that pass when told, and how often it was asked."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0

    def __call__(self) -> float:
        self.asked += 1
        return self.now


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60), st.integers(0, 20)), max_size=120))
def test_no_living_token_counts_twice_and_the_memory_is_bounded(uses: list[tuple[int, int, int]]) -> None:
    """Each use: which token, for how many seconds, and the seconds that pass before."""
    clock, living, most = Clock(), dict[int, float](), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "SWEEP", 4)
        seen = SeenTokens(clock=clock)
        for number, seconds, passed in uses:
            clock.now += passed
            living = {jti: expiry for jti, expiry in living.items() if expiry > clock.now}
            replayed = False
            try:
                seen.use(str(number), clock.now + seconds)
            except TokenInvalid:
                replayed = True
            assert replayed or number not in living
            if not replayed:
                living[number] = clock.now + seconds
            most = max(most, len(living))
            assert len(seen._expiry) <= max(4, 2 * most)  # pyright: ignore[reportPrivateUsage]  # what is bounded is what it holds


def test_a_busy_service_does_not_look_through_all_tokens_at_each() -> None:
    clock = Clock()
    seen = SeenTokens(clock=clock)
    for number in range(20_000):
        seen.use(str(number), 600.0)

    assert clock.asked == 5, "at 1000, 2000, 4000, 8000 and 16000"


def test_of_many_threads_one_wins() -> None:
    seen, won, start = SeenTokens(), list[int](), threading.Barrier(8)

    def use(number: int) -> None:
        start.wait(30)
        try:
            seen.use("jti", time.time() + 100)
        except TokenInvalid:
            return
        won.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(won) == 1


@pytest.mark.parametrize("token", [None, b"a.b.c", 7, ["a.b.c"], object()])
def test_what_is_no_text_is_no_token(token: Any) -> None:
    with pytest.raises(TokenInvalid) as caught:
        verify(token, jwks={"keys": []}, audience=CLIENT_ID, nonce=NONCE)
    assert caught.value.data["check"] == "format"


@pytest.mark.parametrize("jwks", [None, [], "keys", {}, {"keys": None}])
def test_what_is_no_key_set_has_no_key(station: FakeDaemon, jwks: Any) -> None:
    with pytest.raises(TokenInvalid) as caught:
        verify(station.sign(station.claims(NONCE)), jwks=jwks, audience=CLIENT_ID, nonce=NONCE)
    assert caught.value.data["check"] == "key"


@pytest.mark.parametrize(
    ("required", "check"),
    [
        ({"require_origin": "simulated"}, None),
        ({"require_origin": ["test", "simulated"], "require_proof": ["card-clear-read"]}, None),
        ({"require_origin": "production"}, "origin"),
        ({"require_origin": []}, "origin"),
        ({"require_proof": "apcv-resolved"}, "proof"),
        ({"require_proof": ["apcv-resolved", "code-signed"]}, "proof"),
    ],
)
def test_origin_and_proof_may_be_required(station: FakeDaemon, required: dict[str, Any], check: str | None) -> None:
    token = station.sign(station.claims(NONCE))
    if check is not None:
        with pytest.raises(TokenInvalid) as caught:
            verify(token, jwks=station.jwks, audience=CLIENT_ID, nonce=NONCE, **required)
        assert caught.value.data["check"] == caught.value.variant == check
        required = {}
    verify(token, jwks=station.jwks, audience=CLIENT_ID, nonce=NONCE, **required)  # it counts this once


@pytest.mark.parametrize(
    ("members", "check"),
    [
        ({"use": "sig", "key_ops": ["verify"]}, None),
        ({"key_ops": ["sign", "verify"]}, None),
        ({"use": "enc"}, "key"),
        ({"key_ops": ["sign"]}, "key"),
        ({"key_ops": []}, "key"),
        ({"key_ops": "verify"}, "key"),
        ({"key_ops": None}, "key"),
        ({"alg": "ES384"}, "key"),
    ],
)
def test_a_key_is_used_for_what_it_is_for(station: FakeDaemon, members: dict[str, Any], check: str | None) -> None:
    (key,) = station.jwks["keys"]
    jwks = {"keys": [{**key, **members}]}
    token = station.sign(station.claims(NONCE))
    if check is None:
        verify(token, jwks=jwks, audience=CLIENT_ID, nonce=NONCE)
        return
    with pytest.raises(TokenInvalid) as caught:
        verify(token, jwks=jwks, audience=CLIENT_ID, nonce=NONCE)
    assert caught.value.data["check"] == check


@pytest.mark.parametrize(
    ("place", "check"), [('{"typ":', "format"), ('{"ver":', "claims"), ('"proof":{', "claims"), ('"prenom":', "claims")]
)
def test_a_member_that_stands_twice_is_refused(station: FakeDaemon, place: str, check: str) -> None:
    header = json.dumps({"typ": "vitale-presence+jwt", "alg": "ES256", "kid": station.key.kid}, separators=(",", ":"))
    payload = msgspec.json.encode(station.claims(NONCE)).decode()
    twice = {
        '{"typ":': '{"typ":"other","typ":',
        '{"ver":': '{"ver":2,"ver":',
        '"proof":{': '"proof":{"method":"apcv-resolved",',
        '"prenom":': '"prenom":"Zoé","prenom":',
    }[place]
    assert 1 == (header + payload).count(place)
    signed = [base64url(part.replace(place, twice).encode()) for part in (header, payload)]
    private = station.key.private_key
    assert private is not None
    r, s = decode_dss_signature(private.sign(".".join(signed).encode(), ec.ECDSA(hashes.SHA256())))
    token = ".".join([*signed, base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))])
    with pytest.raises(TokenInvalid) as caught:
        verify(token, jwks=station.jwks, audience=CLIENT_ID, nonce=NONCE)
    assert caught.value.data["check"] == check


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
