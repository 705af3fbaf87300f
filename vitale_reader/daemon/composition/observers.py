"""The observers: metrics and spans, for those who want them.

A desk whose figures nobody can have serves all the same.
"""

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from vitale_protocol.extras import missing
from vitale_reader.daemon import lifecycle
from vitale_reader.daemon.composition.station import OpenStation
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.handlers.services import Services
from vitale_reader.daemon.observation.events import Observe
from vitale_reader.daemon.transports.peers import UNIX_SOCKETS
from vitale_reader.version import VERSION

if TYPE_CHECKING:
    from vitale_protocol.metrics.families import Families
    from vitale_reader.daemon.metrics.gauges import Gauges
    from vitale_reader.daemon.metrics.tally import Tally

__all__ = ["open_tally", "open_traces", "show_metrics"]

logger = logging.getLogger(__name__)


def open_tally(config: Config) -> "Tally | None":
    """Makes what counts for the metrics, where they are wanted."""
    if not config.metrics.enabled:
        return None
    from vitale_reader.daemon.metrics.tally import Tally  # noqa: PLC0415  wanted by few desks, like all of it

    return Tally()


def _gauges(station: OpenStation, services: Services) -> "Gauges":
    from vitale_reader.daemon.metrics.gauges import Gauges  # noqa: PLC0415

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


def show_metrics(stack: AsyncExitStack, station: OpenStation, services: Services, tally: "Tally") -> None:
    """Has the exporter begin; a desk whose figures nobody can have serves all the same."""
    from vitale_reader.daemon.metrics import exporter as figures_exporter  # noqa: PLC0415
    from vitale_reader.daemon.metrics import gauges  # noqa: PLC0415
    from vitale_reader.daemon.metrics.bearer import bearer_file  # noqa: PLC0415

    config, supervisor, shown = station.config.metrics, services.desk.supervisor, _gauges(station, services)
    if not UNIX_SOCKETS:
        logger.error("no metrics are shown: this system has no Unix sockets")
        return

    async def figures() -> "Families":
        return (*await gauges.look_up(shown), *tally.families())

    exporter = figures_exporter.MetricsExporter(
        figures,
        port=config.port,
        bearer=bearer_file(station.home.state, config.bearer_file),
        beat=supervisor.beat,
        hidden=supervisor.hidden,
    )
    stack.callback(exporter.close)
    supervisor.add(exporter.worker)


def open_traces(stack: AsyncExitStack, station: OpenStation, ending: lifecycle.Ending) -> Sequence[Observe]:
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
