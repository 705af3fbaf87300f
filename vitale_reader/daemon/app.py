"""The daemon as a whole: begun, run until it is told to end, ended.

``running`` builds its parts in order: station, token issuing, desk, other desks, and the answering of calls. Each has
its builder in ``composition``.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import msgspec

from vitale_protocol.errors import StoreUnavailable, VitaleError
from vitale_reader.daemon import lifecycle, log_output, process
from vitale_reader.daemon.composition.desks import make_desk, make_remote_desks
from vitale_reader.daemon.composition.issuing import open_issuing
from vitale_reader.daemon.composition.observers import open_tally, open_traces, show_metrics
from vitale_reader.daemon.composition.services import make_external_changes, make_services
from vitale_reader.daemon.composition.station import open_station
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.conversation import Conversations
from vitale_reader.daemon.dispatcher import Dispatcher
from vitale_reader.daemon.fairness.processor_shares import Shares
from vitale_reader.daemon.issuing.contexts import Contexts
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.replay import ReplayGuard
from vitale_reader.daemon.keystore.private_files import private_folder
from vitale_reader.daemon.observation.events import all_of
from vitale_reader.daemon.observation.incidents import BackgroundTasks, attempt
from vitale_reader.daemon.store.audit_trail.audit import Audit
from vitale_reader.daemon.transports.listening import Listening, listen
from vitale_reader.daemon.workers.heartbeat import Beat
from vitale_reader.daemon.workers.supervisor import require_known_tables
from vitale_reader.home import Endpoints, Home, WebEndpoint
from vitale_reader.service.notification import ServiceNotification

__all__ = ["run", "running", "serve", "tell_unseen"]

logger = logging.getLogger(__name__)

#: Seconds between two clearings of what has expired. Expired tokens are never handed out in the meantime.
PURGE_INTERVAL = 600.0

#: Seconds of the daemon's end in which what waits is answered.
ANSWERING = 1.2

#: Seconds after which a thread gives way to another.
SWITCH_INTERVAL = 0.0005


@asynccontextmanager
async def running(
    home: Home,
    config: Config,
    *,
    beat: Beat | None = None,
    on_conflict: Callable[[VitaleError], None] | None = None,
    on_listening: Callable[[], None] | None = None,
    on_progress: Callable[[], None] = lambda: None,
    ending: lifecycle.Ending | None = None,
) -> AsyncGenerator[Endpoints]:
    """A daemon that serves within the ``async with``; gives its addresses.

    Args:
        home: its folders.
        config: its settings.
        beat: how its drivers are asked whether they live.
        on_conflict: called when it must not go on; what the log says is all there is without it.
        on_listening: called when it listens, before anybody can know.
        on_progress: called, by any thread, at each step by which a store of a version before is brought forward.
        ending: its end, where that is to be within a time.

    Raises:
        DaemonRunning: another daemon holds the home.
        ConfigurationInvalid: a setting cannot be used on this machine.
        StoreUnavailable: the state folder cannot be used.
    """
    tally = open_tally(config)
    observe = all_of([] if tally is None else [tally])
    conversations, written_elsewhere = Conversations(observe), asyncio.Event()
    ending = ending or lifecycle.Ending(bounded=False)
    async with AsyncExitStack() as stack:
        require_known_tables(config.drivers.enabled, config.drivers.options)
        process.raise_file_limit()
        held = stack.enter_context(lifecycle.exclusive(home, open_to_others=bool(config.unix.users)))
        stack.push_async_callback(ending.finish)
        station = await open_station(stack, home, config, observe, ending, on_progress)
        watched = all_of([observe, *open_traces(stack, station, ending)])
        issuing = await open_issuing(stack, station, conversations, watched, ending)
        shares = Shares()
        desk = make_desk(station, issuing, beat or Beat(), shares, observe)
        remote_desks = make_remote_desks(station, desk, written_elsewhere, on_conflict or _log_conflict, shares)
        services = make_services(station, issuing, desk, remote_desks, conversations, shares)
        service = Dispatcher(services)
        changes = make_external_changes(station, issuing, services, written_elsewhere)
        ending.take_along(lambda: desk.supervisor.processes)
        desk.start()
        stack.push_async_callback(ending.aside, "drivers", desk.supervisor.stop)
        # Stopped after the listeners: nobody comes in while the sessions are ended.
        stack.push_async_callback(ending.stage, "sessions", service.stop, ANSWERING)
        await changes.try_to_look()
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
            shares=shares,
        )
        if tally is not None:
            show_metrics(stack, station, services, tally)
        endpoints = listening.endpoints
        if on_listening is not None:
            on_listening()
        publish = stack.enter_context(lifecycle.published(home, endpoints))
        cleaning = _clean(issuing.outbox, station.audit, issuing.guard, issuing.contexts)
        tasks = BackgroundTasks()
        stack.callback(tasks.cancel)
        works = (
            ("cleaning", cleaning),
            ("contexts", issuing.contexts.watch()),
            ("external changes", changes.watch()),
            ("home", held.watch()),
            ("gateway", _tell_port(listening, publish)),
        )
        for name, work in works:
            tasks.spawn(work, name)
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
        DaemonRunning, ConfigurationInvalid, StoreUnavailable: as ``running``. ``DaemonRunning`` is also raised later,
            where a copy of this station is found that started before it.
    """
    told = notification or ServiceNotification({})
    must_end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(why: VitaleError) -> None:
        if not must_end.done():
            must_end.set_exception(why)

    # Whoever hears that it serves, or finds where, may have it stop at once.
    listens = partial(lifecycle.end_when_told, must_end, None if ending is None else ending.told)
    starts = running(home, config, on_conflict=end, on_listening=listens, on_progress=told.extend, ending=ending)
    async with starts as endpoints:
        if on_ready is not None:
            on_ready(endpoints)
        told.ready()
        try:
            await must_end
        finally:
            if ending is not None:
                ending.told()
            told.stopping()


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


def _log_conflict(why: VitaleError) -> None:
    logger.error("this daemon must not go on: %s", why)


async def _clean(*kept: Outbox | Audit | ReplayGuard | Contexts) -> None:
    """Forgets what has expired, now and from time to time."""
    while True:
        for forgetful in kept:
            await attempt(_purge(forgetful))
        await asyncio.sleep(PURGE_INTERVAL)


async def _purge(forgetful: Outbox | Audit | ReplayGuard | Contexts) -> None:
    try:
        await forgetful.purge()
    except StoreUnavailable as error:
        logger.error("what has expired could not be cleared: %s", error)
