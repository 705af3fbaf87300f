"""Receipts on their way: what the service answers to ``GET …/phones/ID/receipts``, and the phone that asks.

The real service pushes receipts to the application by ways that are not public. Here a phone in another process asks
when it is opened, and each receipt is handed over once.
"""

import http.client
import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import msgspec

from vitale_firmware_sim.phone.application import Receipt
from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ConfigurationInvalid, ParseError

__all__ = ["ReceiptMailbox", "phone_asked_for", "written"]

_PATH: Final = re.compile(r"/(?:[^?#]*/)?phones/([^/?#]+)/receipts\Z")
# An application opens, whether its service answers or not.
_PATIENCE: Final = 2.0
_MOST_BYTES: Final = 1024 * 1024


def phone_asked_for(path: str) -> str:
    """The id of the phone whose receipts a path asks for; empty for any other path."""
    found = _PATH.match(path)
    return unquote(found[1]) if found else ""


def written(receipts: Iterable[Receipt]) -> bytes:
    """The receipts of a phone, in JSON as its mailbox reads them."""
    return msgspec.json.encode([msgspec.to_builtins(receipt) for receipt in receipts])


class ReceiptMailbox:
    """A phone's way to its receipts, by HTTP: what a ``PhoneUser`` asks whenever the phone is opened.

    Args:
        url: of the simulated service.
        tell: hears each receipt that comes, and, as None, that the service did not answer.

    Raises:
        ConfigurationInvalid: it is no address by http.
    """

    def __init__(self, url: str, tell: Callable[[Receipt | None], object]) -> None:
        try:
            split = urlsplit(url)
            self._host, self._port = split.hostname or "", split.port
        except ValueError as error:
            raise ConfigurationInvalid("this is not a URL", data={"path": "--service"}) from error
        if split.scheme != "http" or not self._host:
            raise ConfigurationInvalid("the simulated service is reached by http", data={"path": "--service"})
        self._path = split.path.rstrip("/")
        self._tell = tell

    def __call__(self, phone: str, now: float) -> tuple[Receipt, ...]:
        """The receipts that there are for a phone; none where the service does not answer."""
        del now  # the service has its own clock
        try:
            receipts = decode_document(self._asked(phone), tuple[Receipt, ...])
        except (OSError, http.client.HTTPException, ParseError):
            self._tell(None)
            return ()
        for receipt in receipts:
            self._tell(receipt)
        return receipts

    def _asked(self, phone: str) -> bytes:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_PATIENCE)
        try:
            connection.request("GET", f"{self._path}/phones/{quote(phone, safe='')}/receipts")
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise http.client.HTTPException(f"HTTP status {response.status}")
            return response.read(_MOST_BYTES)
        finally:
            connection.close()
