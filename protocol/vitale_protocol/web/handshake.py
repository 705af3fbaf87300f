"""The handshake of a sealed session: first the station proves itself, then the client; both have the same keys.

1. The client asks with a fresh nonce and a fresh point (``Client.ask``).
2. The station signs both with its own point and a challenge (``offer``). Its identity key is pinned at pairing.
3. The client signs all of it with the key that it was paired with (``Client.answer``).
4. The station compares and has the keys (``admit``); from then on every frame is sealed.

Both proofs name the site and the way. The client's names besides how it opens the session, so that no gateway can.
Random values and keys are arguments.
"""

from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import DaemonUntrusted, NotAuthenticated, ParseError
from vitale_protocol.methods import Identity, KeyProof, SessionChallenge, SessionChallenged, SessionOpen
from vitale_protocol.privacy import concealed
from vitale_protocol.signing import PublicJwk, base64url, from_base64url, public_jwk, sign_jws, verify_jws
from vitale_protocol.web.channels import Preamble, Via
from vitale_protocol.web.sealed_frames import SessionKeys, session_keys

__all__ = [
    "CHALLENGE_BYTES",
    "CHALLENGE_SECONDS",
    "CLIENT_TYPE",
    "STATION_TYPE",
    "ClientHandshake",
    "Offer",
    "Opening",
    "PinnedStation",
    "RegisteredKey",
    "admit",
    "offer",
]

STATION_TYPE: Final = "vr-station+jwt"
CLIENT_TYPE: Final = "vr-session+jwt"
CHALLENGE_BYTES: Final = 32
#: Seconds for which a challenge can be answered, once, on the channel that it was made for.
CHALLENGE_SECONDS: Final = 30


class StationProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Claims of the station's proof."""

    challenge: str
    epk: str
    client_nonce: str
    client_epk: str
    site: str
    via: Via
    exp: int


class Opening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of ``session.open`` besides the proof, as the client signed them."""

    protocol: tuple[int, ...]
    client: Identity
    language: Literal["fr", "en"] = "fr"

    @classmethod
    def of(cls, params: SessionOpen) -> "Opening":
        """The part of a call that is signed."""
        return cls(protocol=params.protocol, client=params.client, language=params.language)


class ClientProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Claims of the client's proof."""

    aud: str
    challenge: str
    client_nonce: str
    epk: str
    station_epk: str
    site: str
    via: Via
    jti: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    open: Opening


# ── the station's side ───────────────────────────────────────────────────────────────────────────────────────────


class PinnedStation(msgspec.Struct, frozen=True, kw_only=True):
    """Identity of a station: the issuer of its tokens, and the key that clients pin at pairing."""

    __repr__ = concealed

    issuer: str
    key: ec.EllipticCurvePrivateKey


class RegisteredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A client's key as the registry has it, with the one site that it counts for."""

    jwk: PublicJwk
    site: str


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The station's side of a handshake that has begun."""

    __repr__ = concealed

    asked: SessionChallenge
    answer: SessionChallenged
    private: ec.EllipticCurvePrivateKey


def offer(
    asked: SessionChallenge,
    channel: Preamble,
    station: PinnedStation,
    *,
    challenge: bytes,
    ephemeral: ec.EllipticCurvePrivateKey,
    now: float,
) -> Offer:
    """The station's proof, for a client that is registered.

    Args:
        asked: by the client.
        channel: that it came by.
        station: that proves itself.
        challenge: 32 fresh random bytes.
        ephemeral: a fresh key of P-256.
        now: seconds since the epoch.

    Raises:
        NotAuthenticated: the client's point is none.
    """
    read_point(asked.epk)
    expires = int(now) + CHALLENGE_SECONDS
    claims = StationProof(
        challenge=base64url(challenge),
        epk=write_point(ephemeral.public_key()),
        client_nonce=asked.client_nonce,
        client_epk=asked.epk,
        site=channel.site,
        via=channel.via,
        exp=expires,
    )
    kid = public_jwk(station.key).thumbprint
    answer = SessionChallenged(
        challenge=claims.challenge,
        epk=claims.epk,
        station=station.issuer,
        expires=expires,
        proof=sign_jws(msgspec.json.encode(claims), station.key, typ=STATION_TYPE, kid=kid),
    )
    return Offer(asked=asked, answer=answer, private=ephemeral)


def admit(
    offered: Offer, credential: KeyProof, opening: Opening, registered: RegisteredKey, channel: Preamble
) -> SessionKeys:
    """The keys of a session whose client has proved itself.

    The caller has made sure that the offer is still good.

    Args:
        offered: on this channel, not answered yet.
        credential: what the client shows.
        opening: how the session is opened, by the call.
        registered: the key under the credential's ``kid``.
        channel: that all of it came by.

    Raises:
        NotAuthenticated: something does not fit; what, is for the log and not for the other end.
    """
    expected = ClientProof(
        aud=offered.answer.station,
        challenge=offered.answer.challenge,
        client_nonce=offered.asked.client_nonce,
        epk=offered.asked.epk,
        station_epk=offered.answer.epk,
        site=channel.site,
        via=channel.via,
        jti="any",
        open=opening,
    )
    if not credential.kid == offered.asked.kid == registered.jwk.thumbprint:
        raise NotAuthenticated("the key is not the one that was announced")
    if registered.site != channel.site:
        raise NotAuthenticated("the key counts for another site")
    try:
        payload = verify_jws(credential.proof, registered.jwk.key, typ=CLIENT_TYPE, kid=credential.kid)
        claims = decode_document(payload, ClientProof)
    except ParseError as error:
        raise NotAuthenticated(f"the client's proof: {error.detail}") from error
    if msgspec.structs.replace(claims, jti="any") != expected:
        raise NotAuthenticated("the client's proof is for something else")
    shared = offered.private.exchange(ec.ECDH(), read_point(offered.asked.epk))
    return session_keys(shared, offered.answer.proof, credential.proof)


# ── the client's side ────────────────────────────────────────────────────────────────────────────────────────────


class ClientHandshake(msgspec.Struct, frozen=True, kw_only=True):
    """The client's side of a handshake, for one channel.

    Attributes:
        key: that was paired.
        station: the station's identity key, pinned at pairing.
        site: the web origin that the browser names.
        via: how the station is reached.
        nonce: 32 fresh random bytes.
        ephemeral: a fresh key of P-256.
    """

    __repr__ = concealed

    key: ec.EllipticCurvePrivateKey
    station: PublicJwk
    site: str
    via: Via
    nonce: bytes
    ephemeral: ec.EllipticCurvePrivateKey

    def ask(self) -> SessionChallenge:
        """The question that begins the handshake."""
        return SessionChallenge(
            kid=public_jwk(self.key).thumbprint,
            client_nonce=base64url(self.nonce),
            epk=write_point(self.ephemeral.public_key()),
        )

    def answer(self, told: SessionChallenged, opening: Opening, *, jti: str) -> tuple[KeyProof, SessionKeys]:
        """The client's proof and the keys of the session, once the station has proved itself.

        Args:
            told: the answer to the question.
            opening: how the session will be opened.
            jti: a fresh name of the proof.

        Raises:
            DaemonUntrusted: what answers is not the station of the pairing. It is told nothing.
        """
        asked = self.ask()
        self._check_station(told, asked)
        claims = ClientProof(
            aud=told.station,
            challenge=told.challenge,
            client_nonce=asked.client_nonce,
            epk=asked.epk,
            station_epk=told.epk,
            site=self.site,
            via=self.via,
            jti=jti,
            open=opening,
        )
        proof = sign_jws(msgspec.json.encode(claims), self.key, typ=CLIENT_TYPE, kid=asked.kid)
        shared = self.ephemeral.exchange(ec.ECDH(), read_point(told.epk))
        return KeyProof(kid=asked.kid, proof=proof), session_keys(shared, told.proof, proof)

    def _check_station(self, told: SessionChallenged, asked: SessionChallenge) -> None:
        expected = StationProof(
            challenge=told.challenge,
            epk=told.epk,
            client_nonce=asked.client_nonce,
            client_epk=asked.epk,
            site=self.site,
            via=self.via,
            exp=told.expires,
        )
        try:
            payload = verify_jws(told.proof, self.station.key, typ=STATION_TYPE, kid=self.station.thumbprint)
            claims = decode_document(payload, StationProof)
            read_point(told.epk)
        except (ParseError, NotAuthenticated) as error:
            raise DaemonUntrusted("the proof is not by the station of the pairing") from error
        if claims != expected:
            raise DaemonUntrusted("the station's proof is for another channel")


# ── points ───────────────────────────────────────────────────────────────────────────────────────────────────────


def write_point(key: ec.EllipticCurvePublicKey) -> str:
    """A point as browsers export it ("raw"): uncompressed, in base64url."""
    return base64url(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def read_point(text: str) -> ec.EllipticCurvePublicKey:
    """The point behind a text.

    Raises:
        NotAuthenticated: no point of P-256, or not uncompressed.
    """
    try:
        data = from_base64url(text)
        if data[:1] != b"\x04":
            raise ValueError("compressed")
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
    except (ParseError, ValueError) as error:
        raise NotAuthenticated("no point of P-256") from error
