"""The service of the Windows task scheduler: a task at logon, made and ended by ``schtasks``."""

from collections.abc import Iterator

from vitale_drivers.host.programs import system_program
from vitale_reader.service import logon_task
from vitale_reader.service.base import Service, ServiceState
from vitale_reader.service.steps import Remove, Step, SystemCommand, WriteFile

__all__ = ["LogonTask"]


class LogonTask(Service):
    """A task of the Windows task scheduler, which keeps its description itself."""

    def install(self) -> Iterator[Step]:
        """Steps after which it is there, runs, and starts by itself."""
        self.require_plain_names()
        text = logon_task.task(self.scope, self.machine.program, user=self.machine.user, home=self.home)
        file = self.machine.temporary / "vitale-reader-logon-task.xml"
        yield WriteFile(file=file, text=text, encoding="utf-16")
        yield self._schtasks("/Create", "/F", "/XML", str(file))
        yield Remove(file=file)
        yield self.start()

    def uninstall(self) -> Iterator[Step]:
        """Steps after which nothing of it is there; keys, store and configuration stay."""
        if self.state().installed:
            yield self._schtasks("/End", may_fail=True)
            yield self._schtasks("/Delete", "/F")

    def start(self) -> Step:
        """The step after which it runs."""
        return self._schtasks("/Run")

    def stop(self) -> Step:
        """The step after which it does not run, until it is started, by hand or by itself."""
        return self._schtasks("/End")

    def restart(self) -> Iterator[Step]:
        """Steps after which it runs anew, with the settings as they are now."""
        yield self._schtasks("/End", may_fail=True)
        yield self.start()

    def state(self) -> ServiceState:
        """Asks the scheduler, in words that no language of Windows changes."""
        text = self.succeeds(*self._schtasks("/Query", "/XML").command)
        program = logon_task.program_in(text or "")
        # SCHED_S_TASK_RUNNING, 0x41301, is the last result of a task while it runs.
        told = "" if text is None else self.succeeds(*self._schtasks("/Query", "/FO", "CSV", "/V", "/NH").command) or ""
        return ServiceState(
            installed=text is not None,
            running=f'"{0x41301}"' in told,
            starts=text is not None,
            program=program,
            program_missing=self.is_missing(program),
        )

    def _schtasks(self, action: str, *words: str, may_fail: bool = False) -> SystemCommand:
        return SystemCommand(
            command=(system_program("schtasks"), action, "/TN", logon_task.TASK, *words), may_fail=may_fail
        )
