"""Spans of a presentation, made when it is over, and sent behind its back.

A span has the medium, the driver, the outcome and whether it was simulated. Its resource has the station and the
version. There is no patient, no client, no reader and no token in any. What the collector does not take is dropped.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Status, StatusCode, set_span_in_context

from vitale_reader.daemon.observation.events import Delivered, Event

__all__ = ["Traces", "collector"]

#: Seconds for the collector to take a batch.
PATIENCE: Final = 5.0

#: Seconds for what waits to be sent while the daemon stops.
FAREWELL: Final = 1.0

#: Spans that wait for the collector; those of a hundred presentations.
MOST_WAITING, BATCH = 1_024, 256

#: Seconds between two batches.
PAUSE: Final = 2.0

NANOSECONDS = 1_000_000_000


def collector(endpoint: str) -> SpanExporter:
    """The way to a collector, by OTLP over HTTP."""
    # A collector that is away would leave lines at each batch.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    return OTLPSpanExporter(endpoint=endpoint, timeout=PATIENCE)


class Traces:
    """Observer that makes spans.

    Args:
        exporter: takes them.
        station: the id of the station.
        version: of this program.
        wall: nanoseconds since the epoch.
        steady: those of the clock of the stages.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        station: str,
        version: str,
        wall: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        # Not Resource.create: it would add what the environment, the process and the machine say of themselves.
        resource = Resource(
            {"service.name": "vitale-reader", "service.version": version, "service.instance.id": station}
        )
        self._provider = TracerProvider(
            resource=resource, shutdown_on_exit=False, span_limits=SpanLimits(max_span_attributes=16)
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=MOST_WAITING,
                max_export_batch_size=BATCH,
                schedule_delay_millis=PAUSE * 1_000,
            )
        )
        self._tracer = self._provider.get_tracer("vitale_reader", version)
        self._wall = wall
        self._steady = steady

    def __call__(self, event: Event) -> None:
        """Makes the spans of a presentation that was delivered."""
        if not isinstance(event, Delivered):
            return
        ahead = self._wall() - self._steady()

        def at(steady: float) -> int:
            return round(steady * NANOSECONDS) + ahead

        began = min((event.began, *(stage.began for stage in event.stages)))
        attributes: dict[str, str | bool] = {
            "vitale.medium": event.medium,
            "vitale.driver": event.driver,
            "vitale.outcome": event.outcome,
            "vitale.simulated": event.simulated,
        }
        whole = self._tracer.start_span("presentation", context=Context(), start_time=at(began), attributes=attributes)
        within = set_span_in_context(whole, Context())
        for stage in event.stages:
            span = self._tracer.start_span(stage.stage, context=within, start_time=at(stage.began))
            span.end(at(stage.ended))
        whole.set_status(Status(StatusCode.OK if event.outcome == "ok" else StatusCode.ERROR))
        whole.end(at(event.ended))

    async def close(self) -> None:
        """Sends what waits, for a second at most: a collector that is away does not keep the daemon."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, FAREWELL)
