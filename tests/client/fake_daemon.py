"""A daemon for the SDK's tests: real sockets and real sessions, answers as the test wants them."""

import asyncio
import base64
import json
import secrets
import ssl
import sys
import threading
import time
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from joserfc import jws
from joserfc.jwk import ECKey

from tests.client.identities import CLIENT, DAEMON, server_context
from vitale_protocol.errors import VitaleError
from vitale_protocol.events import Event, Reader, ReaderEvent
from vitale_protocol.methods import (
    Done,
    Limits,
    OutboxAck,
    OutboxAcked,
    OutboxListed,
    OutboxToken,
    PresentationCancel,
    PresentationCancelled,
    PresentationRequest,
    PresentationResult,
    PresentationSubmit,
    ReadersListed,
    Result,
    SessionOpen,
    SessionOpened,
    SessionPonged,
    Station,
    StationKeys,
)
from vitale_protocol.records import Beneficiaire, Proof, Record
from vitale_protocol.session.framing import LineFraming
from vitale_protocol.session.session import Called, Session
from vitale_protocol.tokens import Claims, Evidence, ReaderClaim
from vitale_reader.client.pairing import Pairing
from vitale_reader.home import Endpoints, Home, TlsEndpoint

T = TypeVar("T")
Handler = Callable[["Talk", Called], "Result | VitaleError | None"]

CLIENT_ID = "local"
READER = Reader(id="pcsc:one", name="Lecteur 1", driver="pcsc", media=("vitale-card",), state="empty")
#: Turns of the loop in which a TLS connection that was given up is closed.
ENDING = 8
LIMITS = Limits(message_bytes=1_048_576, depth=32, batch=50, sessions=64, requests=32, open_seconds=10)


class Talk(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, daemon: "FakeDaemon") -> None:
        self.daemon = daemon
        self.session = Session("server", LineFraming())
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.daemon.let_in(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.daemon.let_out(self)

    def data_received(self, data: bytes) -> None:
        self.daemon.received += data
        for event in self.session.receive_data(data):
            if isinstance(event, Called):
                self.daemon.take(self, event)
        self.flush()

    def answer(self, call: Called, answer: Result | VitaleError) -> None:
        if isinstance(answer, VitaleError):
            self.session.fail(call.id, answer)
        else:
            self.session.reply(call.id, answer)
        self.flush()

    def notify(self, name: str, event: Event) -> None:
        self.session.notify(name, event)
        self.flush()

    def flush(self) -> None:
        if self.transport is not None:
            self.transport.write(self.session.data_to_send())

    def drop(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class FakeDaemon:
    """The daemon. ``handlers`` answer the methods; what a handler returns as None it answers later."""

    def __init__(self, home: Path, context: ssl.SSLContext | None = None) -> None:
        self.home = Home.under(home)
        self.context = context
        self.key = ECKey.generate_key("P-256", private=True, auto_kid=True)
        self.handlers: dict[str, Handler] = dict(DEFAULTS)
        self.outbox: dict[str, str] = {}
        self.readers: tuple[Reader, ...] = (READER,)
        self.calls: list[Called] = []
        self.talks: list[Talk] = []
        self.connected: set[Talk] = set()
        self.nobody = asyncio.Event()
        self.nobody.set()
        self.received = b""
        self.heard = threading.Condition()
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server | None = None

    # ── its life ──

    def start(self) -> None:
        self.run(self._start())

    def stop(self) -> None:
        """As ``kill -9`` does: every connection ends in the middle of whatever it did."""
        self.run(self._stop())

    def close(self) -> None:
        self.stop()
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def later(self, work: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(work)

    async def _start(self) -> None:
        self.home.run.mkdir(parents=True, exist_ok=True)
        told = Endpoints(pid=1, version="0")
        if self.context is None and sys.platform != "win32":
            self.home.socket.unlink(missing_ok=True)
            self._server = await self._loop.create_unix_server(lambda: Talk(self), str(self.home.socket))
            told = msgspec.structs.replace(told, unix=str(self.home.socket))
        else:
            context = self.context or server_context(self.home.run, DAEMON)
            self._server = await self._loop.create_server(lambda: Talk(self), "127.0.0.1", 0, ssl=context)
            port = self._server.sockets[0].getsockname()[1]
            self.address = f"tls://127.0.0.1:{port}"
            tls = TlsEndpoint(host="127.0.0.1", port=port, sha256=DAEMON.sha256)
            told = msgspec.structs.replace(told, tls=tls, owner=None if self.context else self._owners_pairing())
        self.home.endpoints_file.write_bytes(msgspec.json.encode(told))

    def _owners_pairing(self) -> str:
        """The file by which the daemon's own user comes where there are no Unix sockets."""
        file = self.home.run / "owner.pairing.json"
        file.unlink(missing_ok=True)
        owner = Pairing(
            client_id=CLIENT_ID,
            certificate=CLIENT.certificate,
            private_key=CLIENT.key,
            daemon_certificate_sha256=DAEMON.sha256,
        )
        owner.save(file)
        return str(file)

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.talks.clear()
        for talk in tuple(self.connected):
            talk.drop()
        await self.nobody.wait()

    async def _end(self) -> None:
        """Leaves no connection behind, of those neither that were just being made."""
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.wait(others)
        await self._stop()
        for _ in range(ENDING):
            await asyncio.sleep(0)

    def let_in(self, talk: Talk) -> None:
        self.connected.add(talk)
        self.nobody.clear()
        if self._server is None:  # it was stopped while this connection was being made
            talk.drop()
        else:
            self.talks.append(talk)

    def let_out(self, talk: Talk) -> None:
        self.connected.discard(talk)
        if not self.connected:
            self.nobody.set()

    # ── what it does ──

    def take(self, talk: Talk, call: Called) -> None:
        answer = self.handlers[call.method.name](talk, call)
        with self.heard:
            self.calls.append(call)
            self.heard.notify_all()
        if answer is not None:
            talk.answer(call, answer)

    def named(self, method: str) -> list[Called]:
        return [call for call in self.calls if call.method.name == method]

    def wait_for(self, method: str, count: int = 1) -> Called:
        with self.heard:
            assert self.heard.wait_for(lambda: len(self.named(method)) >= count, 60), f"no {method}"
        return self.named(method)[count - 1]

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [{**self.key.as_dict(private=False), "alg": "ES256", "use": "sig"}]}

    def claims(self, nonce: str, **changes: Any) -> Claims:
        now = int(time.time())
        claims = Claims(
            ver=1,
            iss="urn:vitale-reader:11111111-1111-4111-8111-111111111111",
            aud=CLIENT_ID,
            iat=now,
            exp=now + 120,
            jti=str(uuid.uuid4()),
            nonce=nonce,
            presented_at=now - 0.5,
            medium="vitale-card",
            proof=Proof(method="card-clear-read", verified=False, freshness="window"),
            origin="simulated",
            reader=ReaderClaim(id=READER.id, driver=READER.driver),
            scopes=("identity",),
            record=Record(beneficiaires=(Beneficiaire(nom_usuel="INVENTÉE", prenom="Zoé"),), porteur=0),
            evidence=Evidence(sha256="00" * 32),
        )
        return msgspec.structs.replace(claims, **changes)

    def sign(self, claims: Claims) -> str:
        header = {"typ": "vitale-presence+jwt", "alg": "ES256", "kid": self.key.kid}
        return jws.serialize_compact(header, msgspec.json.encode(claims), self.key)

    def issue(self, nonce: str, **changes: Any) -> PresentationResult:
        """A token, kept in the outbox until it is acknowledged."""
        claims = self.claims(nonce, **changes)
        token = self.sign(claims)
        self.outbox[claims.jti] = token
        return PresentationResult(presentation=str(uuid.uuid4()), token=token, claims=claims)

    def tell(self, name: str, reader: Reader) -> None:
        """A reader event to everybody."""

        def notify() -> None:
            for talk in self.talks:
                talk.notify(name, ReaderEvent(reader=reader))

        self.later(notify)


def payload(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def _open(talk: Talk, call: Called) -> Result:
    assert isinstance(call.params, SessionOpen)
    station = Station(id="11111111-1111-4111-8111-111111111111", name="essai", version="0", mode="simulated")
    return SessionOpened(
        protocol=1,
        session=secrets.token_hex(4),
        client_id=CLIENT_ID,
        scopes=("identity", "nir"),
        station=station,
        jwks=talk.daemon.jwks,
        limits=LIMITS,
    )


def _request(talk: Talk, call: Called) -> Result:
    assert isinstance(call.params, PresentationRequest)
    return talk.daemon.issue(call.params.nonce)


def _submit(talk: Talk, call: Called) -> Result:
    assert isinstance(call.params, PresentationSubmit)
    reader = ReaderClaim(id="submitted", driver="submit")
    return talk.daemon.issue(call.params.nonce, medium="apcv-qr", reader=reader, record=Record())


def _cancel(talk: Talk, call: Called) -> Result:
    from vitale_protocol.errors import Cancelled

    assert isinstance(call.params, PresentationCancel)
    waiting = call.params.request in talk.session.in_flight
    if waiting:
        talk.session.fail(call.params.request, Cancelled())
    return PresentationCancelled(cancelled=waiting)


def _pending(talk: Talk, _: Called) -> Result:
    return OutboxListed(
        tokens=tuple(
            OutboxToken(jti=jti, exp=payload(token)["exp"], token=token) for jti, token in talk.daemon.outbox.items()
        )
    )


def _ack(talk: Talk, call: Called) -> Result:
    assert isinstance(call.params, OutboxAck)
    return OutboxAcked(acked=sum(talk.daemon.outbox.pop(jti, None) is not None for jti in call.params.jti))


DEFAULTS: dict[str, Handler] = {
    "session.open": _open,
    "session.ping": lambda _, __: SessionPonged(time=time.time()),
    "station.keys": lambda talk, _: StationKeys(jwks=talk.daemon.jwks),
    "readers.list": lambda talk, _: ReadersListed(readers=talk.daemon.readers),
    "readers.watch": lambda talk, _: ReadersListed(readers=talk.daemon.readers),
    "readers.unwatch": lambda _, __: Done(),
    "presentation.request": _request,
    "presentation.submit": _submit,
    "presentation.cancel": _cancel,
    "outbox.list": _pending,
    "outbox.ack": _ack,
}
