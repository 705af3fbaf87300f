"""The handshake: both sides have the same keys, or one of them says that the other is not who it should be."""

import json
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.web import independent
from tests.protocol.web.independent import VECTORS, b64u, private, raw, signed
from vitale_protocol.errors import DaemonUntrusted, NotAuthenticated
from vitale_protocol.methods import Identity, KeyProof, SessionChallenge, SessionChallenged, SessionOpen
from vitale_protocol.signing import public_jwk
from vitale_protocol.web.channels import Preamble
from vitale_protocol.web.handshake import (
    ClientHandshake,
    Offer,
    Opening,
    PinnedStation,
    RegisteredKey,
    admit,
    offer,
    read_point,
)
from vitale_protocol.web.sealed_frames import SessionKeys

PAGE, STATION, PAGE_EPHEMERAL, STATION_EPHEMERAL = (private(number) for number in VECTORS["private"].values())
STRANGER = private(99)
SITE, ISSUER, NOW = VECTORS["site"], VECTORS["issuer"], VECTORS["now"]
NONCE, CHALLENGE = independent.unb64u(VECTORS["client_nonce"]), independent.unb64u(VECTORS["challenge"])
CHANNEL = Preamble(via="websocket", site=SITE, peer_uid=1000, host="127.0.0.1:7817", opened=NOW)
REGISTERED = RegisteredKey(jwk=public_jwk(PAGE), site=SITE)
OPENING = Opening(protocol=(1,), client=Identity(name="facturation", version="1.0"), language="fr")
ASKED = SessionChallenge(kid=VECTORS["jkt"]["page"], client_nonce=VECTORS["client_nonce"], epk=VECTORS["epk"]["page"])
KEYS = SessionKeys(**{name: bytes.fromhex(key) for name, key in VECTORS["keys"].items()})
GOOD: dict[str, Any] = {
    "aud": ISSUER,
    "challenge": VECTORS["challenge"],
    "client_nonce": VECTORS["client_nonce"],
    "epk": VECTORS["epk"]["page"],
    "station_epk": VECTORS["epk"]["station"],
    "site": SITE,
    "via": "websocket",
    "jti": "019a0000-0000-7000-8000-000000000000",
    "open": VECTORS["opening"],
}


def offered(asked: SessionChallenge = ASKED, channel: Preamble = CHANNEL, number: int = 65_537) -> Offer:
    station = PinnedStation(issuer=ISSUER, key=STATION)
    return offer(asked, channel, station, challenge=CHALLENGE, ephemeral=private(number), now=NOW)


def page(**changes: Any) -> ClientHandshake:
    made = ClientHandshake(
        key=PAGE, station=public_jwk(STATION), site=SITE, via="websocket", nonce=NONCE, ephemeral=PAGE_EPHEMERAL
    )
    return msgspec.structs.replace(made, **changes)


def credential(claims: dict[str, Any], key: Any = PAGE, typ: str = "vr-session+jwt", **header: Any) -> KeyProof:
    return KeyProof(kid=ASKED.kid, proof=signed(claims, key, typ, **header))


def test_both_sides_have_the_same_keys() -> None:
    client = page()
    made = offered(client.ask())
    shown, at_the_page = client.answer(made.answer, OPENING, jti="1")

    assert at_the_page == admit(made, shown, OPENING, REGISTERED, CHANNEL)


def test_the_question_is_that_of_the_vectors() -> None:
    assert ASKED == page().ask()


def test_the_station_admits_another_implementation_with_the_keys_of_the_vectors() -> None:
    answer = msgspec.structs.replace(offered().answer, proof=VECTORS["station_proof"])
    made = Offer(asked=ASKED, answer=answer, private=STATION_EPHEMERAL)

    assert KEYS == admit(made, KeyProof(kid=ASKED.kid, proof=VECTORS["client_proof"]), OPENING, REGISTERED, CHANNEL)


def test_another_implementation_verifies_the_station() -> None:
    answer = offered().answer

    assert {
        "challenge": VECTORS["challenge"],
        "epk": VECTORS["epk"]["station"],
        "client_nonce": VECTORS["client_nonce"],
        "client_epk": VECTORS["epk"]["page"],
        "site": SITE,
        "via": "websocket",
        "exp": VECTORS["expires"],
    } == jwt.decode(answer.proof, STATION.public_key(), algorithms=["ES256"], options={"verify_exp": False})
    assert {"typ": "vr-station+jwt", "alg": "ES256", "kid": VECTORS["jkt"]["station"]} == jwt.get_unverified_header(
        answer.proof
    )


def test_another_implementation_derives_the_keys_of_the_station() -> None:
    made = offered()
    shown = credential(GOOD)
    shared = PAGE_EPHEMERAL.exchange(ec.ECDH(), independent.point(made.answer.epk))
    keys = independent.keys(shared, made.answer.proof, shown.proof)

    assert SessionKeys(**keys) == admit(made, shown, OPENING, REGISTERED, CHANNEL)


def test_the_page_answers_the_vectors() -> None:
    answer = msgspec.structs.replace(offered().answer, proof=VECTORS["station_proof"])
    shown, keys = page().answer(answer, OPENING, jti=GOOD["jti"])

    assert GOOD == jwt.decode(shown.proof, PAGE.public_key(), algorithms=["ES256"], audience=ISSUER)
    shared = bytes.fromhex(VECTORS["shared"])
    assert SessionKeys(**independent.keys(shared, VECTORS["station_proof"], shown.proof)) == keys


# ── the station refuses ──


@pytest.mark.parametrize(
    "altered",
    [
        {"aud": "urn:vitale-reader:00000000-0000-4000-8000-000000000001"},
        {"aud": [ISSUER]},
        {"challenge": b64u(bytes(32))},
        {"client_nonce": b64u(bytes(32))},
        {"epk": raw(STRANGER)},
        {"station_epk": raw(STRANGER)},
        {"site": "https://autre.example.fr"},
        {"site": None},
        {"via": "stdio"},
        {"via": "unix"},
        {"jti": ""},
        {"jti": "j" * 65},
        {"open": {"protocol": [1], "client": {"name": "autre"}}},
        {"open": {"protocol": [1], "client": {"name": "facturation", "version": "1.0"}, "language": "en"}},
        {"open": {"protocol": [2], "client": {"name": "facturation", "version": "1.0"}, "language": "fr"}},
        {"exp": 1},
        {"scopes": ["admin"]},
    ],
)
def test_a_proof_for_something_else_is_refused(altered: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticated):
        admit(offered(), credential(GOOD | altered), OPENING, REGISTERED, CHANNEL)


@pytest.mark.parametrize("left_out", GOOD)
def test_a_proof_is_whole(left_out: str) -> None:
    claims = {name: value for name, value in GOOD.items() if name != left_out}
    with pytest.raises(NotAuthenticated):
        admit(offered(), credential(claims), OPENING, REGISTERED, CHANNEL)


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(credential(GOOD, STRANGER), id="by another key"),
        pytest.param(credential(GOOD, typ="vr-station+jwt"), id="of the station's type"),
        pytest.param(credential(GOOD, typ="JWT"), id="of no type"),
        pytest.param(credential(GOOD, jwk=independent.jwk(STRANGER)), id="with a key of its own"),
        pytest.param(credential(GOOD, STRANGER, jwk=independent.jwk(STRANGER)), id="with a key of its own, by it"),
        pytest.param(credential(GOOD, jku="https://a.example/keys"), id="with an address of keys"),
        pytest.param(credential(GOOD, x5c=["MIIB"]), id="with a certificate"),
        pytest.param(credential(GOOD, crit=["exp"]), id="with a critical member"),
        pytest.param(KeyProof(kid=ASKED.kid, proof=jwt.encode(GOOD, "", algorithm="none")), id="without a signature"),
        pytest.param(
            KeyProof(kid=ASKED.kid, proof=jwt.encode(GOOD, "k" * 64, algorithm="HS256", headers={"kid": ASKED.kid})),
            id="HS256",
        ),
        pytest.param(KeyProof(kid=VECTORS["jkt"]["station"], proof=signed(GOOD, PAGE, "vr-session+jwt")), id="kid"),
        pytest.param(KeyProof(kid=ASKED.kid, proof="a.b.c"), id="no JWS"),
        pytest.param(KeyProof(kid=ASKED.kid, proof=""), id="nothing"),
    ],
)
def test_a_proof_of_another_kind_is_refused(shown: KeyProof) -> None:
    with pytest.raises(NotAuthenticated):
        admit(offered(), shown, OPENING, REGISTERED, CHANNEL)


def test_a_proof_of_one_channel_does_not_open_another() -> None:
    """The same question on a second channel gets another point, and as a rule another challenge."""
    shown, _ = page().answer(offered().answer, OPENING, jti="1")

    with pytest.raises(NotAuthenticated):
        admit(offered(number=3), shown, OPENING, REGISTERED, CHANNEL)


def test_a_key_counts_for_its_own_site_only() -> None:
    elsewhere = "https://autre.example.fr"
    channel = msgspec.structs.replace(CHANNEL, site=elsewhere)
    thief = page(site=elsewhere)
    made = offered(thief.ask(), channel)
    shown, _ = thief.answer(made.answer, OPENING, jti="1")

    with pytest.raises(NotAuthenticated):
        admit(made, shown, OPENING, REGISTERED, channel)


def test_the_site_of_the_channel_is_that_of_the_proof() -> None:
    """A gateway that lies about the site has the station sign the lie, and the page sees it."""
    channel = msgspec.structs.replace(CHANNEL, site="https://autre.example.fr")
    made = offered(channel=channel)
    with pytest.raises(DaemonUntrusted):
        page().answer(made.answer, OPENING, jti="1")
    with pytest.raises(NotAuthenticated):
        admit(made, credential(GOOD), OPENING, REGISTERED, channel)


@pytest.mark.parametrize("epk", ["A" * 87, b64u(b"\x04" + bytes(64)), b64u(b"\x05" + bytes(64)), "é", ""])
def test_a_point_is_one(epk: str) -> None:
    with pytest.raises(NotAuthenticated):
        offered(SessionChallenge(kid=ASKED.kid, client_nonce=ASKED.client_nonce, epk=epk))


def test_a_compressed_point_is_none() -> None:
    with pytest.raises(NotAuthenticated):
        read_point(b64u(b"\x02" + independent.unb64u(ASKED.epk)[1:33]))


# ── the page refuses ──


def told(claims: dict[str, Any], key: Any = STATION, typ: str = "vr-station+jwt", **header: Any) -> SessionChallenged:
    return msgspec.structs.replace(offered().answer, proof=signed(claims, key, typ, **header))


STATION_CLAIMS: dict[str, Any] = jwt.decode(VECTORS["station_proof"], options={"verify_signature": False})


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(told(STATION_CLAIMS, STRANGER), id="by another key"),
        pytest.param(told(STATION_CLAIMS, typ="vr-session+jwt"), id="of the client's type"),
        pytest.param(told(STATION_CLAIMS, jwk=independent.jwk(STATION)), id="with a key of its own"),
        pytest.param(told(STATION_CLAIMS | {"client_nonce": b64u(bytes(32))}), id="for another nonce"),
        pytest.param(told(STATION_CLAIMS | {"client_epk": raw(STRANGER)}), id="for another point"),
        pytest.param(told(STATION_CLAIMS | {"epk": raw(STRANGER)}), id="with another point"),
        pytest.param(told(STATION_CLAIMS | {"challenge": b64u(bytes(32))}), id="with another challenge"),
        pytest.param(told(STATION_CLAIMS | {"site": "https://autre.example.fr"}), id="for another site"),
        pytest.param(told(STATION_CLAIMS | {"via": "stdio"}), id="for another way"),
        pytest.param(told(STATION_CLAIMS | {"exp": 1}), id="with another end"),
        pytest.param(told(STATION_CLAIMS | {"more": 1}), id="with more"),
        pytest.param(told({}), id="without claims"),
        pytest.param(msgspec.structs.replace(offered().answer, proof="a.b.c"), id="no JWS"),
    ],
)
def test_what_is_not_the_station_of_the_pairing_is_told_nothing(answer: SessionChallenged) -> None:
    with pytest.raises(DaemonUntrusted):
        page().answer(answer, OPENING, jti="1")


def test_a_station_with_a_point_that_is_none_is_told_nothing() -> None:
    answer = told(STATION_CLAIMS | {"epk": "A" * 87})
    with pytest.raises(DaemonUntrusted):
        page().answer(msgspec.structs.replace(answer, epk="A" * 87), OPENING, jti="1")


@given(st.text(max_size=20), st.sampled_from(["fr", "en"]))
def test_what_is_signed_of_the_opening_is_what_the_call_says(name: str, language: Any) -> None:
    params = SessionOpen(protocol=(1,), client=Identity(name=name), language=language)

    assert {"protocol": [1], "client": {"name": name}, "language": language} == json.loads(
        msgspec.json.encode(Opening.of(params))
    )


def test_secrets_are_not_shown() -> None:
    made = offered()

    assert {"<Offer>", "<ClientHandshake>", "<PinnedStation>", "<KeyProof>"} == {
        repr(made),
        repr(page()),
        repr(PinnedStation(issuer=ISSUER, key=STATION)),
        repr(credential(GOOD)),
    }
