"""The whole report on a desk: every check, side by side, and the rows in the order in which people need them."""

import sysconfig
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from vitale_protocol.diagnosis.check_results import CheckResult, in_order, of_error
from vitale_protocol.errors import ConfigurationInvalid, VitaleError
from vitale_protocol.extras import EXTRAS, missing_part
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.transports.port_holder import holder
from vitale_reader.diagnosis.desk import (
    browsers,
    cameras,
    clock,
    folders,
    galss,
    installation,
    installed_service,
    pcsc_service,
    serial_ports,
    tcp_ports,
    usb,
)
from vitale_reader.diagnosis.machine import Machine
from vitale_reader.diagnosis.station import configuration, daemon_view, devices, resolver, store
from vitale_reader.diagnosis.station.daemon_view import DaemonView
from vitale_reader.home import Home

__all__ = ["at_a_glance", "examine"]

Check = Callable[[], Iterable[CheckResult]]


def examine(home: Home, daemon: DaemonView | VitaleError, machine: Machine | None = None) -> tuple[CheckResult, ...]:
    """Looks at everything.

    Args:
        home: of the station.
        daemon: what its daemon says, or why it says nothing.
        machine: the one that is looked at, unless it is this one.
    """
    machine = machine or Machine()
    read, rows = configuration.read(home)
    view = daemon if isinstance(daemon, DaemonView) else None
    if read is not None and view is not None:
        read = _as_run(read, view)
    config = read or Config()
    needed = config.drivers.enabled if read else ()
    parts = tuple(_parts(config)) if read else ()
    checks: list[Check] = [
        lambda: folders.look(machine, home),
        lambda: clock.look(machine, home),
        lambda: installation.look(machine, needed),
        lambda: _confinement(machine),
        lambda: installed_service.look(machine),
        lambda: pcsc_service.look(machine, needed="pcsc" in config.drivers.enabled),
        lambda: _devices(machine, home, config, view),
    ]
    if read is not None:
        checks += [
            lambda: configuration.check(home, read),
            lambda: store.look(home, read),
            lambda: resolver.look(read) if view is None else (),
            lambda: _port(read, ours=view is not None),
            lambda: browsers.look(machine, read.web.extension.ids),
            lambda: _bearer(home, read),
        ]
    # Python 3.11 fills this table while other threads read it; several checks ask where programs are installed.
    sysconfig.get_config_vars()
    with ThreadPoolExecutor(len(checks)) as pool:
        found = [row for done in pool.map(_made, checks) for row in done]
    told = daemon_view.look(view) if view is not None else (_silent(daemon) if isinstance(daemon, VitaleError) else ())
    return in_order(_once((*rows, *parts, *told, *found)))


def at_a_glance(home: Home, view: DaemonView, machine: Machine | None = None) -> tuple[CheckResult, ...]:
    """Looks at what is told at once: by the daemon, by the folders, by the system; no device is asked."""
    machine = machine or Machine()
    _, settings = configuration.read(home)
    found = (*settings, *daemon_view.look(view), *folders.look(machine, home), *installed_service.look(machine))
    return in_order(_once(found))


def _made(check: Check) -> list[CheckResult]:
    return list(check())


def _as_run(config: Config, view: DaemonView) -> Config:
    """The settings as the daemon runs them: its command line may name another mode and other drivers."""
    replace, station = msgspec.structs.replace, view.station
    enabled = tuple(driver.name for driver in station.drivers)
    return replace(
        config,
        station=replace(config.station, mode=station.station.mode),
        drivers=replace(config.drivers, enabled=enabled),
    )


def _silent(error: VitaleError) -> Iterator[CheckResult]:
    yield of_error(error, "daemon")


def _parts(config: Config) -> Iterator[CheckResult]:
    """Parts of the installation that the configuration needs and that are missing."""
    if error := missing_part("daemon", "the daemon"):
        # A client program's machine is as it should be without.
        yield of_error(error, "part", state="note")
        return
    for driver in EXTRAS:
        if driver in config.drivers.enabled and (error := missing_part(driver, f"driver {driver}")):
            yield of_error(error, "part")
    if config.metrics.enabled and (error := missing_part("metrics", "the exporter of metrics")):
        yield of_error(error, "part")
    if config.traces.enabled and (error := missing_part("traces", "traces")):
        yield of_error(error, "part")


def _devices(machine: Machine, home: Home, config: Config, view: DaemonView | None) -> Iterator[CheckResult]:
    ours = view.processes if view is not None else ()
    has_daemon = missing_part("daemon", "the daemon") is None
    answers: devices.Answers = devices.ask(config) if has_daemon else {}
    yield from devices.look(home, config, answers, running=view is not None, ours=ours)
    shown = devices.shown_by_pcsc(answers)
    yield from usb.look(machine, shown)
    yield from galss.look(machine, shown, devices.absent_ports(config))
    yield from serial_ports.look(machine, frozenset(ours))
    yield from cameras.look(machine, frozenset(ours))


def _port(config: Config, *, ours: bool) -> Iterator[CheckResult]:
    if config.tls.enabled:
        yield from tcp_ports.look(config.tls.host, config.tls.port, ours=ours, holder=holder)
    if config.web.enabled and not ours:
        yield from tcp_ports.look_at_loopback(config.web.port, table="web", holder=holder)
    if config.metrics.enabled and not ours:
        yield from tcp_ports.look_at_loopback(config.metrics.port, table="metrics", holder=holder)


def _bearer(home: Home, config: Config) -> Iterator[CheckResult]:
    """Tells whether the file of the bearer can be used, where there is one already; a daemon makes it."""
    if not config.metrics.enabled or missing_part("daemon", "the daemon") is not None:
        return
    from vitale_reader.daemon.metrics.bearer import bearer_file, read_bearer  # noqa: PLC0415  part of an extra

    file = bearer_file(home.state, config.metrics.bearer_file)
    if not file.exists():
        return
    try:
        read_bearer(file)
    except ConfigurationInvalid as error:
        yield of_error(error, "configuration", {"file": str(file)})


def _confinement(machine: Machine) -> Iterator[CheckResult]:
    """Tells whether drivers can be kept from the daemon's files."""
    if machine.system != "linux" or missing_part("daemon", "the daemon") is not None:
        return
    from vitale_drivers.host.confinement import COMPLETE, landlock_version  # noqa: PLC0415  Linux alone

    level = landlock_version()
    whole = level >= COMPLETE
    name = "confinement_whole" if whole else "confinement_partial"
    yield CheckResult(id=name, subject="confinement", state="ok" if whole else "note", values={"level": level})


def _once(rows: Iterable[CheckResult]) -> Iterator[CheckResult]:
    """Rows without those that say the same of the same thing; of a reader, what is said first holds."""
    told = set[tuple[str, str]]()
    for row in rows:
        about = next((str(row.values[key]) for key in ("name", "address", "path", "place") if row.values.get(key)), "")
        is_reader = row.subject == "reader" and row.id != "reader_simulated"
        key = ("reader" if is_reader and about else row.id, about)
        if key not in told:
            told.add(key)
            yield row
