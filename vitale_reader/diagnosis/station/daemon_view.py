"""The daemon's own view of its desk, as rows."""

from collections.abc import Iterator

import msgspec

from vitale_protocol.diagnosis.check_results import CheckResult, Subject, of_error
from vitale_protocol.errors import ConfigurationInvalid, NoReader, ResolverUnavailable
from vitale_protocol.events import Reader
from vitale_protocol.methods import DriverHealth, ResolverHealth, StationInfo
from vitale_protocol.problems import Problem

__all__ = ["DaemonView", "look"]

_CARDS = {"vitale-card": "reader_card", "cps-card": "reader_cps", "unknown-card": "reader_other"}


class DaemonView(msgspec.Struct, frozen=True, kw_only=True):
    """Statement of a daemon about itself: the answers to ``station.info`` and ``readers.list``."""

    station: StationInfo
    readers: tuple[Reader, ...] = ()

    @property
    def processes(self) -> tuple[int, ...]:
        """The processes of its drivers, and those beside them."""
        workers = (*self.station.drivers, self.station.gateway, self.station.exporter)
        return tuple(each.pid for each in workers if each is not None and each.pid is not None)


def look(view: DaemonView) -> Iterator[CheckResult]:
    """Says what the daemon says."""
    station = view.station
    values = {"version": station.station.version, "mode": station.station.mode, "uptime": round(station.uptime)}
    yield CheckResult(id="daemon_runs", subject="daemon", state="ok", values=values)
    for driver in station.drivers:
        yield _driver(driver)
    if station.gateway is not None:
        yield _beside(station.gateway, ready="gateway_ready", restarting="gateway_restarting")
    if station.exporter is not None:
        yield _beside(station.exporter, ready="exporter_ready", restarting="exporter_restarting")
    if station.resolver is not None and station.resolver.state != "none":
        yield _resolver(station.resolver)
    readers = [reader for reader in view.readers if reader.station is None]
    for reader in readers:
        yield _reader(reader)
    if not readers and all(driver.reason is None and driver.state != "starting" for driver in station.drivers):
        yield of_error(NoReader(), "reader")


def _driver(driver: DriverHealth) -> CheckResult:
    values = {
        "name": driver.name,
        "health": driver.state,
        "restarts": driver.restarts,
        "version": f"({driver.version})" if driver.version else "",
    }
    if driver.reason:
        subject: Subject = "configuration" if driver.reason == ConfigurationInvalid.reason else "driver"
        return of_error(_problem(driver), subject, values)
    if driver.state == "ready":
        return CheckResult(id="driver_ready", subject="driver", state="ok", values=values)
    if driver.state == "starting":
        return CheckResult(id="driver_starting", subject="driver", state="ok", values=values)
    name = "driver_stopped" if driver.state == "stopped" else "driver_restarting"
    return CheckResult(id=name, subject="driver", state="wrong", values=values)


def _beside(process: DriverHealth, *, ready: str, restarting: str) -> CheckResult:
    """The row about the gateway or the exporter, by the ids of its findings."""
    if process.reason:
        return of_error(_problem(process), "port")
    if process.state in {"ready", "starting"}:
        version = f"({process.version})" if process.version else ""
        return CheckResult(id=ready, subject="port", state="ok", values={"version": version})
    return CheckResult(id=restarting, subject="port", state="wrong", values={"restarts": process.restarts})


def _problem(driver: DriverHealth) -> Problem:
    return Problem(driver.reason or "", driver.variant or "", driver.detail or "")


def _resolver(resolver: ResolverHealth) -> CheckResult:
    if resolver.state == "ready":
        return CheckResult(id="resolver_ready", subject="resolver", state="ok", values={"name": resolver.name})
    detail = f"{resolver.name}, {resolver.state}: {resolver.detail or ''}"
    problem = Problem(ResolverUnavailable.reason, resolver.variant or "", detail)
    return of_error(problem, "resolver", {"name": resolver.name})


def _reader(reader: Reader) -> CheckResult:
    values = {"name": reader.name, "reader": reader.id, "driver": reader.driver}
    if reader.error:
        return of_error(Problem(reader.error, detail=reader.name), "reader", values)
    if reader.state == "leased":
        return CheckResult(id="reader_leased", subject="reader", state="ok", values=values)
    if reader.medium in _CARDS:
        return CheckResult(id=_CARDS[reader.medium], subject="reader", state="ok", values=values)
    if reader.medium:
        return CheckResult(id="reader_medium", subject="reader", state="ok", values=values | {"medium": reader.medium})
    return CheckResult(id="reader_empty", subject="reader", state="ok", values=values)
