"""A page's calls over a socket that blocks, as those of a socket's own client do: what is compared is the way."""

import asyncio
import itertools
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.frames import Frame, Opcode

from tests.daemon.web.socket_pages import SocketPage, socket_page
from vitale_protocol.web.sealed_frames import Opener, Sealer

__all__ = ["BlockingPage", "blocking_page"]


class BlockingPage:
    """A session that a page has opened, from then on."""

    def __init__(self, line: socket.socket, page: SocketPage) -> None:
        assert page.keys is not None
        self._line = line
        self._protocol = page.protocol
        self._sealer = Sealer(page.keys["c2s"], "websocket")
        self._opener = Opener(page.keys["s2c"], "websocket")
        self._opener.read = 1  # the answer to session.open
        self._numbers = itertools.count(1_000)

    def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result of a call."""
        number = next(self._numbers)
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
        self._protocol.send_text(self._sealer.seal(msgspec.json.encode(message)))
        self._write()
        while data := self._line.recv(65_536):
            self._protocol.receive_data(data)
            self._write()
            for event in self._protocol.events_received():
                if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    answer = msgspec.json.decode(self._opener.open(bytes(event.data)))
                    if answer.get("id") == number:
                        return answer["result"]
        raise ConnectionError("the desk ended the connection")

    def _write(self) -> None:
        for piece in self._protocol.data_to_send():
            self._line.sendall(piece)


@asynccontextmanager
async def blocking_page(port: int, key: ec.EllipticCurvePrivateKey, site: str) -> AsyncGenerator[BlockingPage]:
    """A page whose session is open; its connection is nobody else's meanwhile."""
    async with socket_page(port, key, site=site) as page:
        await page.open()
        transport = page.writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        shared: socket.socket = page.writer.get_extra_info("socket").dup()
        with shared:
            shared.setblocking(True)
            yield BlockingPage(shared, page)
            shared.setblocking(False)
