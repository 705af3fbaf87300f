"""The whole report on a desk: all checks side by side, the rows in the order that people need."""

import contextlib
import sysconfig
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait

import msgspec

from vitale_protocol.diagnosis.check_results import CheckResult, Subject, in_order, of_error
from vitale_protocol.errors import ConfigurationInvalid, DaemonUnreachable, VitaleError
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
from vitale_reader.diagnosis.machine import InspectedMachine
from vitale_reader.diagnosis.station import configuration, daemon_view, devices, resolver, store
from vitale_reader.diagnosis.station.daemon_view import DaemonView
from vitale_reader.home import Home

__all__ = ["at_a_glance", "examine", "side_by_side"]

Check = Callable[[], Iterable[CheckResult]]

#: Seconds for all checks together. Each ends by itself before that, unless the system never answers.
LIMIT = 20.0


def examine(
    home: Home, daemon: DaemonView | VitaleError, machine: InspectedMachine | None = None
) -> tuple[CheckResult, ...]:
    """Looks at everything.

    Args:
        home: of the station.
        daemon: what its daemon says, or why it says nothing.
        machine: the one that is looked at, unless it is this one.
    """
    machine = machine or InspectedMachine()
    read, rows = configuration.read(home)
    view = daemon if isinstance(daemon, DaemonView) else None
    if read is not None and view is not None:
        read = _as_run(read, view, home)
    config = read or Config()
    needed = config.drivers.enabled if read else ()
    parts = tuple(_parts(config)) if read else ()
    checks: list[tuple[Subject, Check]] = [
        ("folder", lambda: folders.look(machine, home)),
        ("clock", lambda: clock.look(machine, home)),
        ("part", lambda: installation.look(machine, needed)),
        ("confinement", lambda: _confinement(machine)),
        ("daemon", lambda: installed_service.look(machine)),
        ("pcsc", lambda: pcsc_service.look(machine, needed="pcsc" in config.drivers.enabled)),
        ("driver", lambda: _devices(machine, home, config, view)),
    ]
    if read is not None:
        of_settings: list[tuple[Subject, Check]] = [
            ("configuration", lambda: configuration.check(home, read)),
            ("store", lambda: store.look(home, read)),
            ("resolver", lambda: resolver.look(read) if view is None else ()),
            ("port", lambda: _port(read, ours=view is not None)),
            ("browser", lambda: browsers.look(machine, read.web.extension.ids)),
            ("configuration", lambda: _bearer(home, read)),
        ]
        checks += of_settings
    # Python 3.11 fills this table while other threads read it; several checks ask where programs are installed.
    sysconfig.get_config_vars()
    found = side_by_side(checks, LIMIT)
    told = daemon_view.look(view) if view is not None else (_silent(daemon) if isinstance(daemon, VitaleError) else ())
    return in_order(_once((*rows, *parts, *told, *found)))


def at_a_glance(home: Home, view: DaemonView, machine: InspectedMachine | None = None) -> tuple[CheckResult, ...]:
    """Looks at what the daemon, the folders and the system tell at once; no device is asked."""
    machine = machine or InspectedMachine()
    _, settings = configuration.read(home)
    found = (*settings, *daemon_view.look(view), *folders.look(machine, home), *installed_service.look(machine))
    return in_order(_once(found))


def side_by_side(checks: Iterable[tuple[Subject, Check]], limit: float) -> tuple[CheckResult, ...]:
    """Makes checks at once, each in a thread. One that does not end in time is reported and abandoned.

    Args:
        checks: with what each looks at.
        limit: seconds for all together.
    """
    running: list[tuple[Subject, Future[list[CheckResult]]]] = [(subject, _begun(check)) for subject, check in checks]
    wait([future for _, future in running], limit)
    return tuple(row for subject, future in running for row in _rows(subject, future, limit))


def _begun(check: Check) -> Future[list[CheckResult]]:
    future = Future[list[CheckResult]]()

    def make() -> None:
        try:
            future.set_result(list(check()))
        except BaseException as error:  # noqa: BLE001  told to whoever asks for the result
            future.set_exception(error)

    # A disk of the network that is gone never lets a thread go; the end of the program does not wait for this one.
    threading.Thread(target=make, name="check", daemon=True).start()
    return future


def _rows(subject: Subject, future: Future[list[CheckResult]], limit: float) -> list[CheckResult]:
    if future.done():
        return future.result()
    return [
        CheckResult(id="check_unfinished", subject=subject, state="wrong", values={"subject": subject, "limit": limit})
    ]


def _as_run(config: Config, view: DaemonView, home: Home) -> Config:
    """The settings as the daemon runs them: its command line may name another mode, other drivers and another port."""
    replace, station = msgspec.structs.replace, view.station
    with contextlib.suppress(DaemonUnreachable):  # a daemon that is asked by its address may be another home's
        if listens := home.endpoints().tls:
            config = replace(config, tls=replace(config.tls, port=listens.port))
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


def _devices(machine: InspectedMachine, home: Home, config: Config, view: DaemonView | None) -> Iterator[CheckResult]:
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


def _confinement(machine: InspectedMachine) -> Iterator[CheckResult]:
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
