"""The rules by which a browser's request to the dashboard is answered: a pure function of the request.

Its own name is the only one, and nobody can guess it. Everything is compared byte by byte; whatever does not fit gets
the refusal of ``http_rules``. Nothing is kept in the browser but by the page itself: there is no cookie.

- ``GET`` of a file: from the page, or as the page itself.
- ``POST /enter``: by the owner's file, without a web origin, or by the page with a typed code.
- ``GET /v1``: the WebSocket, by the page alone.
"""

import re
from collections.abc import Collection
from typing import Final, Literal

import msgspec

from vitale_protocol.privacy import concealed
from vitale_reader.web.http_rules import PATH, Admission, RequestHead, is_handshake, is_malformed, only

__all__ = ["BODY_BYTES", "ENTER", "ROOT", "Entering", "Show", "Verdict", "headers", "judge"]

ROOT: Final = "/"
ENTER: Final = b"/enter"

#: Bytes of a form; a ticket has some fifty.
BODY_BYTES: Final = 256

_FORM: Final = b"application/x-www-form-urlencoded"
_TICKET: Final = re.compile(rb"ticket=([A-Za-z0-9_-]{43})")
# What a person types; a browser writes a blank as "+".
_CODE: Final = re.compile(rb"code=([A-Za-z+-]{8,20})")


class Show(msgspec.Struct, frozen=True):
    """A file is shown."""

    file: str


class Entering(msgspec.Struct, frozen=True):
    """Somebody hands in a ticket, or a code."""

    __repr__ = concealed

    secret: str


Verdict = Show | Entering | Admission | Literal["refused", "malformed"]


def judge(head: RequestHead, host: bytes, files: Collection[str]) -> Verdict:
    """The verdict on a request.

    Args:
        head: of the request, with its body.
        host: the one value of Host.
        files: that are shown, as paths.
    """
    if is_malformed(head):
        return "malformed"
    if only(head.values(b"host")) != host or head.values(b"sec-purpose"):
        return "refused"
    own, origins = b"http://" + host, head.values(b"origin")
    if head.target == ENTER:
        return _entering(head) if origins in {(own,), (b"null",)} else "refused"
    if head.method != b"GET" or head.body:
        return "refused"
    if head.target == PATH:
        is_ours = origins == (own,) and is_handshake(head) and _fetched(head, {b"same-origin"})
        return Admission(site=own.decode("ascii"), host=host.decode("ascii")) if is_ours else "refused"
    file = head.target.decode("ascii", "replace")
    # The page itself holds no secret, and nobody else knows its name; browsers repeat where a page that they load
    # again came from.
    is_ours = _is_navigation(head) if file == ROOT else _fetched(head, {b"same-origin", b"none"})
    return Show(file) if file in files and origins in {(), (own,)} and is_ours else "refused"


def _entering(head: RequestHead) -> Entering | Literal["refused"]:
    kind = only(head.values(b"content-type")).partition(b";")[0].strip().lower()
    if head.method != b"POST" or kind != _FORM or not _is_navigation(head):
        return "refused"
    if found := _TICKET.fullmatch(head.body):
        return Entering(found[1].decode("ascii"))
    if found := _CODE.fullmatch(head.body):
        return Entering(re.sub(r"[^A-Z]", "", found[1].decode("ascii").upper()))
    return "refused"


def _fetched(head: RequestHead, sites: set[bytes]) -> bool:
    """True unless the browser says that another site asks."""
    return set(head.values(b"sec-fetch-site")) <= sites


def _is_navigation(head: RequestHead) -> bool:
    """True unless the browser says that it is no page of its own that is loaded."""
    modes, destinations = head.values(b"sec-fetch-mode"), head.values(b"sec-fetch-dest")
    return set(modes) <= {b"navigate"} and set(destinations) <= {b"document"}


def headers(host: str, kind: str, length: int, *, clears: bool = False) -> bytes:
    """The fields of an answer.

    Args:
        host: of this page.
        kind: of the content.
        length: of the content.
        clears: whether the browser is to forget what others left under this name.
    """
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        f"connect-src 'self' ws://{host}",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
    fields = {
        "Content-Type": kind,
        "Content-Length": str(length),
        "Content-Security-Policy": "; ".join(policy),
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Permissions-Policy": "camera=(self)",
        **({"Clear-Site-Data": '"storage"'} if clears else {}),
        "Connection": "close",
    }
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode("ascii") + b"\r\n"
