"""The registry of clients: who is paired, with which credentials and scopes."""

import asyncio
import contextlib
import hashlib
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from vitale_protocol.errors import InvalidParams, LimitExceeded, NotAuthenticated, NotAuthorised, StoreUnavailable
from vitale_protocol.methods import SCOPES, ClientSummary, Scope, Transport, Way
from vitale_protocol.signing import PublicJwk
from vitale_protocol.web import own_names
from vitale_reader.daemon.clients.callers import LOCAL_CLIENT, Caller, Peer
from vitale_reader.daemon.clients.rows import OWNERS, ClientRow, oversteps
from vitale_reader.daemon.database.database_errors import swallowed
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.notifications import call
from vitale_reader.daemon.store.sealed_table import Contents, SealedTable
from vitale_reader.daemon.store.store import Database, Need
from vitale_reader.daemon.store.tables import clients
from vitale_reader.daemon.web.page_keys import NEVER_GRANTED, PageKey

__all__ = ["ClientRegistry", "require_own_name"]

logger = logging.getLogger(__name__)

CREDENTIAL_BYTES = 32

#: Ways by which a page comes.
PAGE_WAYS: tuple[Way, ...] = ("websocket", "stdio")

#: Seconds between two notes that a page was used: the registry is not written at every opening.
USE_NOTED = 86_400.0

#: Clients of one station that may speak: some programs on a desk, and each of them once a desk of a site.
MOST_CLIENTS = 500


Found = tuple[Contents, Mapping[str, Any] | None]
"""The rows that count, and the head as it is in the database."""


class ClientRegistry:
    """The registry of clients. They are few, and kept in memory; of what is written elsewhere ``refresh`` hears.

    A row counts only as it was sealed, and never for administration. So whoever can write to the database cannot let
    anybody in.
    """

    def __init__(
        self,
        store: Database,
        vault: Vault,
        *,
        clock: Callable[[], float],
        believed: Callable[[], float] | None = None,
        remembered: Remembered | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        # By this the use of pages is noted and judged: a clock that is wrong for an hour makes none last, nor end.
        self._believed = believed or clock
        self._table = SealedTable(clients, vault, remembered or Remembered())
        self._rows: dict[str, ClientRow] = {}
        self._revision: int | None = None
        self._lost: tuple[ClientRow, ...] = ()  # those whose revocation the database does not have any more
        self._turn = asyncio.Lock()  # what was read before a row was written must not take its place after it

    async def open(self) -> None:
        """Reads the registry.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        await self._store.mirror(self._recall)
        await self.refresh(needs="any")

    async def refresh(self, *, needs: Need = "site") -> tuple[str, ...]:
        """Reads what other stations wrote into the registry; gives the clients that may not speak any more since.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        async with self._turn:
            ended = await self._take_over(*await self._store.run(self._read, needs=needs))
        await self._revoke_again()
        return ended

    def _recall(self, connection: Connection) -> None:
        """Takes who was revoked from the station's own copy: the database may have lost that, and this desk not."""
        rows = map(_client_row, self._table.read(connection, copy=True).rows)
        self._rows = {row.client_id: row for row in rows if row.revoked_at is not None}

    async def _revoke_again(self) -> None:
        """Revokes whom the database lets in again: a standby that was promoted may lack what was written last."""
        lost, self._lost = self._lost, ()
        for row in lost:
            logger.error("client %s was revoked, and the database says so no more: it is revoked again", row.client_id)
            try:
                await self._write(row)
            except StoreUnavailable as error:
                logger.error("client %s could not be revoked again at the other desks: %s", row.client_id, error)

    def _read(self, connection: Connection) -> Found:
        copy = self._store.shared and connection.dialect.name == "sqlite"
        return self._table.read(connection, copy=copy), self._table.head_row(connection)

    async def _mirror(self, found: Contents, head: Mapping[str, Any] | None) -> None:
        if found.revision != self._revision and self._store.shared and not self._store.degraded:
            await self._store.mirror(lambda connection: self._table.copy(connection, head, found.rows))

    async def _take_over(self, found: Contents, head: Mapping[str, Any] | None) -> tuple[str, ...]:
        if not found.trusted:
            return ()  # what was known before holds: nobody can tell what is missing now
        await self._mirror(found, head)
        before = {row.client_id for row in self._rows.values() if row.revoked_at is None}
        rows = {row.client_id: row for row in map(_client_row, found.rows) if not oversteps(row)}
        revoked = {row.client_id: row for row in self._rows.values() if row.revoked_at is not None}
        self._lost = tuple(revoked[name] for name, row in rows.items() if row.revoked_at is None and name in revoked)
        self._rows = rows | {row.client_id: row for row in self._lost}
        self._revision = found.revision
        return tuple(sorted(client_id for client_id in before if not self._speaks(client_id)))

    def authenticate(self, peer: Peer, credential: str | None) -> Caller:
        """The client behind a peer, found by its certificate, its credential, or as the daemon's own user.

        Raises:
            NotAuthenticated: none of them is known here and now.
        """
        if peer.started_here:
            raise NotAuthenticated("drivers are no clients")
        if peer.transport in PAGE_WAYS or peer.channel is not None:
            raise NotAuthenticated("a page proves a key")
        if peer.certificate_sha256 is not None and not peer.own_user:
            return self._known(self._by("certificate_sha256", peer.certificate_sha256), peer)
        if credential is not None:
            return self._known(self._by("credential_sha256", _digest(credential)), peer)
        if peer.own_user:
            return Caller(client_id=LOCAL_CLIENT, name=LOCAL_CLIENT, scopes=frozenset(SCOPES))
        raise NotAuthenticated("no credential was shown")

    async def add(
        self,
        name: str,
        *,
        scopes: Sequence[Scope],
        transports: Sequence[Transport],
        certificate: Callable[[str], str] | None = None,
    ) -> tuple[str, str]:
        """Pairs a client; returns its id and its credential, which is kept here only as a digest.

        Args:
            name: free text, for people.
            scopes: all that it may ever ask for.
            transports: how it may come.
            certificate: given the client's id, makes its certificate and returns the digest of it.

        Raises:
            InvalidParams: the name is one that the product uses itself, or looks like it.
            NotAuthorised: administration for anything else than the daemon's own user.
            LimitExceeded: ``MOST_CLIENTS`` are paired already.
            StoreUnavailable: the store cannot be written.
        """
        self._require_room()
        require_own_name(name)
        if owned := sorted(OWNERS & set(scopes)):
            raise NotAuthorised("administration is for the daemon's own user", data={"scopes": [*owned]})
        client_id = f"client-{secrets.token_hex(8)}"
        credential = secrets.token_urlsafe(CREDENTIAL_BYTES)
        row = ClientRow(
            client_id=client_id,
            name=name,
            scopes=" ".join(scopes),
            transports=" ".join(transports),
            certificate_sha256=certificate(client_id) if certificate else None,
            credential_sha256=_digest(credential),
            created_at=self._clock(),
        )
        await self._write(row)
        return client_id, credential

    # ── pages ──

    def page(self, kid: str, site: str) -> PageKey:
        """The key of a page.

        Args:
            kid: its thumbprint.
            site: the web origin that a browser named.

        Raises:
            NotAuthenticated: it is not paired, not any more, for another site, or was not used for half a year.
        """
        return self._page(kid, site)[1]

    def has_page_of(self, site: str) -> bool:
        """True if a page of a site is paired, and was used within half a year."""
        now, pages = self._believed(), (row.page for row in self._rows.values() if row.revoked_at is None)
        return any(page is not None and page.site == site and not page.is_idle(now) for page in pages)

    def authenticate_page(self, kid: str, site: str, way: Way) -> Caller:
        """The page behind a key that has just been proved.

        Raises:
            NotAuthenticated: as ``page``.
        """
        row, _ = self._page(kid, site)
        if way not in row.summary.transports:
            raise NotAuthenticated(f"the page was not paired for {way}")
        return Caller(client_id=row.client_id, name=row.name, scopes=frozenset(row.summary.scopes), site=site)

    async def add_page(self, name: str, *, scopes: Sequence[Scope], site: str, jwk: PublicJwk) -> str:
        """Pairs a page; returns its client id.

        Args:
            name: free text, for people.
            scopes: all that it may ever ask for.
            site: the web origin that it counts for.
            jwk: its key, which does not leave the browser.

        Raises:
            InvalidParams: the name is one that the product uses itself, or looks like it.
            NotAuthorised: a scope that no page has.
            LimitExceeded: ``MOST_CLIENTS`` are paired already.
            NotAuthenticated: the key was paired before, and counts for that.
            StoreUnavailable: the store cannot be written.
        """
        self._require_room()
        require_own_name(name)
        if never := sorted(NEVER_GRANTED & set(scopes)):
            raise NotAuthorised(f"no page has {' '.join(never)}", data={"scopes": [*never]})
        key = PageKey(site=site, jwk=jwk, used_at=self._believed())
        if self._is_paired(key.kid):
            raise NotAuthenticated("the key was paired before")
        row = ClientRow(
            client_id=f"page-{secrets.token_hex(8)}",
            name=name,
            scopes=" ".join(scopes),
            transports=" ".join(PAGE_WAYS),
            origins=key.text(),
            certificate_sha256=None,
            credential_sha256=None,
            created_at=self._clock(),
        )
        await self._write(row)
        return row.client_id

    async def note_use(self, client_id: str) -> None:
        """Notes that a page opened a session, once a day at most.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        row, now = self._rows.get(client_id), self._believed()
        if row is None or row.page is None or row.revoked_at is not None or now - row.page.used_at < USE_NOTED:
            return
        used = msgspec.structs.replace(row.page, used_at=now)
        with contextlib.suppress(NotAuthenticated):
            await self._write(msgspec.structs.replace(row, origins=used.text()))

    def page_of(self, client_id: str) -> PageKey:
        """The key of a page that has authenticated.

        Raises:
            NotAuthorised: the client is no page.
        """
        row = self._rows.get(client_id)
        if row is None or row.page is None:
            raise NotAuthorised("only pages have a key to rotate")
        return row.page

    async def rotate_page(self, client_id: str, jwk: PublicJwk) -> None:
        """Puts a new key in the place of a page's old one, which counts no more.

        Raises:
            NotAuthorised: the client is no page.
            NotAuthenticated: the key was paired before, or the page is revoked.
            StoreUnavailable: the store cannot be written; the old key still counts.
        """
        old = self.page_of(client_id)
        row = self._rows[client_id]
        key = msgspec.structs.replace(old, jwk=jwk, used_at=self._believed())
        if row.revoked_at is not None or self._is_paired(key.kid):
            raise NotAuthenticated("the key was paired before, or the page is revoked")
        await self._write(msgspec.structs.replace(row, origins=key.text()))

    def _is_paired(self, kid: str) -> bool:
        return any(row.page is not None and row.page.kid == kid for row in self._rows.values())

    def _page(self, kid: str, site: str) -> tuple[ClientRow, PageKey]:
        for row in self._rows.values():
            key = row.page
            if key is None or not secrets.compare_digest(key.kid, kid):
                continue
            if row.revoked_at is not None:
                raise NotAuthenticated("the page is revoked")
            if key.site != site:
                raise NotAuthenticated("the key counts for another site")
            if key.is_idle(self._believed()):
                raise NotAuthenticated("the page was not used for half a year")
            return row, key
        raise NotAuthenticated("no page of this key is paired")

    def _require_room(self) -> None:
        if sum(row.revoked_at is None for row in self._rows.values()) >= MOST_CLIENTS:
            raise LimitExceeded("too many paired clients", data={"limit": "clients"})

    async def revoke(self, client_id: str) -> bool:
        """Revokes a client; whether there was one to revoke.

        Raises:
            StoreUnavailable: the store cannot be written; the client is not revoked, and the call can be repeated.
        """
        row = self._rows.get(client_id)
        if row is None or row.revoked_at is not None:
            return False
        await self._write(msgspec.structs.replace(row, revoked_at=self._clock()))
        return True

    async def _write(self, row: ClientRow) -> None:
        """Writes a row.

        Raises:
            NotAuthenticated: it was revoked elsewhere, which no write takes back.
            StoreUnavailable: it cannot be written, or did not stay.
        """
        values = msgspec.structs.asdict(row)

        def work(connection: Connection) -> int:
            kept = self._table.locked_row(connection, values)
            if kept is not None and kept["revoked_at"] is not None and row.revoked_at is None:
                raise NotAuthenticated("the client is revoked")
            revision = self._table.put(connection, values)
            call(connection, "news")
            return revision

        async with self._turn:
            revision = await self._store.run(work, needs="site")
            await asyncio.to_thread(self._table.committed, revision)
            found, head = await self._store.run(self._read, needs="site")
            if not found.trusted or found.revision < revision:  # a trigger undid it at the end of its transaction
                raise swallowed(clients.name)
            self._rows[row.client_id] = row
            with contextlib.suppress(StoreUnavailable):  # the next look does it
                await self._mirror(found, head)

    @property
    def clients(self) -> tuple[ClientSummary, ...]:
        """The clients: first those that may speak, then the revoked ones, each in order of pairing."""
        rows = sorted(self._rows.values(), key=lambda row: (row.revoked_at is not None, row.created_at))
        return tuple(row.summary for row in rows)

    def speaks(self, client_id: str) -> bool:
        """True if a client may speak, here or at another desk of the site."""
        return client_id == LOCAL_CLIENT or self._speaks(client_id)

    def _speaks(self, client_id: str) -> bool:
        row = self._rows.get(client_id)
        return row is not None and row.revoked_at is None

    def _by(self, column: str, value: str) -> ClientRow | None:
        return next(
            (row for row in self._rows.values() if secrets.compare_digest(getattr(row, column) or "", value)), None
        )

    def _known(self, row: ClientRow | None, peer: Peer) -> Caller:
        if row is None or row.revoked_at is not None:
            raise NotAuthenticated("the client is not known, or not any more")
        if peer.transport not in row.summary.transports:
            raise NotAuthenticated(f"the client was not paired for {peer.transport}")
        return Caller(client_id=row.client_id, name=row.name, scopes=frozenset(row.summary.scopes))


def _client_row(row: Mapping[str, Any]) -> ClientRow:
    return ClientRow(**{name: row[name] for name in ClientRow.__struct_fields__})


def require_own_name(name: str) -> None:
    """Refuses a name that could be taken for the product itself, in lists and logs.

    Raises:
        InvalidParams: it could.
    """
    if own_names.is_own(name):
        raise InvalidParams("the product uses this name itself", variant="reserved_name", data={"path": "$.name"})


def _digest(secret: str) -> str:
    """SHA-256 suffices for a secret of 256 random bits; a slow hash is for what people choose."""
    return hashlib.sha256(secret.encode()).hexdigest()
