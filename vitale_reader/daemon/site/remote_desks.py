"""The other desks of the site, put together: their readers, requests to them, and requests from them."""

import json
import logging
import secrets
import socket
import time
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable

from vitale_protocol.errors import DaemonRunning, InvalidParams, JsonValue, StoreUnavailable, VitaleError
from vitale_protocol.events import Reader
from vitale_protocol.methods import PresentationResult
from vitale_protocol.methods import Station as StationIdentity
from vitale_reader.daemon.clients.registry import ClientRegistry
from vitale_reader.daemon.database.outage import Outage
from vitale_reader.daemon.desk.coordinator import Coordinator
from vitale_reader.daemon.fairness.processor_shares import Shares
from vitale_reader.daemon.issuing.delivery import DeliveryClient
from vitale_reader.daemon.issuing.issuer import Grant
from vitale_reader.daemon.keystore.station_keys import Keys
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.observation.incidents import BackgroundTasks, incident
from vitale_reader.daemon.site.incoming_requests import Answering
from vitale_reader.daemon.site.listener import SiteListener
from vitale_reader.daemon.site.outgoing_requests import Asking
from vitale_reader.daemon.site.remote_readers import DeskStatus, DeskTold, Names, SiteReaders, named
from vitale_reader.daemon.site.rows.messages import DeskRow, Wanted
from vitale_reader.daemon.site.rows.site_rows import SiteRows
from vitale_reader.daemon.site.station_encryption import open_box, seal_for
from vitale_reader.daemon.site.stations import Stations
from vitale_reader.daemon.store.notifications import CHANNEL, desk_channel
from vitale_reader.daemon.store.store import Database

__all__ = ["RemoteDesks"]

logger = logging.getLogger(__name__)

RequestId = int | str

#: Requests that are looked at one by one at a time: of more, all rows are looked at together.
MOST_LOOKED_AT = 50


class RemoteDesks:
    """Relations of a desk with the others of its site; ``start`` and ``stop`` act."""

    #: Among those who watch this desk's readers: sessions count upwards, and visiting requests downwards from -2.
    number = -1

    def __init__(
        self,
        *,
        url: str,
        store: Database,
        vault: Vault,
        station: StationIdentity,
        groups: tuple[str, ...],
        desk: Coordinator,
        client_registry: ClientRegistry,
        keys: Keys,
        stations: Stations,
        note: Callable[[str, str], Awaitable[None]],
        on_external_change: Callable[[], None],
        on_conflict: Callable[[VitaleError], None],
        clock_offset: Callable[[], float],
        now: Callable[[], float],
        shares: Shares,
    ) -> None:
        self._store = store
        self._clock_offset = clock_offset
        self._now = now
        self._vault = vault
        self._station = station
        self._groups = groups
        self._desk = desk
        self._keys = keys
        self._stations = stations
        self._others = SiteReaders(station.id, station.mode)
        self._rows = SiteRows(store, vault, station=station.id, incarnation=secrets.token_hex(16))
        self._on_external_change = on_external_change
        self._on_conflict = on_conflict
        self._version = 0
        self._copies = set[str]()
        self._told_status: DeskStatus | None = None
        self._changed = True
        self._listener = SiteListener(
            url, (CHANNEL, desk_channel(station.id)), look=self._look, away=self._away, hear=self._hear
        )
        self._asking = Asking(
            self._rows.requests,
            hoped_for=self._hoped_for,
            starting=self._starting,
            open_answer=self._open,
            prove=self._prove,
            note=note,
            audience=self._audience,
            own=self._asked_here,
            shares=shares,
        )
        self._answering = Answering(
            self._rows.requests,
            desk,
            station=station.id,
            mode=station.mode,
            groups=groups,
            known=client_registry.speaks,
            seal_for=self._seal_for,
            tell_keys=stations.tell,
            audience=self._audience,
            now=now,
        )
        self._looking = BackgroundTasks()
        self._tasks = BackgroundTasks()

    async def start(self) -> None:
        """Shows this desk to the others, and from now on hears them."""
        self._desk.watch(self)
        self._desk.on_change(self._look_whether_started)
        await self._listener.look(beat=True)
        for name, work in (("site", self._listener.watch()), ("site news", self._listener.listen())):
            self._tasks.spawn(work, name)

    async def stop(self) -> None:
        """Ends what waits, and says that this desk is no more."""
        self._desk.unwatch(self)
        await self._asking.stop()
        await self._answering.stop()
        self._tasks.cancel()
        self._looking.cancel()
        await self._tasks.finish()
        await self._looking.finish()
        try:
            await self._rows.desks.leave()
        except StoreUnavailable as error:
            logger.info("the other desks find out by themselves that this one stops: %s", error)

    # ── for sessions ──

    @property
    def readers(self) -> tuple[Reader, ...]:
        """The readers of the other desks."""
        return self._others.readers

    def names(self, names: frozenset[str]) -> Names:
        """The readers that a call names, taken apart."""
        return named(names, self._station.id)

    def beyond(self, names: Names) -> bool:
        """True if other desks are concerned."""
        return names.beyond(self._station.id)

    def own(self, names: Names) -> frozenset[str]:
        """Those of this desk, as it calls them itself."""
        return names.own(self._station.id)

    @property
    def listens(self) -> bool:
        """True if notifications of other desks are received now."""
        return self._listener.listens

    def load(self, *clients: DeliveryClient) -> int:
        """Number of requests of a session at other desks, or of several together."""
        return self._asking.load(*clients)

    def request(
        self,
        client: DeliveryClient,
        request: RequestId,
        grant: Grant,
        *,
        media: frozenset[str],
        names: Names,
        timeout: float,
    ) -> None:
        """A session waits for the next presentation at one of these readers.

        Raises:
            InvalidParams: for the context of an apCV, which is the station's that read it.
        """
        if "context" in grant.scopes:
            raise InvalidParams("a context is for readers of this desk only", data={"path": "$.scopes"})
        wanted = Wanted(
            station=self._station.id,
            mode=self._station.mode,
            client_id=grant.client_id,
            nonce=grant.nonce,
            scopes=grant.scopes,
            purpose=grant.purpose,
            media=media,
            names=names,
            timeout=timeout,
            site=grant.site,
            until=self._now() + timeout,
        )
        self._asking.request(client, request, wanted)

    async def cancel(self, client: DeliveryClient, request: RequestId) -> bool:
        """Cancels such a request; whether it was waiting."""
        return await self._asking.cancel(client, request)

    def leave(self, client: DeliveryClient) -> None:
        """Ends the requests of a session that ended."""
        self._asking.leave(client)

    # ── for the desk ──

    def reader_event(self, what: str, reader: Reader) -> None:
        """A reader of this desk, or of another one, was added, changed or removed."""
        if reader.station is None:
            self._changed = True
            self._listener.wake()

    def _look_whether_started(self) -> None:
        """Has the others told at once that the drivers of this desk have told their readers."""
        if self._told_status is not None and self._told_status.starting and not self._desk.is_starting:
            self._changed = True
            self._listener.wake()

    # ── for the rows ──

    async def _look(self, beat: bool) -> None:
        if beat:
            await self._stations.tell()  # keys are renewed from time to time
        if self._changed:
            await self._tell()
        written, visiting, doubtful = self._asking.names, self._answering.names, self._answering.doubtful
        there, seen = await self._rows.look(written, beat=beat)
        self._changed = self._changed or not there or self._told_status != self._status()
        if not self._stations.knows(seen.desks):
            await self._stations.refresh()
        if (own := seen.desks.get(self._station.id)) is not None:
            self._meet(own)
        # One that was removed from the site may go on telling: nobody hears it.
        known = {station: row.told for station, row in seen.desks.items() if self._stations.knows((station,))}
        self._announce(known)
        self._asking.hear(seen, written)
        self._asking.watch_readers()
        await self._answering.hear(seen, visiting, doubtful)
        await self._asking.clear()

    async def _tell(self) -> None:
        self._changed = False
        self._version += 1
        told = DeskTold(
            name=self._station.name,
            mode=self._station.mode,
            groups=self._groups,
            readers=self._desk.readers,
            version=self._station.version,
            host=socket.gethostname(),
            status=self._status(),
        )
        self._told_status = told.status
        try:
            found = await self._rows.desks.tell(told, self._version)
        except StoreUnavailable:
            self._changed = True
            raise
        if found is not None:
            self._meet(found)

    def _meet(self, row: DeskRow) -> None:
        """Meets another run of a daemon under this station's id: one that died, or one of a copy."""
        if row.incarnation == self._rows.incarnation:
            return
        if not self._rows.desks.is_elder(row):
            self._changed = True  # if that one lives, it finds out by the next thing that is told
            if self._version > 1 and row.incarnation not in self._copies:  # what is told first meets a run that died
                self._copies.add(row.incarnation)
                logger.error("a copy of this station was started on %s: it is to stop", row.told.host or "a machine")
            return
        data: dict[str, JsonValue] = {"station": self._station.id, "host": row.told.host}
        where = f"{row.told.host} since {time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime(row.told.started))}"
        self._on_conflict(DaemonRunning(f"this station runs on {where}", variant="cloned", data=data))

    def _status(self) -> DeskStatus:
        outage = self._store.outage or Outage(since=0.0)
        return DeskStatus(
            listens=self._listener.listens,
            clock_offset=float(round(self._clock_offset())),  # to be told anew where it changes; measured as it is told
            away_since=outage.since,
            away_until=outage.until,
            away_why=outage.why,
            away_sqlstate=outage.sqlstate,
            starting=self._desk.is_starting,
        )

    def _away(self) -> None:
        self._announce({})
        self._asking.watch_readers()
        self._answering.away()
        self._changed = True

    def _announce(self, desks: dict[str, DeskTold]) -> None:
        for what, reader in self._others.hear(desks):
            self._desk.announce(what, reader)

    def _hear(self, word: str, name: str, told: str) -> None:
        """Takes what was called, with a look at the rows only where they concern this desk."""
        match word:
            case "news":
                self._on_external_change()
            case "desk":
                if name != self._station.id:
                    self._listener.wake()
            case "asked":
                self._asked_there(name, told)
            case "step":
                if name in self._asking.names:
                    self._asking.told(word, name, self._rows.requests.opened_step(name, told))
            case "answered":
                self._asking.told(word, name)
            case "taken":
                self._asking.told(word, name)
                if told != self._rows.incarnation:
                    self._answering.over(name)
            case "ended":
                self._answering.over(name, for_good=True)
            case _:
                self._listener.wake()

    def _asked_there(self, request: str, told: str) -> None:
        try:
            if not self._answering.hear_told(request, told):
                self._look_at(request)
        except Exception as error:  # noqa: BLE001  an edge: whatever stands in a call, the next one is heard
            incident(error)

    def _asked_here(self, request: str, wanted: Wanted) -> None:
        names = wanted.names
        if self._means_us(names):
            self._look_at(request)

    def _look_at(self, request: str) -> None:
        """Looks at one request; anybody who may connect to the database can call of any number."""
        if len(self._looking) >= MOST_LOOKED_AT:
            self._listener.wake()
            return
        self._looking.spawn(self._heard_of(request), "asked")

    async def _heard_of(self, request: str) -> None:
        try:
            await self._answering.hear_of(request)
        except StoreUnavailable as error:
            logger.debug("a request that was asked is looked at later: %s", error)

    def _audience(self, wanted: Wanted) -> frozenset[str]:
        return self._others.audience(wanted.names)

    def _hoped_for(self, wanted: Wanted) -> bool:
        own = any(
            reader.state != "unavailable"
            and not wanted.media.isdisjoint(reader.media)
            and wanted.names.mean(self._station.id, self._groups, reader)
            for reader in self._desk.readers
        )
        return own or self._others.hoped_for(wanted.names, wanted.media)

    def _starting(self, wanted: Wanted) -> bool:
        names = wanted.names
        return (self._means_us(names) and self._desk.is_starting) or self._others.starting(names)

    def _means_us(self, names: Names) -> bool:
        return bool(names.own(self._station.id)) or not set(names.groups).isdisjoint(self._groups)

    # ── what is sealed ──

    def _open(self, sealed: bytes, bound_to: str) -> bytes:
        return open_box(self._keys.agreement, sealed, vault=self._vault, bound_to=bound_to)

    def _seal_for(self, station: str, plain: bytes, bound_to: str) -> bytes:
        return seal_for(self._stations.agreement(station), plain, vault=self._vault, bound_to=bound_to)

    async def _prove(self, result: PresentationResult) -> None:
        """The key of a token is one of those that this desk gives to its clients."""
        header = json.loads(urlsafe_b64decode(result.token.partition(".")[0] + "=="))
        if all(key["kid"] != header["kid"] for key in self._keys.jwks["keys"]):
            await self._stations.refresh()
