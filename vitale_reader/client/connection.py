"""The SDK's one logic: a connection to the daemon that reopens by itself and loses no token.

``vitale_reader.aio`` publishes it as it is; ``vitale_reader.client.blocking`` runs it in a thread.
"""

import asyncio
import base64
import contextlib
import inspect
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Concatenate, Literal, ParamSpec, Self

from vitale_protocol.claims import Claims
from vitale_protocol.errors import (
    Cancelled,
    DaemonUnreachable,
    LocalMisuse,
    PresentationTimeout,
    ShuttingDown,
    StoreUnavailable,
)
from vitale_protocol.events import CodeRead, Event, Reader
from vitale_protocol.methods import (
    ClientAdded,
    ClientsAdd,
    ClientsListed,
    ClientsRevoke,
    ClientsRevoked,
    ClientSummary,
    CodesSubscribe,
    ContextRelease,
    ContextReleased,
    ContextRestore,
    ContextRestored,
    ContextSign,
    ContextSigned,
    DashboardOpen,
    DashboardOpened,
    Diagnosed,
    Done,
    Empty,
    KeysRotated,
    OutboxAck,
    OutboxAcked,
    OutboxToken,
    PairingAccept,
    PairingAccepted,
    PairingAsked,
    PairingOpened,
    PresentationRequest,
    PresentationsSubscribe,
    PresentationSubmit,
    Purpose,
    ReadersListed,
    Scope,
    SessionOpened,
    SessionPing,
    SessionPonged,
    StationInfo,
    StationKeys,
    Transport,
)
from vitale_protocol.records import Medium
from vitale_reader.client import pending_requests, presentation
from vitale_reader.client.leasing import Lease, Leases
from vitale_reader.client.pending_requests import PendingRequests
from vitale_reader.client.presentation import InvoiceSignature, several
from vitale_reader.client.reconnecting import ReconnectingTransport, Settings
from vitale_reader.client.session_transport import OnProgress
from vitale_reader.client.subscriptions import OnFailure, Subscriptions
from vitale_reader.client.sync_wrappers import twin
from vitale_reader.client.watching import Watchers

__all__ = ["Connection", "PendingRead", "Presentation", "Settings"]

P = ParamSpec("P")

# docs/reference/wire.md, "presentation.request": timeout_ms is 1 000 to 600 000.
SHORTEST, LONGEST = 1.0, 600.0


@dataclass(frozen=True, repr=False)
class Presentation(presentation.Presentation):
    """A presentation of the asyncio SDK."""

    connection: "Connection" = field(repr=False, compare=False)

    async def acknowledge(self) -> None:
        """Tells the daemon that the token is in good hands, so that it forgets it. Harmless to repeat.

        Raises:
            DaemonUnreachable: the daemon did not answer; the token stays in its outbox until it expires.
            StoreUnavailable: the daemon could not forget it: it will be in ``pending()`` again.
        """
        await self.connection.acknowledge(self.jti)


PendingRead = pending_requests.PendingRead[Presentation]


def _purpose(given: Purpose | Iterable[Purpose] | None) -> Purpose | tuple[Purpose, ...] | None:
    return given if given is None or isinstance(given, str) else tuple(given)


def _reading(
    read: Callable[Concatenate["Connection", P], Coroutine[Any, Any, Presentation]],
) -> Callable[Concatenate["Connection", P], PendingRead]:
    """The method that gives a handle, made of the one that gives the presentation."""
    text = """A ``read()`` as a handle, for ``with``: it can be waited for and cancelled by itself.

    ``result()`` gives the presentation. ``cancel()`` ends this read and leaves the others of the connection alone. So
    does the end of the context. ``done`` tells whether ``result()`` would wait."""

    @twin(read, name="reading", text=inspect.cleandoc(text), returns=PendingRead)
    def call(self: "Connection", /, *args: P.args, **kwargs: P.kwargs) -> PendingRead:
        return pending_requests.PendingRead(lambda: read(self, *args, **kwargs), self.settings)

    return call


class Connection:
    """A connection to the daemon, for one event loop; made by ``vitale_reader.aio.connect()``.

    Any number of tasks may use it at once. A lost connection is opened again by the next call.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._transport = ReconnectingTransport(settings, self._hear)
        self._watchers = Watchers(self._transport)
        self._requests = PendingRequests(self._transport, settings)
        self._subscriptions = Subscriptions(self._transport, self._requests)
        self._leases = Leases(self._transport, self._watchers, settings)

    async def __aenter__(self) -> Self:
        try:
            await self._transport.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection. What waits on it raises ``Cancelled``; ``subscribe()`` and ``watch()`` end."""
        await self._transport.finish_chores()
        self._transport.closed = True
        self._requests.cancel()
        self._watchers.close()
        self._subscriptions.close()
        await self._transport.close()

    def _hear(self, name: str, event: Event | None) -> None:
        self._watchers.hear(name, event)
        self._subscriptions.hear(event)
        self._leases.hear(event)

    # ── presentations ────────────────────────────────────────────────────────────────────────────────────────────

    async def read(
        self,
        *,
        media: Medium | Iterable[Medium] | None = None,
        readers: str | Iterable[str] | None = None,
        scopes: Scope | Iterable[Scope] = ("identity",),
        purpose: Purpose | Iterable[Purpose] | None = None,
        timeout: float = 60.0,
        on_progress: OnProgress | None = None,
        nonce: str | None = None,
        acknowledge: bool = True,
    ) -> Presentation:
        """Waits for the next presentation that matches, and returns its verified token.

        If the daemon goes away meanwhile, the connection is opened again. A token that was issued but not delivered is
        recovered. Otherwise the request is made again.

        Args:
            media: the media accepted, one or several; all by default.
            readers: the id of the reader to use, or several; all by default.
            scopes: what the token may say.
            purpose: what it is for, as the token will tell.
            timeout: seconds, from 1 to 600.
            on_progress: called for each step, with a message that is fit to be shown.
            nonce: 22 to 128 characters of base64url, when another program's challenge is to be answered.
            acknowledge: whether the daemon may forget the token once this returns. With False, call
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
            with self.settings.spoken():
                raise LocalMisuse("timeout is from 1 to 600 seconds")
        request = PresentationRequest(
            nonce=secrets.token_urlsafe(24) if nonce is None else nonce,
            media=several(media),
            readers=several(readers),
            scopes=several(scopes),
            purpose=_purpose(purpose),
            timeout_ms=round(timeout * 1000),
        )
        return await self._obtain(request, on_progress, acknowledge=acknowledge)

    reading = _reading(read)

    async def submit(
        self,
        payload: str | bytes,
        *,
        scopes: Scope | Iterable[Scope] = ("identity",),
        purpose: Purpose | Iterable[Purpose] | None = None,
        on_progress: OnProgress | None = None,
        nonce: str | None = None,
        acknowledge: bool = True,
    ) -> Presentation:
        """Presents a code that this program read itself, and returns its verified token.

        For imagers that type like a keyboard, and for pasted text. The token's reader is ``submitted``.

        Args:
            payload: the text as it was typed, or the bytes of the code where they are known.
            scopes: what the token may say.
            purpose: what it is for, as the token will tell.
            on_progress: called for each step, with a message that is fit to be shown.
            nonce: 22 to 128 characters of base64url, when another program's challenge is to be answered.
            acknowledge: whether the daemon may forget the token once this returns. With False, call
                ``acknowledge()`` when the token is in good hands.

        Raises:
            MediumUnsupported: a code, but not one of a patient's media; the error says which.
            PayloadInvalid: nothing that a patient presents looks like that.
            Replayed: the code of a phone was used before. It is also the answer where the daemon died during its use,
                since the outcome is unknown.
            Cancelled: ``cancel()`` was called.
            TokenInvalid: the daemon's token does not verify.
            DaemonUnreachable: the daemon went away and did not come back.
            LocalMisuse: text with half characters in it: submit its bytes.
            VitaleError: any other of the catalogue.
        """
        request = PresentationSubmit(
            nonce=secrets.token_urlsafe(24) if nonce is None else nonce,
            payload=self._text(payload) if isinstance(payload, str) else None,
            payload_b64=None if isinstance(payload, str) else base64.b64encode(payload).decode(),
            scopes=several(scopes),
            purpose=_purpose(purpose),
        )
        return await self._obtain(request, on_progress, acknowledge=acknowledge)

    async def _obtain(
        self, request: PresentationRequest | PresentationSubmit, on_progress: OnProgress | None, *, acknowledge: bool
    ) -> Presentation:
        self.settings.check_callbacks(on_progress=on_progress)
        token, claims = await self._requests.obtain(request, on_progress)
        return self._presentation(token, claims, acknowledge=acknowledge)

    def _presentation(self, token: str, claims: Claims, *, acknowledge: bool) -> Presentation:
        if acknowledge:
            # In the background: the caller need not wait for the daemon's disk. A loss of it costs nothing but
            # a token that stays in the outbox until it expires.
            self._transport.spawn(self._acknowledge_quietly(claims.jti))
        return Presentation(token=token, claims=claims, connection=self)

    async def subscribe(
        self,
        *,
        media: Medium | Iterable[Medium] | None = None,
        readers: str | Iterable[str] | None = None,
        scopes: Scope | Iterable[Scope] = ("identity",),
        purpose: Purpose | Iterable[Purpose] | None = None,
        on_progress: OnProgress | None = None,
        on_failure: OnFailure | None = None,
        nonce: str | None = None,
        acknowledge: bool = True,
    ) -> AsyncGenerator[Presentation, None]:
        """Every presentation that no ``read()`` of any program claims, each with its verified token.

        Several subscriptions, of this program or of others, are served in turns. If the daemon goes away meanwhile, the
        connection is opened again. Tokens that were issued but not delivered are recovered. Ends when the connection is
        closed. Use ``contextlib.aclosing`` where the loop may be left early.

        Args:
            media: the media accepted, one or several; by default all that patients present. A camera is open as long as
                its codes are.
            readers: the id of the reader to use, or several; all by default.
            scopes: what the tokens may say.
            purpose: what they are for, as they will tell.
            on_progress: called for each step, with a message that is fit to be shown.
            on_failure: called for each presentation that gave no token, with what to do about it.
            nonce: 22 to 128 characters of base64url; in every token of the subscription.
            acknowledge: whether the daemon may forget a token once it is given. With False, call ``acknowledge()`` when
                the token is in good hands.

        Raises:
            TokenInvalid: a token of the daemon does not verify.
            DaemonUnreachable: the daemon went away and did not come back.
            VitaleError: the daemon refused the subscription.
        """
        request = PresentationsSubscribe(
            nonce=secrets.token_urlsafe(24) if nonce is None else nonce,
            media=several(media),
            readers=several(readers),
            scopes=several(scopes),
            purpose=_purpose(purpose),
        )
        self.settings.check_callbacks(on_progress=on_progress, on_failure=on_failure)
        async with contextlib.aclosing(self._subscriptions.tokens(request, on_progress, on_failure)) as tokens:
            async for token, claims in tokens:
                yield self._presentation(token, claims, acknowledge=acknowledge)

    async def codes(self, *, readers: str | Iterable[str] | None = None) -> AsyncGenerator[CodeRead, None]:
        """Every code at an imager that is no patient's: boxes, prescriptions, anything. Needs the scope ``codes``.

        Such a code answers no ``read()`` and becomes no token. Each program that listens gets each of them. If the
        daemon goes away, the connection is opened again; what is scanned meanwhile is lost. Ends when the connection is
        closed. Use ``contextlib.aclosing`` where the loop may be left early.

        Args:
            readers: the id of the imager to listen to, or several; all of this desk by default.

        Raises:
            NoReader: a reader of another desk.
            DaemonUnreachable: the daemon went away and did not come back.
            VitaleError: the daemon refused the subscription.
        """
        request = CodesSubscribe(readers=several(readers))
        async with contextlib.aclosing(self._subscriptions.codes(request)) as codes:
            async for code in codes:
                yield code

    def lease(
        self, reader: str, *, ttl: float = 5.0, previous: str | None = None, wait: float = 0.0
    ) -> contextlib.AbstractAsyncContextManager[Lease]:
        """The card in a reader for this program's own commands, for ``async with``. Needs the scope ``apdu``.

        No other program of the desk comes between, whether it uses this daemon or PC/SC. Presentations at that reader
        wait. The card is reset when the lease ends. The lease ends with its context, its time, this connection, the
        card or the reader.

        Args:
            reader: its id.
            ttl: seconds from the moment at which the card is held, from 0.1 to 60; ``renew()`` prolongs it.
            previous: the name of a lease of this client on that reader which this one is to replace.
            wait: seconds to wait for the reader where another program has it; the errors come after that.

        Raises:
            LeaseConflict: the reader is leased; or it is not, and ``previous`` was given.
            NoReader, ReaderGone: there is no such reader.
            MediumRemoved, MediumMute: there is no card, or it does not answer.
            ReaderBusy: another program does not let the card go.
            MediumUnsupported: nothing can be leased at this kind of reader.
        """
        return self._leases.held(reader, ttl, previous, wait)

    def cancel(self) -> None:
        """Cancels every ``read()`` and ``submit()`` of this connection that is waiting; each raises ``Cancelled``."""
        self._requests.cancel()

    async def pending(self) -> tuple[OutboxToken, ...]:
        """This client's tokens that were issued and not yet acknowledged."""
        return tuple([token async for token in self._transport.outbox()])

    async def acknowledge(self, *jti: str) -> int:
        """Acknowledges tokens by their identifiers; returns how many the daemon still held.

        Raises:
            StoreUnavailable: the daemon could not forget them all; those will be in ``pending()`` again.
        """
        if not jti:
            return 0
        acked = (await self._transport.ask("outbox.ack", OutboxAck(jti=jti), OutboxAcked)).acked
        if acked < len(set(jti)) and not {token.jti for token in await self.pending()}.isdisjoint(jti):
            with self.settings.spoken():
                raise StoreUnavailable("acknowledged tokens are still in the outbox")
        return acked

    # ── apCV contexts ────────────────────────────────────────────────────────────────────────────────────────────

    async def restore_context(self, identifiant: str) -> ContextRestored:
        """An apCV context of this client once more. Needs the scope ``context``.

        ``confirmed`` is False where the service did not answer and this is the daemon's copy.

        Raises:
            ContextUnknown: not a context of this client, or not any more.
            ResolverRefused: the service answered no.
        """
        return await self._transport.ask_service(
            "context.restore", ContextRestore(identifiant=identifiant), ContextRestored
        )

    async def release_context(self, identifiant: str) -> bool:
        """Ends an apCV context of this client; whether the service still knew it. Needs the scope ``context``.

        Raises:
            ContextUnknown: not a context of this client, or not any more.
            ResolverUnavailable: the service did not answer; the context is held still.
        """
        request = ContextRelease(identifiant=identifiant)
        return (await self._transport.ask_service("context.release", request, ContextReleased)).released

    async def sign_invoice(self, presented: Claims | str, invoice: bytes) -> InvoiceSignature:
        """The signature of an invoice in an apCV context of this client. Needs the scope ``sign``.

        The card signs with the licensed software that reads it; the application, with its service (``signerVitale``).
        Each signature gives the patient a receipt. So this call is not repeated. Unless ``data["sent"]`` of an error is
        False, nobody knows whether the service has signed.

        Args:
            presented: the claims of what was read, or the ``identifiant`` of its context.
            invoice: as the resolver's form of invoices has it; at most 65 536 bytes.

        Raises:
            ContextUnknown: not a context of this client, or not any more. The variants ``card`` and ``absent``: what
                was read has none.
            SignatureUnsupported: the desk's resolver signs nothing.
            PayloadInvalid: the resolver's form of invoices does not know this one.
            ResolverRefused: the service answered no.
            ResolverUnavailable: the service did not answer, or not understandably.
        """
        with self.settings.spoken():
            identifiant = presented if isinstance(presented, str) else presentation.context_of(presented)
        params = ContextSign(identifiant=identifiant, invoice_b64=base64.b64encode(invoice).decode())
        signed = await self._transport.ask_service("context.sign", params, ContextSigned)
        return InvoiceSignature(content=base64.b64decode(signed.signature_b64), origin=signed.origin)

    # ── readers and station ──────────────────────────────────────────────────────────────────────────────────────

    async def readers(self) -> tuple[Reader, ...]:
        """The readers, and what kind of medium lies in each; never whose."""
        return (await self._transport.ask("readers.list", Empty(), ReadersListed)).readers

    async def watch(self) -> AsyncGenerator[presentation.ReaderChange, None]:
        """The readers there are, each as ``added``, then every change, across losses of the connection.

        Ends when the connection is closed. Use ``contextlib.aclosing`` where the loop may be left early.
        """
        async with contextlib.aclosing(self._watchers.changes()) as changes:
            async for change in changes:
                yield change

    async def wait_until_empty(
        self,
        reader: str | Collection[str],
        *,
        timeout: float | None = None,
        once_watching: Callable[[], object] | None = None,
    ) -> None:
        """Returns when nothing lies in the reader any more, or the reader is gone.

        Returns at once where that is so already.

        A medium that stays in its reader answers the next ``read()`` again: a counter waits until it is withdrawn.

        Args:
            reader: its id; or several, of which one is to become empty, as after ``AmbiguousMedium``.
            timeout: seconds to wait; without end by default.
            once_watching: called once, when no later event can be missed. Ask for the withdrawal there: a quick hand
                may have changed the medium before this call looks.

        Raises:
            PresentationTimeout: something lies there still; the variant is ``left``.
            Cancelled: the connection was closed.
        """
        self.settings.check_callbacks(once_watching=once_watching)
        readers = (reader,) if isinstance(reader, str) else tuple(reader)
        limit = asyncio.timeout(timeout)
        with self.settings.spoken():
            try:
                async with limit:
                    await self._watchers.until_empty(readers, once_watching)
            except TimeoutError as error:
                if not limit.expired():  # the callback's own
                    raise
                raise PresentationTimeout(
                    f"{', '.join(readers)} is not empty after {timeout:g} s", variant="left"
                ) from error

    async def station(self) -> StationInfo:
        """The station, its drivers and their health."""
        return await self._transport.ask("station.info", Empty(), StationInfo)

    async def keys(self) -> dict[str, Any]:
        """The JWK Set that verifies this station's tokens, for a server that is to verify them."""
        return (await self._transport.ask("station.keys", Empty(), StationKeys)).jwks

    async def ping(self) -> float:
        """Seconds that one round trip takes."""
        before = time.perf_counter()
        await self._transport.ask("session.ping", SessionPing(), SessionPonged)
        return time.perf_counter() - before

    async def session(self) -> SessionOpened:
        """Answer of the daemon to the opening of the session: this client's id and scopes, limits, keys."""
        _, opened = await self._transport.open()
        return opened

    # ── administration ───────────────────────────────────────────────────────────────────────────────────────────

    async def add_client(
        self, name: str, *, scopes: Scope | Iterable[Scope], transports: Transport | Iterable[Transport]
    ) -> ClientAdded:
        """Pairs a new client; its material is told this once. Needs the scope ``admin``."""
        request = ClientsAdd(name=name, scopes=several(scopes), transports=several(transports))
        # Not repeated after a loss: the daemon may have made the client already.
        return await self._transport.ask_once("clients.add", request, ClientAdded)

    async def clients(self) -> tuple[ClientSummary, ...]:
        """The paired clients. Needs the scope ``admin``."""
        return (await self._transport.ask("clients.list", Empty(), ClientsListed)).clients

    async def revoke_client(self, client_id: str) -> ClientsRevoked:
        """Revokes a client; its sessions end at once. Needs the scope ``admin``."""
        return await self._transport.ask("clients.revoke", ClientsRevoke(client_id=client_id), ClientsRevoked)

    async def open_pairing(self) -> PairingOpened:
        """Opens a window of two minutes in which one web page can be paired. Needs the scope ``admin``."""
        return await self._transport.ask_once("pairing.open", Empty(), PairingOpened)

    async def pairing_asked(self) -> PairingAsked:
        """Waits for the web page that asks to be paired and shows its code. Needs the scope ``admin``.

        Raises:
            PairingFailed: no window is open, or it closes before a page asks.
        """
        return await self._transport.ask_service("pairing.wait", Empty(), PairingAsked)

    async def accept_pairing(self, code: str, *, scopes: Scope | Iterable[Scope]) -> PairingAccepted:
        """Pairs the web page whose six digits a person typed, with these scopes. Needs the scope ``admin``.

        Raises:
            PairingFailed: the digits are others, no page shows a code, or the window is closed.
        """
        request = PairingAccept(code=code, scopes=several(scopes))
        return await self._transport.ask_once("pairing.accept", request, PairingAccepted)

    async def close_pairing(self) -> None:
        """Closes the window, if there is one. Needs the scope ``admin``."""
        await self._transport.ask("pairing.close", Empty(), Done)

    async def rotate_keys(self) -> str:
        """Makes a new signing key and returns its ``kid``. Needs the scope ``admin``."""
        return (await self._transport.ask_once("keys.rotate", Empty(), KeysRotated)).kid

    async def open_dashboard(self, *, at: Literal["name", "address"] = "name") -> DashboardOpened:
        """Lets a browser into the dashboard, once and within a minute. Needs the scope ``admin``.

        Args:
            at: whether the browser is to dial a name of its own, or the address of this machine.

        Raises:
            DashboardUnavailable: no browser reaches it.
        """
        return await self._transport.ask_once("dashboard.open", DashboardOpen(at=at), DashboardOpened)

    async def diagnose(self) -> Diagnosed:
        """The report of ``vitale-reader doctor`` on the daemon's desk; takes seconds. Needs the scope ``admin``."""
        return await self._transport.ask("diagnostics.run", Empty(), Diagnosed)

    # ── chores ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _acknowledge_quietly(self, jti: str) -> None:
        with contextlib.suppress(Cancelled, DaemonUnreachable, LocalMisuse, ShuttingDown, StoreUnavailable):
            await self.acknowledge(jti)

    def _text(self, payload: str) -> str:
        if any("\ud800" <= character <= "\udfff" for character in payload):
            # Told here: the error of the codec would carry the payload with it.
            with self.settings.spoken():
                raise LocalMisuse("the payload is no text that can be sent; submit its bytes")
        return payload
