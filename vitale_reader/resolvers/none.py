"""No resolver: apCV strings are passed on to whoever may ask for them, and are not interpreted."""

from typing import NoReturn

from vitale_protocol.errors import ConfigurationInvalid, ContextUnknown, ResolverUnavailable
from vitale_reader.resolvers.base import Resolver

__all__ = ["NoResolver"]


class NoResolver(Resolver):
    """The default: a token says ``apcv-transported``."""

    name = "none"
    resolves = False

    async def open(self) -> None:
        """Does nothing: there is no service.

        Raises:
            ConfigurationInvalid: there are options, which would be without effect.
        """
        if self.options:
            raise ConfigurationInvalid("the resolver none has no options", data={"path": "apcv.options"})

    async def close(self) -> None:
        """Does nothing: no connection is open."""

    async def resolve(self, string: bytes, *, nonce: str) -> NoReturn:
        """Raises; the daemon never asks for it.

        Raises:
            ResolverUnavailable: always.
        """
        raise ResolverUnavailable("no resolver is configured", data={"sent": False})

    async def restore(self, identifiant: str) -> NoReturn:
        """Raises: there are no contexts.

        Raises:
            ContextUnknown: always.
        """
        raise ContextUnknown("no resolver is configured")

    async def release(self, identifiant: str) -> NoReturn:
        """Raises: there are no contexts.

        Raises:
            ContextUnknown: always.
        """
        raise ContextUnknown("no resolver is configured")
