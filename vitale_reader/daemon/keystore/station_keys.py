"""The station's own secrets: its identity, its signing keys with their rotation, and the keys of what it keeps.

They live in ``state/station.json`` (0600), made at first start and written whole at each change. The station may be
configured to keep them under a key of the operating system's keyring.

The overlap of a rotated key goes by the time of the station's store. A clock that jumped forward hides no key before
that much time can have passed. One that was set back keeps none for longer than a second overlap. What a clock hides is
not thrown away: it counts again when the clock is right.
"""

import hashlib
import hmac
import secrets
import uuid
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ParseError, StoreUnavailable
from vitale_protocol.privacy import concealed
from vitale_protocol.signing import base64url, public_jwk
from vitale_reader.atomic_files import write_atomically
from vitale_reader.daemon.keystore.keyring_secrets import KeyringSecrets, Sealed
from vitale_reader.daemon.keystore.store_keys import Vault, derive

__all__ = ["DeskClock", "Keys", "Time"]

#: The order of P-256 (SEC 2, section 2.4.2).
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

#: Bytes of a private number (RFC 7518, section 6.2.2.1).
_NUMBER = 32


class SigningKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A P-256 key as a private JWK; signs until ``retired_at``, verifies for the overlap after it (epoch seconds)."""

    jwk: dict[str, Any]
    created_at: float
    retired_at: float | None = None


class PrivateJwk(msgspec.Struct, frozen=True):
    """Members read of a private JWK (RFC 7518 section 6.2): numbers in base64url."""

    __repr__ = concealed

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    d: str
    kid: str


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``station.json``.

    ``replay`` is empty in a file of version 0.1, and made when that is first opened.
    """

    station: str
    outbox: bytes
    evidence: bytes
    replay: bytes = b""
    signing: tuple[SigningKey, ...]


class Time(Protocol):
    """The time by which the overlap goes, epoch seconds each."""

    def now(self) -> float:
        """Time of the clock."""
        ...

    def right(self) -> float:
        """The same, where the clock is right.

        Raises:
            StoreUnavailable: the clock is wrong.
        """
        ...

    def believed(self) -> float:
        """Latest time that it can be by now."""
        ...


class DeskClock(msgspec.Struct, frozen=True):
    """The desk's own clock, with nothing to hold it against."""

    clock: Callable[[], float]

    def now(self) -> float:
        """Time of the clock."""
        return self.clock()

    right = believed = now


class Keys:
    """The station's secrets; ``open`` reads or makes them.

    Attributes:
        of_others: public keys of the other stations of the site, as ``stations`` finds them.
    """

    def __init__(self, file: Path, *, overlap: float, clock: Time, box: KeyringSecrets | None = None) -> None:
        self._file = file
        self._box = box
        self._overlap = overlap
        self._time = clock
        self._secrets: Secrets | None = None
        self._current: tuple[str, ec.EllipticCurvePrivateKey] | None = None
        self.of_others: tuple[dict[str, Any], ...] = ()

    def open(self) -> None:
        """Reads the secrets, or makes them where there are none yet.

        Raises:
            StoreUnavailable: the file is there and cannot be read, or cannot be made. It is never replaced: whoever
                lost it by accident wants it back.
        """
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            made = Secrets(
                station=str(uuid.uuid4()),
                outbox=secrets.token_bytes(32),
                evidence=secrets.token_bytes(32),
                replay=secrets.token_bytes(32),
                signing=(self._make_key(),),
            )
            self._replace(made)
            return
        except OSError as error:
            raise StoreUnavailable("the station's secrets cannot be read", data={"file": str(self._file)}) from error
        try:
            sealed = decode_document(content, Sealed).sealed
            self._use(decode_document(content if sealed is None else self._unsealed(sealed), Secrets))
        except (ParseError, msgspec.ValidationError, ValueError, IndexError) as error:
            raise StoreUnavailable("the station's secrets are damaged", data={"file": str(self._file)}) from error
        if not self._opened.replay:
            self._replace(msgspec.structs.replace(self._opened, replay=secrets.token_bytes(32)))
        elif self._box is not None and sealed is None:
            self._replace(self._opened)  # the keyring has been configured since

    @property
    def station(self) -> str:
        """UUID of the station."""
        return self._opened.station

    @property
    def issuer(self) -> str:
        """The ``iss`` of its tokens."""
        return f"urn:vitale-reader:{self.station}"

    @property
    def signing(self) -> tuple[str, ec.EllipticCurvePrivateKey]:
        """The ``kid`` and the key that sign now."""
        if self._current is None:
            raise RuntimeError("the station's keys are not open")
        return self._current

    @property
    def jwks(self) -> dict[str, Any]:
        """The JWK Set that verifies the tokens of this station, and of the others of its site."""
        return {"keys": [*self.own_jwks["keys"], *self.of_others]}

    @property
    def own_jwks(self) -> dict[str, Any]:
        """The JWK Set that verifies this station's tokens: the current key first, then those of the overlap."""
        now, believed = self._time.now(), self._time.believed()
        living = [key for key in self._opened.signing if self._lives(key, now, believed)]
        return {"keys": [_public(key.jwk) for key in reversed(living)]}

    def rotate(self) -> str:
        """Makes a new signing key and returns its ``kid``; the former one still verifies for the overlap.

        Raises:
            StoreUnavailable: the clock of the desk is wrong, or the secrets cannot be written.
        """
        now, believed = self._time.right(), self._time.believed()
        *older, current = self._opened.signing
        kept = [key for key in older if not self._is_over(key, believed)]
        retired = msgspec.structs.replace(current, retired_at=now)
        self._replace(msgspec.structs.replace(self._opened, signing=(*kept, retired, self._make_key())))
        return self.signing[0]

    @property
    def vault(self) -> Vault:
        """The keys of a store that is this station's own."""
        return Vault.of_station(sealing=self._opened.outbox, digests=self._opened.replay)

    @property
    def agreement(self) -> bytes:
        """The X25519 key for what the other stations of a site seal for this one."""
        return derive(self._opened.outbox, "agreement")

    @property
    def identity(self) -> ec.EllipticCurvePrivateKey:
        """The P-256 key that pages pin at their pairing; it stays as long as the station does."""
        # FIPS 186-5, A.2.1: 64 bits more than the order of the curve leave no bias that counts; here it is 256 more.
        drawn = derive(self._opened.outbox, "identity, first half") + derive(
            self._opened.outbox, "identity, second half"
        )
        return ec.derive_private_key(int.from_bytes(drawn, "big") % (_ORDER - 1) + 1, ec.SECP256R1())

    def fingerprint(self, evidence: dict[str, bytes]) -> str:
        """HMAC-SHA-256 in hex of raw evidence, parts in the order of their names, each behind its length.

        Keyed, because there are few enough NIRs to search them all.
        """
        mac = hmac.new(self._opened.evidence, digestmod=hashlib.sha256)
        for name in sorted(evidence):
            for part in (name.encode(), evidence[name]):
                mac.update(len(part).to_bytes(8, "big"))
                mac.update(part)
        return mac.hexdigest()

    @property
    def _opened(self) -> Secrets:
        if self._secrets is None:
            raise RuntimeError("the station's keys are not open")
        return self._secrets

    def _lives(self, key: SigningKey, now: float, believed: float) -> bool:
        """True for a key that signs, or whose retirement is neither too long ago nor too far ahead."""
        if key.retired_at is None:
            return True
        return key.retired_at - now < self._overlap and not self._is_over(key, believed)

    def _is_over(self, key: SigningKey, believed: float) -> bool:
        return key.retired_at is not None and believed >= key.retired_at + self._overlap

    def _make_key(self) -> SigningKey:
        key = ec.generate_private_key(ec.SECP256R1())
        public, number = public_jwk(key), key.private_numbers().private_value
        private = {"d": base64url(number.to_bytes(_NUMBER, "big")), "kid": public.thumbprint}
        return SigningKey(jwk=msgspec.structs.asdict(public) | private, created_at=self._time.now())

    def _replace(self, secrets_: Secrets) -> None:
        try:
            content = msgspec.json.encode(secrets_)
            write_atomically(self._file, content if self._box is None else self._box.seal(content))
        except OSError as error:
            raise StoreUnavailable("the station's secrets cannot be written", data={"file": str(self._file)}) from error
        self._use(secrets_)

    def _unsealed(self, sealed: bytes) -> bytes:
        if self._box is None:
            told = "the station's secrets are under a key of the keyring: keys.keyring"
            raise StoreUnavailable(told, data={"file": str(self._file)})
        return self._box.open(sealed)

    def _use(self, secrets_: Secrets) -> None:
        jwk = msgspec.convert(secrets_.signing[-1].jwk, PrivateJwk)
        self._current = (jwk.kid, _private_key(jwk))
        self._secrets = secrets_


def _private_key(jwk: PrivateJwk) -> ec.EllipticCurvePrivateKey:
    public = ec.EllipticCurvePublicNumbers(_number(jwk.x), _number(jwk.y), ec.SECP256R1())
    return ec.EllipticCurvePrivateNumbers(_number(jwk.d), public).private_key()


def _number(encoded: str) -> int:
    return int.from_bytes(urlsafe_b64decode(encoded + "=="), "big")


def _public(jwk: dict[str, Any]) -> dict[str, Any]:
    return {name: jwk[name] for name in ("kty", "crv", "x", "y", "kid")} | {"use": "sig", "alg": "ES256"}
