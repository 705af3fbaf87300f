"""The pseudo-terminals of the demonstration, or the word that this machine has none."""

from collections.abc import Generator
from contextlib import contextmanager

from vitale_protocol.errors import ConfigurationInvalid, ToolMissing

__all__ = ["needing_pseudo_terminals"]


@contextmanager
def needing_pseudo_terminals() -> Generator[None]:
    """A device on a pseudo-terminal is loaded and opened within.

    Raises:
        ToolMissing: Windows, or a container without /dev/pts.
    """
    try:
        yield
    except (ImportError, ConfigurationInvalid, OSError) as error:
        raise ToolMissing("there are no pseudo-terminals here", data={"tool": "openpty"}) from error
