"""The composition root: the only place that knows how the daemon is put together."""

import asyncio
import contextlib
import datetime as dt
import logging
import os
import random
import secrets
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from vitale_protocol.errors import ConfigurationInvalid, StoreUnavailable
from vitale_protocol.methods import Limits as WireLimits
from vitale_protocol.methods import Station
from vitale_protocol.session.session import Limits as SessionLimits
from vitale_reader.daemon import journal, lifecycle
from vitale_reader.daemon.access import Access
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.desk.coordinator import Desk
from vitale_reader.daemon.desk.supervisor import Beat, Supervisor
from vitale_reader.daemon.handlers.services import Parts
from vitale_reader.daemon.issuing.contexts import Contexts
from vitale_reader.daemon.issuing.delivery import Delivery
from vitale_reader.daemon.issuing.issuer import Issuer
from vitale_reader.daemon.issuing.opposition import Opposition
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.profiles import read_profiles
from vitale_reader.daemon.issuing.replay import ReplayGuard
from vitale_reader.daemon.issuing.seals import read_trust_list
from vitale_reader.daemon.keystore.certificates import Certificates
from vitale_reader.daemon.keystore.files import private_folder
from vitale_reader.daemon.keystore.keys import Keys
from vitale_reader.daemon.keystore.vault import Vault
from vitale_reader.daemon.service import Service
from vitale_reader.daemon.site.external_changes import News
from vitale_reader.daemon.site.opening import anchor_file, open_keys, open_store
from vitale_reader.daemon.site.stations import Stations
from vitale_reader.daemon.store.audit import Audit
from vitale_reader.daemon.store.chain import Chain
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.transports import tls
from vitale_reader.daemon.transports.stream import StreamLimits
from vitale_reader.home import Endpoints, Home, TlsEndpoint
from vitale_reader.resolvers.guarded import GuardedResolver
from vitale_reader.resolvers.registry import load_resolver
from vitale_reader.version import VERSION

if TYPE_CHECKING:
    from vitale_reader.daemon.site.remote_desks import Neighbours

__all__ = ["run", "running", "serve"]

logger = logging.getLogger(__name__)

#: Seconds between two clearings of what has expired. Expired tokens are never handed out in the meantime.
PURGE_INTERVAL = 600.0


@asynccontextmanager
async def running(home: Home, config: Config, *, beat: Beat | None = None) -> AsyncGenerator[Endpoints]:
    """A daemon that serves within the ``async with``; gives its addresses.

    Raises:
        DaemonRunning: another daemon holds the home.
        ConfigurationInvalid: a setting cannot be used on this machine.
        StoreUnavailable: the state folder cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        lifecycle.raise_file_limit()
        stack.enter_context(lifecycle.exclusive(home, open_to_others=bool(config.unix.users)))
        private_folder(home.state)
        keys = open_keys(home, config, clock=time.time)
        certificates = Certificates(
            home.state / "tls", station=keys.station, host=config.tls.host, now=dt.datetime.now(dt.UTC)
        )
        certificates.open()
        store, vault = await open_store(stack, home, config, keys)
        chain = Chain(vault, keys.station)
        audit = Audit(store, chain, anchor=anchor_file(home, config), days=config.audit_days, clock=time.time)
        await audit.open()
        stack.push_async_callback(audit.close)
        outbox = Outbox(store, vault, chain, clock=time.time)
        access = Access(store, clock=time.time)
        await access.open()
        profiles = read_profiles(config.apcv.profiles, config.station.mode)
        issuer = Issuer(
            keys,
            mode=config.station.mode,
            lifetime=config.tokens.lifetime,
            clock=time.time,
            random_bytes=secrets.token_bytes,
            profile_origins=profiles.origins,
            trust=read_trust_list(config.seals.trust_list),
        )
        resolver = await _open_resolver(stack, config)
        guard = ReplayGuard(store, vault, days=config.apcv.replay_days, printed=config.seals.once, clock=time.time)
        contexts = Contexts(store, vault, resolver, station=keys.station, mode=config.station.mode, clock=time.time)
        await contexts.open()
        opposition = Opposition(store, vault)
        delivery = Delivery(issuer, outbox, audit, guard, resolver, contexts, opposition, clock=time.time)
        desk = Desk(delivery)
        desk.supervisor = Supervisor(
            {name: profiles.options(name, config.drivers.options.get(name, {})) for name in config.drivers.enabled},
            on_report=desk.report,
            on_end=desk.driver_ended,
            beat=beat or Beat(),
        )
        stations = Stations(store, vault, keys, certificates, name=config.station.name) if store.shared else None
        station = Station(id=keys.station, name=config.station.name, version=VERSION, mode=config.station.mode)
        neighbours = (
            _neighbours(config, store, vault, station, desk, access, keys, stations, audit) if stations else None
        )
        limits = _limits(config)
        parts = Parts(
            station=station,
            limits=_wire_limits(config, limits),
            desk=desk,
            access=access,
            outbox=outbox,
            contexts=contexts,
            resolver=resolver,
            audit=audit,
            keys=keys,
            certificates=certificates,
            neighbours=neighbours,
            clock=time.time,
        )
        service = Service(parts)
        contexts.notify = service.notify_expiring
        desk.supervisor.start()
        stack.push_async_callback(desk.supervisor.stop)
        # Stopped after the listeners: nobody comes in while the sessions are ended.
        stack.push_async_callback(service.stop)
        news = News(store, access, opposition, stations, revoked=parts.revoked, called=lambda: _called(neighbours))
        await news.try_to_look()
        if neighbours is not None:
            neighbours.on_news = news.wake
            await neighbours.start()
        endpoints = await _listen(stack, home, config, certificates, service, limits)
        stack.enter_context(lifecycle.published(home, endpoints))
        for name, work in (
            ("cleaning", _clean(outbox, audit, guard, contexts)),
            ("contexts", contexts.watch()),
            ("news", news.watch()),
        ):
            stack.callback(asyncio.create_task(work, name=name).cancel)
        logger.info("serving, station %s in mode %s", keys.station, config.station.mode)
        yield endpoints
        logger.info("stopping")


def _neighbours(
    config: Config,
    store: Database,
    vault: Vault,
    station: Station,
    desk: Desk,
    access: Access,
    keys: Keys,
    stations: Stations,
    audit: Audit,
) -> "Neighbours":
    from vitale_reader.daemon.site.remote_desks import Neighbours  # noqa: PLC0415  not needed where a desk is alone

    async def note(client_id: str, outcome: str) -> None:
        await audit.note("presentation.request", outcome, client_id=client_id)

    return Neighbours(
        url=config.store,
        store=store,
        vault=vault,
        station=station,
        groups=config.station.groups,
        desk=desk,
        access=access,
        keys=keys,
        stations=stations,
        note=note,
    )


def _called(neighbours: "Neighbours | None") -> bool:
    """Whether others call when they have written, or there are none but the command line."""
    return neighbours is None or neighbours.listens


async def serve(home: Home, config: Config, *, on_ready: Callable[[Endpoints], None] | None = None) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        DaemonRunning, ConfigurationInvalid, StoreUnavailable: as ``running``.
    """
    async with running(home, config) as endpoints:
        if on_ready is not None:
            on_ready(endpoints)
        await lifecycle.until_told_to_stop()


def run(home: Home, config: Config, *, on_ready: Callable[[Endpoints], None] | None = None) -> None:
    """What ``vitale-reader serve`` does: the log to standard error, then ``serve``."""
    journal.to_stderr(config.log.level)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(home, config, on_ready=on_ready))


async def _listen(
    stack: contextlib.AsyncExitStack,
    home: Home,
    config: Config,
    certificates: Certificates,
    service: Service,
    limits: StreamLimits,
) -> Endpoints:
    """Opens the transports that are configured; their order of closing is the reverse."""
    unix_file = None
    if config.unix.enabled and sys.platform != "win32":
        from vitale_reader.daemon.transports import unix  # noqa: PLC0415  not on Windows

        server = await unix.listen(home.socket, service, limits, other_users=_uids(config.unix.users))
        stack.callback(server.close)
        unix_file = str(home.socket)
    tls_endpoint = None
    if config.tls.enabled:
        tls.require_loopback(config.tls.host, lan=config.tls.lan)
        context = certificates.server_context()
        try:
            tls_server = await tls.listen(config.tls.host, config.tls.port, context, service, limits)
        except OSError as error:
            raise ConfigurationInvalid(
                f"cannot listen on {config.tls.host}:{config.tls.port}: {os.strerror(error.errno or 0)}",
                data={"path": "tls.port"},
            ) from error
        stack.callback(tls_server.close)
        host, port = tls_server.sockets[0].getsockname()[:2]
        tls_endpoint = TlsEndpoint(host=host, port=port, sha256=certificates.daemon_sha256)
    return Endpoints(pid=os.getpid(), version=VERSION, unix=unix_file, tls=tls_endpoint)


async def _open_resolver(stack: contextlib.AsyncExitStack, config: Config) -> GuardedResolver:
    resolver = load_resolver(config.apcv.resolver)(config.apcv.options, config.station.mode)
    await resolver.open()
    stack.push_async_callback(resolver.close)
    # Jitter needs no secret randomness.
    return GuardedResolver(resolver, limit=config.apcv.timeout, random=random.random, clock=time.monotonic)


async def _clean(*kept: Outbox | Audit | ReplayGuard | Contexts) -> None:
    """Forgets what has expired, now and from time to time."""
    while True:
        for forgetful in kept:
            try:
                await forgetful.purge()
            except StoreUnavailable as error:
                logger.error("what has expired could not be cleared: %s", error)
        await asyncio.sleep(PURGE_INTERVAL)


def _limits(config: Config) -> StreamLimits:
    return StreamLimits(
        # Waiting requests, and room for the calls that are answered at once beside them.
        session=SessionLimits(requests=config.limits.requests + 32),
        connections=lifecycle.file_limit() // 4,
        open_seconds=config.limits.open_seconds,
        send_buffer_bytes=config.limits.send_buffer_bytes,
    )


def _wire_limits(config: Config, limits: StreamLimits) -> WireLimits:
    return WireLimits(
        message_bytes=limits.session.message_bytes,
        depth=limits.session.depth,
        batch=limits.session.batch,
        sessions=config.limits.sessions,
        requests=config.limits.requests,
        open_seconds=config.limits.open_seconds,
    )


def _uids(users: tuple[str, ...]) -> list[int]:
    import pwd  # noqa: PLC0415  not on Windows

    try:
        return [pwd.getpwnam(user).pw_uid for user in users]
    except KeyError as error:
        raise ConfigurationInvalid("a user of unix.users does not exist", data={"path": "unix.users"}) from error
