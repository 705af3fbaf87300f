"""The rules by which a scrape is answered: a pure function of its head.

- One method, two paths, one Host. Whatever a browser adds (Origin, Sec-Fetch-*, Sec-Purpose) is refused: no page has
  business here. No answer allows another origin anything.
- Then the bearer, compared by its digest in constant time. All that is not let in gets the same bytes.
"""

import hmac
from collections.abc import Collection
from hashlib import sha256
from typing import Final, Literal

from vitale_reader.web.http_rules import RequestHead

__all__ = ["judge"]

_OF_BROWSERS: Final = (b"origin", b"sec-purpose", b"sec-fetch-")
_SCHEME: Final = b"bearer "

Verdict = Literal["metrics", "health", "refused", "malformed"]


def judge(head: RequestHead, hosts: Collection[bytes], digest: bytes) -> Verdict:
    """The verdict on a request.

    Args:
        head: of the request.
        hosts: the values of Host that lead here.
        digest: SHA-256 of the bearer.
    """
    if head.version != b"1.1" or not head.target.startswith(b"/") or len(head.values(b"host")) != 1:
        return "malformed"
    if head.method != b"GET" or head.values(b"host")[0] not in hosts:
        return "refused"
    if any(name.startswith(_OF_BROWSERS) for name, _ in head.fields):
        return "refused"
    if not _shows_the_bearer(head.values(b"authorization"), digest):
        return "refused"
    match head.target:
        case b"/metrics":
            return "metrics"
        case b"/healthz":
            return "health"
        case _:
            return "refused"


def _shows_the_bearer(values: tuple[bytes, ...], digest: bytes) -> bool:
    shown = values[0] if len(values) == 1 else b""
    is_bearer = shown[: len(_SCHEME)].lower() == _SCHEME  # RFC 9110, section 11.1: schemes are compared so
    return hmac.compare_digest(sha256(shown[len(_SCHEME) :]).digest(), digest) and is_bearer
