"""Registration of sites: what a person types becomes the one form that browsers write, and every change is told.

The only place where a site is folded. Characters are never mapped to others (full-width letters, soft hyphens). A name
that needs it is refused, and the person types it again.
"""

import re
import unicodedata
from typing import Final, Literal

import idna
import msgspec

from vitale_protocol.errors import ParseError
from vitale_protocol.methods import StationMode
from vitale_protocol.web.sites import SITE_CHARACTERS, Site, parse_site

__all__ = ["Change", "Registered", "register", "unicode_form"]

Change = Literal["slash_cut", "lower_cased", "default_port_dropped", "punycode"]

_DEFAULT_PORT: Final = {"https": ":443", "http": ":80"}
_PARTS = re.compile(r"(https?)://([^/:?#@\\\[\]\s]+|\[::1\])(:[0-9]{1,5})?")


class Registered(msgspec.Struct, frozen=True):
    """A site to be registered, and the changes that were made to what was typed."""

    site: Site
    changes: tuple[Change, ...]


def register(typed: str, mode: StationMode) -> Registered:
    """The site that a person means.

    Args:
        typed: an address without a path.
        mode: of the station.

    Raises:
        ParseError: no site, one that is not admitted, or an address of which more than the notation would change.
    """
    changes: list[Change] = []
    text = unicodedata.normalize("NFC", typed)
    if len(text) > 2 * SITE_CHARACTERS:
        raise ParseError("longer than a site can be")
    if text.endswith("/") and text.count("/") == 3:
        text = text.removesuffix("/")
        changes.append("slash_cut")
    if text != text.lower():
        text = text.lower()
        changes.append("lower_cased")
    found = _PARTS.fullmatch(text)
    if found is None:
        raise ParseError("not the address of a site")
    scheme, host, port = found[1], found[2], found[3] or ""
    if port == _DEFAULT_PORT[scheme]:
        port = ""
        changes.append("default_port_dropped")
    if not host.isascii():
        host = _punycode(host)
        changes.append("punycode")
    return Registered(parse_site(f"{scheme}://{host}{port}", mode), tuple(changes))


def _punycode(host: str) -> str:
    try:
        # One by one: an ideographic full stop would part labels where a person sees none.
        return ".".join(idna.alabel(label).decode() for label in host.split("."))
    except (idna.IDNAError, UnicodeError) as error:
        raise ParseError("a name that no registry gives (RFC 5891)") from error


def unicode_form(host: str) -> str:
    """The host as its owner writes it; unchanged where no registry gives it such a form."""
    try:
        return idna.decode(host)
    except (idna.IDNAError, UnicodeError):
        return host
