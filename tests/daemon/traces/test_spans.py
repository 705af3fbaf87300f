"""Spans of presentations: as the SDK's own exporter holds them, and as an independent collector reads them."""

import asyncio
import gzip
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.posix import OWN_DOOR
from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.fairness.audit_queue import Notes
from vitale_reader.daemon.observation.events import CallRefused, Delivered
from vitale_reader.daemon.observation.timeline import StageTime
from vitale_reader.daemon.traces import spans
from vitale_reader.daemon.traces.spans import Traces

DELIVERED = Delivered(
    medium="apcv-nfc",
    driver="nfc",
    outcome="ok",
    simulated=True,
    began=100.5,
    ended=101.25,
    stages=(StageTime("read", 100.0, 100.5), StageTime("resolve", 100.5, 101.0), StageTime("keep", 101.0, 101.125)),
)
SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND

#: Nothing of a patient or a client may be in what is sent.
CANARIES = (b"MERLE", b"CLAIRE", b"2840613990412", b"opaque", b"nfc:counter", b"Logiciel-Canari")


def traced(*events: Any) -> list[Any]:
    """The spans that come of some events, at a quarter past a full second."""
    exporter = InMemorySpanExporter()
    traces = Traces(exporter, station="s-1", version="0.1.0", wall=lambda: NOW, steady=lambda: 101_250_000_000)
    for event in events:
        traces(event)
    asyncio.run(traces.close())
    return list(exporter.get_finished_spans())


def test_a_presentation_is_a_span_and_each_stage_one_within_it() -> None:
    *stages, whole = traced(DELIVERED)
    assert "presentation" == whole.name
    assert ["read", "resolve", "keep"] == [span.name for span in stages]
    assert {whole.context.span_id} == {span.parent.span_id for span in stages}
    assert {whole.context.trace_id} == {span.context.trace_id for span in stages}
    assert None is whole.parent
    assert NOW - 1_250_000_000 == whole.start_time
    assert NOW == whole.end_time
    assert [500_000_000, 500_000_000, 125_000_000] == [span.end_time - span.start_time for span in stages]
    assert {
        "vitale.medium": "apcv-nfc",
        "vitale.driver": "nfc",
        "vitale.outcome": "ok",
        "vitale.simulated": True,
    } == dict(whole.attributes)
    assert {
        "service.name": "vitale-reader",
        "service.version": "0.1.0",
        "service.instance.id": "s-1",
    } == dict(whole.resource.attributes)


def test_one_that_gave_no_token_is_an_error_and_what_is_no_presentation_is_none() -> None:
    failed = Delivered(
        medium="apcv-qr", driver="camera", outcome="replayed", simulated=False, began=1.0, ended=2.0, stages=()
    )
    (whole,) = traced(failed, CallRefused(limit="calls"))
    assert ("ERROR", "replayed") == (whole.status.status_code.name, whole.attributes["vitale.outcome"])


def test_each_presentation_is_a_trace_of_its_own() -> None:
    found = traced(DELIVERED, DELIVERED)
    assert 2 == len({span.context.trace_id for span in found})


class Collector(HTTPServer):
    """A collector that knows OTLP by its published messages alone."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.bodies: list[bytes] = []
        self.came = threading.Event()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"

    def spans(self) -> list[Any]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for request in requests
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]


class Receiver(BaseHTTPRequestHandler):
    """One request of an exporter."""

    def do_POST(self) -> None:
        collector = self.server
        assert isinstance(collector, Collector)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        unpacked = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        assert "/v1/traces" == self.path
        collector.bodies.append(unpacked)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()
        collector.came.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its base names it so
        """Tells nothing."""


@contextmanager
def collecting() -> Generator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.posix
def test_a_collector_gets_the_stages_of_a_reading_and_nothing_of_the_patient(counter: Any) -> None:
    async def work(line: Any) -> None:
        await line.result("clients.add", {"name": "Logiciel-Canari", "scopes": ["identity"], "transports": ["unix"]})
        claims = await counter.claims(line, b"opaque-1", scopes=["identity", "nir", "rights", "context"])
        assert "MERLE-ESSAI" == claims["record"]["beneficiaires"][0]["nom_usuel"]
        assert "replayed" == (await counter.refusal(line, b"opaque-1"))["reason"]

    with collecting() as collector:
        counter.run(work, counter.config(rest=f'[traces]\nenabled = true\nendpoint = "{collector.endpoint}"\n'))
        found = collector.spans()
        assert [] == [canary for canary in CANARIES for body in collector.bodies if canary in body]
    outcomes = {
        attribute.value.string_value
        for span in found
        for attribute in span.attributes
        if attribute.key == "vitale.outcome"
    }
    assert {"ok", "replayed"} == outcomes
    assert {"presentation", "guard", "resolve", "sign", "keep"} == {span.name for span in found}
    (ok,) = (span for span in found if span.name == "presentation" and span.status.code == 1)
    mine = [span for span in found if span.parent_span_id == ok.span_id]
    assert ["guard", "resolve", "sign", "keep"] == [span.name for span in mine]
    assert all(ok.start_time_unix_nano <= span.start_time_unix_nano for span in mine)
    assert all(span.end_time_unix_nano <= ok.end_time_unix_nano for span in mine)


def test_a_collector_that_takes_nothing_does_not_keep_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "FAREWELL", 0.05)
    released = threading.Event()

    class Stuck(InMemorySpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            released.wait(40)
            return super().export(spans)

    traces = Traces(Stuck(), station="s-1", version="0.1.0")
    before = time.monotonic()
    for _ in range(spans.MOST_WAITING):
        traces(DELIVERED)
    asyncio.run(traces.close())
    assert time.monotonic() - before < 30, "it waited for the collector"
    released.set()


@pytest.mark.posix
def test_a_collector_that_takes_nothing_takes_no_time_from_the_audit_trail(
    tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, write = asyncio.Event(), Notes.close

    async def farewell(_: Traces) -> None:
        async with asyncio.timeout(20):
            await written.wait()

    async def close(notes: Notes) -> None:
        await write(notes)
        written.set()

    async def main(_: Any) -> None:
        """Nothing: it is about the end."""

    monkeypatch.setattr(Traces, "close", farewell)
    monkeypatch.setattr(Notes, "close", close)
    config = f"[station]\nmode = 'simulated'\n[drivers]\nenabled = []\n{OWN_DOOR}[traces]\nenabled = true\n"
    tools.run(main, parse(config))
    assert written.is_set()


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://collector.example:4318/v1/traces",
        "http://127.0.0.1.evil.test/v1/traces",
        "https://user:secret@collector.example/v1/traces",
        "ftp://127.0.0.1/",
        "",
    ],
)
def test_spans_go_to_this_machine_or_by_https(endpoint: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse(f'[traces]\nendpoint = "{endpoint}"\n')


@pytest.mark.parametrize("endpoint", ["http://[::1]:4318/v1/traces", "https://collector.example/v1/traces"])
def test_such_an_endpoint_is_taken(endpoint: str) -> None:
    assert endpoint == parse(f'[traces]\nendpoint = "{endpoint}"\n').traces.endpoint
