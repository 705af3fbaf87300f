"""The trusted list of the ANTS, as XML of ETSI TS 119 612: the certificates of 2D-Doc authorities.

In each ``TrustServiceProvider`` the ``TSPTradeName`` is the authority's identifier (``FR01`` …). Certificates are taken
from its services of type ``CA/PKC`` that are "in accord" or "granted". The list's own signature is not checked. That
would take an XML signature library that this project does not need otherwise. The key to check it with would also come
by the same way as the list.
"""

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from lxml import etree

from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["authorities"]

Element: TypeAlias = etree._Element  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

_TSL: Final = "{http://uri.etsi.org/02231/v2#}"
_ID = re.compile(r"[0-9A-Z]{4}")


def authorities(document: bytes) -> dict[str, list[bytes]]:
    """The certificates of each authority, in base64.

    One that has no service in accord is there with none: none of its signers is to be trusted.

    Raises:
        ConfigurationInvalid: the document is not such a list.
    """
    root = _root(document)
    if root.tag != f"{_TSL}TrustServiceStatusList":
        raise ConfigurationInvalid("the XML is no trusted list of ETSI TS 119 612")
    found: dict[str, list[bytes]] = {}
    for provider in root.iter(f"{_TSL}TrustServiceProvider"):
        name = (provider.findtext(f"{_TSL}TSPInformation/{_TSL}TSPTradeName/{_TSL}Name") or "").strip()
        if _ID.fullmatch(name):
            found.setdefault(name, []).extend(_certificates(provider))
    if not found:
        raise ConfigurationInvalid("the trusted list has no authority of 2D-Docs")
    return found


def _certificates(provider: Element) -> Iterator[bytes]:
    for service in provider.iter(f"{_TSL}ServiceInformation"):
        kind = (service.findtext(f"{_TSL}ServiceTypeIdentifier") or "").strip()
        status = (service.findtext(f"{_TSL}ServiceStatus") or "").strip()
        if kind.endswith("/CA/PKC") and status.endswith(("/inaccord", "/granted")):
            for one in service.iter(f"{_TSL}X509Certificate"):
                yield (one.text or "").encode()


def _root(document: bytes) -> Element:
    # Entities are not resolved, nothing is fetched, and what is too deep or too wide ends the parsing.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ConfigurationInvalid("a list of trusted signers is no XML") from error
    if root.getroottree().docinfo.doctype:
        raise ConfigurationInvalid("a trusted list has no document type")
    return root
