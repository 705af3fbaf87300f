"""apCV contexts that clients hold: kept sealed, given back to their owner only, ended at ``date_fin_validite``.

- A context belongs to the client whose token told it; to every other it is unknown.
- A new reading at a client releases its former contexts. Where nothing comes of it, those that the service did not
  release are held on.
- Its owner is told once that it ends soon, ``NOTICE`` seconds before. For a shorter life that is after three quarters
  of it. If no session of the owner is open then, the first one that opens is told.
- At its end a context is forgotten. What lives is known across restarts.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from msgspec.structs import asdict, replace
from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update

from vitale_protocol.claims import ContextClaim
from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ContextUnknown, MixedOrigin, ResolverUnavailable, StoreUnavailable, VitaleError
from vitale_protocol.events import ContextExpiring
from vitale_protocol.methods import ContextRestored, StationMode
from vitale_protocol.privacy import concealed
from vitale_protocol.records import Origin
from vitale_reader.daemon.database.expiry import forget_ended, of_ended
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.observation.incidents import attempt
from vitale_reader.daemon.store import row_seals
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.store.tables import contexts
from vitale_reader.resolvers.base import Resolution, Signature, claim_of
from vitale_reader.resolvers.guarded import GuardedResolver

__all__ = ["NOTICE", "Contexts", "HeldContext"]

logger = logging.getLogger(__name__)

#: Seconds: time to finish a bill, of a context that lives for half an hour.
NOTICE = 300.0

#: Seconds between two looks at the clock, where there is anything to look for.
LOOK = 30.0

#: Tells every open session of a client; whether there was one.
Notify = Callable[[str, ContextExpiring], bool]


class HeldContext(msgspec.Struct, frozen=True, kw_only=True):
    """A context that a client holds; times are epoch seconds."""

    __repr__ = concealed

    digest: str
    client_id: str
    notice_at: float
    noticed: bool
    ends_at: float
    sealed: bytes


# Statements are constants: to build one anew costs more than to run it.
_OF_DIGEST = contexts.c.digest == bindparam("of_digest")
_HOLD = insert(contexts)
_UPDATE = update(contexts).where(_OF_DIGEST)
_FORGET = delete(contexts).where(_OF_DIGEST)
_PURGE = of_ended(contexts.c.ends_at)
# Those of the other stations of a site are theirs; version 0.1 did not say whose they are, and had one station.
_LIVING = select(contexts).where(
    contexts.c.station.is_(None) | (contexts.c.station == bindparam("of_station")),
    contexts.c.ends_at > bindparam("now"),
)


class Kept(ContextClaim, frozen=True, kw_only=True):
    """Sealed content of a context: the claims its client got, and the kind of service that vouched for them."""

    origin: Origin = "unknown"


class Contexts:
    """The contexts of a station; ``notify`` tells the open sessions of their owners."""

    def __init__(
        self,
        store: Database,
        vault: Vault,
        resolver: GuardedResolver,
        *,
        station: str,
        mode: StationMode,
        notify: Notify,
        clock: StoreClock,
    ) -> None:
        self._store = store
        self._vault = vault
        self._resolver = resolver
        self._notify = notify
        self._station = station
        self._mode = mode
        self._clock = clock
        self._held: dict[str, HeldContext] = {}
        self._revoked: set[str] = set()
        self._changed = asyncio.Event()

    async def open(self) -> None:
        """Reads what is held and has not ended.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        values = {"of_station": self._station, "now": self._clock.believed()}
        rows = await self._store.run(lambda connection: connection.execute(_LIVING, values).mappings().all())
        found = [
            HeldContext(**{name: row[name] for name in HeldContext.__struct_fields__})
            for row in rows
            if self._holds(row)
        ]
        self._held = {held.digest: held for held in found if self._opens(held)}

    # ── readings ──

    def hold(self, resolution: Resolution, client_id: str) -> tuple[HeldContext, Callable[[Connection], object]]:
        """A context for a client, and what keeps it within the transaction that keeps its token."""
        digest = self._digest(resolution.identifiant)
        now, ends_at = self._clock.now(), resolution.date_fin_validite.timestamp()
        held = HeldContext(
            digest=digest,
            client_id=client_id,
            notice_at=ends_at - min(NOTICE, (ends_at - now) / 4),
            noticed=False,
            ends_at=ends_at,
            sealed=self._seal(resolution, digest),
        )
        row = self._row(held)

        def write(connection: Connection) -> None:
            # A service may give the context that it gave before.
            connection.execute(_FORGET, {"of_digest": digest})
            connection.execute(_HOLD, row)

        return held, write

    def held(self, context: HeldContext) -> bool:
        """A context was kept in the store: it counts from now on; not where its client was revoked meanwhile."""
        if context.client_id in self._revoked:
            return False
        self._held[context.digest] = context
        self._changed.set()
        return True

    def of_client(self, client_id: str) -> tuple[HeldContext, ...]:
        """Contexts that a client holds."""
        return tuple(held for held in self._held.values() if held.client_id == client_id)

    def revoke(self, client_id: str) -> tuple[HeldContext, ...]:
        """A client is no more: it holds nothing from now on. Gives what it held, for ``release_taken``."""
        self._revoked.add(client_id)
        return self.take(self.of_client(client_id))

    def take(self, former: Iterable[HeldContext]) -> tuple[HeldContext, ...]:
        """Those that are held still; from now on they are unknown to their client. Each is given to one caller only."""
        return tuple(held for held in former if self._held.pop(held.digest, None) is not None)

    async def release_former(self, former: Iterable[HeldContext]) -> None:
        """Releases contexts before others take their place; what the service does not release stays held."""
        for held in former:
            if await self.let_go(self._open(held).identifiant):
                self._held.pop(held.digest, None)
                await self._forget_released(held)

    async def release_taken(self, taken: Iterable[HeldContext]) -> None:
        """Releases what nobody holds any more, as far as possible.

        What the service does not hear of ends by itself.
        """
        for held in taken:
            await self.let_go(self._open(held).identifiant)
            await self._forget_released(held)

    async def let_go(self, identifiant: str) -> bool:
        """Releases a context that nobody waits for, as well as can be; whether the service has it no more."""
        try:
            await self._resolver.release(identifiant)
        except ContextUnknown:
            return True
        except VitaleError as error:
            logger.info("a context was not released, and ends by itself: %s", error)
            return False
        return True

    # ── the client's calls ──

    async def restore(self, client_id: str, identifiant: str) -> ContextRestored:
        """Restores a context of a client: from the service, or as it is held if that does not answer.

        Raises:
            ContextUnknown: not a context of this client, or not any more.
            ResolverRefused: the service answered no.
            MixedOrigin: one of the context and the service is simulated, the other is not.
            StoreUnavailable: what the service gave cannot be kept.
        """
        held = self._of(client_id, identifiant)
        try:
            resolution = await self._resolver.restore(identifiant)
        except ResolverUnavailable:
            return _restored(self._open(self._of(client_id, identifiant)), confirmed=False)
        except ContextUnknown:
            await self._drop(held.digest)
            raise
        # Once more: it may have been released meanwhile, restored by another call, or told to end soon.
        held = self._of(client_id, identifiant)
        if (self._open(held).origin == "simulated") != (resolution.origin == "simulated"):
            raise MixedOrigin("one of the context and the service is simulated, the other is not")
        await self._renew(held, resolution)
        return _restored(claim_of(resolution), confirmed=True)

    async def release(self, client_id: str, identifiant: str) -> bool:
        """Releases a context of a client; whether the service still knew it.

        Raises:
            ContextUnknown: not a context of this client, or not any more.
            ResolverUnavailable, ResolverRefused: the service did not release it; the client holds it still.
        """
        held = self._of(client_id, identifiant)
        try:
            await self._resolver.release(identifiant)
        except ContextUnknown:
            known = False
        else:
            known = True
        await self._drop(held.digest)
        return known

    async def sign(self, client_id: str, identifiant: str, invoice: bytes) -> Signature:
        """The signature of an invoice in a context of a client.

        Raises:
            ContextUnknown: not a context of this client, or not any more.
            SignatureUnsupported: the resolver signs nothing.
            ResolverUnavailable: the service did not answer; unless ``data.sent`` is False, it may have signed.
            ResolverRefused: the service answered no.
            MixedOrigin: one of the context and the signature is simulated, the other is not.
        """
        held = self._of(client_id, identifiant)
        try:
            signature = await self._resolver.sign(identifiant, invoice)
        except ContextUnknown:
            await self._drop(held.digest)
            raise
        if (self._open(held).origin == "simulated") != (signature.origin == "simulated"):
            raise MixedOrigin("one of the context and the signature is simulated, the other is not")
        return signature

    # ── time ──

    async def watch(self) -> None:
        """Tells of contexts that end soon, and forgets those that ended; until it is cancelled."""
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(self._until_next()):
                    await self._changed.wait()
            except TimeoutError:
                await attempt(self._attend())

    async def welcome(self, client_id: str) -> None:
        """A session of a client opened: it hears what no other could be told."""
        await self._tell([held for held in self._due() if held.client_id == client_id])

    async def purge(self) -> int:
        """Forgets the contexts that ended; returns how many there were.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        return await forget_ended(self._store.run, self._clock.purging, _PURGE)

    def _until_next(self) -> float | None:
        now, believed = self._clock.now(), self._clock.believed()
        ends = [held.ends_at - believed for held in self._held.values()]
        # A notice that is due and heard by nobody waits for a session, not for time.
        notices = [held.notice_at - now for held in self._held.values() if not held.noticed and held.notice_at > now]
        soonest = min([*ends, *notices], default=None)
        # Not longer than LOOK: the clock may be set, and the machine may sleep.
        return None if soonest is None else min(max(soonest, 0.0), LOOK)

    async def _attend(self) -> None:
        believed = self._clock.believed()  # what is forgotten for a clock that jumped forward does not come back
        ended = [held.digest for held in self._held.values() if held.ends_at <= believed]
        for digest in ended:
            del self._held[digest]
        try:
            if ended:
                await self._forget(ended)
        except StoreUnavailable as error:
            logger.error("contexts that ended stay in the store until it is cleared: %s", error)
        await self._tell(self._due())

    def _due(self) -> list[HeldContext]:
        now = self._clock.now()
        return [held for held in self._held.values() if not held.noticed and held.notice_at <= now < held.ends_at]

    async def _tell(self, due: Iterable[HeldContext]) -> None:
        for each in due:
            # Looked up again: while others were told, it may have been released, or told of by another call.
            held = self._held.get(each.digest)
            if held is None or held.noticed:
                continue
            claim = self._open(held)
            event = ContextExpiring(identifiant=claim.identifiant, date_fin_validite=claim.date_fin_validite)
            if not self._notify(held.client_id, event):
                continue
            told = self._held[held.digest] = replace(held, noticed=True)
            try:
                await self._update(told)
            except StoreUnavailable as error:
                logger.error("that a context ends soon may be told again after a restart: %s", error)

    # ── inside ──

    async def _renew(self, held: HeldContext, resolution: Resolution) -> None:
        again, _ = self.hold(resolution, held.client_id)
        # The owner of a context that ends when it was to end has been told of it, or will be.
        if again.ends_at == held.ends_at:
            again = replace(again, notice_at=held.notice_at, noticed=held.noticed)
        self._held[held.digest] = again
        self._changed.set()
        await self._update(again)

    def _opens(self, held: HeldContext) -> bool:
        """True if it was sealed with the station's present keys, and may be used in its present mode."""
        try:
            kept = self._open(held)
        except InvalidTag:
            return False
        return kept.origin != "simulated" or self._mode == "simulated"

    def _digest(self, identifiant: str) -> str:
        return self._vault.digest("context", identifiant.encode())

    def _of(self, client_id: str, identifiant: str) -> HeldContext:
        held = self._held.get(self._digest(identifiant))
        if held is None or held.client_id != client_id or held.ends_at <= self._clock.now():
            raise ContextUnknown("not a context of this client, or not any more")
        return held

    def _seal(self, resolution: Resolution, digest: str) -> bytes:
        kept = Kept(**asdict(claim_of(resolution)), origin=resolution.origin)
        return self._vault.seal(msgspec.json.encode(kept), f"context:{digest}")

    def _open(self, held: HeldContext) -> Kept:
        return decode_document(self._vault.unseal(held.sealed, f"context:{held.digest}"), Kept)

    def _row(self, held: HeldContext) -> dict[str, Any]:
        return row_seals.sealed(self._vault, contexts, asdict(held) | {"station": self._station})

    def _holds(self, row: RowMapping) -> bool:
        if row_seals.holds(self._vault, contexts, row):
            return True
        logger.error("a context was changed or damaged in the store: it is refused")
        return False

    async def _update(self, held: HeldContext) -> None:
        values = self._row(held) | {"of_digest": held.digest}
        await self._store.run(lambda connection: connection.execute(_UPDATE, values))

    async def _drop(self, digest: str) -> None:
        self._held.pop(digest, None)
        await self._forget([digest])

    async def _forget_released(self, held: HeldContext) -> None:
        try:
            await self._forget([held.digest])
        except StoreUnavailable as error:
            logger.error("a context that was released stays in the store until its end: %s", error)

    async def _forget(self, digests: list[str]) -> None:
        rows = [{"of_digest": digest} for digest in digests]
        await self._store.run(lambda connection: connection.execute(_FORGET, rows))


def _restored(claim: ContextClaim, *, confirmed: bool) -> ContextRestored:
    return ContextRestored(
        identifiant=claim.identifiant,
        token=claim.token,
        date_fin_validite=claim.date_fin_validite,
        confirmed=confirmed,
    )
