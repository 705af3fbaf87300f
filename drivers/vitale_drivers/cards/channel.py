"""Exchange of a reading script with a card over any connection.

The tasks that a transport leaves to its caller are done here.

Rules (ISO/IEC 7816-4 §5.3.4, ISO/IEC 7816-3 §12.2):

- ``61xx``: the rest is fetched by GET RESPONSE until there is none. The number is bounded, since a card may never end.
- ``6Cxx``: the command is sent once more with the Le that the card named. A few cards need a moment before that and
  refuse it until then. They are asked again after growing pauses.
- A command that asks for a rest or for a reset before it gets them.
- Over T=0 a command with both data and Le is sent without its Le. The protocol has no room for it. The card says by
  ``61xx`` what it has to give.
- The trace has headers, lengths and status words, never data.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from vitale_protocol.apdu import MAX_SHORT, Command, ReadingScript, Response
from vitale_protocol.errors import MediumUnreadable

__all__ = ["LENGTH_RETRY_DELAYS", "MAX_FETCHES", "Channel"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_FETCHES = 256
"""GET RESPONSE in a row: at 256 bytes each they fill the longest response that an APDU can carry."""

LENGTH_RETRY_DELAYS = (0.0, 0.03, 0.12)
"""Seconds between ``6Cxx`` and its repetition: cards were seen to refuse it for 20 to 100 ms."""

_MORE = 0x61
_WRONG_LE = 0x6C
_GET_RESPONSE = 0xC0


@dataclass(frozen=True, slots=True)
class Channel:
    """Exchanges commands with a card.

    Attributes:
        transmit: the connection: one command APDU in, one response APDU out. It raises ``MediumRemoved``,
            ``MediumMute``, ``ReaderGone`` or ``ReaderUnavailable``, which end a script.
        t0: whether the connection speaks T=0.
        rest: waits some seconds; raises ``MediumRemoved`` where the card leaves meanwhile.
        reset: resets the card; nothing where the connection cannot.
        keep: shows the service that the card is still in use, without a word to the card. It may find that the card has
            left.
    """

    transmit: Callable[[bytes], bytes]
    t0: bool = False
    rest: Callable[[float], None] = time.sleep
    reset: Callable[[], None] | None = None
    keep: Callable[[], None] | None = None

    def exchange(self, command: Command) -> Response:
        """Sends a command and returns the whole of its response.

        Raises:
            MediumUnreadable: an answer is no response APDU, or the response does not end.
        """
        if command.reset and self.reset is not None:
            self.reset()
        if command.pause:
            self.rest(command.pause)
        response = self._send(replace(command, le=None) if self.t0 and command.data else command)
        data = response.data
        for _ in range(MAX_FETCHES):
            if response.sw1 != _MORE:
                return Response(data, response.sw)
            response = self._send(Command(_channel_of(command), _GET_RESPONSE, 0, 0, le=response.sw2 or MAX_SHORT))
            data += response.data
        raise MediumUnreadable("the response of the card does not end")

    def run(self, script: ReadingScript[T]) -> T:
        """Runs a reading script to its end and returns what it read.

        Raises:
            MediumUnreadable: the script gave up.
        """
        try:
            command = next(script)
            while True:
                try:
                    response = self.exchange(command)
                except MediumUnreadable as error:
                    command = script.throw(error)
                else:
                    command = script.send(response)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            script.close()

    def _send(self, command: Command) -> Response:
        response = self._send_once(command)
        for pause in LENGTH_RETRY_DELAYS:
            if response.sw1 != _WRONG_LE:
                break
            if pause:
                self.rest(pause)
            repeated = self._send_once(replace(command, le=response.sw2 or MAX_SHORT))
            if not _is_refusal(repeated) or pause == LENGTH_RETRY_DELAYS[-1]:
                return repeated
            # It has to say its length anew: a refusal may have made it forget what it was to give.
            response = self._send_once(command)
        return response

    def _send_once(self, command: Command) -> Response:
        response = Response.parse(self.transmit(command.to_bytes()))
        logger.debug("%s → %s", command, response)
        return response


def _is_refusal(response: Response) -> bool:
    return 0x64 <= response.sw1 <= 0x6F and response.sw1 != _WRONG_LE


def _channel_of(command: Command) -> int:
    """The class byte of a GET RESPONSE: the logical channel of the command, without secure messaging (§5.4.1)."""
    return command.cla & 0x03 if command.cla & 0xE0 == 0 else 0x00
