"""The methods of the wire: parameters, result and rights of each, as one table.

Every transport speaks these. ``METHODS`` is the source of ``schema/`` and of the reference. A daemon's handlers and a
client's calls are checked against it. Parameters refuse members that they do not know. Results are read tolerantly, so
that a client survives a newer daemon.
"""

from typing import Annotated, Any, Literal, dataclass_transform

import msgspec

from vitale_protocol.claims import Claims
from vitale_protocol.diagnosis.findings import Finding
from vitale_protocol.events import DeskState, DriverHealth, PlainName, Reader, ReaderId, SimulatorPlace
from vitale_protocol.privacy import concealed
from vitale_protocol.records import Medium, Origin, Proof, Record
from vitale_protocol.signing import PublicJwk

__all__ = [
    "LONGEST_LEASE_MS",
    "METHODS",
    "MOST_APDUS",
    "PROTOCOL_VERSION",
    "SCOPES",
    "SHORTEST_LEASE_MS",
    "AuditChain",
    "AuditFault",
    "AuditVerified",
    "BundleFile",
    "BundleMade",
    "CardTransmit",
    "CardTransmitted",
    "ClientAdded",
    "ClientSummary",
    "ClientsAdd",
    "ClientsListed",
    "ClientsRevoke",
    "ClientsRevoked",
    "ClockHealth",
    "CodesSubscribe",
    "CodesSubscribed",
    "CodesUnsubscribe",
    "ConfigChanged",
    "ConfigChecked",
    "ConfigSet",
    "ContextRelease",
    "ContextReleased",
    "ContextRestore",
    "ContextRestored",
    "ContextSign",
    "ContextSigned",
    "CredentialRotate",
    "CredentialRotated",
    "DashboardOpen",
    "DashboardOpened",
    "DeskWatched",
    "Diagnosed",
    "Done",
    "DriverHealth",
    "DriversRestart",
    "Empty",
    "Identity",
    "KeyProof",
    "KeysRotated",
    "LeaseAcquire",
    "LeaseAcquired",
    "LeaseRelease",
    "LeaseReleased",
    "LeaseRenew",
    "LeaseRenewed",
    "LeasesFree",
    "Limits",
    "Method",
    "OutboxAck",
    "OutboxAcked",
    "OutboxList",
    "OutboxListed",
    "OutboxToken",
    "PairingAccept",
    "PairingAccepted",
    "PairingAsked",
    "PairingAttempt",
    "PairingOpened",
    "PairingRequest",
    "PairingRequested",
    "PairingReveal",
    "PairingRevealed",
    "PresentationCancel",
    "PresentationCancelled",
    "PresentationRequest",
    "PresentationResult",
    "PresentationSubmit",
    "PresentationsSubscribe",
    "PresentationsSubscribed",
    "PresentationsUnsubscribe",
    "PreviewStart",
    "PreviewStarted",
    "PreviewStop",
    "Purpose",
    "ReadersListed",
    "ReadingOnce",
    "ReadingShown",
    "ResolverHealth",
    "Scope",
    "SessionChallenge",
    "SessionChallenged",
    "SessionOpen",
    "SessionOpened",
    "SessionPing",
    "SessionPonged",
    "Settable",
    "ShownScope",
    "SimActed",
    "SimAttach",
    "SimPlay",
    "Station",
    "StationInfo",
    "StationKeys",
    "StationMode",
    "Transport",
    "Way",
]

PROTOCOL_VERSION = 1

Scope = Literal[
    "identity",
    "nir",
    "dependants",
    "rights",
    "context",
    "sign",
    "payload",
    "codes",
    "preview",
    "apdu",
    "desk",
    "admin",
]
SCOPES: tuple[Scope, ...] = (
    "identity",
    "nir",
    "dependants",
    "rights",
    "context",
    "sign",
    "payload",
    "codes",
    "preview",
    "apdu",
    "desk",
    "admin",
)
# What is shown of a reading that nothing is kept of.
ShownScope = Literal["identity", "nir", "dependants", "rights"]
Purpose = Literal["fse", "teleservices", "dp", "identity"]
StationMode = Literal["production", "test", "simulated"]
Transport = Literal["unix", "tls"]
# How a client may reach the daemon. By the websocket and by stdio come pages, which are paired otherwise; the dashboard
# is this machine's own.
Way = Literal["unix", "tls", "websocket", "stdio", "dashboard"]

# Values of a proof in base64url without padding: 32 bytes; a point of P-256, uncompressed (SEC 1, 2.3.3).
Bytes32 = Annotated[str, msgspec.Meta(min_length=43, max_length=43, pattern=r"^[A-Za-z0-9_-]{43}(?![\s\S])")]
Point = Annotated[str, msgspec.Meta(min_length=87, max_length=87, pattern=r"^[A-Za-z0-9_-]{87}(?![\s\S])")]
Jws = Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]

# Anchored at both ends without ``$``, which would let a final line feed through in Python.
Nonce = Annotated[str, msgspec.Meta(min_length=22, max_length=128, pattern=r"^[A-Za-z0-9_-]+(?![\s\S])")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]

Identifiant = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
# 65 536 bytes: hashes and the summary of an invoice have a few thousand.
Base64 = Annotated[str, msgspec.Meta(min_length=4, max_length=87_384, pattern=r"^[A-Za-z0-9+/]+={0,2}(?![\s\S])")]
TimeoutMs = Annotated[int, msgspec.Meta(ge=1_000, le=600_000)]
SHORTEST_LEASE_MS, LONGEST_LEASE_MS = 100, 60_000
LeaseTtlMs = Annotated[int, msgspec.Meta(ge=SHORTEST_LEASE_MS, le=LONGEST_LEASE_MS)]
LeaseId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
# Two digits a byte: four bytes at least, and no more than an extended APDU can have (ISO/IEC 7816-4 §5.2).
Apdu = Annotated[str, msgspec.Meta(min_length=8, max_length=131_088, pattern=r"^([0-9A-Fa-f]{2})+(?![\s\S])")]
RequestId = int | str

# Characters. The largest QR code holds 7 089 digits, 9 452 characters in base64: whatever a code can hold is answered
# by what is wrong with it (a string of an apCV has 4096 bytes at most; what is longer is `payload_invalid`).
MOST_TYPED = 10_000

# APDUs of one ``card.transmit``. What answers do not fit into one message is `limit_exceeded`; the card was used then.
MOST_APDUS = 256


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Parameters of a method: what is left over is refused."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Result of a method: what is left over is ignored."""


class Empty(Params):
    """Parameters of methods that take none."""


class Identity(Params):
    """Client's description of itself; shown in the audit trail, never trusted."""

    name: Name
    version: Annotated[str, msgspec.Meta(max_length=50)] = ""


class SessionChallenge(Params):
    """``session.challenge``: asks the station for its proof, before ``session.open`` with a key.

    ``kid`` is the thumbprint of the caller's key (RFC 7638). ``client_nonce`` is 32 fresh bytes, ``epk`` a fresh point
    for the key agreement.
    """

    kid: Bytes32
    client_nonce: Bytes32
    epk: Point


class SessionChallenged(Result):
    """The station's challenge and its proof; ``expires`` in seconds since the epoch.

    ``station`` is what the caller's own proof names as ``aud``, ``epk`` the station's fresh point. ``proof`` is a JWS
    by the station's identity key, which the caller has known since its pairing.
    """

    challenge: str
    epk: str
    station: str
    expires: int
    proof: str


class KeyProof(Params):
    """Proof of a key: the thumbprint of the key, and a JWS by it that answers the station's challenge."""

    __repr__ = concealed

    kid: Bytes32
    proof: Jws


class SessionOpen(Params):
    """``session.open``: always the first message, except from a page.

    A page asks for a challenge first, and proves its key.

    ``credential`` is the secret of a pairing, or the proof of a page's key.
    """

    __repr__ = concealed

    protocol: Annotated[tuple[int, ...], msgspec.Meta(min_length=1, max_length=16)]
    client: Identity
    credential: Annotated[str, msgspec.Meta(max_length=200)] | KeyProof | None = None
    language: Literal["fr", "en"] = "fr"


class Station(Result):
    """This installation; ``id`` is a UUID made at first start, ``iss`` of its tokens is ``urn:vitale-reader:<id>``."""

    id: str
    name: str
    version: str
    mode: StationMode


class Limits(Result):
    """The daemon's limits, in the units of their names."""

    message_bytes: int
    depth: int
    batch: int
    sessions: int
    requests: int
    open_seconds: int
    items: int = 32_768
    opening_bytes: int = 16_384


class SessionOpened(Result):
    """The answer to ``session.open``; ``jwks`` is a JWK Set with the station's public keys."""

    protocol: int
    session: str
    client_id: str
    scopes: tuple[str, ...]
    station: Station
    jwks: dict[str, Any]
    limits: Limits


class SessionPing(Params):
    """Parameters of ``session.ping``, which has none."""


class SessionPonged(Result):
    """The daemon's time, seconds since the epoch."""

    time: float


class ResolverHealth(Result):
    """The apCV resolver of the station.

    ``state``: ``none`` (no resolver is configured), ``ready``, ``degraded`` (its last call failed) or ``open``. An
    ``open`` one is not called for a while, after repeated failures. ``reason`` is a catalogue reason where there is a
    fault, ``variant`` its exact kind.
    """

    name: str
    state: Literal["none", "ready", "degraded", "open"]
    reason: str | None = None
    variant: str | None = None
    detail: str | None = None


class ClockHealth(Result):
    """The clock of the station; ``offset`` in seconds, positive if ahead of the clock of a site's database.

    Beyond 30 seconds nothing is issued. A station that is alone has nothing to compare with: 0.
    """

    offset: float


class StationInfo(Result):
    """The answer to ``station.info``; ``uptime`` in seconds.

    ``gateway`` is that of web pages, ``exporter`` that of metrics, where there is one.
    """

    station: Station
    media: tuple[str, ...]
    drivers: tuple[DriverHealth, ...]
    uptime: float
    resolver: ResolverHealth | None = None
    clock: ClockHealth | None = None
    gateway: DriverHealth | None = None
    exporter: DriverHealth | None = None


class StationKeys(Result):
    """The answer to ``station.keys``: current and still valid older keys."""

    jwks: dict[str, Any]


class ReadersListed(Result):
    """The answer to ``readers.list`` and ``readers.watch``.

    ``readers.list`` waits, four seconds at most, for drivers that have not told their readers since they were started.
    ``station.info`` tells which these are.
    """

    readers: tuple[Reader, ...]


class PresentationRequest(Params):
    """``presentation.request``: the next presentation that matches.

    ``readers`` are ids of ``readers.list``, which also has those of the other desks of a site. ``group:NAME`` stands
    for all readers of the desks in a group. Without ``readers``, any reader of this desk will do, and none of another
    one. An error names the reader of the medium in its ``data`` as ``reader``.
    """

    nonce: Nonce
    media: Annotated[tuple[Medium, ...], msgspec.Meta(min_length=1, max_length=16)] | None = None
    readers: Annotated[tuple[ReaderId, ...], msgspec.Meta(min_length=1, max_length=64)] | None = None
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=16)] = ("identity",)
    purpose: Annotated[tuple[Purpose, ...], msgspec.Meta(min_length=1, max_length=4)] | Purpose | None = None
    timeout_ms: TimeoutMs = 60_000
    progress: bool = True


class PresentationSubmit(Params):
    """``presentation.submit``: a code that the application read itself, as exactly one of text and bytes.

    ``payload`` is what a keyboard-wedge imager typed, or what was pasted. What keyboards do to it is undone where that
    is certain. ``payload_b64`` is the code's bytes in base64 (RFC 4648, standard alphabet, padded), taken as they are.
    A code of a patient has 4096 bytes at most.
    """

    __repr__ = concealed

    nonce: Nonce
    payload: Annotated[str, msgspec.Meta(max_length=MOST_TYPED)] | None = None
    payload_b64: Annotated[str, msgspec.Meta(max_length=MOST_TYPED)] | None = None
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=16)] = ("identity",)
    purpose: Annotated[tuple[Purpose, ...], msgspec.Meta(min_length=1, max_length=4)] | Purpose | None = None
    progress: bool = True


class PresentationResult(Result):
    """The token of a presentation; ``claims`` is what ``token`` says, decoded for convenience."""

    __repr__ = concealed

    presentation: str
    token: str
    claims: Claims


class PresentationCancel(Params):
    """``presentation.cancel``: ``request`` is the JSON-RPC id of the call that waits."""

    request: RequestId


class PresentationCancelled(Result):
    """Outcome of a cancellation: true if a waiting call was cancelled."""

    cancelled: bool


class PresentationsSubscribe(Params):
    """``presentations.subscribe``: every presentation from now on that no request claims.

    The nonce is in each token of the subscription. It says for which one a token was made, not when.
    """

    nonce: Nonce
    media: Annotated[tuple[Medium, ...], msgspec.Meta(min_length=1, max_length=16)] | None = None
    readers: Annotated[tuple[ReaderId, ...], msgspec.Meta(min_length=1, max_length=64)] | None = None
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=16)] = ("identity",)
    purpose: Annotated[tuple[Purpose, ...], msgspec.Meta(min_length=1, max_length=4)] | Purpose | None = None


class PresentationsSubscribed(Result):
    """The name of the subscription, for its notifications; it ends with its session."""

    subscription: str


class PresentationsUnsubscribe(Params):
    """``presentations.unsubscribe``: a token that is being made still comes."""

    subscription: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class CodesSubscribe(Params):
    """``codes.subscribe``: every code from now on that is no patient's, at these or all imagers of this desk."""

    readers: Annotated[tuple[ReaderId, ...], msgspec.Meta(min_length=1, max_length=64)] | None = None


class CodesSubscribed(Result):
    """The name of the subscription, for its notifications; it ends with its session."""

    subscription: str


class CodesUnsubscribe(Params):
    """Parameters of ``codes.unsubscribe``."""

    subscription: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class PreviewStart(Params):
    """``preview.start``: pictures of what a camera sees; asked for again, they go on at the new pace."""

    reader: ReaderId
    every_ms: Annotated[int, msgspec.Meta(ge=100, le=10_000)] = 200


class PreviewStarted(Result):
    """Format of the preview; frames come once the camera is open because a request waits for a code."""

    reader: str
    every_ms: int


class PreviewStop(Params):
    """``preview.stop``: no more pictures of a reader."""

    reader: ReaderId


class OutboxToken(Result):
    """A token not yet acknowledged."""

    __repr__ = concealed

    jti: str
    exp: int
    token: str


class OutboxList(Params):
    """``outbox.list``: one page, by default the first; ``after`` is the ``more`` of the page before."""

    after: Annotated[str, msgspec.Meta(max_length=80, pattern=r"^[0-9]{1,12}~[0-9A-Za-z-]{1,64}(?![\s\S])")] | None = (
        None
    )
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class OutboxListed(Result):
    """The answer to ``outbox.list``, those that end first before the others."""

    tokens: tuple[OutboxToken, ...]
    more: str | None = None


class OutboxAck(Params):
    """Parameters of ``outbox.ack``: the tokens that arrived."""

    jti: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=64)], ...], msgspec.Meta(min_length=1, max_length=1000)]


class OutboxAcked(Result):
    """Number of tokens acknowledged by this call."""

    acked: int


class ContextRestore(Params):
    """``context.restore``: an apCV context that this client holds."""

    identifiant: Identifiant


class ContextRestored(Result):
    """An apCV context.

    ``date_fin_validite`` is RFC 3339 in UTC, to the second. ``confirmed`` is true if the service gave the context just
    now. Otherwise the service did not answer, and this is the daemon's copy.
    """

    __repr__ = concealed

    identifiant: str
    token: str
    date_fin_validite: str
    confirmed: bool


class ContextSign(Params):
    """``context.sign``: an invoice, to be signed in an apCV context that this client holds.

    ``invoice_b64`` is what the billing software made for the service, in base64 (RFC 4648, standard alphabet, padded).
    Its form is not public: the daemon hands it to its resolver, and keeps nothing of it.
    """

    __repr__ = concealed

    identifiant: Identifiant
    invoice_b64: Base64


class ContextSigned(Result):
    """A signature, as the service gave it, in base64; ``origin`` is ``simulated`` where it is worth nothing."""

    __repr__ = concealed

    signature_b64: str
    origin: Origin


class ContextRelease(Params):
    """``context.release``: the client needs an apCV context no more."""

    identifiant: Identifiant


class ContextReleased(Result):
    """Outcome of a release: true if the service still knew the context. In either case it is gone now."""

    released: bool


class LeaseAcquire(Params):
    """``lease.acquire``: the card in a reader for this session alone, for raw APDUs.

    ``previous`` is the lease that the caller believes current there: null for none, or its own that it replaces.
    ``ttl_ms`` is counted from the moment at which the card is held.
    """

    reader: ReaderId
    previous: LeaseId | None
    ttl_ms: LeaseTtlMs


class LeaseAcquired(Result):
    """The lease; ``atr`` in hex, ``expires_at`` in seconds since the epoch."""

    lease: str
    atr: str
    expires_at: float


class LeaseRenew(Params):
    """``lease.renew``: ``ttl_ms`` from now on, whatever was left."""

    lease: LeaseId
    ttl_ms: LeaseTtlMs


class LeaseRenewed(Result):
    """New end of the lease, in seconds since the epoch."""

    expires_at: float


class LeaseRelease(Params):
    """``lease.release``: the card is reset, and is the others' again."""

    lease: LeaseId


class LeaseReleased(Result):
    """Outcome of a release: true if the lease was still held."""

    released: bool


class CardTransmit(Params):
    """``card.transmit``: command APDUs in hex, one after the other, as they are.

    ``61xx`` and ``6Cxx`` are the caller's to handle.
    """

    __repr__ = concealed

    lease: LeaseId
    apdus: Annotated[tuple[Apdu, ...], msgspec.Meta(min_length=1, max_length=MOST_APDUS)]


class CardTransmitted(Result):
    """The response APDUs in hex, with their status words."""

    __repr__ = concealed

    responses: tuple[str, ...]


class ClientsAdd(Params):
    """``clients.add``: pairs a new client; ``name`` has no control, invisible or direction characters.

    A name that vitale-reader uses itself, as ``local``, or that looks like it, is refused (``reserved_name``).
    """

    name: PlainName
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=16)]
    transports: Annotated[tuple[Transport, ...], msgspec.Meta(min_length=1, max_length=2)]


class ClientAdded(Result):
    """The credential material, shown once.

    ``certificate`` and ``private_key`` are PEM, for TLS. ``daemon_certificate_sha256`` is the hex digest of the
    daemon's certificate in DER, to be pinned. ``credential`` is the secret for ``session.open`` where no certificate
    identifies the client.
    """

    __repr__ = concealed

    client_id: str
    credential: str | None = None
    certificate: str | None = None
    private_key: str | None = None
    daemon_certificate: str | None = None
    daemon_certificate_sha256: str | None = None


class ClientSummary(Result):
    """One paired client, without any secret; ``site`` is a page's web origin. Times are seconds since the epoch."""

    client_id: str
    name: str
    scopes: tuple[str, ...]
    transports: tuple[str, ...]
    created_at: float = 0.0
    revoked_at: float | None = None
    site: str | None = None


class ClientsListed(Result):
    """The answer to ``clients.list``."""

    clients: tuple[ClientSummary, ...]


class ClientsRevoke(Params):
    """``clients.revoke``: its sessions end at once."""

    client_id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class ClientsRevoked(Result):
    """Outcome of a revocation: ``revoked`` is false for an unknown client, ``sessions`` counts those that ended."""

    revoked: bool
    sessions: int


class KeysRotated(Result):
    """The new current key."""

    kid: str


class PairingAttempt(Result):
    """A site that asked to be paired while no window was open, and when, in seconds since the epoch."""

    site: str
    at: float


class PairingOpened(Result):
    """A window in which one page can be paired; ``expires`` in seconds since the epoch."""

    expires: float
    attempts: tuple[PairingAttempt, ...] = ()


class PairingAsked(Result):
    """The page that holds the window and shows its code; the desk is never told the code.

    ``registrable`` is the part of the site that its owner registered, where a registry gave it. ``written`` is the site
    as its owner writes it, where browsers write it otherwise. ``warnings`` are reasons to look twice at the name:
    ``mixed_scripts``, ``near_paired``, ``first_seen``.
    """

    site: str
    name: str
    scopes: tuple[str, ...]
    registrable: str = ""
    written: str = ""
    warnings: tuple[str, ...] = ()


class PairingAccept(Params):
    """``pairing.accept``: the digits that the page shows, as a person typed them, and the scopes that were ticked."""

    __repr__ = concealed

    code: Annotated[str, msgspec.Meta(min_length=6, max_length=6, pattern=r"^[0-9]{6}(?![\s\S])")]
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=16)]


class PairingAccepted(Result):
    """The page that is paired from now on."""

    client_id: str
    site: str


class PairingRequest(Params):
    """``pairing.request``: a page asks to be paired, with its public key and a commitment to its nonce.

    ``commit`` is the SHA-256 of ``vr-pair-1`` and the nonce, in base64url. ``name`` is as for ``clients.add``.
    """

    name: PlainName
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=16)]
    jwk: PublicJwk
    commit: Bytes32


class PairingRequested(Result):
    """The station's identity key and its nonce; the page can work out the code now. ``expires`` as in the window."""

    pairing: str
    station_jwk: PublicJwk
    nonce_d: str
    expires: float


class PairingReveal(Params):
    """``pairing.reveal``: the page's nonce; answered when a person has typed the code at the desk."""

    pairing: Annotated[str, msgspec.Meta(max_length=64)]
    nonce_p: Bytes32


class PairingRevealed(Result):
    """The pairing as it was accepted."""

    client_id: str
    scopes: tuple[str, ...]


class CredentialRotate(Params):
    """``credential.rotate``: a page's new key, and a ``vr-rotate+jwt`` JWS by the old key and by the new.

    Both are over ``aud`` (the station, as in a challenge), ``client_id``, ``old`` and ``new`` (thumbprints).
    """

    __repr__ = concealed

    jwk: PublicJwk
    proof_old: Jws
    proof_new: Jws


class CredentialRotated(Result):
    """The thumbprint of the key that counts from now on."""

    kid: str


class Diagnosed(Result):
    """The answer to ``diagnostics.run``: the report of ``vitale-reader doctor``, in the language of the session.

    What is wrong comes first, causes before their consequences.
    """

    healthy: bool
    findings: tuple[Finding, ...]


class DashboardOpen(Params):
    """``dashboard.open``: ``at`` says whether the browser dials the dashboard's own name or this machine's address.

    Some browsers know no name under ``localhost``.
    """

    at: Literal["name", "address"] = "name"


class DashboardOpened(Result):
    """The way into the dashboard, good once until ``expires``, in seconds since the epoch.

    ``url`` is where it listens. ``file`` is a page for the browser of this user, which hands in the ticket. ``code`` is
    typed at ``url`` where the browser cannot read that file.
    """

    __repr__ = concealed

    url: str
    file: str
    code: str
    expires: float


class DeskWatched(Result):
    """The answer to ``desk.watch``."""

    desk: DeskState


class ReadingOnce(Params):
    """``reading.once``: what the next medium says, told to this session and kept nowhere.

    ``scopes`` is what a person at the desk has ticked for this one reading; nobody is paired for it. It waits a minute
    at most, and ``presentation.cancel`` ends it.
    """

    scopes: Annotated[tuple[ShownScope, ...], msgspec.Meta(min_length=1, max_length=4)]


class ReadingShown(Result):
    """The answer to ``reading.once``: what a token would say, without a token.

    ``delegate`` is who presented the card of somebody else.
    """

    __repr__ = concealed

    medium: Medium
    origin: Origin
    proof: Proof
    reader: str
    record: Record
    delegate: str | None = None
    warnings: tuple[str, ...] = ()


class SimAttach(Params):
    """``sim.attach``: this session simulates what is presented at these places, in the place of what it said before."""

    places: Annotated[tuple[SimulatorPlace, ...], msgspec.Meta(max_length=16)]


class SimPlay(Params):
    """``sim.play``: has a simulator present a thing, or take away what is there."""

    place: PlainName
    thing: PlainName | None = None


class SimActed(Params):
    """``sim.acted``: a simulator has done what ``simulator.act`` said, or says why not; what is where now."""

    act: int
    places: Annotated[tuple[SimulatorPlace, ...], msgspec.Meta(max_length=16)]
    refused: Annotated[str, msgspec.Meta(max_length=500)] = ""


class DriversRestart(Params):
    """``drivers.restart``: the process of one driver ends and begins anew; its readers come back with it."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class LeasesFree(Params):
    """``leases.free``: ends the lease of a reader, whoever has it."""

    reader: ReaderId


class BundleFile(Result):
    """One file of a bundle for support; ``kind`` is ``report findings configuration versions log errors``."""

    name: str
    kind: str
    size: int


class BundleMade(Result):
    """The answer to ``diagnostics.bundle``: a ZIP archive in base64, everything in it redacted; nothing is kept.

    ``complete`` is false where the beginning of a log was left out for its length.
    """

    __repr__ = concealed

    zip_b64: str
    files: tuple[BundleFile, ...]
    complete: bool = True


class AuditChain(Result):
    """The rows of one station in the audit trail; ``broken`` says why, and ``row`` where, the chain breaks."""

    rows: int
    station: str | None = None
    broken: str | None = None
    row: int | None = None


class AuditFault(Result):
    """A row, or a table, that is not as it was sealed."""

    table: str
    key: str
    why: str


class AuditVerified(Result):
    """The answer to ``audit.verify``; ``problem`` where the trail cannot be read."""

    whole: bool
    chains: tuple[AuditChain, ...] = ()
    faults: tuple[AuditFault, ...] = ()
    problem: Finding | None = None


class Settable(Result):
    """A setting that the dashboard changes; ``choices`` where there are only those."""

    key: str
    choices: tuple[str, ...] = ()


class ConfigChecked(Result):
    """The answer to ``config.check``.

    ``settings`` is what the file says with the defaults, secrets masked; nothing where it cannot be read. ``problem``
    is what a restart would be refused for. ``settable`` is what ``config.set`` takes.
    """

    path: str
    exists: bool
    settings: dict[str, Any] | None = None
    problem: Finding | None = None
    readable_by_others: bool = False
    settable: tuple[Settable, ...] = ()


class ConfigSet(Params):
    """``config.set``: changes one of the settings that ``config.check`` tells as ``settable``.

    ``value`` is written as for ``vitale-reader config set``. ``confirmed`` is the key once more, as a person typed it.
    """

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    value: Annotated[str, msgspec.Meta(max_length=1_000)]
    confirmed: Annotated[str, msgspec.Meta(max_length=100)]


class ConfigChanged(Result):
    """The answer to ``config.set``; ``problem`` is why the file stayed as it was, where it did."""

    key: str
    changed: bool
    problem: Finding | None = None


class Done(Result):
    """Success, without further content."""


class Method(msgspec.Struct, frozen=True):
    """One method: its types, the scope it needs (None: any open session) and one sentence for the reference.

    ``opens``: it opens the session. ``before``: a page calls it before that, and at no other time.
    """

    name: str
    params: type[Params]
    result: type[Result]
    summary: str
    scope: Scope | None = None
    opens: bool = False
    before: bool = False


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("session.open", SessionOpen, SessionOpened, "Opens the session; always first.", opens=True),
        Method(
            "session.challenge",
            SessionChallenge,
            SessionChallenged,
            "The station proves itself to a page and challenges it; once, before the session is open.",
            before=True,
        ),
        Method("session.ping", SessionPing, SessionPonged, "The daemon's time."),
        Method("station.info", Empty, StationInfo, "The station, its media, its drivers and their health."),
        Method("station.keys", Empty, StationKeys, "The keys that verify this station's tokens."),
        Method("readers.list", Empty, ReadersListed, "The readers and what lies in them, never whose."),
        Method("readers.watch", Empty, ReadersListed, "The readers now, then a notification for each change."),
        Method("readers.unwatch", Empty, Done, "Ends the watch."),
        Method(
            "presentation.request",
            PresentationRequest,
            PresentationResult,
            "Waits for the next presentation that matches and gives its token.",
        ),
        Method(
            "presentation.submit",
            PresentationSubmit,
            PresentationResult,
            "Presents a code that the application read itself and gives its token.",
        ),
        Method("presentation.cancel", PresentationCancel, PresentationCancelled, "Cancels a waiting request."),
        Method(
            "presentations.subscribe",
            PresentationsSubscribe,
            PresentationsSubscribed,
            "Gives the tokens of all presentations that no request claims, as notifications.",
        ),
        Method(
            "presentations.unsubscribe",
            PresentationsUnsubscribe,
            Done,
            "Ends a subscription, if there is one.",
        ),
        Method(
            "codes.subscribe",
            CodesSubscribe,
            CodesSubscribed,
            "Gives the codes at imagers that are no patient's, as notifications.",
            scope="codes",
        ),
        Method(
            "codes.unsubscribe", CodesUnsubscribe, Done, "Ends a subscription to codes, if there is one.", scope="codes"
        ),
        Method(
            "preview.start",
            PreviewStart,
            PreviewStarted,
            "Pictures of what a camera sees, for as long as it is open for a presentation.",
            scope="preview",
        ),
        Method("preview.stop", PreviewStop, Done, "Ends the pictures; no error if there were none.", scope="preview"),
        Method("outbox.list", OutboxList, OutboxListed, "The tokens that this client has not acknowledged, in pages."),
        Method("outbox.ack", OutboxAck, OutboxAcked, "Acknowledges tokens; the daemon forgets them."),
        Method(
            "context.restore",
            ContextRestore,
            ContextRestored,
            "Gives an apCV context of this client once more.",
            scope="context",
        ),
        Method(
            "context.sign",
            ContextSign,
            ContextSigned,
            "Has an invoice signed in an apCV context of this client.",
            scope="sign",
        ),
        Method(
            "context.release", ContextRelease, ContextReleased, "Ends an apCV context of this client.", scope="context"
        ),
        Method(
            "lease.acquire",
            LeaseAcquire,
            LeaseAcquired,
            "Holds the card in a reader for this session alone.",
            scope="apdu",
        ),
        Method("lease.renew", LeaseRenew, LeaseRenewed, "Prolongs a lease.", scope="apdu"),
        Method("lease.release", LeaseRelease, LeaseReleased, "Ends a lease.", scope="apdu"),
        Method("card.transmit", CardTransmit, CardTransmitted, "Exchanges APDUs with a leased card.", scope="apdu"),
        Method("clients.add", ClientsAdd, ClientAdded, "Pairs a client.", scope="admin"),
        Method("clients.list", Empty, ClientsListed, "The paired clients.", scope="desk"),
        Method("clients.revoke", ClientsRevoke, ClientsRevoked, "Revokes a client.", scope="desk"),
        Method(
            "credential.rotate",
            CredentialRotate,
            CredentialRotated,
            "Puts a new key of this page in the place of the one that its session was opened with.",
        ),
        Method(
            "pairing.request",
            PairingRequest,
            PairingRequested,
            "A page asks to be paired, while a window is open and nobody else holds it.",
            before=True,
        ),
        Method(
            "pairing.reveal",
            PairingReveal,
            PairingRevealed,
            "The page shows its code, and waits until a person has typed it at the desk.",
            before=True,
        ),
        Method(
            "pairing.open",
            Empty,
            PairingOpened,
            "Opens a window of two minutes in which one page can be paired.",
            scope="desk",
        ),
        Method("pairing.wait", Empty, PairingAsked, "Waits for the page that asks to be paired.", scope="desk"),
        Method(
            "pairing.accept",
            PairingAccept,
            PairingAccepted,
            "Pairs the page whose code was typed, with the scopes that were ticked.",
            scope="desk",
        ),
        Method("pairing.close", Empty, Done, "Closes the window, if there is one; nobody is paired.", scope="desk"),
        Method(
            "keys.rotate",
            Empty,
            KeysRotated,
            "Makes a new signing key; the old one still verifies for a while.",
            scope="admin",
        ),
        Method(
            "diagnostics.run",
            Empty,
            Diagnosed,
            "Looks for what is wrong at this desk, as `vitale-reader doctor` does; it may take seconds.",
            scope="desk",
        ),
        Method(
            "diagnostics.bundle",
            Empty,
            BundleMade,
            "Makes the file for support, as `vitale-reader doctor --bundle` does.",
            scope="desk",
        ),
        Method(
            "desk.watch",
            Empty,
            DeskWatched,
            "What goes on at the desk, then a notification for each change; never whose card it was.",
            scope="desk",
        ),
        Method("desk.unwatch", Empty, Done, "Ends that watch.", scope="desk"),
        Method(
            "desk.show",
            Empty,
            Done,
            "The patient screen is shown, and its session lasts; called every minute. It is no use of the rest.",
            scope="desk",
        ),
        Method(
            "reading.once",
            ReadingOnce,
            ReadingShown,
            "Waits for the next medium and tells what it says, once; no token, and nothing is kept.",
            scope="desk",
        ),
        Method(
            "sim.attach",
            SimAttach,
            Done,
            "This session holds simulators, which the dashboard plays; in `simulated` mode alone.",
            scope="admin",
        ),
        Method("sim.acted", SimActed, Done, "Answers `simulator.act`.", scope="admin"),
        Method(
            "sim.play",
            SimPlay,
            Done,
            "Has a simulator present something, or take it away; in `simulated` mode alone.",
            scope="desk",
        ),
        Method("drivers.restart", DriversRestart, Done, "Ends a driver's process, and begins it anew.", scope="desk"),
        Method("leases.free", LeasesFree, LeaseReleased, "Ends the lease of a reader, whoever has it.", scope="desk"),
        Method("audit.verify", Empty, AuditVerified, "Checks that the audit trail is whole.", scope="desk"),
        Method("config.check", Empty, ConfigChecked, "Checks the file of the settings.", scope="desk"),
        Method(
            "config.set",
            ConfigSet,
            ConfigChanged,
            "Changes one setting, comments kept, if a restart would take it; only those that lock nobody out.",
            scope="desk",
        ),
        Method(
            "dashboard.open",
            DashboardOpen,
            DashboardOpened,
            "Lets a browser of the daemon's own user into the dashboard, once.",
            scope="admin",
        ),
    )
}
