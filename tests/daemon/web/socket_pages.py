"""A page as a browser carries it: over the gateway's WebSocket, by somebody else's client that does no I/O itself."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from tests.daemon.web.pages import PATIENCE, SITE, Json, Page

PROTOCOL = "vitale-reader.1"


class Refused(Exception):
    """The handshake was answered by something else than 101."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class SocketPage(Page):
    """A page on a WebSocket."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        key: ec.EllipticCurvePrivateKey,
        uri: str,
        *,
        site: str = SITE,
    ) -> None:
        super().__init__(reader, writer, key, site=site, via="websocket")
        self.protocol = ClientProtocol(
            parse_uri(uri), origin=Origin(site), subprotocols=[Subprotocol(PROTOCOL)], max_size=4_000_000
        )
        self._events: list[Any] = []
        self._eof = False

    async def shake_hands(self) -> Response:
        """Opens the WebSocket.

        Raises:
            Refused: it is not opened.
        """
        self.protocol.send_request(self.protocol.connect())
        self.write()
        response = await self._event()
        assert isinstance(response, Response), "the connection ended without an answer"
        if self.protocol.handshake_exc is not None:
            raise Refused(response)
        return response

    def write(self) -> None:
        for piece in self.protocol.data_to_send():
            if piece:
                self.writer.write(piece)
            else:
                with contextlib.suppress(OSError):  # the other end is gone already
                    self.writer.write_eof()

    def send_frame(self, frame: bytes) -> None:
        """Sends a frame; as in browsers, it is dropped once the other end closes."""
        if self.protocol.state is State.OPEN:
            self.protocol.send_text(frame)
            self.write()

    async def receive_frame(self) -> Json | None:
        while (event := await self._event()) is not None:
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self.carried.append(bytes(event.data))
                return dict(json.loads(bytes(event.data)))
        return None

    async def closed_with(self) -> int:
        """The close code; 1006 where there is none, as in browsers."""
        while await self._event() is not None:
            pass
        return self.protocol.close_code or 1006

    async def _event(self) -> Any:
        while not self._events and not self._eof:
            async with asyncio.timeout(PATIENCE):
                try:
                    data = await self.reader.read(65_536)
                except ConnectionError:
                    data = b""
            if data:
                self.protocol.receive_data(data)
            else:
                self._eof = True
                self.protocol.receive_eof()
            self._events.extend(self.protocol.events_received())
            self.write()
        return self._events.pop(0) if self._events else None


@asynccontextmanager
async def socket_page(
    port: int, key: ec.EllipticCurvePrivateKey, *, site: str = SITE, host: str = "127.0.0.1"
) -> AsyncGenerator[SocketPage]:
    """A page on a WebSocket that is open.

    Raises:
        Refused: it is not opened.
    """
    named = f"[{host}]" if ":" in host else host
    reader, writer = await asyncio.open_connection(host, port)
    made = SocketPage(reader, writer, key, f"ws://{named}:{port}/v1", site=site)
    try:
        await made.shake_hands()
        yield made
    finally:
        writer.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await writer.wait_closed()
        except ConnectionError:
            writer.transport.abort()
