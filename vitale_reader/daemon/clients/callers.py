"""Callers of the daemon: the peer as its transport proves it, and the client once it has authenticated."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from vitale_protocol.errors import NotAuthorised
from vitale_protocol.methods import Way
from vitale_protocol.web import own_names

if TYPE_CHECKING:
    from vitale_protocol.web.channels import Preamble

__all__ = ["LOCAL_CLIENT", "Caller", "Peer", "owner_of"]

#: The daemon's own user, on its Unix socket or by the owner's pairing: all scopes, administration too. It could read
#: the station's keys anyway.
LOCAL_CLIENT = own_names.LOCAL


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Identity of the other end, as the transport proves it.

    Attributes:
        transport: how it came.
        own_user: a process of the daemon's own user, by the kernel's word or by the owner's pairing.
        uid: the user of the process, likewise.
        pid: the process, likewise.
        started_here: a process that the daemon itself started, or one that came of it.
        certificate_sha256: the digest of the client certificate that TLS verified, hex.
        channel: who opened a page's channel, as the gateway or the native host says.
    """

    transport: Way
    own_user: bool = False
    uid: int | None = None
    pid: int | None = None
    started_here: bool = False
    certificate_sha256: str | None = None
    channel: "Preamble | None" = None

    @property
    def owner(self) -> str:
        """The peer as far as known before it authenticates: a certificate's holder, a site, or a process."""
        if self.channel is not None:
            return self.channel.site
        return self.certificate_sha256 or f"process {self.pid} of user {self.uid}"

    @property
    def user(self) -> str:
        """The user whose places it takes: a certificate's holder, a site, or a user of this machine."""
        if self.channel is not None:
            return self.channel.site
        return self.certificate_sha256 or f"user {self.uid}"

    @property
    def group(self) -> str | None:
        """The user of the machine, where that is another than the daemon's."""
        return None if self.own_user or self.uid is None else self.user


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Client that has authenticated, with its rights; ``site`` is the web origin of a page, and empty for others."""

    client_id: str
    name: str
    scopes: frozenset[str]
    site: str = ""

    def require(self, scopes: Iterable[str]) -> None:
        """Refuses what the pairing does not allow, rather than cutting it silently.

        Raises:
            NotAuthorised: naming the scopes that are missing.
        """
        missing = sorted(set(scopes) - self.scopes)
        if missing:
            raise NotAuthorised(f"scopes not granted: {' '.join(missing)}", data={"scopes": [*missing]})


def owner_of(peer: Peer, caller: Caller | None) -> str:
    """The client whose share is used; the peer's owner while none is known, and for the local client.

    So each program of the desk's own user is one.
    """
    return peer.owner if caller is None or caller.client_id == LOCAL_CLIENT else caller.client_id
