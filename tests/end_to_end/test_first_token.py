"""A card in a slot of a real pcscd becomes a signed token, over unix and over TLS, that strangers' libraries verify."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

import vitale_reader
from vitale_firmware_sim.card.images import load_image
from vitale_protocol.errors import AmbiguousMedium, MediumMute, MediumUnsupported, TokenInvalid
from vitale_reader import Presentation

ALL = ("identity", "nir", "dependants")


@pytest.fixture(params=["unix", "tls"])
def connection(request: pytest.FixtureRequest, daemon: Any, tmp_path: Path) -> Any:
    """A client, over each transport."""
    if request.param == "unix":
        return daemon.connect()
    with daemon.connect() as admin:
        added = admin.add_client("Officine", scopes=list(ALL), transports=["tls"])
    file = tmp_path / "pairing.json"
    tls = daemon.endpoints.tls
    vitale_reader.Pairing.of(added, address=f"tls://{tls.host}:{tls.port}").save(file)
    return vitale_reader.connect(pairing=file, language="en", connect_timeout=60.0, call_timeout=60.0)


def keys_of(jwks: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    return {key["kid"]: jwt.PyJWK(key) for key in jwks["keys"]}


def pyjwt_verify(presentation: Presentation, jwks: dict[str, Any], audience: str, **options: Any) -> dict[str, Any]:
    """What a verifier does that has never heard of us."""
    header = jwt.get_unverified_header(presentation.token)
    assert header == {"typ": "vitale-presence+jwt", "alg": "ES256", "kid": header["kid"]}
    key = keys_of(jwks)[header["kid"]]
    claims: dict[str, Any] = jwt.decode(presentation.token, key, algorithms=["ES256"], audience=audience, **options)
    return claims


def test_a_token_verifies_with_us_and_with_pyjwt(connection: Any, virtual_card: Callable[..., Any]) -> None:
    virtual_card("famille")
    with connection as reader:
        nonce = "a-nonce-of-the-client-itself"
        presentation = reader.read(scopes=ALL, purpose="fse", nonce=nonce, timeout=60)
        jwks, audience = reader.keys(), reader.session().client_id
    claims = pyjwt_verify(presentation, jwks, audience)
    assert claims["nonce"] == nonce
    assert claims["purpose"] == ["fse"]
    assert claims["origin"] == "simulated"
    assert claims["proof"] == {"method": "card-clear-read", "verified": False, "freshness": "none"}
    image = load_image("famille")
    names = [person["nom_usuel"] for person in claims["record"]["beneficiaires"]]
    assert names == [holder.nom for holder in image.beneficiaires]
    nirs = [person["nir"] + person["cle_nir"] for person in claims["record"]["beneficiaires"]]
    assert nirs == [holder.nir for holder in image.beneficiaires]
    assert presentation.claims.jti == claims["jti"]
    assert vitale_reader.verify(presentation.token, jwks=jwks, audience=audience, nonce=nonce) == presentation.claims


def test_it_fails_in_both_with_anything_else(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    virtual_card()
    with daemon.connect() as reader:
        nonce = "a-nonce-of-the-client-itself"
        presentation = reader.read(nonce=nonce, timeout=60)
        jwks, audience = reader.keys(), reader.session().client_id
        reader.rotate_keys()
        only_new = {"keys": reader.keys()["keys"][:1]}
    stranger = jwt.PyJWK.from_dict(
        ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
    )
    good: dict[str, Any] = {"jwks": jwks, "audience": audience, "nonce": nonce}
    forged = jwt.encode(
        jwt.decode(presentation.token, options={"verify_signature": False}),
        "a secret that is long enough for HMAC with SHA-256",
        algorithm="HS256",
        headers=jwt.get_unverified_header(presentation.token) | {"alg": "HS256"},
    )

    def ours(check: str, token: str = presentation.token, **changes: Any) -> None:
        with pytest.raises(TokenInvalid) as refused:
            vitale_reader.verify(token, **(good | changes))
        assert refused.value.data["check"] == check

    ours("audience", audience="another")
    ours("nonce", nonce="another-nonce-of-the-client")
    ours("key", jwks=only_new)
    ours("expired", now=presentation.claims.exp + 31)
    ours("algorithm", token=forged)
    with pytest.raises(jwt.InvalidAudienceError):
        pyjwt_verify(presentation, jwks, "another")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(presentation.token, stranger, algorithms=["ES256"], audience=audience)
    with pytest.raises(jwt.InvalidAlgorithmError):
        jwt.decode(forged, keys_of(jwks)[presentation_kid(presentation)], algorithms=["ES256"], audience=audience)
    with pytest.raises(jwt.ExpiredSignatureError):
        pyjwt_verify(presentation, jwks, audience, leeway=-130, options={"verify_iat": False})
    assert pyjwt_verify(presentation, jwks, audience)["nonce"] != "another-nonce-of-the-client"


def presentation_kid(presentation: Presentation) -> str:
    return str(jwt.get_unverified_header(presentation.token)["kid"])


def test_scopes_are_the_whole_of_what_is_told(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    virtual_card("famille")
    with daemon.connect() as reader:
        claims = reader.read(timeout=60).claims
    (holder,) = claims.record.beneficiaires
    assert holder.nom_usuel == load_image("famille").beneficiaires[0].nom
    assert (holder.nir, holder.cle_nir, claims.record.assure.nir) == (None, None, None)
    assert claims.record.porteur == 0


def test_nineteen_people_on_one_card(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    virtual_card("dix-neuf")
    with daemon.connect() as reader:
        record = reader.read(scopes=ALL, timeout=60).claims.record
    assert len(record.beneficiaires) == 19
    assert [person.nir + person.cle_nir for person in record.beneficiaires] == [
        holder.nir for holder in load_image("dix-neuf").beneficiaires
    ]


def test_a_month_nineteen_is_kept_and_warned_of(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    virtual_card("date-fictive")
    with daemon.connect() as reader:
        claims = reader.read(timeout=60).claims
    (holder,) = claims.record.beneficiaires
    assert holder.date_naissance[4:6] == "19"
    assert holder.date_naissance_iso is None
    assert "birth_date_not_calendar" in claims.warnings


def test_a_vitale_1_is_recognised_and_refused_with_a_remedy(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    virtual_card("vitale-1")
    with daemon.connect() as reader, pytest.raises(MediumUnsupported) as refused:
        reader.read(timeout=60)
    assert refused.value.data["generation"] == "vitale-1"
    assert refused.value.data["remedy"]


def test_a_cps_does_not_disturb_and_a_second_card_is_not_taken_by_luck(
    daemon: Any, virtual_card: Callable[..., Any]
) -> None:
    virtual_card("cps", slot=1)
    card = virtual_card("adulte")
    with daemon.connect() as reader:
        assert reader.read(timeout=60).medium == "vitale-card"
        # Each slot is looked at by itself: the second card may be seen first.
        changes = reader.watch()
        while sorted(one.medium for one in reader.readers() if one.medium) != ["cps-card", "vitale-card"]:
            next(changes)
        changes.close()
        card.remove()


def test_two_cards_are_answered_with_the_choices(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    virtual_card("adulte")
    virtual_card("famille", slot=1)
    with daemon.connect() as reader:
        changes = reader.watch()
        while sum(one.state == "present" for one in reader.readers()) < 2:
            next(changes)
        changes.close()
        with pytest.raises(AmbiguousMedium) as refused:
            reader.read(timeout=60)
        choices: Any = refused.value.data["choices"]
        assert len(choices) == 2
        assert str(load_image("adulte").beneficiaires[0].nom) not in str(choices)
        chosen = reader.read(readers=[choices[1]["reader"]], timeout=60)
    assert chosen.holder.nom_usuel == load_image("famille").beneficiaires[0].nom


def test_a_card_inserted_the_wrong_way_round(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    virtual_card("adulte", faults="mute")
    with daemon.connect() as reader, pytest.raises(MediumMute) as refused:
        reader.read(timeout=60)
    assert refused.value.data["remedy"]


def test_the_card_may_come_after_the_request(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    steps: list[str] = []
    with daemon.connect() as reader:

        def on_progress(progress: vitale_reader.PresentationProgress) -> None:
            steps.append(progress.step)
            if progress.step == "armed":
                virtual_card("adulte")

        presentation = reader.read(timeout=60, on_progress=on_progress)
    assert presentation.holder.nom_usuel == load_image("adulte").beneficiaires[0].nom
    assert steps[0] == "armed"
    assert "reading" in steps
