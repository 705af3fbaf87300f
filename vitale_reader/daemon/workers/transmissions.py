"""Transmissions to leased media: each waits for its answer, or for the end of the answering process."""

import asyncio

from vitale_drivers.base import Transmit, Transmitted
from vitale_protocol.errors import ReaderGone

__all__ = ["Transmissions"]


class Transmissions:
    """The transmissions of a driver that wait."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Transmitted]] = {}
        self._last = 0

    def begin(
        self, reader: str, apdus: tuple[bytes, ...], *, lease: int
    ) -> tuple[Transmit, "asyncio.Future[Transmitted]"]:
        """Returns the command to send, and its answer."""
        self._last += 1
        number, answer = self._last, asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        answer.add_done_callback(lambda _: self._waiting.pop(number, None))
        return Transmit(id=number, reader=reader, apdus=apdus, lease=lease), answer

    def answer(self, report: Transmitted) -> None:
        """Hands the answer of a driver to whoever waits for it."""
        future = self._waiting.pop(report.id, None)
        if future is not None and not future.done():
            future.set_result(report)

    def fail(self, error: ReaderGone) -> None:
        """Ends all that wait: there will be no answer."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()
