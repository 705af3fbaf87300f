"""A page as the core sees it, through a native host or a gateway: frames on a socket, by the second implementation."""

import asyncio
import itertools
import json
import secrets
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.posix import open_unix_connection
from tests.protocol.web import independent
from tests.protocol.web.independent import b64u, unb64u
from vitale_protocol.web.extensions import CHROMIUM_ID
from vitale_reader.daemon.transports.peers import own_uid

Json = dict[str, Any]

SITE = "https://facturation.example.fr"
PATIENCE = 40.0


class Page:
    """One channel, and the key of a page."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        key: ec.EllipticCurvePrivateKey,
        *,
        site: str = SITE,
        via: str = "stdio",
    ) -> None:
        self.reader, self.writer, self.key, self.site, self.via = reader, writer, key, site, via
        self.station_jwk: Json = {}
        self.code = ""
        self.notifications: list[Json] = []
        self.carried: list[bytes] = []
        self.keys: dict[str, bytes] | None = None
        self._numbers = itertools.count(1)
        self._waits = via == "stdio"
        self._sealed = self._opened = 0

    # ── frames ──

    def send_frame(self, frame: bytes) -> None:
        self.writer.write(len(frame).to_bytes(4, "big") + frame)

    def send(self, message: object) -> None:
        self.send_frame(self.sealed(message))

    def sealed(self, message: object) -> bytes:
        """The frame of a message: sealed, with the next number, once the session is open."""
        text = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
        if self.keys is not None:
            text = independent.sealed(self.keys["c2s"], self.via, self._sealed, text.encode())
            self._sealed += 1
        return text.encode()

    def send_preamble(self, **changes: Any) -> None:
        user = None if sys.platform == "win32" else own_uid()  # users have no numbers there
        preamble = {"via": self.via, "site": self.site, "peer_uid": user, "host": CHROMIUM_ID, "opened": 1.5}
        self.send_frame(json.dumps(preamble | changes, separators=(",", ":")).encode())

    async def receive_frame(self) -> Json | None:
        """The next frame as it is; None at the end."""
        async with asyncio.timeout(PATIENCE):
            try:
                length = int.from_bytes(await self.reader.readexactly(4), "big")
                self.carried.append(await self.reader.readexactly(length))
                if self._waits and self.carried[-1] == b'{"open":true}':
                    self._waits = False
                    return await self.receive_frame()
                return dict(json.loads(self.carried[-1]))
            except (asyncio.IncompleteReadError, ConnectionError):
                return None

    async def receive(self) -> Json | None:
        """The next message, opened where it is sealed."""
        frame = await self.receive_frame()
        if frame is None or self.keys is None or "c" not in frame:
            return frame
        assert frame["n"] == self._opened
        self._opened += 1
        text = json.dumps(frame, separators=(",", ":"))
        return dict(json.loads(independent.opened(self.keys["s2c"], self.via, text)))

    # ── calls ──

    def send_call(self, method: str, params: Json | None = None) -> int:
        request = next(self._numbers)
        self.send({"jsonrpc": "2.0", "id": request, "method": method, "params": params or {}})
        return request

    async def answer(self, request: int) -> Json:
        while (message := await self.receive()) is not None:
            if "method" in message:
                self.notifications.append(message)
            elif message.get("id") == request:
                return message
            else:
                raise AssertionError(f"another frame: {message}")
        raise AssertionError("the channel ended before the answer")

    async def call(self, method: str, params: Json | None = None) -> Json:
        return await self.answer(self.send_call(method, params))

    async def result(self, method: str, params: Json | None = None) -> Json:
        answer = await self.call(method, params)
        assert "result" in answer, answer
        return dict(answer["result"])

    async def closed_with(self) -> int:
        """The code of the last frame; 0 where the channel ends without one."""
        code = 0
        while (message := await self.receive()) is not None:
            code = message.get("close", code)
        return code

    # ── the session ──

    async def challenge(self) -> tuple[Json, ec.EllipticCurvePrivateKey, str]:
        """The station's answer to a challenge, with the fresh key and nonce that it is for."""
        ephemeral = ec.generate_private_key(ec.SECP256R1())
        nonce = b64u(secrets.token_bytes(32))
        asked = {"kid": independent.thumbprint(self.key), "client_nonce": nonce, "epk": independent.raw(ephemeral)}
        return await self.result("session.challenge", asked), ephemeral, nonce

    def proof(self, told: Json, ephemeral: ec.EllipticCurvePrivateKey, nonce: str, opening: Json) -> str:
        claims = {
            "aud": told["station"],
            "challenge": told["challenge"],
            "client_nonce": nonce,
            "epk": independent.raw(ephemeral),
            "station_epk": told["epk"],
            "site": self.site,
            "via": self.via,
            "jti": secrets.token_hex(16),
            "open": opening,
        }
        return independent.signed(claims, self.key, "vr-session+jwt")

    async def open(self, language: str = "en") -> Json:
        """Opens the session; the answer to ``session.open``."""
        told, ephemeral, nonce = await self.challenge()
        opening = {"protocol": [1], "client": {"name": "page", "version": "1"}, "language": language}
        proof = self.proof(told, ephemeral, nonce, opening)
        credential = {"kid": independent.thumbprint(self.key), "proof": proof}
        request = self.send_call("session.open", opening | {"credential": credential})
        shared = ephemeral.exchange(ec.ECDH(), independent.point(told["epk"]))
        self.keys = independent.keys(shared, told["proof"], proof)
        answer = await self.answer(request)
        assert "result" in answer, answer
        return dict(answer["result"])

    # ── the pairing ──

    async def ask(self, scopes: tuple[str, ...] = ("identity", "nir"), name: str = "Facturation") -> int:
        """Asks to be paired and shows the code; the id of the call that is answered once a person has typed it."""
        nonce_p = secrets.token_bytes(32)
        asked = {
            "name": name,
            "scopes": [*scopes],
            "jwk": independent.jwk(self.key),
            "commit": independent.commitment(nonce_p),
        }
        told = await self.result("pairing.request", asked)
        self.station_jwk = told["station_jwk"]
        station = independent.thumbprint_of(told["station_jwk"])
        self.code = independent.code(
            self.site, independent.thumbprint(self.key), station, nonce_p, unb64u(told["nonce_d"])
        )
        return self.send_call("pairing.reveal", {"pairing": told["pairing"], "nonce_p": b64u(nonce_p)})


@asynccontextmanager
async def page(
    socket: Path, key: ec.EllipticCurvePrivateKey, *, site: str = SITE, via: str = "stdio", preamble: bool = True
) -> AsyncGenerator[Page]:
    """A channel over the socket of native hosts."""
    made = Page(*await open_unix_connection(str(socket), limit=4_000_000), key, site=site, via=via)
    if preamble:
        made.send_preamble()
    try:
        yield made
    finally:
        made.writer.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await made.writer.wait_closed()
        except ConnectionError:
            made.writer.transport.abort()
