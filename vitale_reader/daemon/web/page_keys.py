"""Keys of paired pages, as rows of the registry hold them: each with its site and its last use."""

from typing import Final, Literal

import msgspec

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ParseError
from vitale_protocol.signing import PublicJwk

__all__ = ["IDLE_SECONDS", "NEVER_GRANTED", "PageKey", "page_key"]

#: Scopes that no page has, whoever ticks them: a script in the page could use what it may (docs/explanation/trust.md).
NEVER_GRANTED: Final = frozenset({"admin", "apdu", "desk", "payload", "preview", "sign"})

#: Seconds without a session after which a page has to be paired anew: half a year.
IDLE_SECONDS: Final = 180 * 86_400.0


class PageKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key of a page in one browser.

    Attributes:
        site: the web origin.
        jwk: the public key.
        used_at: when a session was opened with it, to the day; at first, when it was paired.
    """

    kind: Literal["page"] = "page"
    site: str
    jwk: PublicJwk
    used_at: float

    @property
    def kid(self) -> str:
        """The name of the key: its thumbprint."""
        return self.jwk.thumbprint

    def is_idle(self, now: float) -> bool:
        """True if it was not used for so long that it does not count any more."""
        return now - self.used_at > IDLE_SECONDS

    def text(self) -> str:
        """The key as the column ``origins`` of a row holds it."""
        return msgspec.json.encode(self).decode()


def page_key(text: str) -> PageKey | None:
    """The key in the column ``origins`` of a row; None where the row is no page's.

    Raises:
        ParseError: something else is there.
    """
    if not text:
        return None
    key = decode_document(text.encode(), PageKey)
    try:
        _ = key.jwk.key
    except ParseError as error:
        raise ParseError("a page's key that is none") from error
    return key
