"""A second implementation of the page's side, with PyJWT, hmac and hashlib; nothing of the product is used.

What both make is compared, and stands in ``session_vectors.json`` for implementations in other languages.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("session_vectors.json").read_text(encoding="utf-8"))


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


def raw(key: ec.EllipticCurvePrivateKey) -> str:
    return b64u(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def point(text: str) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64u(text))


def jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    data = unb64u(raw(key))
    return {"kty": "EC", "crv": "P-256", "x": b64u(data[1:33]), "y": b64u(data[33:])}


def thumbprint(key: ec.EllipticCurvePrivateKey) -> str:
    return thumbprint_of(jwk(key))


def thumbprint_of(members: dict[str, str]) -> str:
    text = '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' % (members["x"], members["y"])  # noqa: UP031
    return b64u(hashlib.sha256(text.encode()).digest())


def signed(claims: dict[str, Any], key: ec.EllipticCurvePrivateKey, typ: str, **header: Any) -> str:
    return jwt.encode(claims, key, algorithm="ES256", headers={"typ": typ, "kid": thumbprint(key), **header})


def length_prefixed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def hkdf(shared: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869, for one block of output."""
    extracted = hmac.digest(salt, shared, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def keys(shared: bytes, station_proof: str, client_proof: str) -> dict[str, bytes]:
    salt = hashlib.sha256(length_prefixed(station_proof.encode(), client_proof.encode())).digest()
    return {"c2s": hkdf(shared, salt, b"vr-1 c2s"), "s2c": hkdf(shared, salt, b"vr-1 s2c")}


def sealed(key: bytes, via: str, number: int, message: bytes) -> str:
    iv = number.to_bytes(12, "big")
    encryptor = Cipher(algorithms.AES(key), modes.GCM(iv)).encryptor()
    encryptor.authenticate_additional_data(via.encode() + iv)
    text = encryptor.update(message) + encryptor.finalize() + encryptor.tag
    return json.dumps({"n": number, "c": b64u(text)}, separators=(",", ":"))


def opened(key: bytes, via: str, frame: str) -> bytes:
    members = json.loads(frame)
    iv = members["n"].to_bytes(12, "big")
    data = unb64u(members["c"])
    decryptor = Cipher(algorithms.AES(key), modes.GCM(iv, data[-16:])).decryptor()
    decryptor.authenticate_additional_data(via.encode() + iv)
    return decryptor.update(data[:-16]) + decryptor.finalize()


def commitment(nonce_p: bytes) -> str:
    return b64u(hashlib.sha256(b"vr-pair-1" + nonce_p).digest())


def code(site: str, jkt_page: str, jkt_station: str, nonce_p: bytes, nonce_d: bytes) -> str:
    parts = (b"vr-pair-1", site.encode(), jkt_page.encode(), jkt_station.encode(), nonce_p, nonce_d)
    return f"{int.from_bytes(hashlib.sha256(length_prefixed(*parts)).digest()[:6], 'big') % 1_000_000:06d}"
