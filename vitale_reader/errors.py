"""The errors that the SDK raises, under the name that integrators import: those of the protocol, nothing added."""

from vitale_protocol import errors as tree
from vitale_protocol.errors import *  # noqa: F403  the whole tree is public here too

__all__: list[str] = []
__all__ += tree.__all__
