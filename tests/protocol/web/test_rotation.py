"""Rotation of a page's key: both keys sign the same, and nothing else counts."""

from typing import Any

import jwt
import msgspec
import pytest

from tests.protocol.web.independent import private, signed, thumbprint
from vitale_protocol.errors import NotAuthenticated
from vitale_protocol.signing import public_jwk
from vitale_protocol.web.rotation import Rotation, check_rotation, sign_rotation

OLD, NEW = private(7), private(8)
ROTATION = Rotation(aud="urn:vitale-reader:s", client_id="page-1", old=thumbprint(OLD), new=thumbprint(NEW))
CLAIMS: dict[str, Any] = msgspec.to_builtins(ROTATION)


@pytest.mark.parametrize("key", [OLD, NEW])
def test_each_key_signs_what_another_implementation_reads(key: Any) -> None:
    proof = sign_rotation(ROTATION, key)
    check_rotation(ROTATION, public_jwk(key), proof)
    check_rotation(ROTATION, public_jwk(key), signed(CLAIMS, key, "vr-rotate+jwt"))

    assert CLAIMS == jwt.decode(proof, key.public_key(), algorithms=["ES256"], options={"verify_aud": False})


@pytest.mark.parametrize(
    "proof",
    [
        sign_rotation(ROTATION, NEW),
        signed(CLAIMS, OLD, "vr-session+jwt"),
        signed(CLAIMS | {"new": thumbprint(OLD)}, OLD, "vr-rotate+jwt"),
        signed(CLAIMS | {"client_id": "page-2"}, OLD, "vr-rotate+jwt"),
        signed(CLAIMS | {"aud": "urn:vitale-reader:t"}, OLD, "vr-rotate+jwt"),
        signed(CLAIMS | {"more": 1}, OLD, "vr-rotate+jwt"),
        signed({}, OLD, "vr-rotate+jwt"),
        "a.b.c",
        "",
    ],
)
def test_another_proof_is_refused(proof: str) -> None:
    with pytest.raises(NotAuthenticated):
        check_rotation(ROTATION, public_jwk(OLD), proof)
