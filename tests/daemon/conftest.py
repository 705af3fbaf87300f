"""A daemon in the test's own process, and a client that is nothing but JSON lines on a socket."""

import asyncio
import hashlib
import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import Config, parse
from vitale_reader.home import Endpoints, Home, TlsEndpoint

WITHOUT_DRIVERS = parse('[station]\nmode = "simulated"\n[drivers]\nenabled = []\n[tls]\nport = 0')
PATIENCE = 20.0

Json = dict[str, Any]


class Line:
    """One connection; every answer is awaited within a time limit."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.notifications: list[Json] = []
        self._last = 0

    def send(self, message: object) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")

    def send_call(self, method: str, params: Json | None = None) -> int:
        self._last += 1
        self.send({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params or {}})
        return self._last

    async def receive(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            line = await self.reader.readline()
        return json.loads(line) if line else None

    async def answer(self, request: int | str | None) -> Json:
        """The answer to a call; notifications on the way are kept."""
        while (message := await self.receive()) is not None:
            if "method" in message:
                self.notifications.append(message)
            elif message.get("id") == request:
                return dict(message)
        raise AssertionError(f"the connection ended before the answer to {request}")

    async def call(self, method: str, params: Json | None = None) -> Json:
        """The whole answer to a call."""
        return await self.answer(self.send_call(method, params))

    async def result(self, method: str, params: Json | None = None) -> Json:
        answer = await self.call(method, params)
        assert "result" in answer, answer
        return dict(answer["result"])

    async def reason(self, method: str, params: Json | None = None) -> str:
        answer = await self.call(method, params)
        assert "error" in answer, "it should have been refused"
        return str(answer["error"]["data"]["reason"])

    async def open(self, **params: Any) -> Json:
        return await self.result("session.open", {"protocol": [1], "client": {"name": "test", "version": "1"}} | params)

    async def ended(self) -> bool:
        """Whether the daemon has ended the connection (waits for it)."""
        async with asyncio.timeout(PATIENCE):
            try:
                while await self.reader.read(65_536):
                    pass
            except ConnectionError:
                pass
        return True

    async def close(self) -> None:
        self.writer.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await self.writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            pass


@asynccontextmanager
async def unix_line(endpoints: Endpoints) -> AsyncGenerator[Line]:
    assert endpoints.unix is not None
    line = Line(*await asyncio.open_unix_connection(endpoints.unix, limit=4_000_000))
    try:
        yield line
    finally:
        await line.close()


@asynccontextmanager
async def tls_line(endpoint: TlsEndpoint, certificate: Path | None) -> AsyncGenerator[Line]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    line = Line(*await asyncio.open_connection(endpoint.host, endpoint.port, ssl=context, limit=4_000_000))
    shown = line.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    assert hashlib.sha256(shown).hexdigest() == endpoint.sha256
    try:
        yield line
    finally:
        await line.close()


class Tools:
    """What the tests of this folder share, as a fixture since test files cannot import one another."""

    Line = Line
    unix_line = staticmethod(unix_line)
    tls_line = staticmethod(tls_line)
    running = staticmethod(running)
    without_drivers = WITHOUT_DRIVERS

    def __init__(self, home: Home) -> None:
        self.home = home

    def run(self, work: Callable[[Endpoints], Awaitable[None]], config: Config = WITHOUT_DRIVERS) -> None:
        """Runs the work of a test next to a daemon."""

        async def main() -> None:
            async with running(self.home, config) as endpoints:
                await work(endpoints)

        asyncio.run(main())


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(Home.under(tmp_path))
