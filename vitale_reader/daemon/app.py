"""The composition root: the only place that knows how the daemon is put together.

``running`` is the whole of it: the station, what makes tokens, the desk, the other desks, the answers to calls. Each
has its builder below, which takes what was built before; nothing is joined afterwards.
"""

import asyncio
import contextlib
import datetime as dt
import logging
import random
import secrets
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vitale_protocol.errors import StoreUnavailable, VitaleError
from vitale_protocol.extras import missing
from vitale_protocol.methods import Limits as WireLimits
from vitale_protocol.methods import Station as StationIdentity
from vitale_protocol.metrics.families import Families
from vitale_protocol.signing import public_jwk
from vitale_reader.daemon import lifecycle, log_output, process
from vitale_reader.daemon.audit_export import Exporter, destinations, same_disk
from vitale_reader.daemon.client_registry import ClientRegistry
from vitale_reader.daemon.config import Config, numbered_devices
from vitale_reader.daemon.conversation import Conversations
from vitale_reader.daemon.dashboard.desk_view import DeskView
from vitale_reader.daemon.dashboard.entrance import Entrance
from vitale_reader.daemon.desk.coordinator import Coordinator
from vitale_reader.daemon.desk.supervisor import Beat, require_known_tables
from vitale_reader.daemon.diagnostics import Diagnostics
from vitale_reader.daemon.dispatcher import Service
from vitale_reader.daemon.fairness.audit_queue import Notes
from vitale_reader.daemon.fairness.fair_store import FairStore
from vitale_reader.daemon.handlers.page_limits import PageLimits
from vitale_reader.daemon.handlers.services import Services
from vitale_reader.daemon.issuing.contexts import Contexts
from vitale_reader.daemon.issuing.delivery import Delivery
from vitale_reader.daemon.issuing.issuer import Issuer
from vitale_reader.daemon.issuing.opposition import Opposition
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.profiles import Profiles, read_profiles
from vitale_reader.daemon.issuing.replay import ReplayGuard
from vitale_reader.daemon.issuing.trusted_signers import read_trust_list
from vitale_reader.daemon.keystore.certificates import Certificates
from vitale_reader.daemon.keystore.private_files import private_folder
from vitale_reader.daemon.keystore.station_keys import Keys
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.metrics.bearer import bearer_file
from vitale_reader.daemon.metrics.exporter import MetricsExporter
from vitale_reader.daemon.metrics.gauges import Gauges, look_up
from vitale_reader.daemon.metrics.tally import Tally
from vitale_reader.daemon.observation.events import Observe, all_of
from vitale_reader.daemon.site.external_changes import ExternalChanges
from vitale_reader.daemon.site.open_store import anchor_file, open_keys, open_store
from vitale_reader.daemon.site.stations import Stations
from vitale_reader.daemon.store.audit_trail.audit import Audit
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.transports.listening import Listening, listen, stream_limits
from vitale_reader.daemon.transports.peers import UNIX_SOCKETS
from vitale_reader.daemon.web.pairing_desk import PairingDesk
from vitale_reader.home import Endpoints, Home, WebEndpoint
from vitale_reader.resolvers.guarded import GuardedResolver
from vitale_reader.resolvers.registry import load_resolver
from vitale_reader.service.notification import ServiceNotification
from vitale_reader.version import VERSION

if TYPE_CHECKING:
    from vitale_reader.daemon.site.remote_desks import RemoteDesks

__all__ = ["run", "running", "serve", "tell_unseen"]

logger = logging.getLogger(__name__)

#: Seconds between two clearings of what has expired. Expired tokens are never handed out in the meantime.
PURGE_INTERVAL = 600.0

#: Seconds of the daemon's end in which what waits is answered, and for a resolver to be closed.
ANSWERING, RESOLVER = 1.2, 0.2

#: Seconds after which a thread gives way to another.
SWITCH_INTERVAL = 0.0005


class Station(msgspec.Struct, frozen=True, kw_only=True):
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
    stations: Stations | None
    remembered: Remembered
    clock: StoreClock

    @property
    def info(self) -> StationIdentity:
        """The station as clients see it."""
        told = self.config.station
        return StationIdentity(id=self.keys.station, name=told.name, version=VERSION, mode=told.mode)


class Issuing(msgspec.Struct, frozen=True, kw_only=True):
    """Parts that make tokens of presentations, and keep them."""

    profiles: Profiles
    resolver: GuardedResolver
    outbox: Outbox
    guard: ReplayGuard
    contexts: Contexts
    opposition: Opposition
    delivery: Delivery


@asynccontextmanager
async def running(
    home: Home,
    config: Config,
    *,
    beat: Beat | None = None,
    on_conflict: Callable[[VitaleError], None] | None = None,
    on_listening: Callable[[], None] | None = None,
    ending: lifecycle.Ending | None = None,
) -> AsyncGenerator[Endpoints]:
    """A daemon that serves within the ``async with``; gives its addresses.

    Args:
        home: its folders.
        config: its settings.
        beat: how its drivers are asked whether they live.
        on_conflict: called when it must not go on; what the log says is all there is without it.
        on_listening: called when it listens, before anybody can know.
        ending: its end, where that is to be within a time.

    Raises:
        DaemonRunning: another daemon holds the home.
        ConfigurationInvalid: a setting cannot be used on this machine.
        StoreUnavailable: the state folder cannot be used.
    """
    tally = Tally() if config.metrics.enabled else None
    observe = all_of([] if tally is None else [tally])
    conversations, written_elsewhere = Conversations(observe), asyncio.Event()
    ending = ending or lifecycle.Ending(bounded=False)
    async with AsyncExitStack() as stack:
        require_known_tables(config.drivers.enabled, config.drivers.options)
        process.raise_file_limit()
        held = stack.enter_context(lifecycle.exclusive(home, open_to_others=bool(config.unix.users)))
        stack.push_async_callback(ending.finish)
        station = await _open_station(stack, home, config, observe, ending)
        watched = all_of([observe, *_traces(stack, station, ending)])
        issuing = await _open_issuing(stack, station, conversations, watched, ending)
        desk = _desk(station, issuing, beat or Beat(), observe)
        remote_desks = _remote_desks(station, desk, written_elsewhere, on_conflict or _log_conflict)
        services = _services(station, issuing, desk, remote_desks, conversations)
        service = Service(services)
        news = _news(station, issuing, services, written_elsewhere)
        ending.take_along(lambda: desk.supervisor.processes)
        desk.start()
        stack.push_async_callback(ending.aside, "drivers", desk.supervisor.stop)
        # Stopped after the listeners: nobody comes in while the sessions are ended.
        stack.push_async_callback(ending.stage, "sessions", service.stop, ANSWERING)
        await news.try_to_look()
        if remote_desks is not None:
            await remote_desks.start()
        listening = await listen(
            stack,
            home,
            config,
            station.certificates,
            service,
            desk.supervisor,
            page_may_come=services.page_may_come,
            entrance=services.entrance,
        )
        if tally is not None:
            _show_metrics(stack, station, services, tally)
        endpoints = listening.endpoints
        if on_listening is not None:
            on_listening()
        publish = stack.enter_context(lifecycle.published(home, endpoints))
        cleaning = _clean(issuing.outbox, station.audit, issuing.guard, issuing.contexts)
        works = (
            ("cleaning", cleaning),
            ("contexts", issuing.contexts.watch()),
            ("news", news.watch()),
            ("home", held.watch()),
            ("gateway", _tell_port(listening, publish)),
        )
        for name, work in works:
            stack.callback(asyncio.create_task(work, name=name).cancel)
        logger.info("serving, station %s in mode %s", station.keys.station, config.station.mode)
        try:
            yield endpoints
        finally:
            logger.info("stopping")
            station.store.hasten()


async def serve(
    home: Home,
    config: Config,
    *,
    on_ready: Callable[[Endpoints], None] | None = None,
    notification: ServiceNotification | None = None,
    ending: lifecycle.Ending | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        DaemonRunning, ConfigurationInvalid, StoreUnavailable: as ``running``; ``DaemonRunning`` also later, where a
            copy of this station is found to be older than it.
    """
    must_end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(why: VitaleError) -> None:
        if not must_end.done():
            must_end.set_exception(why)

    # Whoever hears that it serves, or finds where, may have it stop at once.
    listens = partial(lifecycle.end_when_told, must_end, None if ending is None else ending.told)
    async with running(home, config, on_conflict=end, on_listening=listens, ending=ending) as endpoints:
        if on_ready is not None:
            on_ready(endpoints)
        if notification is not None:
            notification.ready()
        try:
            await must_end
        finally:
            if ending is not None:
                ending.told()
            if notification is not None:
                notification.stopping()


def run(home: Home, config: Config, *, on_ready: Callable[[Endpoints], None] | None = None) -> None:
    """Runs ``vitale-reader serve``: begins its log, then serves.

    Raises:
        VitaleError: as ``serve``.
    """
    process.keep_to_itself()
    # A thread of the store that has work gives way to the event loop after half a millisecond, not after five.
    sys.setswitchinterval(SWITCH_INTERVAL)
    log_output.to_stderr(config.log.level)
    if config.log.file or not log_output.has_stderr():
        log_output.to_file(home.state)
    ending = lifecycle.Ending(bounded=True)
    ending.watch()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            serving = serve(home, config, on_ready=on_ready, notification=ServiceNotification(), ending=ending)
            asyncio.run(serving)
    except VitaleError as error:
        tell_unseen(home, error)
        raise


def tell_unseen(home: Home, error: VitaleError) -> None:
    """Logs what ends the daemon, where there is no standard error on which its command tells it."""
    if log_output.has_stderr():
        return
    private_folder(home.state)
    if not logging.getLogger().handlers:
        log_output.to_stderr("info")
        log_output.to_file(home.state)
    logger.error("ended: %s: %s", error.reason, error.detail)


async def _tell_port(listening: Listening, publish: Callable[[Endpoints], None]) -> None:
    """Tells the port for web pages once it is found, where another program had it at the start."""
    if listening.gateway is not None and listening.endpoints.web is None:
        web = WebEndpoint(port=await listening.gateway.port())
        publish(msgspec.structs.replace(listening.endpoints, web=web))


# ── what it is put together from, in this order ──


async def _open_station(
    stack: AsyncExitStack, home: Home, config: Config, observe: Observe, ending: lifecycle.Ending
) -> Station:
    keys = open_keys(home, config, clock=time.time)
    certificates = Certificates(
        home.state / "tls", station=keys.station, host=config.tls.host, now=dt.datetime.now(dt.UTC)
    )
    certificates.open()
    remembered = Remembered.read(anchor_file(home, config))
    opened, vault = await open_store(stack, home, config, keys, remembered)
    store = FairStore(opened, observe)
    dialect = "postgresql" if store.shared else "sqlite"
    chain = Chain(vault, keys.station, remembered=remembered, dialect=dialect)
    clock = StoreClock(remembered, shared=store.shared)
    await _look_at_clock(store, clock)
    exporter = _open_exporter(stack, home, config, vault, keys.station, ending)
    audit = Audit(store, chain, remembered=remembered, days=config.audit_days, clock=clock, export=exporter.export)
    await audit.open()
    stack.push_async_callback(ending.stage, "end of the audit trail", audit.close)
    notes = Notes(audit, clock=time.monotonic)
    notes.open()
    stack.push_async_callback(ending.stage, "lines of the audit trail", notes.close)
    client_registry = ClientRegistry(store, vault, clock=clock.now, remembered=remembered)
    await client_registry.open()
    stations = Stations(store, vault, keys, certificates, name=config.station.name, remembered=remembered)
    return Station(
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
        stations=stations if store.shared else None,
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


async def _open_issuing(
    stack: AsyncExitStack,
    station: Station,
    conversations: Conversations,
    observe: Observe,
    ending: lifecycle.Ending,
) -> Issuing:
    config, store, vault = station.config, station.store, station.vault
    profiles = read_profiles(config.apcv.profiles, config.station.mode)
    issuer = Issuer(
        station.keys,
        mode=config.station.mode,
        lifetime=config.tokens.lifetime,
        clock=station.clock.right,
        random_bytes=secrets.token_bytes,
        profile_origins=profiles.origins,
        trust=read_trust_list(config.seals.trust_list),
    )
    resolver = await _open_resolver(stack, config, ending)
    outbox = Outbox(store, vault, station.chain, clock=station.clock)
    guard = ReplayGuard(store, vault, days=config.apcv.replay_days, printed=config.seals.once, clock=station.clock)
    contexts = Contexts(
        store,
        vault,
        resolver,
        station=station.keys.station,
        mode=config.station.mode,
        notify=conversations.context_expiring,
        clock=station.clock,
    )
    await contexts.open()
    opposition = Opposition(store, vault, remembered=station.remembered)
    delivery = Delivery(
        issuer,
        outbox,
        station.notes,
        guard,
        resolver,
        contexts,
        opposition,
        clock=station.clock.now,
        observe=observe,
    )
    return Issuing(
        profiles=profiles,
        resolver=resolver,
        outbox=outbox,
        guard=guard,
        contexts=contexts,
        opposition=opposition,
        delivery=delivery,
    )


async def _open_resolver(stack: AsyncExitStack, config: Config, ending: lifecycle.Ending) -> GuardedResolver:
    resolver = load_resolver(config.apcv.resolver)(config.apcv.options, config.station.mode)
    await resolver.open()
    stack.push_async_callback(ending.stage, "resolver", resolver.close, RESOLVER)
    # Jitter needs no secret randomness.
    return GuardedResolver(resolver, limit=config.apcv.timeout, random=random.random, clock=time.monotonic)


def _desk(station: Station, issuing: Issuing, beat: Beat, observe: Observe) -> Coordinator:
    for address, driver in numbered_devices(station.config).items():
        logger.warning("driver %s opens whatever gets the name %s, another device or a terminal", driver, address)
    drivers = station.config.drivers
    options = {name: issuing.profiles.options(name, drivers.options.get(name, {})) for name in drivers.enabled}
    home = station.home
    hidden = tuple(str(each) for each in (home.state, home.run, home.config))
    return Coordinator(issuing.delivery, options, beat, hidden=hidden, observe=observe)


def _log_conflict(why: VitaleError) -> None:
    logger.error("this daemon must not go on: %s", why)


def _remote_desks(
    station: Station,
    desk: Coordinator,
    written_elsewhere: asyncio.Event,
    on_conflict: Callable[[VitaleError], None],
) -> "RemoteDesks | None":
    if station.stations is None:
        return None
    from vitale_reader.daemon.site.remote_desks import RemoteDesks  # noqa: PLC0415  not needed where a desk is alone

    async def note(client_id: str, outcome: str) -> None:
        await station.notes.note("presentation.request", outcome, client_id=client_id)

    return RemoteDesks(
        url=station.config.store,
        store=station.store,
        vault=station.vault,
        station=station.info,
        groups=station.config.station.groups,
        desk=desk,
        client_registry=station.client_registry,
        keys=station.keys,
        stations=station.stations,
        note=note,
        on_news=written_elsewhere.set,
        on_conflict=on_conflict,
        clock_offset=lambda: station.clock.offset,
    )


def _services(
    station: Station,
    issuing: Issuing,
    desk: Coordinator,
    remote_desks: "RemoteDesks | None",
    conversations: Conversations,
) -> Services:
    return Services(
        station=station.info,
        limits=_wire_limits(station.config),
        desk=desk,
        client_registry=station.client_registry,
        outbox=issuing.outbox,
        contexts=issuing.contexts,
        resolver=issuing.resolver,
        notes=station.notes,
        keys=station.keys,
        certificates=station.certificates,
        remote_desks=remote_desks,
        conversations=conversations,
        page_limits=PageLimits(conversations, desk.load),
        pairing=PairingDesk(public_jwk(station.keys.identity).thumbprint),
        clock=station.clock.now,
        clock_offset=lambda: station.clock.offset,
        started_at=time.time(),
        diagnostics=Diagnostics(station.home),
        entrance=Entrance(time.monotonic),
        desk_view=DeskView(desk, lambda: station.client_registry.clients),
    )


def _wire_limits(config: Config) -> WireLimits:
    session = stream_limits(config).session
    return WireLimits(
        message_bytes=session.message_bytes,
        depth=session.depth,
        batch=session.batch,
        sessions=config.limits.sessions,
        requests=config.limits.requests,
        open_seconds=config.limits.open_seconds,
        items=session.items,
        opening_bytes=session.opening_bytes,
    )


def _news(station: Station, issuing: Issuing, services: Services, written_elsewhere: asyncio.Event) -> ExternalChanges:
    remote_desks = services.remote_desks
    return ExternalChanges(
        station.store,
        station.client_registry,
        issuing.opposition,
        station.stations,
        clock=station.clock,
        revoked=services.revoked,
        # At a desk that is alone only the command line writes beside the daemon.
        called=lambda: remote_desks is None or remote_desks.listens,
        due=written_elsewhere,
        remembered=station.remembered,
        file=None if station.store.shared else station.home.state / "store.db",
    )


def _gauges(station: Station, services: Services) -> Gauges:
    desk = services.desk
    return Gauges(
        version=VERSION,
        mode=station.config.station.mode,
        started_at=services.started_at,
        drivers=lambda: desk.supervisor.health,
        gateway=lambda: desk.supervisor.gateway,
        readers=lambda: desk.readers,
        sessions=lambda: sum(each.caller is not None for each in services.conversations),
        resolver=lambda: services.resolver.health,
        store=station.store,
        now=station.clock.now,
        clock_offset=services.clock_offset,
        audit_lines=lambda: len(station.notes),
    )


def _show_metrics(stack: AsyncExitStack, station: Station, services: Services, tally: Tally) -> None:
    """Has the exporter begin; a desk whose figures nobody can have serves all the same."""
    config, supervisor, gauges = station.config.metrics, services.desk.supervisor, _gauges(station, services)
    if not UNIX_SOCKETS:
        logger.error("no metrics are shown: this system has no Unix sockets")
        return

    async def figures() -> Families:
        return (*await look_up(gauges), *tally.families())

    exporter = MetricsExporter(
        figures,
        port=config.port,
        bearer=bearer_file(station.home.state, config.bearer_file),
        beat=supervisor.beat,
        hidden=supervisor.hidden,
    )
    stack.callback(exporter.close)
    supervisor.add(exporter.worker)


def _traces(stack: AsyncExitStack, station: Station, ending: lifecycle.Ending) -> Sequence[Observe]:
    """The observer that sends spans, where it is wanted; a desk whose spans nobody gets serves all the same."""
    if not station.config.traces.enabled:
        return ()
    try:
        from vitale_reader.daemon.traces.spans import Traces, collector  # noqa: PLC0415  part of an extra
    except ImportError as error:
        logger.error("no spans are sent: %s", missing(error, "traces", extra="traces").detail)
        return ()
    endpoint = station.config.traces.endpoint
    traces = Traces(collector(endpoint), station=station.keys.station, version=VERSION)
    # Beside the others: a collector that is away takes no time from the lines of the audit trail.
    stack.push_async_callback(ending.aside, "traces", traces.close)
    logger.info("spans of presentations go to %s", endpoint)
    return (traces,)


async def _look_at_clock(store: Database, clock: StoreClock) -> None:
    with contextlib.suppress(StoreUnavailable):  # it is asked again at each look
        await store.run(clock.read, needs="site")


async def _clean(*kept: Outbox | Audit | ReplayGuard | Contexts) -> None:
    """Forgets what has expired, now and from time to time."""
    while True:
        for forgetful in kept:
            try:
                await forgetful.purge()
            except StoreUnavailable as error:
                logger.error("what has expired could not be cleared: %s", error)
        await asyncio.sleep(PURGE_INTERVAL)
