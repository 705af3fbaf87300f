"""docs/reference/wire.md: every method and event, with the members of its messages."""

from collections.abc import Iterator

import msgspec
import msgspec.inspect as mi

from docs.generator.markdown import GENERATED, anchor, default, members, prose, sentence, table, type_in_words
from docs.generator.meanings import meaning
from docs.generator.samples import exchange, notification
from vitale_drivers.host.pipe import MAX_SHORT, PROBLEM_DEPTH
from vitale_protocol import tokens
from vitale_protocol.claims import Claims, ContextClaim, Evidence, ReaderClaim
from vitale_protocol.events import EVENTS
from vitale_protocol.methods import METHODS, MOST_APDUS, PROTOCOL_VERSION, Limits, Method, Scope
from vitale_protocol.methods import SCOPES as METHOD_SCOPES
from vitale_protocol.records import Medium, Proof, Record
from vitale_protocol.session.session import DEFAULT_LIMITS
from vitale_reader.daemon import config
from vitale_reader.daemon.fairness.audit_queue import MOST_KINDS, MOST_LINES
from vitale_reader.daemon.fairness.processor_shares import CLIENT_SHARE, USER_SHARE
from vitale_reader.daemon.handlers.services import CLIENT_LOADS
from vitale_reader.daemon.handlers.sessions import OPENINGS
from vitale_reader.daemon.transports.stream import MOST_REJECTED, SHARES_UNREAD, StreamLimits
from vitale_reader.daemon.workers.reports import LONGEST
from vitale_reader.daemon.workers.worker_limits import LINES, MOST_READERS, REPORTS

__all__ = ["page", "structs"]

#: The words between an extension, its native host and the daemon.
CARRIED = table(
    ("message", "by", "meaning"),
    (
        ('`{"site": "https://…"}`', "extension, first", "the web origin of the page, as the browser names it"),
        ('`{"open": true}`', "native host", "a channel is open: frames go both ways from now on"),
        ('a JSON-RPC message, or `{"n": …, "c": …}`', "both", "a frame, plain until the session is open, then sealed"),
        (
            '`{"close": code}`',
            "either, last",
            "why the channel ends: 1008 refused, 1009 too long, 1013 later, 4001 revoked, 4002 no frame",
        ),
    ),
)

TRANSPORTS = table(
    ("transport", "address", "framing", "who may speak"),
    (
        (
            "unix",
            "`RUN/daemon.sock`",
            "one message a line (LF)",
            "the daemon's own user, or users that the configuration names",
        ),
        (
            "tls",
            "`127.0.0.1:7816`",
            "one message a line (LF)",
            "TLS 1.3 with a client certificate of pairing, or of `owner` in `endpoints.json`; the daemon's is pinned",
        ),
        (
            "stdio",
            "with `[web] enabled`: `RUN/host.sock`, or TLS with the certificate of `hosts` in `endpoints.json`",
            "a length of 32 bits in network order and one JSON value; the first is the preamble, sealed once open",
            "native hosts of the daemon's own user, for pages that prove the key of their pairing",
        ),
        (
            "dashboard",
            "a socket of its own, once `dashboard.open` was called",
            "one message a frame of WebSocket, subprotocol `vitale-reader.1`",
            "the dashboard's own page, with the bearer that a ticket was given for",
        ),
    ),
)

SCOPES: dict[Scope, str] = {
    "identity": "names, birth date, rang and qualité of who is on the medium",
    "nir": "the NIR",
    "dependants": "every beneficiary on the medium; without it only the holder",
    "rights": "régime, caisse, centre, address, periods of rights, mutuelle",
    "context": "the apCV context, and the methods that restore and release it",
    "sign": "the method that has an invoice signed in such a context; never a page's",
    "payload": "the string of a phone, or the content of a printed code, as it was read",
    "codes": "the codes at imagers that are no patient's: boxes, prescriptions, anything",
    "preview": "pictures of what a camera sees",
    "apdu": "leases: the card in a reader for one session's own APDUs",
    "desk": "what a person does at the desk: pairs pages, revokes, diagnoses, restarts drivers; never paired",
    "admin": "administration; for the daemon's own user, and never paired",
}

INTRODUCTION = f"""
Protocol version {PROTOCOL_VERSION}: JSON-RPC 2.0 (requests, notifications both ways, batches), UTF-8 JSON, members in
snake_case, the same over every transport. Machines read the same in the package's `vitale_protocol/schema/`
(JSON Schema and OpenRPC). Parameters refuse members that they do not know; a client must ignore members of results and
events that it does not know.

On other pages: [errors](errors.md), [the record](records.md), [the command line](cli.md).
"""

TRANSPORT = f"""
{TRANSPORTS}

`RUN/endpoints.json` tells the addresses in use. `RUN` is `$VITALE_READER_HOME/run` if that is set, else
`$XDG_RUNTIME_DIR/vitale-reader`, else `run` in the folder where the platform keeps a user's state.

A browser starts `vitale-reader` for its extension, once for each page, with the words of native messaging: Chromium's
`chrome-extension://ID/`, Firefox's path of the manifest and id. The id has to be in `[web.extension] ids`. They say
to each other a length of 32 bits in the byte order of the machine and one JSON value, of 1 048 576 bytes at most:

{CARRIED}

The preamble that the native host writes to the daemon has `via` (`stdio`), `site`, `peer_uid` (its own), `host`
(the id of the extension) and `opened`. No extension gives a right: the page proves its key, as through the gateway.
"""

SESSION = f"""
1. A session is one connection. Its first message is [`session.open`](#{anchor("session.open")}); anything else is
   answered with `not_authenticated`.
2. `protocol` names the versions that the client speaks. The daemon chooses one, or answers `protocol_unsupported`.
3. Over TLS the client's certificate says who it is. On the unix socket `credential` does; without one, the operating
   system vouches for the daemon's own user.
4. `language` is that of every text that the daemon sends to this session.
5. Answers come in the order in which they are ready; the JSON-RPC id tells them apart. An id that is still in flight
   may not be used again.
6. The end of the connection ends the session. It cancels its waiting requests, its subscriptions, its previews and its
   leases. Tokens that were made stay in the outbox until the client acknowledges them, or until they expire.
"""

SCOPES_TEXT = f"""
What a client may ask for, and what its tokens may say, is a matter of scopes, which its pairing names. Asking beyond
them is answered with `not_authorised`; nothing is cut in silence.

{table(("scope", "what it opens"), [(f"`{scope}`", SCOPES[scope]) for scope in METHOD_SCOPES])}
"""

MEDIA: dict[Medium, str] = {
    "vitale-card": "a carte Vitale in a reader for chip cards",
    "apcv-nfc": "the appli carte Vitale of a phone on an NFC reader",
    "apcv-qr": "its QR code, before a webcam or an imager, or submitted",
    "ins-datamatrix": "the Datamatrix of an INS on a document",
    "2d-doc": "a 2D-Doc on a document",
    "cps-card": "a practitioner's card; recognised, not read, and asked for by name only",
}

MEDIA_TEXT = table(("medium", "what it is"), [(f"`{medium}`", words) for medium, words in MEDIA.items()])

UNOPENED = StreamLimits(session=DEFAULT_LIMITS).unopened

LIMITS_TEXT = f"""
`session.open` tells those of the daemon, which its [configuration](configuration.md) may change where the table says
so. What goes beyond is answered with `limit_exceeded`, whose `data.limit` has the name; a message that is too long ends
the connection as well.

{{daemon_limits}}

These are fixed:

| what | at most |
|---|---|
| a token | {tokens.TOKEN_CHARACTERS} characters, {tokens.DEPTH} levels of nesting, {tokens.LIFETIME} seconds |
| leeway of a verifier's clock | {tokens.LEEWAY} seconds |
| APDUs in one `card.transmit` | {MOST_APDUS} |
| sessions that a client opens (`opens`) | {OPENINGS.each_second:.0f} a second, {OPENINGS.burst:.0f} at once |
| requests, subscriptions and leases of a client in all its sessions (`client_requests`) | {CLIENT_LOADS} × `requests` |
| what a client leaves unread in all its sessions | {SHARES_UNREAD} × what ends one connection; then the next ends |
| the daemon's time for one client | {CLIENT_SHARE.each_second:.0%} of one processor; beyond that it waits |
| the same for another user of the machine, with all its programs | {USER_SHARE.each_second:.0%} |
| connections of a process without a session | {UNOPENED} |
| messages that are no calls, before a session is open | {MOST_REJECTED}; then the connection ends |
| readers of one driver | {MOST_READERS}; the driver's health says where there are more (`readers`) |
| reports of one driver | {REPORTS.each_second:.0f} a second, {REPORTS.burst:.0f} at once; beyond that they wait |
| log lines of one driver | {LINES.each_second:.0f} a second, {LINES.burst:.0f} at once; how many are left out is told |
| a text of a driver: a name, its version, what is wrong | {LONGEST} characters; it is cut |
| a report of a driver, but for what it read, sees, exchanged or logs | {MAX_SHORT} bytes, or its process ends |
| nesting of a problem that a driver reports | {PROBLEM_DEPTH} levels, or its process ends |
| lines of one kind in the audit trail | {MOST_LINES} a minute; beyond that their number, as `OUTCOME*NUMBER` |
| kinds of lines of one client in the audit trail | {MOST_KINDS} a minute; beyond that without reader and medium |

Nobody is slowed by what another sends: connections take turns by client, the work of the store is done in turn by
client, and what is read comes before audit lines. Every user of the machine who may connect has as many places as any
other. A message that waits for its turn is not lost. `retryable` is false where the message itself is at fault.

The shortest and longest values of parameters stand in the column *type* of each method.
"""

TOKEN_TEXT = f"""
A JWS in compact form (RFC 7515). Its header is `{{"typ": "{tokens.TYPE}", "alg": "{tokens.ALGORITHM}", "kid": …}}`;
no other algorithm is issued or accepted. Members that are unknown are absent, not empty.

A verifier checks all of this, in this order, and raises an error at the first that fails:

1. the form: three base64url parts, at most {tokens.TOKEN_CHARACTERS} characters;
2. `alg` and `typ` of the header;
3. `kid` is in the JWK Set of the station, which came over an authenticated connection or from the pairing;
4. the signature; only then are the claims read;
5. `aud` is its own client id;
6. `nonce` is the one that it made for this request;
7. `exp` has not passed and `iat` is not to come, with {tokens.LEEWAY} seconds of leeway at most;
8. `jti` was not used before.

Then it is for the program to judge `proof` and `origin`: see [Proof and origin](../explanation/honesty.md). How to
verify in other languages is in [Verify tokens](../how-to/verify-tokens.md).
"""

#: What a token is made of: shown in its own section.
TOKEN_STRUCTS: tuple[type[msgspec.Struct], ...] = (Claims, Proof, ReaderClaim, Evidence, ContextClaim)

RECORDS = "records.md"


def reachable(struct: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    """The structs that the members of a struct speak of, deeply; the record has its own page."""
    for field in members(struct):
        for inner in mentioned(field.type):
            if inner is not Record:
                yield inner
                yield from reachable(inner)


def mentioned(kind: mi.Type) -> Iterator[type[msgspec.Struct]]:
    """The structs in a type."""
    match kind:
        case mi.StructType(cls=struct):
            yield struct
        case mi.UnionType(types=types):
            for part in types:
                yield from mentioned(part)
        case mi.VarTupleType(item_type=item) | mi.ListType(item_type=item):
            yield from mentioned(item)
        case _:
            return


def structs() -> list[type[msgspec.Struct]]:
    """The structs that messages have in common, in the order of their first mention."""
    messages = [struct for method in METHODS.values() for struct in (method.params, method.result)]
    found = [inner for message in [*messages, *EVENTS.values()] for inner in reachable(message)]
    return list(dict.fromkeys(found))


def member_table(struct: type[msgspec.Struct]) -> str:
    """The members of a message as a table; a message without members says so."""
    rows = [
        (f"`{field.name}`", words(field.type), presence(field), meaning(struct, field.name))
        for field in members(struct)
    ]
    return table(("member", "type", "presence", "meaning"), rows) if rows else "No members."


def limits_section() -> str:
    """The limits of a session: each with its value, and the setting that changes it."""
    fixed = ("message_bytes", "depth", "batch", "items", "opening_bytes")
    values = {name: getattr(DEFAULT_LIMITS, name) for name in fixed}
    settings = {field.name: getattr(config.LimitsSection(), field.name) for field in members(config.LimitsSection)}
    rows = [
        (
            f"`{field.name}`",
            str({**values, **settings}[field.name]),
            f"`limits.{field.name}`" if field.name in settings else "fixed",
            meaning(Limits, field.name),
        )
        for field in members(Limits)
    ]
    daemon_limits = table(("member", "value", "setting", "meaning"), rows)
    return LIMITS_TEXT.strip().replace("{daemon_limits}", daemon_limits)


def struct_section(struct: type[msgspec.Struct]) -> str:
    """One struct that messages have in common."""
    return f"### {struct.__name__}\n\n{prose(struct)}\n\n{member_table(struct)}"


def words(kind: mi.Type) -> str:
    """A type in words; the record is on its own page."""
    return f"[Record]({RECORDS})" if isinstance(kind, mi.StructType) and kind.cls is Record else type_in_words(kind)


def presence(field: mi.Field) -> str:
    """Describes the presence of a member, and the meaning of its absence."""
    if field.required:
        return "always"
    if field.default is None:
        return "may be absent"
    return f"absent means {default(field)}"


def method_section(method: Method) -> str:
    """Renders the section of one method."""
    needs = f"Needs the scope `{method.scope}`." if method.scope else "Needs no particular scope."
    return "\n\n".join(
        (
            f"### `{method.name}`",
            method.summary if method.opens else f"{method.summary} {needs}",
            f"Parameters:\n\n{member_table(method.params)}" if members(method.params) else "No parameters.",
            f"Result: {sentence(method.result)}\n\n{member_table(method.result)}",
            f"Example:\n\n{exchange(method.name)}",
        )
    )


def event_section(name: str, event: type[msgspec.Struct]) -> str:
    """Renders the section of one notification."""
    return f"### `{name}`\n\n{prose(event)}\n\n{member_table(event)}\n\nExample:\n\n{notification(name)}"


def page() -> str:
    """Renders the page docs/reference/wire.md."""
    parts = [GENERATED, "# The wire", INTRODUCTION.strip()]
    parts += ["## Transports", TRANSPORT.strip(), "## Session", SESSION.strip(), "## Limits", limits_section()]
    parts += ["## Scopes", SCOPES_TEXT.strip(), "## Media", MEDIA_TEXT]
    parts += ["## The token", TOKEN_TEXT.strip(), *map(struct_section, TOKEN_STRUCTS)]
    parts += ["## Methods", *map(method_section, METHODS.values())]
    parts += ["## Notifications", *(event_section(name, event) for name, event in EVENTS.items())]
    # The section "Limits" is the table of that struct, with its values.
    elsewhere = {Limits, *TOKEN_STRUCTS}
    parts += ["## Common objects", *(struct_section(struct) for struct in structs() if struct not in elsewhere)]
    return "\n\n".join(parts) + "\n"
