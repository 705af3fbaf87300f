"""Sites: web origins in the one form that browsers write (RFC 6454, section 6.2), and no other.

A header's value is compared byte by byte with the values that are known. Nothing is parsed, folded or decoded for that:
readers of URLs differ. ``parse_site`` says whether a text can be such a value at all. Rules beyond the RFC:

- The scheme is ``https``. ``http`` is for a loopback page of a station in test or simulated mode.
- The host is a name of letters, digits and hyphens whose last label begins with a letter. An address is none.
- A name of this machine (``localhost``) is no site of ``https``: any program here may hold it.
"""

import re
from typing import TYPE_CHECKING, Final

import msgspec

from vitale_protocol.errors import ParseError

if TYPE_CHECKING:
    # A native host reads sites, and has no use for all methods (``channels``).
    from vitale_protocol.methods import StationMode

__all__ = ["SITE_CHARACTERS", "Site", "is_name", "parse_site"]

# A name has 253 characters at most (RFC 1035, section 2.3.4, without the last dot); scheme and port are before and
# behind it.
_NAME_CHARACTERS: Final = 253
SITE_CHARACTERS: Final = len("https://") + _NAME_CHARACTERS + len(":65535")

_FORM = re.compile(r"(https?)://(\[::1\]|[a-z0-9.-]+)(?::([1-9][0-9]{0,4}))?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_LOOPBACK: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class Site(msgspec.Struct, frozen=True):
    """A web origin; its text is that which it was read from."""

    scheme: str
    host: str
    port: int | None = None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}" + ("" if self.port is None else f":{self.port}")


def parse_site(text: str, mode: "StationMode") -> Site:
    """The site of a text that a browser may send as ``Origin``.

    Args:
        text: the value of the header, or of a preamble.
        mode: of the station.

    Raises:
        ParseError: no browser writes a site like this, or no site of this kind is let in.
    """
    found = _FORM.fullmatch(text) if len(text) <= SITE_CHARACTERS else None
    if found is None:
        raise ParseError("not a web origin as browsers write it")
    scheme, host, port = found[1], found[2], None if found[3] is None else int(found[3])
    if port is not None and (port > 65_535 or port == _DEFAULT_PORTS[scheme]):
        raise ParseError("a port that no browser writes")
    if scheme == "http":
        if mode == "production" or not (host in _LOOPBACK or _is_local_name(host)):
            raise ParseError("http is for pages of this machine, and never in production")
    elif not is_name(host) or _is_local_name(host):
        raise ParseError("the host is no name that others vouch for")
    return Site(scheme, host, port)


def is_name(host: str) -> bool:
    """True if a host is a name as browsers write it (RFC 1123, section 2.1), and no address."""
    labels = host.split(".")
    if len(host) > _NAME_CHARACTERS or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    # RFC 5891, section 4.2.3.1: hyphens in the third and fourth place are for Punycode. A last label that begins with
    # a digit would make browsers read an address, or refuse to (URL Standard, "ends in a number").
    return labels[-1][0].isalpha() and all(label[2:4] != "--" or label.startswith("xn--") for label in labels)


def _is_local_name(host: str) -> bool:
    return is_name(host) and host.rpartition(".")[2] == "localhost"
