"""JSON-RPC 2.0 messages: bytes to checked messages, and messages to bytes.

What JSON leaves open is decided here:

- The text is UTF-8 without a byte order mark. A NUL or half a surrogate pair, even escaped, is not text. A call that
  holds a NUL is refused under its own id, since it can be read.
- Nesting is measured before anything is decoded, without recursion.
- Of two members with the same name the last one counts, as in browsers.
- An ``id`` is an integer or a string of at most 200 characters. Null, which the specification discourages, is refused
  in requests. The answer would look like that to a message without a readable id.
- Parameters are by name. A method's parameters left out are an empty object.
"""

import re
from functools import cache
from typing import Any, Final, TypeVar, cast

import msgspec

from vitale_protocol.documents import is_text
from vitale_protocol.errors import InvalidParams, InvalidRequest, LimitExceeded, LocalMisuse, ParseError

__all__ = [
    "Call",
    "Failure",
    "Message",
    "RequestId",
    "Success",
    "convert",
    "decode",
    "encode_call",
    "encode_failure",
    "encode_success",
    "has_nul",
    "holds_nul",
    "parse",
    "readable_id",
]

RequestId = int | str
ID_LENGTH: Final = 200

_StructT = TypeVar("_StructT", bound=msgspec.Struct)


class Call(msgspec.Struct, frozen=True):
    """A request, or a notification where ``id`` is None. ``params`` is not checked against the method yet."""

    id: RequestId | None
    method: str
    params: object


class Success(msgspec.Struct, frozen=True):
    """An answer with a result."""

    id: RequestId
    result: object


class Failure(msgspec.Struct, frozen=True):
    """An answer with an error object; ``id`` is None where the other end could not read one."""

    id: RequestId | None
    code: int
    message: str
    data: dict[str, Any]


Message = Call | Success | Failure

# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

# Possessive quantifiers: a run of backslashes is passed over once.
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")

_BRACES_AS_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def decode(data: bytes, depth: int, items: int | None = None) -> object:
    """The JSON value of one message.

    Args:
        data: one whole message.
        depth: the deepest nesting allowed; a message's own braces are level 1.
        items: the most values allowed in it, counted before it is decoded; None for any number.

    Raises:
        LimitExceeded: nested too deep, or too many values; ``data.limit`` is ``depth`` or ``items``.
        ParseError: not JSON in UTF-8.
    """
    if items is not None and data.count(b",") + data.count(b"[") + data.count(b"{") > items:
        raise LimitExceeded("too many values in a message", variant="items", data={"limit": "items"})
    _check_depth(data, depth)
    if not is_text(data):
        raise ParseError("not UTF-8")
    try:
        return _decode(data)
    except msgspec.DecodeError as error:
        raise ParseError("not JSON") from error


def has_nul(data: bytes) -> bool:
    """True if a string of a message holds a NUL, which only an escape can put there."""
    return b"\\u0000" in data and _ESCAPED_NUL.search(data) is not None


def holds_nul(value: object) -> bool:
    """The same of a value that was decoded."""
    return has_nul(_encode(value))


def _check_depth(data: bytes, depth: int) -> None:
    """Refuses deep nesting before anything is decoded, in passes over the whole text and never one by one."""
    if data.count(b"{") + data.count(b"[") <= depth:
        return
    brackets = _brackets(data)
    for _ in range(depth):
        brackets, before = brackets.replace(b"[]", b""), len(brackets)
        if len(brackets) == before:
            break
    if b"[]" in brackets or brackets.count(b"[") > depth:
        raise LimitExceeded("nested too deep", variant="depth", data={"limit": "depth"})


def _brackets(data: bytes) -> bytes:
    """The brackets outside of strings, braces among them."""
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b"".join(data.split(b'"')[::2])
    return outside.translate(_BRACES_AS_BRACKETS, _NO_BRACKET)


def parse(value: object) -> Message:
    """One message out of a decoded value (a batch has to be taken apart before).

    Raises:
        InvalidRequest: not a JSON-RPC 2.0 message.
    """
    if not isinstance(value, dict):
        raise InvalidRequest("not an object")
    message = cast("dict[str, Any]", value)
    if message.get("jsonrpc") != "2.0":
        raise InvalidRequest('the member jsonrpc is not "2.0"')
    if "method" in message:
        return _parse_call(message)
    return _parse_answer(message)


def _parse_call(message: dict[str, Any]) -> Call:
    method = message["method"]
    if not isinstance(method, str):
        raise InvalidRequest("the member method is not a string")
    if "result" in message or "error" in message:
        raise InvalidRequest("a call and an answer at once")
    if "params" in message and not isinstance(message["params"], dict | list):
        raise InvalidRequest("the member params is neither an object nor an array")
    if "id" not in message:
        return Call(None, method, message.get("params", {}))
    request = readable_id(message)
    if request is None:
        raise InvalidRequest("the member id is neither an integer nor a short string")
    return Call(request, method, message.get("params", {}))


def _parse_answer(message: dict[str, Any]) -> Success | Failure:
    if ("result" in message) == ("error" in message) or "id" not in message:
        raise InvalidRequest("neither a call nor an answer")
    request = readable_id(message)
    if request is None and message["id"] is not None:
        raise InvalidRequest("the member id is neither an integer nor a short string")
    if "error" in message:
        return _parse_failure(request, message["error"])
    if request is None:
        raise InvalidRequest("a result without an id")
    return Success(request, message["result"])


def _parse_failure(request: RequestId | None, error: object) -> Failure:
    if not isinstance(error, dict):
        raise InvalidRequest("the member error is not an object")
    members = cast("dict[str, Any]", error)
    code, message, data = members.get("code"), members.get("message"), members.get("data")
    if type(code) is not int or not isinstance(message, str):
        raise InvalidRequest("the error has no code or no message")
    return Failure(request, code, message, cast("dict[str, Any]", data) if isinstance(data, dict) else {})


def readable_id(value: object) -> RequestId | None:
    """The id of a message that may be broken otherwise, for its answer; None if it is unreadable."""
    if not isinstance(value, dict):
        return None
    request = cast("dict[str, object]", value).get("id")
    # bool is a subclass of int in Python, and not a number in JSON.
    if type(request) is int or (isinstance(request, str) and len(request) <= ID_LENGTH):
        return request
    return None


# ── parameters and results ───────────────────────────────────────────────────────────────────────────────────────

_PATH = re.compile(r" - at `(\$[^`]*)`\Z")
_MISSING = re.compile(r"\AObject missing required field `(\w+)`")
_UNKNOWN = "Object contains unknown field"
_STEP = re.compile(r"\.[A-Za-z_]\w*|\[\d+\]|\[\.\.\.\]")
_NAME = re.compile(r"\.(\w+)")


def convert(value: object, into: type[_StructT]) -> _StructT:
    """A decoded value as the given type.

    msgspec's own text can quote the value, so only the place is kept of it. Even that is kept only if every word of it
    is a member that the type declares. The names of unknown members are the sender's, and may be anything.

    Raises:
        InvalidParams: the value is not of that type; ``data.path`` says where, as in ``$.media[0]``.
    """
    try:
        return msgspec.convert(value, into)
    except msgspec.ValidationError as error:
        path = _path(str(error), member_names(into))
    # Outside of the handler: the original, and the value that it quotes, must not travel along as the context.
    raise InvalidParams(f"the value at {path} is not what the method takes", data={"path": path})


def _path(text: str, known: frozenset[str]) -> str:
    found = _PATH.search(text)
    path = found[1] if found else "$"
    if missing := _MISSING.match(text):
        path = f"{path}.{missing[1]}"
    if text.startswith(_UNKNOWN):
        # The sender's own word is in this text, and could end it like a path with numbers of the sender's choice.
        path = path.partition("[")[0]
    steps = _STEP.findall(path)
    return path if "$" + "".join(steps) == path and known.issuperset(_NAME.findall(path)) else "$"


@cache
def member_names(declared: type[msgspec.Struct]) -> frozenset[str]:
    """The names of all members that a type and the types inside it declare."""
    _, components = msgspec.json.schema_components((declared,))
    return frozenset(name for schema in components.values() for name in schema.get("properties", ()))


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────


def encode_call(request: RequestId | None, method: str, params: msgspec.Struct) -> bytes:
    """A request, or a notification where ``request`` is None.

    Raises:
        LocalMisuse: the parameters hold something that JSON has not, such as half characters.
    """
    written, why = _written(params)
    if why:  # told here: the error of a codec carries the text with it
        raise LocalMisuse(f"the parameters cannot be sent: {why}")
    tail = b',"method":' + _encode(method) + b',"params":' + written + b"}"
    if request is None:
        return b'{"jsonrpc":"2.0"' + tail
    return b'{"jsonrpc":"2.0","id":' + _encode(request) + tail


def _written(params: msgspec.Struct) -> tuple[bytes, str]:
    """Parameters as JSON, or why they cannot be written; never with what was given."""
    try:
        return _encode(params), ""
    except UnicodeEncodeError:
        return b"", "half characters in a text"
    except TypeError as error:  # msgspec names the type
        return b"", str(error)


def encode_success(request: RequestId, result: msgspec.Struct) -> bytes:
    """An answer with a result."""
    return b'{"jsonrpc":"2.0","id":' + _encode(request) + b',"result":' + _encode(result) + b"}"


def encode_failure(request: RequestId | None, error: object) -> bytes:
    """An answer with an error object."""
    return b'{"jsonrpc":"2.0","id":' + _encode(request) + b',"error":' + _encode(error) + b"}"
