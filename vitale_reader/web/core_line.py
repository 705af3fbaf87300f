"""A gateway's line to the core, for the channel of an admitted page or the bearer for a secret."""

import asyncio
import itertools
import logging
import socket

from vitale_drivers.host.handover import hand_over, take_over
from vitale_protocol.errors import ParseError
from vitale_protocol.web.admission import DATAGRAM_BYTES, Admitted, Asked, read_answer, write

__all__ = ["CoreLine"]

logger = logging.getLogger(__name__)

#: Seconds for the core to answer; it takes less than a millisecond.
PATIENCE = 5.0

#: Answers that are taken at once.
TURN = 16


class CoreLine:
    """The line, within an event loop.

    Args:
        end: the gateway's; it is closed with the line.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[tuple[Admitted, socket.socket | None]]] = {}
        end.setblocking(False)
        asyncio.get_running_loop().add_reader(end, self._take)

    def close(self) -> None:
        """Ends the line; nobody is let in any more."""
        asyncio.get_running_loop().remove_reader(self._end)
        self._end.close()

    async def ask(self, site: str) -> socket.socket | None:
        """The channel of a site's page; None if it is refused, or if no answer comes in time."""
        found = await self._answered(Asked(number=next(self._numbers), site=site))
        return None if found is None else found[1]

    async def enter(self, site: str, secret: str) -> str:
        """The bearer for a submitted secret; empty if it is not good, or if no answer comes in time."""
        found = await self._answered(Asked(number=next(self._numbers), site=site, secret=secret))
        return "" if found is None else found[0].bearer

    async def _answered(self, question: Asked) -> tuple[Admitted, socket.socket | None] | None:
        answer: asyncio.Future[tuple[Admitted, socket.socket | None]] = asyncio.get_running_loop().create_future()
        self._waiting[question.number] = answer
        try:
            hand_over(self._end, write(question))
            async with asyncio.timeout(PATIENCE):
                return await answer
        except (OSError, TimeoutError) as error:  # a core that is too busy to hear of one more
            logger.warning("the daemon does not say whether a page may come: %s", type(error).__name__)
            return None
        finally:
            del self._waiting[question.number]

    def _take(self) -> None:
        for _ in range(TURN):
            try:
                datagram, channel = take_over(self._end, DATAGRAM_BYTES)
                answer = read_answer(datagram)
            except BlockingIOError:
                return
            except (OSError, ParseError):
                logger.error("the daemon's line is broken")
                self.close()
                return
            waiting = self._waiting.get(answer.number)
            if waiting is not None and not waiting.done():
                waiting.set_result((answer, channel if answer.yes else None))
            elif channel is not None:  # the page did not wait for it
                channel.close()
