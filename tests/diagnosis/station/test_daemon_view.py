"""The daemon's own view of its desk: what it says of the gateway for web pages."""

from typing import Any, Literal

import pytest

from vitale_protocol.catalogue import LANGUAGES
from vitale_protocol.diagnosis.findings import tell
from vitale_protocol.methods import DriverHealth, Station, StationInfo
from vitale_reader.diagnosis.station.daemon_view import DaemonView, look

STATION = Station(id="5e1d3c5a", name="Comptoir", version="0.1.0", mode="production")
READY = DriverHealth(name="gateway", state="ready", media=(), pid=4_711, version="websockets 17")


def of_the_gateway(gateway: DriverHealth | None) -> list[tuple[str, str]]:
    """The findings about ports, and how each is."""
    told = StationInfo(station=STATION, media=(), drivers=(), uptime=1.0, gateway=gateway)
    return [(row.id, row.state) for row in look(DaemonView(station=told)) if row.subject == "port"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("gateway_ready", "ok")),
        ({"state": "starting", "version": None}, ("gateway_ready", "ok")),
        ({"state": "restarting", "restarts": 3}, ("gateway_restarting", "wrong")),
        (
            {"state": "degraded", "reason": "configuration_invalid", "variant": "web_port_in_use"},
            ("configuration_invalid.web_port_in_use", "wrong"),
        ),
        ({"state": "stopped", "reason": "tool_missing", "variant": "web"}, ("tool_missing.web", "wrong")),
    ],
)
def test_the_gateway_is_told_as_it_is(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    gateway = DriverHealth(**{name: getattr(READY, name) for name in READY.__struct_fields__} | changes)
    assert [expected] == of_the_gateway(gateway)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("exporter_ready", "ok")),
        ({"state": "restarting", "restarts": 3}, ("exporter_restarting", "wrong")),
        (
            {"state": "degraded", "reason": "configuration_invalid", "variant": "metrics_port_in_use"},
            ("configuration_invalid.metrics_port_in_use", "wrong"),
        ),
    ],
)
def test_the_exporter_is_told_as_it_is(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    exporter = DriverHealth(**{name: getattr(READY, name) for name in READY.__struct_fields__} | changes)
    told = StationInfo(station=STATION, media=(), drivers=(), uptime=1.0, exporter=exporter)
    rows = [row for row in look(DaemonView(station=told)) if row.subject == "port"]
    assert [expected] == [(row.id, row.state) for row in rows]
    for language in LANGUAGES:
        shown = tell(rows[0], language)
        assert shown.title
        assert bool(shown.remedy) == (shown.state == "wrong")


def test_without_pages_nothing_is_told_of_it() -> None:
    assert [] == of_the_gateway(None)


@pytest.mark.parametrize(
    ("state", "expected"), [("starting", ["driver_starting"]), ("ready", ["driver_ready", "no_reader"])]
)
def test_that_there_is_no_reader_is_a_fault_once_the_drivers_have_looked(
    state: Literal["starting", "ready"], expected: list[str]
) -> None:
    drivers = (DriverHealth(name="pcsc", state=state, media=("vitale-card",)),)
    told = StationInfo(station=STATION, media=(), drivers=drivers, uptime=1.0)
    assert ["daemon_runs", *expected] == [row.id for row in look(DaemonView(station=told))]


def test_its_process_is_one_of_the_daemon() -> None:
    told = StationInfo(station=STATION, media=(), drivers=(), uptime=1.0, gateway=READY)
    assert (4_711,) == DaemonView(station=told).processes
