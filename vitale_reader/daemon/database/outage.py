"""The last time that a station saw its site's database away, and the reason as it saw it.

It is written into the station's spool, so that it can be told while nobody reaches the database.
"""

import msgspec

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ParseError, StoreUnavailable

__all__ = ["OUTAGE", "Outage", "read_outage"]

#: The row of the spool's table ``site`` in which it stands.
OUTAGE = "outage"


class Outage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A time in which the database was away.

    Attributes:
        since: when it began, epoch seconds by the clock of the desk.
        until: when it ended; 0 while it lasts.
        why: the variant of ``store_unavailable`` that says why.
        sqlstate: the answer of the database, where it gave one.
    """

    since: float
    until: float = 0.0
    why: str = ""
    sqlstate: str = ""

    def because(self, cause: StoreUnavailable) -> "Outage":
        """The same, for another reason."""
        sqlstate = cause.data.get("sqlstate", "")
        return msgspec.structs.replace(
            self, why=cause.variant, sqlstate=sqlstate if isinstance(sqlstate, str) else "", until=0.0
        )


def read_outage(value: object) -> Outage | None:
    """Reads the value that stands in the spool; None where there is nothing that can be read."""
    try:
        return decode_document(value.encode(), Outage) if isinstance(value, str) else None
    except ParseError:
        return None
