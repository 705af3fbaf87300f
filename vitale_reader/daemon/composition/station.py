"""The station: its secrets, its store, its audit trail, its clients; all that precedes a presentation."""

import asyncio
import contextlib
import datetime as dt
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vitale_protocol.errors import StoreUnavailable
from vitale_protocol.methods import Station as StationIdentity
from vitale_reader.daemon import lifecycle
from vitale_reader.daemon.audit_export import Exporter, destinations, same_disk
from vitale_reader.daemon.clients.registry import ClientRegistry
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.fairness.audit_queue import Notes
from vitale_reader.daemon.fairness.fair_store import FairStore
from vitale_reader.daemon.keystore.certificates import Certificates
from vitale_reader.daemon.keystore.station_keys import Keys
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.observation.events import Observe
from vitale_reader.daemon.site.open_store import anchor_file, open_keys, open_store, spool_anchor
from vitale_reader.daemon.store.audit_trail.audit import Audit
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.store import Database
from vitale_reader.home import Home
from vitale_reader.version import VERSION

if TYPE_CHECKING:
    from vitale_reader.daemon.site.stations import Stations

__all__ = ["OpenStation", "open_station"]

logger = logging.getLogger(__name__)


class OpenStation(msgspec.Struct, frozen=True, kw_only=True):
    """Parts of the station that precede any presentation: its secrets, its store, its clients, its audit trail."""

    home: Home
    config: Config
    keys: Keys
    certificates: Certificates
    store: Database
    vault: Vault
    chain: Chain
    audit: Audit
    notes: Notes
    client_registry: ClientRegistry
    stations: "Stations | None"
    remembered: Remembered
    clock: StoreClock

    @property
    def info(self) -> StationIdentity:
        """The station as clients see it."""
        told = self.config.station
        return StationIdentity(id=self.keys.station, name=told.name, version=VERSION, mode=told.mode)


async def open_station(
    stack: AsyncExitStack,
    home: Home,
    config: Config,
    observe: Observe,
    ending: lifecycle.Ending,
    told: Callable[[], None],
) -> OpenStation:
    """Opens the station; ``told`` is called at each step of upgrading a store of an earlier version.

    Raises:
        StoreUnavailable: its state folder or its store cannot be used.
        ConfigurationInvalid: a setting cannot be used on this machine.
    """
    remembered = Remembered.read(anchor_file(home, config))
    clock = StoreClock(remembered, shared=config.store != "sqlite")
    keys = open_keys(home, config, clock=clock)
    certificates = Certificates(
        home.state / "tls", station=keys.station, host=config.tls.host, now=dt.datetime.now(dt.UTC)
    )
    certificates.open()
    spooled = Remembered.read(spool_anchor(home))
    opened, vault = await open_store(stack, home, config, keys, remembered, told, spooled=spooled)
    store = FairStore(opened, observe)
    dialect = "postgresql" if store.shared else "sqlite"
    chain = Chain(vault, keys.station, remembered=remembered, dialect=dialect, spool=spooled, told=told)
    await _look_at_clock(store, clock)
    exporter = _open_exporter(stack, home, config, vault, keys.station, ending)
    audit = Audit(store, chain, remembered=remembered, days=config.audit_days, clock=clock, export=exporter.export)
    await audit.open()
    stack.push_async_callback(ending.stage, "end of the audit trail", audit.close)
    notes = Notes(audit, clock=time.monotonic)
    notes.open()
    stack.push_async_callback(ending.stage, "lines of the audit trail", notes.close)
    client_registry = ClientRegistry(store, vault, clock=clock.now, believed=clock.believed, remembered=remembered)
    await client_registry.open()
    stations = None
    if store.shared:
        from vitale_reader.daemon.site.stations import Stations  # noqa: PLC0415  not needed where a desk is alone

        stations = Stations(store, vault, keys, certificates, name=config.station.name, remembered=remembered)
    return OpenStation(
        home=home,
        config=config,
        keys=keys,
        certificates=certificates,
        store=store,
        vault=vault,
        chain=chain,
        audit=audit,
        notes=notes,
        client_registry=client_registry,
        stations=stations,
        remembered=remembered,
        clock=clock,
    )


def _open_exporter(
    stack: AsyncExitStack, home: Home, config: Config, vault: Vault, station: str, ending: lifecycle.Ending
) -> Exporter:
    exporter = Exporter(vault, station, destinations(config.audit.export, config.audit.options))
    for name in config.audit.export:
        if same_disk(Path(name), home.state):
            logger.warning("the ends of the audit trail go to %s, which is on the disk of the trail itself", name)
    exporter.open()
    stack.push_async_callback(ending.aside, "audit export", partial(asyncio.to_thread, exporter.close))
    return exporter


async def _look_at_clock(store: Database, clock: StoreClock) -> None:
    with contextlib.suppress(StoreUnavailable):  # it is asked again at each look
        await store.run(clock.read, needs="site")
