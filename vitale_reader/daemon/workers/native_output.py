"""Output of native libraries in a driver's process: a little of it reaches the log, through its formatter.

Some print a line for each damaged picture, thirty a second (libjpeg: ``Corrupt JPEG data``). Many webcams cause that
all day long. Others print the reason before they take the process down. So some lines a minute are logged at debug. The
last ones are kept for the end of the process. The pipe is always emptied, or the printing would block. A process that
floods it is read at leisure, so that it slows itself and nobody else.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

__all__ = ["NativeOutput"]

logger = logging.getLogger(__name__)

READ_BYTES = 65_536

#: Characters of a line.
LONGEST = 300

#: Lines a minute.
MOST = 20

#: Seconds between two reads of a process that prints more than is told: some three megabytes a second at most.
PAUSE = 0.02

#: Lines that are kept for the end: an assertion and where it failed.
LAST = 3


class NativeOutput:
    """Output of one process, from its start to its end.

    Args:
        title: of its process, in the log.
        clock: monotonic seconds.

    Attributes:
        last: the latest lines, as they may be logged.
    """

    def __init__(self, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.last: deque[str] = deque(maxlen=LAST)
        self._title = title
        self._clock = clock
        self._minute = 0.0
        self._told = 0

    async def listen(self, stream: asyncio.StreamReader) -> None:
        """Takes all that is printed until the stream ends."""
        rest = b""
        while data := await stream.read(READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[: 4 * LONGEST]
            # Of a flood no more is looked at than can be told and kept.
            for line in lines if len(lines) <= MOST + LAST else (*lines[:MOST], *lines[-LAST:]):
                self.hear(line)
            if self._told > MOST:
                await asyncio.sleep(PAUSE)
        self.hear(rest)

    def hear(self, line: bytes) -> None:
        """Takes a line of output."""
        text = "".join(one if one.isprintable() else " " for one in line.decode(errors="replace")).strip()[:LONGEST]
        if not text:
            return
        self.last.append(text)
        now = self._clock()
        if now - self._minute >= 60:
            self._minute, self._told = now, 0
        self._told += 1
        if self._told <= MOST:
            logger.debug("%s printed: %s", self._title, text)
        elif self._told == MOST + 1:
            logger.debug("%s prints more than is told", self._title)
