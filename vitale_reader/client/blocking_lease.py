"""A lease in a blocking program: that of ``vitale_reader.client.leasing``, whose coroutines the SDK's thread runs."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from vitale_reader.client import leasing
from vitale_reader.client.twins import Twin, blocking

__all__ = ["Lease"]

T = TypeVar("T")


class Lease(leasing.LeaseFacts, Twin[leasing.Lease]):
    """A card that is held, for a blocking program."""

    def __init__(self, inner: leasing.Lease, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        super().__init__(inner.state)
        self._inner = inner
        self._run = run

    transmit = blocking(leasing.Lease.transmit)
    renew = blocking(leasing.Lease.renew)

    def _awaited(self, work: Callable[[leasing.Lease], Coroutine[Any, Any, T]]) -> T:
        result: T = self._run(work(self._inner))
        return result
