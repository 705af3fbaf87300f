"""The service of launchd: its property list, loaded and unloaded by ``launchctl``."""

from collections.abc import Iterator
from pathlib import Path

from vitale_reader.service import launchd
from vitale_reader.service.base import Service, ServiceState, removed, text_of
from vitale_reader.service.steps import Step, SystemCommand, WriteFile

__all__ = ["LaunchAgent"]


class LaunchAgent(Service):
    """An agent of launchd; that of the system is one for each who logs in."""

    @property
    def file(self) -> Path:
        """The property list's file."""
        above = self.machine.root if self.scope == "system" else self.machine.own
        return above / "Library/LaunchAgents" / f"{launchd.LABEL}.plist"

    @property
    def _domain(self) -> str:
        return f"gui/{self.machine.user}"

    @property
    def _target(self) -> str:
        return f"{self._domain}/{launchd.LABEL}"

    def install(self) -> Iterator[Step]:
        """Steps after which it is there, runs, and starts by itself."""
        self.require_plain_names()
        written = WriteFile(file=self.file, text=launchd.agent(self.machine.program, self.home), keeps=True)
        loaded = self._print() is not None
        if loaded and not written.needed:
            yield self.start()
            return
        if loaded:
            yield SystemCommand(command=("launchctl", "bootout", self._target), may_fail=True)
        yield written
        yield SystemCommand(command=("launchctl", "bootstrap", self._domain, str(self.file)))

    def uninstall(self) -> Iterator[Step]:
        """Steps after which nothing of it is there; keys, store and configuration stay."""
        yield SystemCommand(command=("launchctl", "bootout", self._target), may_fail=True)
        yield from removed(self.file)

    def start(self) -> Step:
        """The step after which it runs."""
        return SystemCommand(command=("launchctl", "kickstart", self._target))

    def stop(self) -> Step:
        """The step after which it does not run, until it is started, by hand or by itself."""
        return SystemCommand(command=("launchctl", "kill", "SIGTERM", self._target))

    def restart(self) -> Iterator[Step]:
        """Steps after which it runs anew, with the settings as they are now."""
        yield SystemCommand(command=("launchctl", "kickstart", "-k", self._target))

    def state(self) -> ServiceState:
        """Asks launchd, which knows it while its user is logged in."""
        told = self._print()
        program = launchd.program_in(text_of(self.file))
        pid = next((line.split()[-1] for line in (told or "").splitlines() if line.strip().startswith("pid = ")), "0")
        return ServiceState(
            installed=self.file.exists(),
            running=pid != "0",
            starts=told is not None,
            file=str(self.file) if self.file.exists() else "",
            program=program,
            program_missing=self.is_missing(program),
            pid=int(pid),
        )

    def _print(self) -> str | None:
        return self.succeeds("launchctl", "print", self._target)
