"""Gauges: what is looked up at the moment when somebody asks, and costs nothing before."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import get_args

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, func, literal, select

from vitale_protocol.errors import StoreUnavailable
from vitale_protocol.events import Reader, ReaderState
from vitale_protocol.methods import DriverHealth, ResolverHealth, StationMode
from vitale_protocol.metrics.families import Families, Family, Sample
from vitale_reader.daemon.fairness.fair_store import BACKGROUND, paid_by
from vitale_reader.daemon.store.spool_replay import ACKNOWLEDGED
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.store.tables import audit, contexts, outbox, seen, site

__all__ = ["Gauges", "StoreGauges", "look_up"]

RESOLVER_STATES = ("none", "ready", "degraded", "open")

# One statement, and so one round trip to a database.
_KEPT = select(func.count()).select_from(outbox).where(outbox.c.exp > bindparam("now")).scalar_subquery()
_SPOOLED = sum(
    (select(func.count()).select_from(table).scalar_subquery() for table in (seen, outbox, contexts, audit)),
    select(func.count()).where(site.c.name.startswith(ACKNOWLEDGED, autoescape=True)).scalar_subquery(),
)

#: What the kernel counts for this process, in kB (proc(5)); other systems tell it otherwise.
_STATUS = Path("/proc/self/status")
_MEMORY = re.compile(r"^VmRSS:\s*(\d+) kB$", re.MULTILINE)


class Gauges(msgspec.Struct, frozen=True, kw_only=True):
    """Sources of the gauges.

    Attributes:
        version: of this program.
        mode: of the station.
        started_at: of the daemon, epoch seconds.
        drivers: how each is.
        gateway: likewise for web pages; None where none runs.
        readers: those of this desk.
        sessions: how many are open.
        resolver: how it is.
        store: where tokens are kept.
        now: the time of the store, epoch seconds.
        clock_offset: seconds by which the desk is ahead of the store.
        audit_lines: how many wait to be written.
    """

    version: str
    mode: StationMode
    started_at: float
    drivers: Callable[[], Iterable[DriverHealth]]
    gateway: Callable[[], DriverHealth | None]
    readers: Callable[[], Iterable[Reader]]
    sessions: Callable[[], int]
    resolver: Callable[[], ResolverHealth]
    store: Database
    now: Callable[[], float]
    clock_offset: Callable[[], float]
    audit_lines: Callable[[], int]


class StoreGauges(msgspec.Struct, frozen=True):
    """The answer of the store: tokens of its outbox, rows of the spool, seconds for the answer."""

    tokens: int
    spooled: int
    seconds: float


async def look_up(gauges: Gauges) -> Families:
    """All the gauges as they are now; what the store does not tell is left out."""
    with paid_by(BACKGROUND):
        looked = await _look(gauges)
    return (*_of_process(gauges), *_of_drivers(gauges), *_of_desk(gauges), *_of_store(gauges, looked))


async def _look(gauges: Gauges) -> StoreGauges | None:
    values = {"now": int(gauges.now())}

    def timed(spooled: ColumnElement[int]) -> Callable[[Connection], StoreGauges]:
        statement = select(_KEPT, spooled)

        def work(connection: Connection) -> StoreGauges:
            began = time.perf_counter()
            tokens, rows = connection.execute(statement, values).one()
            return StoreGauges(tokens, rows, time.perf_counter() - began)

        return work

    try:
        return await gauges.store.run(timed(literal(0)), single=True, in_spool=timed(_SPOOLED))
    except StoreUnavailable:
        return None


def _of_process(gauges: Gauges) -> Iterator[Family]:
    yield Family(
        name="vitale_reader_info",
        kind="gauge",
        help="Version and mode of the daemon; always 1.",
        labels=("version", "mode"),
        samples=(Sample((gauges.version, gauges.mode), 1),),
    )
    yield _gauge("process_start_time_seconds", "Start of the daemon, seconds since the epoch.", gauges.started_at)
    yield _counter("process_cpu_seconds", "Time of the processor that the daemon took.", time.process_time())
    if _STATUS.exists() and (memory := _MEMORY.search(_STATUS.read_text("utf-8", "replace"))):
        yield _gauge("process_resident_memory_bytes", "Memory of the daemon's process.", int(memory[1]) * 1_024)


def _of_drivers(gauges: Gauges) -> Iterator[Family]:
    drivers = tuple(gauges.drivers())
    yield Family(
        name="vitale_reader_driver_up",
        kind="gauge",
        help="Whether a driver is ready: its process lives, and the service behind its devices answers.",
        labels=("driver",),
        samples=tuple(Sample((each.name,), float(each.state == "ready")) for each in drivers),
    )
    yield Family(
        name="vitale_reader_driver_restarts",
        kind="counter",
        help="How often a driver's process was started again since the daemon started.",
        labels=("driver",),
        samples=tuple(Sample((each.name,), float(each.restarts)) for each in drivers),
    )
    gateway = gauges.gateway()
    if gateway is not None:
        yield _gauge("vitale_reader_gateway_up", "Whether web pages can reach this desk.", gateway.state == "ready")
        yield _counter("vitale_reader_gateway_restarts", "Restarts of the gateway for web pages.", gateway.restarts)


def _of_desk(gauges: Gauges) -> Iterator[Family]:
    readers = Counter((each.driver, each.state) for each in gauges.readers())
    drivers = {each.name for each in gauges.drivers()} | {driver for driver, _ in readers}
    states: tuple[ReaderState, ...] = get_args(ReaderState)
    yield Family(
        name="vitale_reader_readers",
        kind="gauge",
        help="Readers of this desk, by their driver and their state.",
        labels=("driver", "state"),
        samples=tuple(
            Sample((driver, state), float(readers[driver, state])) for driver in sorted(drivers) for state in states
        ),
    )
    yield _gauge("vitale_reader_sessions", "Connections of programs and pages that are open.", gauges.sessions())
    state = gauges.resolver().state
    yield Family(
        name="vitale_reader_resolver_state",
        kind="gauge",
        help="State of the apCV service: none, ready, degraded, or open where it is left alone for a while.",
        labels=("state",),
        samples=tuple(Sample((each,), float(each == state)) for each in RESOLVER_STATES),
    )
    yield _gauge(
        "vitale_reader_clock_offset_seconds",
        "Seconds by which the clock of the desk is ahead of its database's.",
        gauges.clock_offset(),
    )
    yield _gauge(
        "vitale_reader_audit_lines_waiting", "Lines of the audit trail that wait to be written.", gauges.audit_lines()
    )


def _of_store(gauges: Gauges, looked: StoreGauges | None) -> Iterator[Family]:
    yield _gauge("vitale_reader_store_up", "Whether the store answers; its spool counts.", looked is not None)
    if gauges.store.shared:
        yield _gauge(
            "vitale_reader_site_database_up",
            "Whether the database of the site is there, and the spool of this desk is empty.",
            not gauges.store.degraded,
        )
    if looked is None:
        return
    if gauges.store.shared:
        yield _gauge("vitale_reader_spool_rows", "Rows that wait for the database of the site.", looked.spooled)
    yield _gauge(
        "vitale_reader_outbox_tokens",
        "Tokens that are kept for their clients; those of the whole site where desks share a database.",
        looked.tokens,
    )
    yield _gauge(
        "vitale_reader_store_round_trip_seconds",
        "Time of one statement at the store, measured when the metrics are asked for.",
        looked.seconds,
    )


def _gauge(name: str, help_: str, value: float) -> Family:
    return Family(name=name, kind="gauge", help=help_, samples=(Sample((), float(value)),))


def _counter(name: str, help_: str, value: float) -> Family:
    return Family(name=name, kind="counter", help=help_, samples=(Sample((), float(value)),))
