"""The reason of a reader's error as the catalogue tells it, with the variant that says more."""

from vitale_protocol.errors import ReaderError

__all__ = ["reason_of"]


def reason_of(error: ReaderError) -> str:
    """The reason of an error, with the variant of the catalogue's entry that says more of it: ``reader_busy.pn533``."""
    more = error.data.get("service")
    return f"{error.reason}.{more}" if isinstance(more, str) else error.reason
