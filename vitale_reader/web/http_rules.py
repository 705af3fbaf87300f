"""The rules by which a page's request is let in: a pure function of its head.

Everything is compared byte by byte with what is known. Nothing is folded, decoded or parsed, since URL parsers differ.
In this order: the form of the request, Host, Sec-Purpose, Origin, the path, then what makes it a WebSocket.

- Not HTTP/1.1, absolute form, two Host or Origin, a length beside an encoding, control characters: 400.
- All else that is not let in: 403, with the same bytes whatever the reason. It says nothing of this station.
- Neither answer allows another origin anything.

Whether a site may come is not said here: that is the core's to know.
"""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Final, Literal

import msgspec

__all__ = [
    "MALFORMED",
    "PATH",
    "REFUSED",
    "SUBPROTOCOL",
    "Admission",
    "RequestHead",
    "Verdict",
    "is_handshake",
    "is_malformed",
    "judge",
    "only",
]

PATH: Final = b"/v1"
SUBPROTOCOL: Final = "vitale-reader.1"

# No Server and no Date: they would tell a product from another. Cross-Origin-Resource-Policy has a page that loads us
# without CORS see the same as of a port where nobody listens.
_SAME: Final = (
    b"Content-Length: 0\r\n"
    b"Connection: close\r\n"
    b"Cross-Origin-Resource-Policy: same-origin\r\n"
    b"Cache-Control: no-store\r\n\r\n"
)
REFUSED: Final = b"HTTP/1.1 403 Forbidden\r\n" + _SAME
MALFORMED: Final = b"HTTP/1.1 400 Bad Request\r\n" + _SAME

# RFC 9110, section 5.6.2.
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110, section 5.5: a tabulator is the only control character that a value may hold.
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# Sixteen bytes in base64 (RFC 6455, section 4.1).
_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")


class RequestHead(msgspec.Struct, frozen=True):
    """The head of a request, as it came.

    Attributes:
        method: ``GET``.
        target: the second word of the request line.
        version: of HTTP, as ``1.1``.
        fields: name and value of each; names in lower case, white space around values cut.
        body: that came with it, where one is read.
        more: bytes came behind the head, before it was answered.
    """

    method: bytes
    target: bytes
    version: bytes
    fields: Sequence[tuple[bytes, bytes]]
    body: bytes = b""
    more: bool = False

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """The values of each field of a name, in their order."""
        return tuple(value for found, value in self.fields if found == name)


class Admission(msgspec.Struct, frozen=True):
    """A request that is let in, if its site may come.

    Attributes:
        site: the value of Origin.
        host: the value of Host.
    """

    site: str
    host: str


Verdict = Admission | Literal["refused", "malformed"]


def judge(head: RequestHead, hosts: Collection[bytes]) -> Verdict:
    """The verdict on a request.

    Args:
        head: of the request.
        hosts: the values of Host that a browser sends here.
    """
    if is_malformed(head):
        return "malformed"
    host = only(head.values(b"host"))
    if host not in hosts:
        return "refused"
    # Prefetch and prerender: nobody clicked.
    if head.values(b"sec-purpose"):
        return "refused"
    site = only(head.values(b"origin"))
    if site in {b"", b"null"} or not site.isascii():
        return "refused"
    if head.target != PATH or not is_handshake(head):
        return "refused"
    return Admission(site=site.decode("ascii"), host=host.decode("ascii"))


def only(values: tuple[bytes, ...]) -> bytes:
    """The value of a field that is there once; empty otherwise."""
    return values[0] if len(values) == 1 else b""


def is_malformed(head: RequestHead) -> bool:
    """True if readers of HTTP could take it for different requests."""
    # The authority of an absolute form would count before Host (RFC 9112, section 3.2.2).
    return (
        head.version != b"1.1"
        or not (head.target.startswith(b"/") or head.target == b"*")
        or len(head.values(b"host")) > 1
        or len(head.values(b"origin")) > 1
        or len(head.values(b"content-length")) > 1
        or bool(head.values(b"transfer-encoding") and head.values(b"content-length"))
        or any(_CONTROL.search(value) for _, value in head.fields)
    )


def is_handshake(head: RequestHead) -> bool:
    """True if it opens a WebSocket, and this protocol on it, and carries nothing else."""
    lists: tuple[tuple[bytes, Callable[[bytes], bytes], bytes], ...] = (
        (b"connection", bytes.lower, b"upgrade"),
        (b"upgrade", bytes.lower, b"websocket"),
        (b"sec-websocket-protocol", bytes, SUBPROTOCOL.encode()),
    )
    return (
        head.method == b"GET"
        and not head.more
        and not head.values(b"transfer-encoding")
        and head.values(b"content-length") in {(), (b"0",)}
        and all(wanted in _listed(head.values(name), as_written) for name, as_written, wanted in lists)
        and head.values(b"sec-websocket-version") == (b"13",)
        and _KEY.fullmatch(only(head.values(b"sec-websocket-key"))) is not None
        and _was_asked_for_by_a_script(head)
    )


def _was_asked_for_by_a_script(head: RequestHead) -> bool:
    """True unless the browser says that it was not: Chromium says nothing of a handshake."""
    told = {name for name, _ in head.fields if name.startswith(b"sec-fetch-")}
    if not told:
        return True
    # "none" is a request that no page made.
    return head.values(b"sec-fetch-mode") == (b"websocket",) and b"none" not in head.values(b"sec-fetch-site")


def _listed(values: tuple[bytes, ...], as_written: Callable[[bytes], bytes]) -> frozenset[bytes]:
    members = (member.strip(b" \t") for value in values for member in value.split(b","))
    return frozenset(as_written(member) for member in members if _TOKEN.fullmatch(member))
