"""Reports of drivers, each passed on to the hub, a preview, a lease or a subscription to codes."""

import logging
from collections.abc import Callable

import msgspec

from vitale_drivers.base import (
    CodeScanned,
    Failed,
    Health,
    Leased,
    Presented,
    PreviewPicture,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Report,
    Settled,
    Started,
    Unleased,
)
from vitale_protocol.errors import MediumUnreadable, MediumUnsupported
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem
from vitale_reader.daemon.arbitration.actions import Action
from vitale_reader.daemon.arbitration.hub import Hub
from vitale_reader.daemon.desk.code_subscriptions import CodeSubscriptions
from vitale_reader.daemon.desk.leasing import LeaseDesk
from vitale_reader.daemon.desk.previews import Previews
from vitale_reader.daemon.desk.rationed_log import RationedLog
from vitale_reader.daemon.observation.events import NotRead, Observe
from vitale_reader.daemon.workers.reports import reader_of, told

__all__ = ["DriverReports"]

logger = logging.getLogger(__name__)


class DriverReports:
    """Takes the reports.

    Args:
        hub: decides what follows from them.
        do: carries out what it decides.
        previews: get the pictures.
        leases: hear of their cards.
        codes: get what is no patient's.
        log: of readers and drivers that come, go and fail.
        observe: hears of what was not read.
    """

    def __init__(
        self,
        hub: Hub,
        do: Callable[[list[Action]], None],
        *,
        previews: Previews,
        leases: LeaseDesk,
        codes: CodeSubscriptions,
        log: RationedLog,
        observe: Observe,
    ) -> None:
        self._hub = hub
        self._do = do
        self._previews = previews
        self._leases = leases
        self._codes = codes
        self._log = log
        self._observe = observe

    def take(self, driver: str, report: Report, now: float) -> None:
        """A driver reports; what it says of another driver's readers is not heard."""
        if not isinstance(report, PreviewPicture):
            logger.debug("%s: %s", driver, told(report))
        name = reader_of(report)
        known = next((reader for reader in self._hub.readers if reader.id == name), None)
        if known is not None and known.driver != driver:
            line = "driver %s speaks of a reader of driver %s; not heard"
            self._log.write(driver, line, driver, known.driver, level=logging.ERROR)
            return
        match report:
            case Started(media=media):
                self._do(self._hub.driver_up(driver, media, now))
            case Settled():
                self._do(self._hub.driver_settled(driver, now))
            case Health(problem=problem):
                state = "ready" if problem is None else _named(problem)
                self._log.write(driver, "driver %s: %s", driver, state)
                self._do(self._hub.driver_health(driver, problem, now))
            case ReaderAdded(reader=reader):
                self._do(self._hub.reader_added(msgspec.structs.replace(reader, driver=driver), now))
            case ReaderChanged(reader=reader):
                self._do(self._hub.reader_changed(msgspec.structs.replace(reader, driver=driver), now))
            case ReaderRemoved(reader=reader_id):
                self._do(self._hub.reader_removed(reader_id, now))
            case PreviewPicture():
                self._previews.hand_on(report, now)
            case Leased() | Unleased():
                self._leases.report(driver, report)
            case Progress() | Presented() | Failed() | CodeScanned():
                self._take_reading(report, now, known)
            case _:
                logger.warning("driver %s: nothing to do for %s", driver, type(report).__name__)

    def _take_reading(
        self, report: Progress | Presented | Failed | CodeScanned, now: float, known: Reader | None
    ) -> None:
        match report:
            case CodeScanned():
                if known is not None:
                    self._take_code(report)
            case Progress():
                self._do(self._hub.progress(report.reader, report.step, report.problem, report.medium))
            case Presented():
                # A simulated reader makes a simulated presentation, whatever its driver says of that.
                simulated = report.simulated or (known is not None and known.simulated)
                self._do(self._hub.presented(msgspec.structs.replace(report, simulated=simulated), now))
            case Failed():
                if known is not None:
                    said = _named(report.problem)
                    self._log.write(known.driver, "reader %s: not read: %s", report.reader, said)
                    outcome = report.problem.error(MediumUnreadable).reason
                    self._observe(NotRead(medium=known.medium or "", driver=known.driver, outcome=outcome))
                self._do(self._hub.failed(report.reader, report.problem.error(MediumUnreadable), now))

    def _take_code(self, code: CodeScanned) -> None:
        """Hands a code on; where nobody takes it, whoever waits for a patient learns that it was no patient's."""
        if not self._codes.hand_on(code) and not code.passed_on:
            self._do(self._hub.progress(code.reader, "retry", Problem(MediumUnsupported.reason, "other")))


def _named(problem: Problem) -> str:
    """A problem as logged: by its name alone, since its detail may quote a device or a medium."""
    return f"{problem.reason}.{problem.variant}" if problem.variant else problem.reason
