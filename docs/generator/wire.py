"""docs/reference/wire.md: every method and event, with the members of its messages."""

from collections.abc import Iterator

import msgspec
import msgspec.inspect as mi

from docs.generator.markdown import GENERATED, anchor, default, members, prose, sentence, table, type_in_words
from docs.generator.samples import exchange, notification
from vitale_protocol.events import EVENTS
from vitale_protocol.methods import METHODS, PROTOCOL_VERSION, Method, Scope
from vitale_protocol.methods import SCOPES as METHOD_SCOPES
from vitale_protocol.records import Record

__all__ = ["page", "structs"]

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
            "TLS 1.3 with a client certificate made at pairing; the client pins the daemon's certificate",
        ),
    ),
)

SCOPES: dict[Scope, str] = {
    "identity": "names, birth date, rang and qualité of who is on the medium",
    "nir": "the NIR",
    "dependants": "every beneficiary on the medium; without it only the holder",
    "rights": "régime, caisse, centre, address, periods of rights, mutuelle",
    "context": "the apCV context, and the methods that restore and release it",
    "payload": "the string of a phone, or the content of a printed code, as it was read",
    "preview": "pictures of what a camera sees",
    "apdu": "leases: the card in a reader for one session's own APDUs",
    "admin": "administration; for the daemon's own user, and never paired",
}

INTRODUCTION = f"""
Protocol version {PROTOCOL_VERSION}: JSON-RPC 2.0 (requests, notifications both ways, batches), UTF-8 JSON, members in
snake_case, the same over every transport. Machines read the same in the package's `vitale_protocol/schema/`
(JSON Schema and OpenRPC). Parameters refuse members that they do not know; a client must ignore members of results and
events that it does not know.

The first message of a session is [`session.open`](#{anchor("session.open")}); anything else is answered with
`not_authenticated`. Errors are in [errors.md](errors.md), the record in [records.md](records.md).

{TRANSPORTS}

`RUN/endpoints.json` tells the addresses in use. `RUN` is `$VITALE_READER_HOME/run` if that is set, else
`$XDG_RUNTIME_DIR/vitale-reader`, else `run` in the folder where the platform keeps a user's state.
What a client may ask for, and what its tokens may say, is a matter of scopes, which its pairing names:

{table(("scope", "what it opens"), [(f"`{scope}`", SCOPES[scope]) for scope in METHOD_SCOPES])}

Limits: 1 MiB a message, 32 levels of nesting, 50 messages in a batch; the others are told by `session.open`.
"""

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
    rows = [(f"`{field.name}`", words(field.type), presence(field)) for field in members(struct)]
    return table(("member", "type", "presence"), rows) if rows else "No members."


def words(kind: mi.Type) -> str:
    """A type in words; the record is on its own page."""
    return f"[Record]({RECORDS})" if isinstance(kind, mi.StructType) and kind.cls is Record else type_in_words(kind)


def presence(field: mi.Field) -> str:
    """Whether a member is always there, and what its absence means."""
    if field.required:
        return "always"
    if field.default is None:
        return "may be absent"
    return f"absent means {default(field)}"


def method_section(method: Method) -> str:
    """One method."""
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
    """One notification."""
    return f"### `{name}`\n\n{prose(event)}\n\n{member_table(event)}\n\nExample:\n\n{notification(name)}"


def page() -> str:
    """The page."""
    parts = [GENERATED, "# The wire", INTRODUCTION.strip(), "## Methods"]
    parts += [method_section(method) for method in METHODS.values()]
    parts += ["## Notifications", *(event_section(name, event) for name, event in EVENTS.items())]
    parts += ["## What messages have in common"]
    parts += [f"### {struct.__name__}\n\n{prose(struct)}\n\n{member_table(struct)}" for struct in structs()]
    return "\n\n".join(parts) + "\n"
