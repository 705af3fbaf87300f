"""Rows of paired clients in the store, and what a row may not claim."""

import logging
from functools import cached_property

import msgspec

from vitale_protocol.errors import ParseError
from vitale_protocol.methods import ClientSummary
from vitale_protocol.web import own_names
from vitale_reader.daemon.web.page_keys import NEVER_GRANTED, PageKey, page_key

__all__ = ["OWNERS", "ClientRow", "oversteps"]

logger = logging.getLogger(__name__)

#: Scopes that nobody is paired for.
OWNERS = frozenset({"admin", "desk"})


class ClientRow(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A row of the table ``clients``."""

    client_id: str
    name: str
    scopes: str
    transports: str
    certificate_sha256: str | None
    credential_sha256: str | None
    created_at: float
    revoked_at: float | None = None
    origins: str = ""

    @cached_property
    def page(self) -> PageKey | None:
        """The key of a page; None for other clients.

        Raises:
            ParseError: something else is there. ``refresh`` keeps no such row.
        """
        return page_key(self.origins)

    @property
    def summary(self) -> ClientSummary:
        """The client without its secrets; one of before, whose name could be the product's own, bears its id too."""
        return ClientSummary(
            client_id=self.client_id,
            name=own_names.distinct(self.name, self.client_id),
            scopes=tuple(self.scopes.split()),
            transports=tuple(self.transports.split()),
            created_at=self.created_at,
            revoked_at=self.revoked_at,
            site=self.page.site if self.page is not None else None,
        )


def oversteps(row: ClientRow) -> bool:
    """True if a row claims what nobody can be paired for; no daemon writes such a one."""
    scopes = set(row.scopes.split())
    if OWNERS & scopes:
        logger.error("client %s claims administration in the store: it is refused", row.client_id)
        return True
    try:
        is_page = row.page is not None
    except ParseError:
        logger.error("client %s has the key of no page in the store: it is refused", row.client_id)
        return True
    if is_page and NEVER_GRANTED & scopes:
        logger.error("page %s claims in the store what no page may: it is refused", row.client_id)
        return True
    return False
