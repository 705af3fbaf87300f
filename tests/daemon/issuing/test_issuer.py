"""Honesty of origin: what is simulated, of test or of demonstration never gives a token that says otherwise."""

import datetime as dt
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest

from vitale_drivers.base import Presented
from vitale_protocol.errors import MixedOrigin, SimulatedRefused, VitaleError
from vitale_protocol.media import apcv
from vitale_protocol.records import Record
from vitale_reader.daemon.issuing.issuer import Grant, Issuer, uuid7
from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys
from vitale_reader.resolvers.base import Resolution

NOW = 1_800_000_000.25
GRANT = Grant(client_id="c", nonce="n" * 22, scopes=("identity",))
ORIGINS: Any = {b"real/1": "production", b"white/1": "test", b"green/1": "demo", b"toy/1": "simulated"}


def issuer(folder: Path, mode: Any, now: float = NOW) -> Issuer:
    keys = Keys(folder / "station.json", overlap=600, clock=DeskClock(lambda: NOW))
    keys.open()
    return Issuer(keys, mode=mode, lifetime=120, clock=lambda: now, random_bytes=bytes, profile_origins=ORIGINS)


def tap(profile: bytes, *, simulated: bool = False, string: bytes = b"opaque") -> Presented:
    evidence = {"string": string, "profile": profile}
    return Presented(id="1", medium="apcv-nfc", reader="r", at=NOW - 0.1, evidence=evidence, simulated=simulated)


def context(origin: Any) -> Resolution:
    end = dt.datetime.fromtimestamp(NOW + 600, dt.UTC)
    return Resolution(identifiant="x", token="t", date_fin_validite=end, record=Record(), origin=origin)


@pytest.mark.parametrize(
    ("mode", "profile", "simulated", "outcome"),
    [
        ("production", b"real/1", False, "production"),
        ("production", b"unlisted/1", False, "unknown"),
        ("production", b"white/1", False, MixedOrigin),
        ("production", b"green/1", False, MixedOrigin),
        ("production", b"toy/1", False, SimulatedRefused),
        ("production", b"real/1", True, SimulatedRefused),
        ("test", b"white/1", False, "test"),
        ("test", b"toy/1", False, SimulatedRefused),
        ("simulated", b"toy/1", False, "simulated"),
        ("simulated", b"real/1", True, "simulated"),
    ],
)
def test_the_origin_of_a_string_is_that_of_its_profile_and_reader(
    tmp_path: Path, mode: str, profile: bytes, simulated: bool, outcome: Any
) -> None:
    made = issuer(tmp_path, mode)
    try:
        told: Any = made.interpret(tap(profile, simulated=simulated)).origin
    except VitaleError as error:
        told = type(error)
    assert told == outcome


@pytest.mark.parametrize("profile", [b"real/1", b"white/1", b"toy/1", b"unlisted/1"])
def test_a_string_of_the_simulated_phone_is_simulated_whatever_profile_read_it(tmp_path: Path, profile: bytes) -> None:
    shown = tap(profile, string=apcv.SIMULATED_PREFIX + b"abc")

    with pytest.raises(SimulatedRefused):
        issuer(tmp_path, "production").interpret(shown)
    assert issuer(tmp_path, "simulated").interpret(shown).origin == "simulated"


@pytest.mark.parametrize(
    ("mode", "profile", "service", "outcome"),
    [
        ("production", b"real/1", "production", "production"),
        ("production", b"unlisted/1", "production", "production"),
        ("production", b"real/1", "test", MixedOrigin),
        ("production", b"unlisted/1", "test", MixedOrigin),
        ("production", b"real/1", "simulated", MixedOrigin),
        ("production", b"unlisted/1", "simulated", MixedOrigin),
        ("test", b"white/1", "test", "test"),
        ("test", b"white/1", "demo", MixedOrigin),
        ("test", b"white/1", "production", MixedOrigin),
        ("simulated", b"toy/1", "simulated", "simulated"),
        ("simulated", b"toy/1", "production", MixedOrigin),
        ("simulated", b"toy/1", "unknown", MixedOrigin),
    ],
)
def test_a_medium_and_a_service_of_two_origins_never_share_a_token(
    tmp_path: Path, mode: str, profile: bytes, service: str, outcome: Any
) -> None:
    made = issuer(tmp_path, mode)
    reading = made.interpret(tap(profile))
    try:
        told: Any = made.resolved(reading, context(service)).origin
    except VitaleError as error:
        told = type(error)
    assert told == outcome


def test_times_of_a_token(tmp_path: Path) -> None:
    made = issuer(tmp_path, "production", NOW + 0.5)
    for at, presented_at in ((NOW - 0.5, NOW - 0.5), (NOW + 0.25, NOW - 0.25), (NOW + 0.625, NOW - 0.25)):
        presentation = msgspec.structs.replace(tap(b"real/1"), at=at)
        claims = made.issue(presentation, made.interpret(presentation), "nfc", GRANT).claims
        assert (1_800_000_000, 1_800_000_120) == (claims.iat, claims.exp)
        assert presented_at == claims.presented_at, "when it was read, with its fraction; never later than `iat`"
        assert "nfc" == claims.reader.driver


def test_a_uuid_of_version_7_sorts_by_time() -> None:
    first, second = uuid7(1_800_000_000_000, b"\xff" * 10), uuid7(1_800_000_000_001, b"\x00" * 10)
    assert first < second
    assert first == f"{1_800_000_000_000:012x}"[:8] + "-5000-7fff-bfff-ffffffffffff"


@pytest.mark.parametrize(
    ("site", "claim"), [("https://facturation.example.fr", "https://facturation.example.fr"), ("", None)]
)
def test_a_token_for_a_page_names_its_site_and_another_none(tmp_path: Path, site: str, claim: str | None) -> None:
    made = issuer(tmp_path, "simulated")
    shown = tap(b"toy/1")
    issued = made.issue(shown, made.interpret(shown), "nfc", msgspec.structs.replace(GRANT, site=site))
    told = jwt.decode(issued.token.token, options={"verify_signature": False})

    assert claim == issued.claims.site == told.get("site")
    assert (claim is not None) == ("site" in told)
