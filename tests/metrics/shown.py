"""All the figures of a desk on which everything is on, as the core hands them to its exporter."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine

from vitale_protocol.events import Reader
from vitale_protocol.methods import DriverHealth, ResolverHealth
from vitale_protocol.metrics.families import Families
from vitale_reader.daemon.database.outage import Outage
from vitale_reader.daemon.metrics.gauges import Gauges, look_up
from vitale_reader.daemon.metrics.tally import Tally
from vitale_reader.daemon.observation.events import CallRefused, Delivered, NotRead, StoreWork, Unanswered
from vitale_reader.daemon.observation.timeline import StageTime
from vitale_reader.daemon.store.store import Need
from vitale_reader.daemon.store.tables import metadata

__all__ = ["MemoryStore", "everything", "gauges", "suffixed"]

T = TypeVar("T")


class MemoryStore:
    """A database of a site whose desk is on its spool: tables in memory."""

    shared, degraded = True, True
    outage: Outage | None = None

    def __init__(self) -> None:
        self.engine: Engine = create_engine("sqlite://")
        metadata.create_all(self.engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()

    def begin(self) -> AbstractContextManager[Connection]:
        return self.engine.begin()

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        needs: Need = "any",
        single: bool = False,
        in_spool: Callable[[Connection], T] | None = None,
    ) -> T:
        assert (needs, single) == ("any", True)
        with self.begin() as connection:
            return (in_spool or work)(connection)

    def hasten(self) -> None:
        """Nothing waits."""

    async def mirror(self, work: Callable[[Connection], object]) -> None:
        """Nothing is mirrored."""


def gauges(store: Any) -> Gauges:
    """A desk with a driver, a gateway and a reader."""
    reader = Reader(id="pcsc:slot", name="Slot", driver="pcsc", media=("vitale-card",), state="empty")
    return Gauges(
        version="0.1.0",
        mode="test",
        started_at=1_700_000_000.0,
        drivers=lambda: (DriverHealth(name="pcsc", state="ready", media=("vitale-card",), restarts=2),),
        gateway=lambda: DriverHealth(name="gateway", state="degraded", media=()),
        readers=lambda: (reader,),
        sessions=lambda: 3,
        resolver=lambda: ResolverHealth(name="apcv-soap", state="open"),
        store=store,
        now=lambda: 1_700_000_100.0,
        clock_offset=lambda: -7.5,
        audit_lines=lambda: 4,
    )


@cache
def everything() -> Families:
    """Each figure that there can be."""
    tally = Tally()
    stages = (StageTime("read", 0.0, 0.3), StageTime("keep", 0.3, 0.301))
    tally(
        Delivered(
            medium="vitale-card", driver="pcsc", outcome="ok", simulated=False, began=0.3, ended=0.302, stages=stages
        )
    )
    tally(NotRead(medium="", driver="pcsc", outcome="medium_unreadable"))
    tally(Unanswered(outcome="presentation_timeout"))
    tally(CallRefused(limit="calls"))
    tally(StoreWork(waited=0.0, seconds=0.001, answered=True))
    with MemoryStore() as store:
        return (*asyncio.run(look_up(gauges(store))), *tally.families())


def suffixed(families: Families) -> set[str]:
    """The names that a query may use: with the suffixes that Prometheus adds."""
    ends = {"gauge": ("",), "counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {family.name + end for family in families for end in ends[family.kind]}
