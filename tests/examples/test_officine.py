"""The server half of the billing page: what it believes of a desk, and of a page that speaks for one."""

import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.protocol.web import independent
from vitale_protocol import tokens
from vitale_protocol.records import Assure, Beneficiaire, Proof, Record

FILE = Path(__file__).parents[2] / "examples" / "pharmacie-web" / "officine.py"
SITE = "http://localhost:8000"


@pytest.fixture(scope="module")
def officine() -> Any:
    spec = importlib.util.spec_from_file_location("officine", FILE)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["officine"] = made
    spec.loader.exec_module(made)
    yield made
    del sys.modules["officine"]


def station() -> tuple[ec.EllipticCurvePrivateKey, dict[str, Any]]:
    """A station's key, and what it tells of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = independent.jwk(key)
    return key, {"keys": [{**jwk, "kid": independent.thumbprint(key), "alg": "ES256", "use": "sig"}]}


def token(key: ec.EllipticCurvePrivateKey, nonce: str) -> str:
    now = int(time.time())
    claims = tokens.Claims(
        ver=1,
        iss="urn:vitale-reader:essai",
        aud="client",
        iat=now,
        exp=now + 60,
        jti=nonce,
        nonce=nonce,
        site=SITE,
        presented_at=float(now),
        medium="vitale-card",
        proof=Proof(method="card-clear-read", verified=False, freshness="none"),
        origin="simulated",
        reader=tokens.ReaderClaim(id="r", driver="simulated-card"),
        scopes=("identity",),
        record=Record(assure=Assure(), beneficiaires=(Beneficiaire(nom_usuel="EXEMPLE", prenom="CLAIRE"),), porteur=0),
        evidence=tokens.Evidence(sha256="0" * 64),
    )
    return tokens.sign(claims, key, independent.thumbprint(key))


def test_tokens_of_a_station_that_nobody_confirmed_are_refused(officine: Any) -> None:
    server = officine.Officine(SITE, 7_817, simulated=True)

    def call(name: str, **body: Any) -> Any:
        return server.appel(name, msgspec.json.encode(body))

    key, jwks = station()
    false_key, false_jwks = station()
    call("poste", client_id="client", nom="Poste", jwks=jwks)
    asked = [call("nonce", numero=41)["nonce"] for _ in range(2)]
    with pytest.raises(officine.Refus, match="ne connaît pas encore"):
        call("jeton", jeton=token(key, asked[0]))
    call("poste/confirme")
    # A page that believes another station can neither name its keys nor hand in what it signed.
    with pytest.raises(officine.Refus, match="un autre poste"):
        call("poste", client_id="client", nom="Poste", jwks=false_jwks)
    with pytest.raises(officine.Refus):
        call("jeton", jeton=token(false_key, asked[0]))
    assert "lu" == call("jeton", jeton=token(key, asked[1]))["file"][0].etat
