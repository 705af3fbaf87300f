"""The SDK for blocking programs: the same connection, run by an event loop in a thread of its own.

Example:
    ::

        with vitale_reader.connect() as reader:
            presentation = reader.read(scopes=["identity", "nir"])
            print(presentation.proof.method, presentation.token)
"""

import asyncio
import concurrent.futures
import contextlib
import queue
import threading
from collections.abc import Callable, Coroutine, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from vitale_protocol.errors import LocalMisuse
from vitale_protocol.events import PresentationProgress, Reader
from vitale_protocol.methods import (
    ClientAdded,
    ClientsRevoked,
    ClientSummary,
    ContextRestored,
    OutboxToken,
    Purpose,
    Scope,
    SessionOpened,
    StationInfo,
    Transport,
)
from vitale_protocol.records import Medium
from vitale_reader.client import connection, leasing, presentation
from vitale_reader.client.blocking_lease import Lease
from vitale_reader.client.connection import Settings
from vitale_reader.client.pairing import Pairing
from vitale_reader.client.presentation import ReaderChange
from vitale_reader.client.session_transport import OnExpiring
from vitale_reader.client.subscriptions import OnFailure
from vitale_reader.client.system import SLICE
from vitale_reader.home import Home

__all__ = ["Connection", "Lease", "Presentation", "connect"]

T = TypeVar("T")
OnProgress = Callable[[PresentationProgress], None]


@dataclass(frozen=True, repr=False)
class Presentation(presentation.Presentation):
    """A presentation of the blocking SDK."""

    connection: "Connection" = field(repr=False, compare=False)

    def acknowledge(self) -> None:
        """Tells the daemon that the token is in good hands, so that it forgets it. Harmless to repeat.

        Raises:
            DaemonUnreachable: the daemon did not answer; the token stays in its outbox until it expires.
        """
        self.connection.acknowledge(self.jti)


class Updates:
    """The progress of one read, on its way from the SDK's thread to the caller's; None is its end."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[PresentationProgress | None] = queue.SimpleQueue()

    def put(self, update: PresentationProgress | None) -> None:
        """From the SDK's thread."""
        self._queue.put(update)

    def take(self) -> PresentationProgress | None:
        """The next one, in the caller's thread."""
        while True:
            try:
                return self._queue.get(timeout=SLICE)
            except queue.Empty:
                continue


class Connection:
    """A connection to the daemon; made by ``vitale_reader.connect()``.

    Any number of threads may use it at once. A lost connection is opened again by the next call. It is not to be
    carried across ``os.fork()``.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._inner: connection.Connection | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Connects; ``with`` does it by itself.

        Raises:
            DaemonUnreachable: no daemon answers.
            DaemonUntrusted: what answers is not the daemon of the pairing.
            NotAuthenticated: the daemon does not know this client.
        """
        if self._loop is not None:
            raise LocalMisuse("the connection is open already")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vitale-reader-sdk", daemon=True)
        self._thread.start()
        try:
            self._inner = self._run(_open(self._settings))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the connection and its thread; harmless to repeat."""
        loop, thread, inner = self._loop, self._thread, self._inner
        self._inner = self._thread = None
        if loop is None or thread is None or loop.is_closed():
            return
        try:
            asyncio.run_coroutine_threadsafe(_close(inner), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
            self._loop = None

    # ── presentations ────────────────────────────────────────────────────────────────────────────────────────────

    def read(
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
        is recovered, and otherwise the request is made again. Ctrl-C, and an exception of ``on_progress``, cancel
        the request.

        Args:
            media: the media accepted; all by default.
            readers: ids of the readers to use; all by default.
            scopes: what the token may say.
            purpose: what it is for, as the token will tell.
            timeout: seconds, from 1 to 600.
            on_progress: called in this thread for each step, with a message that is fit to be shown.
            nonce: 22 to 128 characters of base64url, when another program's challenge is to be answered.
            acknowledge: whether the daemon may forget the token once this returns; with False, call
                ``acknowledge()`` when the token is in good hands.

        Raises:
            PresentationTimeout: nothing was presented in time.
            Cancelled: ``cancel()`` was called by another thread.
            AmbiguousMedium: several media are present; name a reader.
            TokenInvalid: the daemon's token does not verify.
            DaemonUnreachable: the daemon went away and did not come back.
            VitaleError: any other of the catalogue; ``data["reader"]`` is the reader's id, where a medium was at one.
        """
        inner, _ = self._open()
        updates = Updates()
        work = inner.read(
            media=media,
            readers=readers,
            scopes=scopes,
            purpose=purpose,
            timeout=timeout,
            on_progress=None if on_progress is None else updates.put,
            nonce=nonce,
            acknowledge=acknowledge,
        )
        return self._follow(work, updates, on_progress)

    def submit(
        self,
        payload: str | bytes,
        *,
        scopes: Iterable[Scope] = ("identity",),
        purpose: Purpose | Iterable[Purpose] | None = None,
        on_progress: OnProgress | None = None,
        nonce: str | None = None,
        acknowledge: bool = True,
    ) -> Presentation:
        """Presents a code that this program read itself, and returns its verified token.

        For imagers that type like a keyboard, and for pasted text. The token's reader is ``submitted``. Ctrl-C, and an
        exception of ``on_progress``, cancel it.

        Args:
            payload: the text as it was typed, or the bytes of the code where they are known.
            scopes: what the token may say.
            purpose: what it is for, as the token will tell.
            on_progress: called in this thread for each step, with a message that is fit to be shown.
            nonce: 22 to 128 characters of base64url, when another program's challenge is to be answered.
            acknowledge: whether the daemon may forget the token once this returns; with False, call
                ``acknowledge()`` when the token is in good hands.

        Raises:
            MediumUnsupported: a code, but not one of a patient's media; the error says which.
            PayloadInvalid: nothing that a patient presents looks like that.
            Replayed: the code of a phone was used before. It is also the answer where the daemon died while it was
                used, for nobody knows how far that got.
            Cancelled: ``cancel()`` was called by another thread.
            TokenInvalid: the daemon's token does not verify.
            DaemonUnreachable: the daemon went away and did not come back.
            LocalMisuse: text with half characters in it: submit its bytes.
            VitaleError: any other of the catalogue.
        """
        inner, _ = self._open()
        updates = Updates()
        work = inner.submit(
            payload,
            scopes=scopes,
            purpose=purpose,
            on_progress=None if on_progress is None else updates.put,
            nonce=nonce,
            acknowledge=acknowledge,
        )
        return self._follow(work, updates, on_progress)

    def _follow(
        self,
        work: Coroutine[Any, Any, connection.Presentation],
        updates: "Updates",
        on_progress: OnProgress | None,
    ) -> Presentation:
        _, loop = self._open()
        future = asyncio.run_coroutine_threadsafe(work, loop)
        future.add_done_callback(lambda _: updates.put(None))
        try:
            while (update := updates.take()) is not None:
                if on_progress is not None:
                    on_progress(update)
            found = future.result()
        finally:
            future.cancel()
        return Presentation(token=found.token, claims=found.claims, connection=self)

    def subscribe(
        self,
        *,
        media: Iterable[Medium] | None = None,
        readers: Iterable[str] | None = None,
        scopes: Iterable[Scope] = ("identity",),
        purpose: Purpose | Iterable[Purpose] | None = None,
        on_progress: OnProgress | None = None,
        on_failure: OnFailure | None = None,
        nonce: str | None = None,
        acknowledge: bool = True,
    ) -> Generator[Presentation, None, None]:
        """Every presentation that no ``read()`` of any program claims, each with its verified token.

        Several subscriptions, of this program or of others, are served in turns. If the daemon goes away meanwhile,
        the connection is opened again, and tokens that were issued but not delivered are recovered. Ends when the
        connection is closed by another thread.

        Args:
            media: the media accepted; by default all that patients present. A camera is open as long as its codes are.
            readers: ids of the readers to use; all by default.
            scopes: what the tokens may say.
            purpose: what they are for, as they will tell.
            on_progress: called for each step in the SDK's own thread, with a message that is fit to be shown.
            on_failure: called there for each presentation that gave no token, with what to do about it.
            nonce: 22 to 128 characters of base64url; in every token of the subscription.
            acknowledge: whether the daemon may forget a token once it is given; with False, call ``acknowledge()``
                when the token is in good hands.

        Raises:
            TokenInvalid: a token of the daemon does not verify.
            DaemonUnreachable: the daemon went away and did not come back.
            VitaleError: the daemon refused the subscription.
        """
        inner, _ = self._open()
        stream = inner.subscribe(
            media=media,
            readers=readers,
            scopes=scopes,
            purpose=purpose,
            on_progress=on_progress,
            on_failure=on_failure,
            nonce=nonce,
            acknowledge=acknowledge,
        )
        try:
            while (found := self._run(anext(stream, None))) is not None:
                yield Presentation(token=found.token, claims=found.claims, connection=self)
        finally:
            if self._inner is inner:
                self._run(stream.aclose())

    @contextlib.contextmanager
    def lease(self, reader: str, *, ttl: float = 5.0, previous: str | None = None) -> Generator[Lease, None, None]:
        """The card in a reader for this program's own commands, for ``with``. Needs the scope ``apdu``.

        No other program of the desk comes between, whether it uses this daemon or PC/SC. Presentations at that reader
        wait. The card is reset when the lease ends, and that it does with the context, with its time, with this
        connection, with the card or with the reader.

        Args:
            reader: its id.
            ttl: seconds from the moment at which the card is held, from 0.1 to 60; ``renew()`` prolongs it.
            previous: the name of a lease of this client on that reader which this one is to replace.

        Raises:
            LeaseConflict: the reader is leased; or it is not, and ``previous`` was given.
            NoReader, ReaderGone: there is no such reader.
            MediumRemoved, MediumMute: there is no card, or it does not answer.
            ReaderBusy: another program does not let the card go.
            MediumUnsupported: nothing can be leased at this kind of reader.
        """
        inner, _ = self._open()
        context = inner.lease(reader, ttl=ttl, previous=previous)
        lease = Lease(self._run(context.__aenter__()), self._run)
        try:
            yield lease
        finally:
            if self._inner is inner:
                self._run(_leave(context))

    def cancel(self) -> None:
        """Cancels each ``read()`` and ``submit()`` that waits here; from any thread, or from a signal handler."""
        inner, loop = self._open()
        loop.call_soon_threadsafe(inner.cancel)

    def pending(self) -> tuple[OutboxToken, ...]:
        """This client's tokens that were issued and not yet acknowledged."""
        return self._run(self._open()[0].pending())

    def acknowledge(self, *jti: str) -> int:
        """Acknowledges tokens by their identifiers; returns how many the daemon still held."""
        return self._run(self._open()[0].acknowledge(*jti))

    # ── apCV contexts ────────────────────────────────────────────────────────────────────────────────────────────

    def restore_context(self, identifiant: str) -> ContextRestored:
        """An apCV context of this client once more. Needs the scope ``context``.

        ``confirmed`` is False where the service did not answer and this is the daemon's copy.

        Raises:
            ContextUnknown: not a context of this client, or not any more.
            ResolverRefused: the service answered no.
        """
        return self._run(self._open()[0].restore_context(identifiant))

    def release_context(self, identifiant: str) -> bool:
        """Ends an apCV context of this client; whether the service still knew it. Needs the scope ``context``.

        Raises:
            ContextUnknown: not a context of this client, or not any more.
            ResolverUnavailable: the service did not answer; the context is held still.
        """
        return self._run(self._open()[0].release_context(identifiant))

    # ── readers and station ──────────────────────────────────────────────────────────────────────────────────────

    def readers(self) -> tuple[Reader, ...]:
        """The readers, and what kind of medium lies in each; never whose."""
        return self._run(self._open()[0].readers())

    def watch(self) -> Generator[ReaderChange, None, None]:
        """The readers there are, each as ``added``, then every change, across losses of the connection.

        Ends when the connection is closed by another thread.
        """
        inner, _ = self._open()
        stream = inner.watch()
        try:
            while (change := self._run(anext(stream, None))) is not None:
                yield change
        finally:
            if self._inner is inner:
                self._run(stream.aclose())

    def wait_until_empty(self, reader: str, *, once_watching: Callable[[], object] | None = None) -> None:
        """Returns when nothing lies in the reader any more, or when it is gone; at once where that is so already.

        A medium that stays in its reader answers the next ``read()`` again: a counter waits until it is withdrawn.

        Args:
            reader: its id.
            once_watching: called once, in the SDK's own thread, when nothing that happens from then on can be missed:
                the place to ask for the withdrawal.
        """
        self._run(self._open()[0].wait_until_empty(reader, once_watching=once_watching))

    def station(self) -> StationInfo:
        """The station, its drivers and their health."""
        return self._run(self._open()[0].station())

    def keys(self) -> dict[str, Any]:
        """The JWK Set that verifies this station's tokens, for a server that is to verify them."""
        return self._run(self._open()[0].keys())

    def ping(self) -> float:
        """Seconds that one round trip takes."""
        return self._run(self._open()[0].ping())

    def session(self) -> SessionOpened:
        """What the daemon said when the session was opened: this client's id and scopes, limits, keys."""
        return self._run(self._open()[0].session())

    # ── administration ───────────────────────────────────────────────────────────────────────────────────────────

    def add_client(self, name: str, *, scopes: Iterable[Scope], transports: Iterable[Transport]) -> ClientAdded:
        """Pairs a new client; its material is told this once. Needs the scope ``admin``."""
        return self._run(self._open()[0].add_client(name, scopes=scopes, transports=transports))

    def clients(self) -> tuple[ClientSummary, ...]:
        """The paired clients. Needs the scope ``admin``."""
        return self._run(self._open()[0].clients())

    def revoke_client(self, client_id: str) -> ClientsRevoked:
        """Revokes a client; its sessions end at once. Needs the scope ``admin``."""
        return self._run(self._open()[0].revoke_client(client_id))

    def rotate_keys(self) -> str:
        """Makes a new signing key and returns its ``kid``. Needs the scope ``admin``."""
        return self._run(self._open()[0].rotate_keys())

    # ── the thread ───────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> tuple[connection.Connection, asyncio.AbstractEventLoop]:
        if self._inner is None or self._loop is None:
            raise LocalMisuse("the connection is not open; use `with vitale_reader.connect() as reader:`")
        return self._inner, self._loop

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise LocalMisuse("the connection is not open")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            while True:
                try:
                    return future.result(SLICE)
                except concurrent.futures.TimeoutError:
                    if future.done():
                        raise
        finally:
            future.cancel()  # where Ctrl-C ended the wait; else without effect


def connect(
    *,
    home: Path | None = None,
    address: str | None = None,
    pairing: Pairing | Path | None = None,
    language: Literal["fr", "en"] = "fr",
    name: str = "vitale-reader-sdk",
    version: str = "",
    connect_timeout: float = 5.0,
    call_timeout: float = 10.0,
    on_context_expiring: OnExpiring | None = None,
) -> Connection:
    """A connection to the daemon, opened by ``with``.

    Args:
        home: the daemon's home; ``VITALE_READER_HOME`` or the platform's own folders by default.
        address: ``unix:///path`` or ``tls://host:port``; by default the daemon's home tells.
        pairing: the material of ``vitale-reader clients add``, or the path of its file; needed for TLS.
        language: of the messages of progress and errors.
        name: what this client calls itself in the audit trail.
        version: its version.
        connect_timeout: seconds to go on trying where no daemon answers, the first time and after a loss.
        call_timeout: seconds for the daemon to answer a call that does not wait for a medium.
        on_context_expiring: told once of each apCV context that ends soon, in time to act. It is called in the SDK's
            own thread, and must not call this connection there.

    Raises:
        LocalMisuse: the pairing file cannot be used.
    """
    return Connection(
        Settings(
            home=Home.locate() if home is None else Home.under(home),
            address=address,
            pairing=Pairing.load(pairing) if isinstance(pairing, Path) else pairing,
            language=language,
            name=name,
            version=version,
            connect_timeout=connect_timeout,
            call_timeout=call_timeout,
            on_context_expiring=on_context_expiring,
        )
    )


async def _open(settings: Settings) -> connection.Connection:
    return await connection.Connection(settings).__aenter__()


async def _leave(context: contextlib.AbstractAsyncContextManager[leasing.Lease]) -> None:
    await context.__aexit__(None, None, None)


async def _close(inner: connection.Connection | None) -> None:
    if inner is not None:
        await inner.close()
    # Threads that still wait in a call get their answer: its cancellation.
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
