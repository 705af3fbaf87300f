"""Tokens of presentations: the reading, cut to what was asked for, in claims signed for one client."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from vitale_drivers.base import Presented
from vitale_protocol.claims import Claims, Evidence, ReaderClaim
from vitale_protocol.errors import MixedOrigin, SimulatedRefused
from vitale_protocol.methods import OutboxToken, ReadingShown, StationMode
from vitale_protocol.privacy import concealed
from vitale_protocol.records import Assure, Beneficiaire, Origin, Proof, Reading, Record
from vitale_protocol.signing import sign
from vitale_reader.daemon.keystore.station_keys import Keys
from vitale_reader.resolvers.base import Resolution, claim_of, timestamp

if TYPE_CHECKING:
    from vitale_protocol.media.two_d_doc.trust import TrustList

__all__ = ["Grant", "IssuedToken", "Issuer", "cut", "uuid7"]

#: Seconds for which rights count as up to date: the service looks them up anew at each presentation, within a day.
RIGHTS_FRESH = 86_400.0

PartT = TypeVar("PartT", Assure, Beneficiaire)


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Order for a token: it answers the client's ``nonce`` and contains no more than ``scopes``.

    ``site`` is the web origin of a page; empty for other clients.
    """

    client_id: str
    nonce: str
    scopes: tuple[str, ...]
    purpose: tuple[str, ...] | None = None
    site: str = ""


class IssuedToken(msgspec.Struct, frozen=True):
    """A token with its claims."""

    __repr__ = concealed

    token: OutboxToken
    claims: Claims


#: The scope that each member of the record needs; ``porteur`` and ``beneficiaires`` themselves need none.
ASSURE_SCOPES: dict[str, str] = {
    "type_carte": "identity",
    "date_debut_validite": "identity",
    "date_fin_validite": "identity",
    "nir": "nir",
    "cle_nir": "nir",
    "numero_serie": "rights",
    "code_regime": "rights",
    "caisse_gestionnaire": "rights",
    "centre_gestionnaire": "rights",
    "code_gestion": "rights",
}
BENEFICIAIRE_SCOPES: dict[str, str] = {
    "nom_usuel": "identity",
    "nom_patronymique": "identity",
    "prenom": "identity",
    "date_naissance": "identity",
    "date_naissance_iso": "identity",
    "rang_gemellaire": "identity",
    "qualite": "identity",
    "nationalite": "identity",
    "sexe": "identity",
    "code_lieu_naissance": "identity",
    "nir": "nir",
    "cle_nir": "nir",
    "nir_certifie": "nir",
    "cle_nir_certifie": "nir",
    "date_certification_nir": "nir",
    "adresse": "rights",
    "code_service_amo": "rights",
    "droits_amo": "rights",
    "couvertures": "rights",
    "mutuelle": "rights",
    "amc": "rights",
}


def cut(record: Record, scopes: Sequence[str]) -> Record:
    """The record with no more than the scopes allow; without ``dependants`` only the holder."""
    people = record.beneficiaires or ()
    porteur = record.porteur
    if "dependants" not in scopes and people:
        people, porteur = (people[porteur or 0],), 0
    return Record(
        assure=_only(record.assure, ASSURE_SCOPES, scopes) if record.assure else None,
        beneficiaires=tuple(_only(person, BENEFICIAIRE_SCOPES, scopes) for person in people) or None,
        porteur=porteur,
    )


def _only(part: PartT, needs: dict[str, str], scopes: Sequence[str]) -> PartT:
    kept: dict[str, Any] = {name: getattr(part, name) for name, scope in needs.items() if scope in scopes}
    return type(part)(**kept)


def uuid7(milliseconds: int, randomness: bytes) -> str:
    """A UUID of version 7 (RFC 9562 section 5.7): 48 bits of time and 74 random bits.

    The 74 are taken from the 80 bits given.
    """
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(randomness[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Issuer:
    """Signs what was presented."""

    def __init__(
        self,
        keys: Keys,
        *,
        mode: StationMode,
        lifetime: int,
        clock: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        profile_origins: Mapping[bytes, Origin] | None = None,
        trust: "TrustList | None" = None,
    ) -> None:
        self._keys = keys
        self._mode = mode
        self._lifetime = lifetime
        self._clock = clock
        self._random_bytes = random_bytes
        self._profile_origins = profile_origins or {}
        self._trust = trust

    def interpret(self, presentation: Presented) -> Reading:
        """Interprets a presentation by itself.

        Raises:
            SimulatedRefused: the medium is simulated and the station is not in ``simulated`` mode.
            MixedOrigin: it is of test or demonstration and the station is in production.
            MediumUnreadable, PayloadInvalid: the evidence cannot be understood.
            StoreUnavailable: the clock of the desk is wrong.
        """
        self._clock()  # before a string is used up for a token that cannot be issued

        from vitale_protocol import media  # noqa: PLC0415  its parsers load with the first presentation, not at start

        # What was read by a simulated profile is simulated, whatever the driver says of it.
        origin = self._profile_origins.get(presentation.evidence.get("profile", b""), "unknown")
        simulated = presentation.simulated or origin == "simulated"
        reading = media.interpret(presentation.medium, presentation.evidence, simulated=simulated, trust=self._trust)
        if reading.origin == "unknown" and origin != "unknown":
            reading = msgspec.structs.replace(reading, origin=origin)
        self._refuse(reading.origin)
        return reading

    def resolved(self, reading: Reading, resolution: Resolution) -> Reading:
        """Interprets a presentation that a service has vouched for.

        Raises:
            MixedOrigin: the medium and the service are not of the same origin, or not of one for this station.
            SimulatedRefused: both are simulated, and the station is not in ``simulated`` mode.
        """
        origins = {reading.origin, resolution.origin}
        if ("simulated" in origins and len(origins) > 1) or len(origins - {"unknown"}) > 1:
            raise MixedOrigin(f"the medium is of origin {reading.origin}, the service of {resolution.origin}")
        self._refuse(resolution.origin)
        warnings = reading.warnings
        if resolution.rights_at is not None and self._clock() - resolution.rights_at.timestamp() > RIGHTS_FRESH:
            warnings += ("rights_stale",)
        if resolution.delegate is not None:
            warnings += ("delegation",)
        return Reading(
            medium=reading.medium,
            # Verified: the service vouches. A window: it takes a string for the time that it grants it, and once.
            proof=Proof(method="apcv-resolved", verified=True, freshness="window"),
            origin=resolution.origin,
            record=resolution.record,
            warnings=warnings,
        )

    def issue(
        self,
        presentation: Presented,
        reading: Reading,
        driver: str,
        grant: Grant,
        resolution: Resolution | None = None,
    ) -> IssuedToken:
        """The token of a presentation, for a client.

        Args:
            presentation: what was presented, reported by ``driver``.
            reading: what it says, by ``interpret`` and for a resolved apCV by ``resolved``.
            driver: the name of the driver.
            grant: what the client asked for.
            resolution: the context behind the reading, where there is one.

        Raises:
            StoreUnavailable: the clock of the desk is wrong.
        """
        now = self._clock()
        claims = Claims(
            ver=1,
            iss=self._keys.issuer,
            aud=grant.client_id,
            iat=int(now),
            exp=int(now) + self._lifetime,
            jti=uuid7(int(now * 1000), self._random_bytes(10)),
            nonce=grant.nonce,
            # ``iat`` has no fraction, and verifiers refuse what was presented later than that.
            presented_at=min(presentation.at, float(int(now))),
            medium=reading.medium,
            proof=reading.proof,
            origin=reading.origin,
            reader=ReaderClaim(id=presentation.reader, driver=driver),
            purpose=grant.purpose,
            site=grant.site or None,
            scopes=grant.scopes,
            record=cut(reading.record, grant.scopes),
            evidence=Evidence(sha256=self._keys.fingerprint(presentation.evidence)),
            warnings=reading.warnings,
            **_context_claims(resolution, grant.scopes),
            **_payload_claims(presentation, grant.scopes),
        )
        kid, key = self._keys.signing
        token = sign(claims, key, kid)
        return IssuedToken(OutboxToken(jti=claims.jti, exp=claims.exp, token=token), claims)

    def tell(
        self, presentation: Presented, reading: Reading, scopes: Sequence[str], resolution: Resolution | None = None
    ) -> ReadingShown:
        """Content of a token of a presentation, for somebody who looks at it and keeps nothing."""
        return ReadingShown(
            medium=reading.medium,
            origin=reading.origin,
            proof=reading.proof,
            reader=presentation.reader,
            record=cut(reading.record, scopes),
            delegate=resolution.delegate if resolution is not None and "identity" in scopes else None,
            warnings=reading.warnings,
        )

    def _refuse(self, origin: Origin) -> None:
        if origin == "simulated" and self._mode != "simulated":
            raise SimulatedRefused(f"the station is in mode {self._mode}")
        if origin in {"test", "demo"} and self._mode == "production":
            raise MixedOrigin(f"something of origin {origin}, and the station is in mode production")


def _context_claims(resolution: Resolution | None, scopes: Sequence[str]) -> dict[str, Any]:
    if resolution is None:
        return {}
    claims: dict[str, Any] = {}
    if "context" in scopes:
        claims["context"] = claim_of(resolution)
    if resolution.delegate is not None and "identity" in scopes:
        claims["delegate"] = resolution.delegate
    if resolution.rights_at is not None and "rights" in scopes:
        claims["rights_at"] = timestamp(resolution.rights_at)
    return claims


def _payload_claims(presentation: Presented, scopes: Sequence[str]) -> dict[str, Any]:
    """Claims with the payload of a phone or a code: as text where printable, so that copying preserves it."""
    string = presentation.evidence.get("string") or presentation.evidence.get("code")
    if "payload" not in scopes or string is None:
        return {}
    try:
        text = string.decode()
    except UnicodeDecodeError:
        text = ""
    return {"payload": text} if text.isprintable() and text else {"payload_b64": b64encode(string).decode()}
