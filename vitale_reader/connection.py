"""The SDK's one logic: a connection to the daemon that comes back by itself, and on which no token is lost.

``vitale_reader.aio`` publishes it as it is; ``vitale_reader.client`` runs it in a thread for blocking programs.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar

from vitale_protocol.errors import (
    Cancelled,
    DaemonUnreachable,
    LimitExceeded,
    LocalMisuse,
    NotAuthenticated,
    PresentationError,
    ReaderError,
    ShuttingDown,
    TokenInvalid,
)
from vitale_protocol.events import PresentationProgress, Reader
from vitale_protocol.methods import (
    PROTOCOL_VERSION,
    ClientAdded,
    ClientsAdd,
    ClientsListed,
    ClientsRevoke,
    ClientsRevoked,
    ClientSummary,
    ContextRelease,
    ContextReleased,
    ContextRestore,
    ContextRestored,
    Done,
    Empty,
    Identity,
    KeysRotated,
    OutboxAck,
    OutboxAcked,
    OutboxListed,
    OutboxToken,
    Params,
    PresentationRequest,
    PresentationResult,
    Purpose,
    ReadersListed,
    Result,
    Scope,
    SessionOpen,
    SessionOpened,
    SessionPing,
    SessionPonged,
    StationInfo,
    StationKeys,
    Transport,
)
from vitale_protocol.records import Medium
from vitale_protocol.tokens import Claims
from vitale_reader import presentation
from vitale_reader.address import TlsAddress, resolve
from vitale_reader.home import Home
from vitale_reader.link import Link, OnExpiring, open_link, typed
from vitale_reader.pairing import Pairing
from vitale_reader.verification import SeenTokens, verify
from vitale_reader.watching import Watch, Watchers

__all__ = ["Connection", "Presentation", "Settings"]

ResultT = TypeVar("ResultT", bound=Result)
OnProgress = Callable[[PresentationProgress], None]

# WIRE: timeout_ms is 1 000 to 600 000.
SHORTEST, LONGEST = 1.0, 600.0
# A daemon answers `timeout` by itself; this much later it is the daemon that is at fault.
GRACE = 5.0
# apcv.timeout is 120 s at most.
SERVICE_TIMEOUT = 125.0
FIRST_DELAY, LONGEST_DELAY = 0.01, 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach the daemon; ``connect()`` documents each."""

    home: Home
    address: str | None = None
    pairing: Pairing | None = None
    language: Literal["fr", "en"] = "fr"
    name: str = "vitale-reader-sdk"
    version: str = ""
    connect_timeout: float = 5.0
    call_timeout: float = 10.0
    on_context_expiring: OnExpiring | None = None


@dataclass(frozen=True, repr=False)
class Presentation(presentation.Presentation):
    """A presentation of the asyncio SDK."""

    connection: "Connection" = field(repr=False, compare=False)

    async def acknowledge(self) -> None:
        """Tells the daemon that the token is in good hands, so that it forgets it. Harmless to repeat.

        Raises:
            DaemonUnreachable: the daemon did not answer; the token stays in its outbox until it expires.
        """
        await self.connection.acknowledge(self.jti)


class Connection:
    """A connection to the daemon, for one event loop; made by ``vitale_reader.aio.connect()``.

    Any number of tasks may use it at once. A lost connection is opened again by the next call.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._link: Link | None = None
        self._opened: SessionOpened | None = None
        self._opening = asyncio.Lock()
        self._watchers = Watchers()
        self._seen = SeenTokens()
        self._reads: set[asyncio.Future[None]] = set()
        self._chores: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        try:
            await self._open_link()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection; what waits on it raises, and watches end."""
        if self._chores and not self._closed:
            await asyncio.wait(self._chores, timeout=1.0)
        self._closed = True
        self._watchers.close()
        if self._link is not None:
            await self._link.close()

    # ── presentations ────────────────────────────────────────────────────────────────────────────────────────────

    async def read(
        self,
        *,
        media: Iterable[Medium] | None = None,
        readers: Iterable[str] | None = None,
        scopes: Iterable[Scope] = ("identity",),
        purpose: Purpose | Iterable[Purpose] | None = None,
        timeout: float = 60.0,
        on_progress: OnProgress | None = None,
        nonce: str | None = None,
        acknowledge: bool = True,
    ) -> Presentation:
        """Waits for the next presentation that matches, and returns its verified token.

        If the daemon goes away meanwhile, the connection is opened again; a token that was issued but not delivered
        is recovered, and otherwise the request is made again.

        Args:
            media: the media accepted; all by default.
            readers: ids of the readers to use; all by default.
            scopes: what the token may say.
            purpose: what it is for, as the token will tell.
            timeout: seconds, from 1 to 600.
            on_progress: called for each step, with a message that is fit to be shown.
            nonce: 22 to 128 characters of base64url, when another program's challenge is to be answered.
            acknowledge: whether the daemon may forget the token once this returns; with False, call
                ``acknowledge()`` when the token is in good hands.

        Raises:
            PresentationTimeout: nothing was presented in time.
            Cancelled: ``cancel()`` was called.
            AmbiguousMedium: several media are present; name a reader.
            TokenInvalid: the daemon's token does not verify.
            DaemonUnreachable: the daemon went away and did not come back.
            VitaleError: any other of the catalogue; ``data["reader"]`` is the reader's id, where a medium was at one.
        """
        if not SHORTEST <= timeout <= LONGEST:
            raise LocalMisuse("timeout is from 1 to 600 seconds")
        wish = PresentationRequest(
            nonce=secrets.token_urlsafe(24) if nonce is None else nonce,
            media=None if media is None else tuple(media),
            readers=None if readers is None else tuple(readers),
            scopes=tuple(scopes),
            purpose=purpose if purpose is None or isinstance(purpose, str) else tuple(purpose),
            timeout_ms=round(timeout * 1000),
        )
        token, claims = await self._unless_cancelled(self._obtain(wish, on_progress))
        if acknowledge:
            # In the background: the caller need not wait for the daemon's disk. A loss of it costs nothing but
            # a token that stays in the outbox until it expires.
            self._spawn(self._acknowledge_quietly(claims.jti))
        return Presentation(token=token, claims=claims, connection=self)

    def cancel(self) -> None:
        """Cancels every ``read()`` of this connection that is waiting; each raises ``Cancelled``."""
        for waiting in tuple(self._reads):
            if not waiting.done():
                waiting.set_result(None)

    async def pending(self) -> tuple[OutboxToken, ...]:
        """This client's tokens that were issued and not yet acknowledged."""
        return (await self._ask("outbox.list", Empty(), OutboxListed)).tokens

    async def acknowledge(self, *jti: str) -> int:
        """Acknowledges tokens by their identifiers; returns how many the daemon still held."""
        return (await self._ask("outbox.ack", OutboxAck(jti=jti), OutboxAcked)).acked if jti else 0

    # ── apCV contexts ────────────────────────────────────────────────────────────────────────────────────────────

    async def restore_context(self, identifiant: str) -> ContextRestored:
        """An apCV context of this client once more. Needs the scope ``context``.

        ``confirmed`` is False where the service did not answer and this is the daemon's copy.

        Raises:
            ContextUnknown: not a context of this client, or not any more.
            ResolverRefused: the service answered no.
        """
        return await self._ask_service("context.restore", ContextRestore(identifiant=identifiant), ContextRestored)

    async def release_context(self, identifiant: str) -> bool:
        """Ends an apCV context of this client; whether the service still knew it. Needs the scope ``context``.

        Raises:
            ContextUnknown: not a context of this client, or not any more.
            ResolverUnavailable: the service did not answer; the context is held still.
        """
        wish = ContextRelease(identifiant=identifiant)
        return (await self._ask_service("context.release", wish, ContextReleased)).released

    # ── readers and station ──────────────────────────────────────────────────────────────────────────────────────

    async def readers(self) -> tuple[Reader, ...]:
        """The readers, and what kind of medium lies in each; never whose."""
        return (await self._ask("readers.list", Empty(), ReadersListed)).readers

    async def watch(self) -> AsyncGenerator[presentation.ReaderChange, None]:
        """The readers there are, each as ``added``, then every change, across losses of the connection.

        Ends when the connection is closed. Use ``contextlib.aclosing`` where the loop may be left early.
        """
        async with self._watching() as watch:
            while not self._closed:
                listed = await self._ask("readers.watch", Empty(), ReadersListed)
                for change in watch.settle(listed.readers):
                    yield change
                while (heard := await watch.next()) is not None:
                    yield heard

    async def wait_until_empty(self, reader: str, *, once_watching: Callable[[], object] | None = None) -> None:
        """Returns when nothing lies in the reader any more, or when it is gone; at once where that is so already.

        A medium that stays in its reader answers the next ``read()`` again: a counter waits until it is withdrawn.

        Args:
            reader: its id.
            once_watching: called once, when nothing that happens from then on can be missed: the place to ask for the
                withdrawal, since a quick hand may have changed the medium before this call looks.
        """
        async with self._watching() as watch:
            while not self._closed:
                watch.settle((await self._ask("readers.watch", Empty(), ReadersListed)).readers)
                if once_watching is not None:
                    once_watching()
                    once_watching = None
                while watch.occupied(reader):
                    if await watch.next() is None:
                        break
                else:
                    return

    async def station(self) -> StationInfo:
        """The station, its drivers and their health."""
        return await self._ask("station.info", Empty(), StationInfo)

    async def keys(self) -> dict[str, Any]:
        """The JWK Set that verifies this station's tokens, for a server that is to verify them."""
        return (await self._ask("station.keys", Empty(), StationKeys)).jwks

    async def ping(self) -> float:
        """Seconds that one round trip takes."""
        before = time.perf_counter()
        await self._ask("session.ping", SessionPing(), SessionPonged)
        return time.perf_counter() - before

    async def session(self) -> SessionOpened:
        """What the daemon said when the session was opened: this client's id and scopes, limits, keys."""
        _, opened = await self._open_link()
        return opened

    # ── administration ───────────────────────────────────────────────────────────────────────────────────────────

    async def add_client(
        self, name: str, *, scopes: Iterable[Scope], transports: Iterable[Transport], origins: Iterable[str] = ()
    ) -> ClientAdded:
        """Pairs a new client; its material is told this once. Needs the scope ``admin``."""
        wish = ClientsAdd(name=name, scopes=tuple(scopes), transports=tuple(transports), origins=tuple(origins))
        # Not repeated after a loss: the daemon may have made the client already.
        link, _ = await self._open_link()
        return await link.ask("clients.add", wish, ClientAdded, within=self._settings.call_timeout)

    async def clients(self) -> tuple[ClientSummary, ...]:
        """The paired clients. Needs the scope ``admin``."""
        return (await self._ask("clients.list", Empty(), ClientsListed)).clients

    async def revoke_client(self, client_id: str) -> ClientsRevoked:
        """Revokes a client; its sessions end at once. Needs the scope ``admin``."""
        return await self._ask("clients.revoke", ClientsRevoke(client_id=client_id), ClientsRevoked)

    async def rotate_keys(self) -> str:
        """Makes a new signing key and returns its ``kid``. Needs the scope ``admin``."""
        link, _ = await self._open_link()
        return (await link.ask("keys.rotate", Empty(), KeysRotated, within=self._settings.call_timeout)).kid

    # ── a read, in its parts ─────────────────────────────────────────────────────────────────────────────────────

    async def _unless_cancelled(self, work: Coroutine[Any, Any, tuple[str, Claims]]) -> tuple[str, Claims]:
        task = asyncio.ensure_future(work)
        stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reads.add(stop)
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Cancelled("cancelled by this client")
            return task.result()
        finally:
            self._reads.discard(stop)
            stop.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))

    async def _obtain(self, wish: PresentationRequest, on_progress: OnProgress | None) -> tuple[str, Claims]:
        deadline = time.monotonic() + wish.timeout_ms / 1000
        link, _ = await self._open_link()
        delay, lost = 0.0, False
        while True:
            try:
                if lost and (found := await self._recover(wish.nonce)) is not None:
                    return found
                token = await self._request(link, wish, deadline - time.monotonic(), on_progress)
                return token, await self._verify(token, wish.nonce)
            except (DaemonUnreachable, ShuttingDown):
                link.abort()
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(delay)  # a daemon that falls again and again is not to be hammered
            delay, lost = min(delay * 2 or FIRST_DELAY, LONGEST_DELAY), True
            link, _ = await self._open_link(within=min(self._settings.connect_timeout, deadline - time.monotonic()))

    async def _request(self, link: Link, wish: PresentationRequest, left: float, on_progress: OnProgress | None) -> str:
        params = PresentationRequest(
            nonce=wish.nonce,
            media=wish.media,
            readers=wish.readers,
            scopes=wish.scopes,
            purpose=wish.purpose,
            timeout_ms=max(round(left * 1000), round(SHORTEST * 1000)),
        )
        # Progress goes through a queue, so that what the callback raises ends this read and not the connection.
        updates: asyncio.Queue[PresentationProgress | None] = asyncio.Queue()
        call = link.call("presentation.request", params, updates.put_nowait)
        call.future.add_done_callback(lambda _: updates.put_nowait(None))
        where: str | None = None
        try:
            async with asyncio.timeout(params.timeout_ms / 1000 + GRACE):
                while (update := await updates.get()) is not None:
                    where = update.reader or where
                    if on_progress is not None:
                        on_progress(update)
        except TimeoutError as error:
            link.abort()
            raise DaemonUnreachable("the daemon lets a request wait beyond its time") from error
        finally:
            if not call.future.done():
                link.cancel(call)
                call.future.cancel()
        try:
            return typed(call.future.result(), PresentationResult).token
        except (PresentationError, ReaderError) as error:
            # Where it happened, so that a counter can wait until that card is withdrawn.
            if where is not None:
                error.data.setdefault("reader", where)
            raise

    async def _recover(self, nonce: str) -> tuple[str, Claims] | None:
        # A token with our nonce was issued before the loss and kept in the outbox.
        for waiting in await self.pending():
            with contextlib.suppress(TokenInvalid):  # another request's
                return waiting.token, await self._verify(waiting.token, nonce)
        return None

    async def _verify(self, token: str, nonce: str) -> Claims:
        _, opened = await self._open_link()
        try:
            return verify(token, jwks=opened.jwks, audience=opened.client_id, nonce=nonce, seen=self._seen)
        except TokenInvalid as error:
            if error.data.get("check") != "key":
                raise
        # The station's key was rotated since the session was opened.
        return verify(token, jwks=await self.keys(), audience=opened.client_id, nonce=nonce, seen=self._seen)

    # ── the link ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask(self, method: str, params: Params, result: type[ResultT]) -> ResultT:
        """A call that is harmless to repeat: made again, once, where the link turns out to be lost."""
        link, _ = await self._open_link()
        try:
            return await link.ask(method, params, result, within=self._settings.call_timeout)
        except DaemonUnreachable:
            link, _ = await self._open_link()
        return await link.ask(method, params, result, within=self._settings.call_timeout)

    async def _ask_service(self, method: str, params: Params, result: type[ResultT]) -> ResultT:
        """A call that the daemon answers when the apCV service has: it has its own time limit for that."""
        link, _ = await self._open_link()
        return await link.ask(method, params, result, within=SERVICE_TIMEOUT)

    async def _open_link(self, *, within: float | None = None) -> tuple[Link, SessionOpened]:
        async with self._opening:
            if self._closed:
                raise LocalMisuse("the connection is closed")
            if self._link is None or self._opened is None or self._link.lost:
                self._link, self._opened = await self._retry_open(
                    time.monotonic() + (self._settings.connect_timeout if within is None else within)
                )
            return self._link, self._opened

    async def _retry_open(self, deadline: float) -> tuple[Link, SessionOpened]:
        delay = FIRST_DELAY
        while True:
            try:
                return await self._open_once(max(deadline - time.monotonic(), 1.0))
            except (DaemonUnreachable, ShuttingDown, LimitExceeded) as error:
                if time.monotonic() + delay > deadline:
                    if error.data.get("ended") == "opening":
                        raise NotAuthenticated(error.detail) from error
                    raise
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _open_once(self, within: float) -> tuple[Link, SessionOpened]:
        settings = self._settings
        address = resolve(settings.home, settings.address, settings.pairing)
        greeting = SessionOpen(
            protocol=(PROTOCOL_VERSION,),
            client=Identity(name=settings.name, version=settings.version),
            credential=settings.pairing.credential if settings.pairing else None,
            language=settings.language,
        )
        try:
            async with asyncio.timeout(within):
                link = await open_link(address, settings.pairing, self._watchers.hear, settings.on_context_expiring)
        except TimeoutError as error:
            raise DaemonUnreachable(f"{address}: no answer in {within:g} s") from error
        try:
            return link, await link.ask("session.open", greeting, SessionOpened, within=within)
        except BaseException as error:
            link.abort()
            if isinstance(error, DaemonUnreachable) and isinstance(address, TlsAddress):
                # TLS 1.3 refuses a client's certificate after the client's own handshake, and asyncio does so without
                # a word. A daemon that was just killed looks the same: it is a refusal only where it goes on.
                told = "the daemon ends the connection at its opening; it may not know this client's certificate"
                raise DaemonUnreachable(told, data={"ended": "opening"}) from error
            raise

    # ── chores ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _acknowledge_quietly(self, jti: str) -> None:
        with contextlib.suppress(DaemonUnreachable, LocalMisuse, ShuttingDown):
            await self.acknowledge(jti)

    @contextlib.asynccontextmanager
    async def _watching(self) -> AsyncGenerator[Watch, None]:
        try:
            with self._watchers.join() as watch:
                yield watch
        finally:
            if not self._watchers and not self._closed:
                self._spawn(self._unwatch())

    async def _unwatch(self) -> None:
        if self._link is not None and not self._link.lost:
            with contextlib.suppress(DaemonUnreachable):
                await self._link.ask("readers.unwatch", Empty(), Done, within=self._settings.call_timeout)
