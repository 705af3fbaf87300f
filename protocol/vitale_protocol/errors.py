"""The one tree of errors; each class carries its wire code, its reason and whether asking again can help.

::

    VitaleError
    ├── RpcError                  JSON-RPC 2.0 itself
    │   ├── ParseError            -32700  parse_error
    │   ├── InvalidRequest        -32600  invalid_request
    │   ├── MethodNotFound        -32601  method_not_found
    │   ├── InvalidParams         -32602  invalid_params
    │   └── InternalError         -32603  internal_error
    ├── AccessError
    │   ├── NotAuthenticated        1001  not_authenticated
    │   ├── NotAuthorised           1002  not_authorised
    │   ├── ProtocolUnsupported     1003  protocol_unsupported
    │   ├── LimitExceeded           1004  limit_exceeded
    │   ├── ShuttingDown            1005  shutting_down
    │   ├── PairingFailed           1006  pairing_failed
    │   └── DashboardUnavailable    1007  dashboard_unavailable
    ├── ReaderError
    │   ├── NoReader                1101  no_reader
    │   ├── ReaderGone              1102  reader_gone
    │   ├── ReaderBusy              1103  reader_busy
    │   └── ReaderUnavailable       1104  reader_unavailable
    ├── PresentationError
    │   ├── PresentationTimeout     1201  timeout
    │   ├── Cancelled               1202  cancelled
    │   ├── AmbiguousMedium         1203  ambiguous_medium
    │   ├── MediumRemoved           1204  medium_removed
    │   ├── MediumMute              1205  medium_mute
    │   ├── MediumUnsupported       1206  medium_unsupported
    │   ├── MediumUnreadable        1207  medium_unreadable
    │   ├── PayloadInvalid          1208  payload_invalid
    │   ├── Replayed                1209  replayed
    │   ├── MediumExpired           1210  medium_expired
    │   ├── MixedOrigin             1211  mixed_origin
    │   ├── SimulatedRefused        1212  simulated_refused
    │   └── Opposed                 1213  opposed
    ├── ResolverError
    │   ├── ResolverUnavailable     1301  resolver_unavailable
    │   ├── ResolverRefused         1302  resolver_refused
    │   ├── ContextUnknown          1303  context_unknown
    │   └── SignatureUnsupported    1304  signature_unsupported
    ├── LeaseError
    │   ├── LeaseConflict           1401  lease_conflict
    │   ├── LeaseExpired            1402  lease_expired
    │   └── CardError               1403  card_error
    ├── TokenInvalid                1501  token_invalid
    ├── StoreUnavailable            1502  store_unavailable
    ├── RemoteError               an error of a newer daemon, with a code that this version does not know
    └── LocalError                never on the wire: a mistake or a fault on this side
        ├── LocalMisuse             misuse of this library by its caller
        ├── DaemonUnreachable       no daemon answers at the address
        ├── DaemonUntrusted         what answers is not the daemon that was paired
        ├── DaemonRunning           another daemon holds this home
        ├── ConfigurationInvalid    the configuration cannot be used
        └── ToolMissing             a program that is needed is not installed

Rules: an error never carries personal data, neither in ``detail`` nor in ``data``. Titles, causes and remedies are in
the catalogue, in French and English. ``detail`` is a short technical sentence in English for logs and developers.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple

from vitale_protocol import catalogue
from vitale_protocol.catalogue import Entry, Language

__all__ = [
    "AccessError",
    "AmbiguousMedium",
    "Cancelled",
    "CardError",
    "Choice",
    "ConfigurationInvalid",
    "ContextUnknown",
    "DaemonRunning",
    "DaemonUnreachable",
    "DaemonUntrusted",
    "DashboardUnavailable",
    "InternalError",
    "InvalidParams",
    "InvalidRequest",
    "JsonValue",
    "LeaseConflict",
    "LeaseError",
    "LeaseExpired",
    "LimitExceeded",
    "LocalError",
    "LocalMisuse",
    "MediumExpired",
    "MediumMute",
    "MediumRemoved",
    "MediumUnreadable",
    "MediumUnsupported",
    "MethodNotFound",
    "MixedOrigin",
    "NoReader",
    "NotAuthenticated",
    "NotAuthorised",
    "Opposed",
    "PairingFailed",
    "ParseError",
    "PayloadInvalid",
    "PresentationError",
    "PresentationTimeout",
    "ProtocolUnsupported",
    "ReaderBusy",
    "ReaderError",
    "ReaderGone",
    "ReaderUnavailable",
    "RemoteError",
    "Replayed",
    "ResolverError",
    "ResolverRefused",
    "ResolverUnavailable",
    "RpcError",
    "ShuttingDown",
    "SignatureUnsupported",
    "SimulatedRefused",
    "StoreUnavailable",
    "TokenInvalid",
    "ToolMissing",
    "VitaleError",
    "by_code",
    "by_reason",
    "concrete_errors",
]


JsonValue = str | int | float | bool | list["JsonValue"] | dict[str, "JsonValue"] | None


class VitaleError(Exception):
    """The root of everything this project raises on purpose.

    Attributes:
        code: the JSON-RPC error code; 0 in classes that never travel.
        reason: the stable word for programs, also the key in the catalogue; empty in abstract classes.
        retryable: whether the same call may succeed later without anybody changing the request.
        variant: which variant of the catalogue's entry tells it better; empty for none. Each entry lists its own.
        detail: one technical sentence in English, without personal data.
        data: further members of the wire's ``error.data`` (``choices``, ``sw``, ``holder`` …), without personal data.
        language: of ``title``, ``cause`` and ``remedy``, and of ``str()``. The SDK sets that of the connection. Without
            one, the words are French, and ``str()`` is the reason and the detail, as logs want them.
    """

    code: ClassVar[int] = 0
    reason: ClassVar[str] = ""
    retryable: bool = False

    def __init__(self, detail: str = "", *, variant: str = "", data: Mapping[str, JsonValue] | None = None) -> None:
        super().__init__(detail)
        self.variant = variant
        self.detail = detail
        self.data: dict[str, JsonValue] = dict(data or {})
        self.language: Language | None = None

    def __str__(self) -> str:
        technical = f"{self.reason}: {self.detail}" if self.detail else self.reason
        if self.language is None:
            return technical
        words = self.words(self.language)
        return f"{words.title}. {words.remedy} ({technical})" if words.remedy else f"{words.title} ({technical})"

    @property
    def title(self) -> str:
        """A few words to show: the fault's name."""
        return self.words(self.language or "fr").title

    @property
    def cause(self) -> str:
        """The cause as far as is known, to show."""
        return self.words(self.language or "fr").cause

    @property
    def remedy(self) -> str:
        """The next step for the person at the counter, to show."""
        return self.words(self.language or "fr").remedy

    def words(self, language: Language) -> Entry:
        """Title, cause and remedy: the daemon's where it told them, in the session's language, else the catalogue's."""
        told = self.data.get("message")
        if isinstance(told, str):
            return Entry(title=told, cause=str(self.data.get("cause", "")), remedy=str(self.data.get("remedy", "")))
        return self.catalogued(language)

    def catalogued(self, language: Language) -> Entry:
        """Title, cause and remedy of the catalogue."""
        if self.reason not in catalogue.reasons():  # of a newer daemon, or of a plug-in's own class
            return Entry(title=self.reason or {"fr": "Erreur", "en": "Error"}[language], cause="", remedy="")
        return catalogue.text(self.reason, language, self.variant)


class RpcError(VitaleError):
    """The message is not what JSON-RPC 2.0 or the method's definition allows."""


class ParseError(RpcError):
    """The bytes are not JSON in UTF-8."""

    code = -32700
    reason = "parse_error"


class InvalidRequest(RpcError):
    """The JSON is not a JSON-RPC 2.0 message."""

    code = -32600
    reason = "invalid_request"


class MethodNotFound(RpcError):
    """No method has this name."""

    code = -32601
    reason = "method_not_found"


class InvalidParams(RpcError):
    """The parameters are not those of the method; ``data.path`` says where."""

    code = -32602
    reason = "invalid_params"


class InternalError(RpcError):
    """A fault of the daemon; ``data.incident`` names the entry in its log."""

    code = -32603
    reason = "internal_error"


class AccessError(VitaleError):
    """The caller may not do this."""


class NotAuthenticated(AccessError):
    """The session is not open, or the credential is not known."""

    code = 1001
    reason = "not_authenticated"


class NotAuthorised(AccessError):
    """The client's pairing does not allow this."""

    code = 1002
    reason = "not_authorised"


class ProtocolUnsupported(AccessError):
    """No protocol version in common."""

    code = 1003
    reason = "protocol_unsupported"


class LimitExceeded(AccessError):
    """A limit of the daemon is reached; ``data.limit`` names it, as the variant does where there is one.

    Attributes:
        LASTING: the variants in which the message itself is at fault: sent again it is refused again.
    """

    code = 1004
    reason = "limit_exceeded"
    retryable = True
    LASTING: ClassVar[frozenset[str]] = frozenset({"message_bytes", "depth", "batch", "items"})

    def __init__(self, detail: str = "", *, variant: str = "", data: Mapping[str, JsonValue] | None = None) -> None:
        super().__init__(detail, variant=variant, data=data)
        self.retryable = variant not in self.LASTING


class ShuttingDown(AccessError):
    """The daemon is stopping."""

    code = 1005
    reason = "shutting_down"
    retryable = True


class PairingFailed(AccessError):
    """No page is paired; the variant says why.

    Without a variant, no window is open, or not any more. ``nobody``: no page has asked yet. ``code``: the digits are
    others than the page shows; ``data.left`` is how often it can be tried again. ``nothing``: nothing
    was granted at the desk.
    """

    code = 1006
    reason = "pairing_failed"


class DashboardUnavailable(AccessError):
    """No browser reaches the dashboard; the variant says why.

    Without a variant, its process does not begin, or no port of this machine is free. ``web``: the libraries that it
    is made with are not installed. ``platform``: it is not there on this system yet.
    """

    code = 1007
    reason = "dashboard_unavailable"


class ReaderError(VitaleError):
    """No reading because of the reader."""


class NoReader(ReaderError):
    """No reader matches the request; ``data.drivers`` says why, driver by driver."""

    code = 1101
    reason = "no_reader"
    retryable = True


class ReaderGone(ReaderError):
    """The reader went away."""

    code = 1102
    reason = "reader_gone"
    retryable = True


class ReaderBusy(ReaderError):
    """Another program or client holds the reader; ``data.holder`` says what is known, the variant what kind it is."""

    code = 1103
    reason = "reader_busy"
    retryable = True


class ReaderUnavailable(ReaderError):
    """The reader or its system service does not work; the variant says which, and why if that is known."""

    code = 1104
    reason = "reader_unavailable"
    retryable = True


class PresentationError(VitaleError):
    """No token came of this presentation."""


class PresentationTimeout(PresentationError):
    """Nothing was presented in time."""

    code = 1201
    reason = "timeout"
    retryable = True

    def catalogued(self, language: Language) -> Entry:
        """Title of the catalogue; of what was presented and could not be read, its own cause and remedy."""
        entry, last = super().catalogued(language), self.data.get("last")
        if not isinstance(last, dict) or last.get("reason") not in catalogue.reasons():
            return entry
        known = catalogue.text(str(last["reason"]), language, str(last.get("variant", "")))
        return Entry(title=entry.title, cause=known.cause, remedy=known.remedy)


class Cancelled(PresentationError):
    """The request was cancelled."""

    code = 1202
    reason = "cancelled"


class Choice(NamedTuple):
    """One of several media that are present: the id and name of its reader, and its kind."""

    reader: str
    name: str
    medium: str | None


class AmbiguousMedium(PresentationError):
    """Several media are present; ``data.choices`` lists ``{reader, name, medium}``."""

    code = 1203
    reason = "ambiguous_medium"
    retryable = True

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The media to choose among, to be asked for by ``readers=choice.reader``."""
        listed = self.data.get("choices")
        return (
            tuple(_choice(member) for member in listed if isinstance(member, dict)) if isinstance(listed, list) else ()
        )


def _choice(member: Mapping[str, JsonValue]) -> Choice:
    reader, medium = str(member.get("reader", "")), member.get("medium")
    return Choice(reader, str(member.get("name", reader)), medium if isinstance(medium, str) else None)


class MediumRemoved(PresentationError):
    """The medium was withdrawn while it was read."""

    code = 1204
    reason = "medium_removed"
    retryable = True


class MediumMute(PresentationError):
    """The card does not answer: inverted, dirty or broken."""

    code = 1205
    reason = "medium_mute"
    retryable = True


class MediumUnsupported(PresentationError):
    """The medium is known and cannot be read by this product; ``data.medium`` and ``data.generation`` name it."""

    code = 1206
    reason = "medium_unsupported"


class MediumUnreadable(PresentationError):
    """The medium answers what cannot be understood."""

    code = 1207
    reason = "medium_unreadable"
    retryable = True


class PayloadInvalid(PresentationError):
    """The scanned or submitted payload is not one that can be used."""

    code = 1208
    reason = "payload_invalid"


class Replayed(PresentationError):
    """The payload was used before."""

    code = 1209
    reason = "replayed"


class MediumExpired(PresentationError):
    """The medium is past its end of validity."""

    code = 1210
    reason = "medium_expired"


class MixedOrigin(PresentationError):
    """Test, demonstration and real media are mixed."""

    code = 1211
    reason = "mixed_origin"


class SimulatedRefused(PresentationError):
    """The medium is simulated and this station is not in ``simulated`` mode."""

    code = 1212
    reason = "simulated_refused"


class Opposed(PresentationError):
    """The card is on the site's opposition list."""

    code = 1213
    reason = "opposed"


class ResolverError(VitaleError):
    """The apCV resolver did not give a context."""


class ResolverUnavailable(ResolverError):
    """The resolver does not answer, or not understandably (the variant is then ``unreadable``).

    The variant ``signature``: nobody knows whether an invoice was signed.
    Where ``data.sent`` is false nothing was sent to it: the same code may be shown again.
    """

    code = 1301
    reason = "resolver_unavailable"
    retryable = True


class ResolverRefused(ResolverError):
    """The resolver answered no; ``data.code`` is its own code, the variant what is known of it.

    The variant is ``assertion`` (whoever asks was not accepted), ``revoked`` (the application was), ``suspended``,
    ``delegation`` or ``unknown``. It is ``signature`` where an invoice was refused.
    """

    code = 1302
    reason = "resolver_refused"


class ContextUnknown(ResolverError):
    """No such apCV context at this client.

    The variant is ``card`` where something other than an application was presented. It is ``absent`` where an
    application was read without its context.
    """

    code = 1303
    reason = "context_unknown"


class SignatureUnsupported(ResolverError):
    """The resolver of this desk signs no invoices."""

    code = 1304
    reason = "signature_unsupported"


class LeaseError(VitaleError):
    """Raw access to a reader failed."""


class LeaseConflict(LeaseError):
    """The lease that the caller believes current, or uses, is not; this tells no more than that."""

    code = 1401
    reason = "lease_conflict"
    retryable = True


class LeaseExpired(LeaseError):
    """The lease has ended; ``data.why``, and the variant, say how: ``released ttl card reader client replaced``."""

    code = 1402
    reason = "lease_expired"


class CardError(LeaseError):
    """The card answered APDU number ``data.index`` with an error; ``data.sw`` is the status word in hex."""

    code = 1403
    reason = "card_error"


class TokenInvalid(VitaleError):
    """The token does not verify; ``data.check``, and the variant, name the check that failed.

    Checks: ``format algorithm type key signature claims audience nonce expired not_yet_valid replayed``.
    """

    code = 1501
    reason = "token_invalid"


class StoreUnavailable(VitaleError):
    """The daemon's store cannot be written or read."""

    code = 1502
    reason = "store_unavailable"
    retryable = True


class RemoteError(VitaleError):
    """An error with a code unknown to this version; ``data`` has its code, its reason and its texts."""

    reason = "remote_error"


class LocalError(VitaleError):
    """A mistake or a fault on this side of the wire."""


class LocalMisuse(LocalError):
    """This library was called against its documentation."""

    reason = "local_misuse"


class DaemonUnreachable(LocalError):
    """No daemon answers at the address."""

    reason = "daemon_unreachable"
    retryable = True


class DaemonUntrusted(LocalError):
    """The server is not the daemon that this client was paired with."""

    reason = "daemon_untrusted"


class DaemonRunning(LocalError):
    """Another daemon holds this home; ``data.pid`` says which."""

    reason = "daemon_running"


class ConfigurationInvalid(LocalError):
    """The configuration cannot be used; ``data.path`` and ``data.file`` say where."""

    reason = "configuration_invalid"


class ToolMissing(LocalError):
    """A program or library that is needed is not installed; ``data.tool`` names it, ``data.extra`` what brings it."""

    reason = "tool_missing"


def concrete_errors(root: type[VitaleError] = VitaleError) -> Iterator[type[VitaleError]]:
    """Every class of the tree that has a reason, depth first."""
    if root.reason:
        yield root
    for child in root.__subclasses__():
        yield from concrete_errors(child)


def by_code(code: int) -> type[VitaleError] | None:
    """The class that travels with a wire code, or None for an unknown code."""
    return next((error for error in concrete_errors() if error.code == code and code != 0), None)


def by_reason(reason: str) -> type[VitaleError] | None:
    """The class of a reason, or None for a reason of a newer daemon."""
    return next((error for error in concrete_errors() if error.reason == reason), None)
