"""A lease in a blocking program: that of ``vitale_reader.client.leasing``, whose coroutines the SDK's thread runs."""

from collections.abc import Callable, Coroutine
from typing import Any

from vitale_protocol.events import LeaseWhy
from vitale_reader.client import leasing

__all__ = ["Lease"]


class Lease:
    """A card that is held, for a blocking program; its members are those of ``vitale_reader.client.leasing.Lease``."""

    def __init__(self, inner: leasing.Lease, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._inner = inner
        self._run = run

    @property
    def id(self) -> str:
        """Its name."""
        return self._inner.id

    @property
    def reader(self) -> str:
        """The reader's id."""
        return self._inner.reader

    @property
    def atr(self) -> bytes:
        """Of the card."""
        return self._inner.atr

    @property
    def expires_at(self) -> float:
        """When it ends unless it is renewed, seconds since the epoch, by the daemon's clock."""
        return self._inner.expires_at

    @property
    def ended(self) -> LeaseWhy | None:
        """Why it ended, once the daemon has told; None as long as it is held, as far as is known."""
        return self._inner.ended

    def transmit(self, *apdus: bytes) -> tuple[bytes, ...]:
        """Exchanges command APDUs one after the other; returns the responses with their status words.

        ``61xx`` and ``6Cxx`` are for the caller to handle.

        Raises:
            CardError: the card answered one of them with an error, at which the series stopped: ``data["sw"]`` is the
                status word, ``data["index"]`` which of them it was.
            LeaseExpired: the lease has ended; ``data["why"]`` says how.
            DaemonUnreachable: the connection was lost, and the lease with it.
        """
        responses: tuple[bytes, ...] = self._run(self._inner.transmit(*apdus))
        return responses

    def renew(self, ttl: float) -> float:
        """It lasts ``ttl`` seconds from now on; returns when it ends, as ``expires_at``.

        Raises:
            LeaseExpired: the lease has ended.
        """
        expires_at: float = self._run(self._inner.renew(ttl))
        return expires_at
