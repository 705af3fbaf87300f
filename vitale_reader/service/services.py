"""The service on each system: its file, and the commands by which it is installed, removed, started, ended, asked."""

import os
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from vitale_protocol.errors import LocalMisuse, ToolMissing
from vitale_reader.service import launchd, logon_task, systemd
from vitale_reader.service.machine import Machine
from vitale_reader.service.scope import Scope
from vitale_reader.service.steps import Command, Done, Remove, Step, Write, carried_out, kept

__all__ = ["Service", "State", "service"]


#: Categories of Unicode: control characters, bytes that are no text (PEP 383), ends of lines and paragraphs.
_NO_TEXT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A service as it is.

    Attributes:
        installed: whether the system knows it.
        running: whether its daemon runs.
        starts: whether it starts by itself.
        off: whether it is another's, as of a package, and this user has switched it off.
        file: the file that describes it; empty where the system keeps that itself.
        program: the path of the program that it runs.
        program_missing: whether nothing is there any more.
        pid: its process, 0 where none is known.
    """

    installed: bool
    running: bool
    starts: bool
    off: bool = False
    file: str = ""
    program: str = ""
    program_missing: bool = False
    pid: int = 0


@dataclass(frozen=True, kw_only=True)
class Service(ABC):
    """The service of a user, or of the machine.

    Attributes:
        scope: whose it is.
        machine: where it is.
        home: folder of the station of a user, where it is another than that of the user's commands.
    """

    scope: Scope
    machine: Machine
    home: Path | None = None

    @property
    def starts_with_the_machine(self) -> bool:
        """True if it starts with the machine; else when a user logs in."""
        return False

    def require(self) -> None:  # noqa: B027  most systems have nothing that could be missing
        """Nothing, where the system can look after a service.

        Raises:
            ToolMissing, LocalMisuse: it cannot, and says why.
        """

    @abstractmethod
    def install(self) -> Iterator[Step]:
        """Steps after which it is there, runs, and starts by itself."""

    @abstractmethod
    def uninstall(self) -> Iterator[Step]:
        """Steps after which nothing of it is there; keys, store and configuration stay."""

    @abstractmethod
    def start(self) -> Step:
        """The step after which it runs."""

    @abstractmethod
    def stop(self) -> Step:
        """The step after which it does not run, until it is started, by hand or by itself."""

    @abstractmethod
    def restart(self) -> Iterator[Step]:
        """Steps after which it runs anew, with the settings as they are now."""

    @abstractmethod
    def state(self) -> State:
        """Asks the system whether it is there and runs."""

    def require_plain_names(self) -> None:
        """Nothing, where each name can stand in the file of a service.

        Raises:
            LocalMisuse: one has a line end or another control character, or bytes that are no text.
        """
        for name in (*self.machine.program, *([] if self.home is None else [str(self.home)])):
            if any(unicodedata.category(letter) in _NO_TEXT for letter in name):
                raise LocalMisuse(ascii(name), variant="odd_name", data={"file": ascii(name)})

    def carry_out(self, steps: Iterable[Step]) -> Iterator[Done]:
        """Carries out steps, and tells each.

        Raises:
            LocalMisuse: a command of the system failed, or only an administrator may do this.
            ToolMissing: the system has no such command.
            OSError: a file cannot be written or removed.
        """
        try:
            yield from carried_out(steps, self.machine.run)
        except PermissionError as error:
            if self.scope == "user":  # some other fault: what is the user's own is closed to them
                raise
            raise LocalMisuse(f"{error.filename}: {error.strerror}", variant="administrator") from error

    @property
    def station(self) -> Path | None:
        """The folder of its station, where that is the same for all users of the machine."""
        return None

    def journal(self) -> tuple[str, ...]:
        """The command that gives its records as JSON, one a line; empty where the system keeps none."""
        return ()

    def succeeds(self, *command: str) -> str | None:
        """Gives what a command says; None where it fails, or the system has none of that name."""
        try:
            ran = self.machine.run(command)
        except ToolMissing:
            return None
        return None if ran.returncode else ran.stdout

    def is_missing(self, program: str) -> bool:
        """True if nothing is where the program should be."""
        return bool(program) and not Path(program).exists()


class SystemdService(Service):
    """A unit of systemd; that of a package is switched on and off, and not written.

    A package switches its unit on for all users. So one of them switches it off by masking it.
    """

    @property
    def starts_with_the_machine(self) -> bool:
        """True if it starts with the machine; else when a user logs in."""
        return self.scope == "system"

    @property
    def file(self) -> Path:
        """The unit's file where it is none of a package; a link to nothing where it is masked."""
        if self.scope == "system":
            return self.machine.root / "etc/systemd/system" / systemd.NAME
        own = self.machine.own / ".config"
        # A relative path counts for nothing (XDG Base Directory Specification).
        named = Path(self.machine.environ.get("XDG_CONFIG_HOME", ""))
        return (named if named.is_absolute() else own) / "systemd/user" / systemd.NAME

    @property
    def masked(self) -> bool:
        """True if it is switched off, whatever else would start it (systemctl(1))."""
        return self.file.is_symlink() and str(self.file.readlink()) == os.devnull

    @property
    def _own(self) -> Path | None:
        """The file that was written here, where one was."""
        return self.file if self.file.exists() and not self.masked else None

    @property
    def accounts(self) -> Path:
        """The file of the machine's accounts."""
        return self.machine.root / "etc/sysusers.d/vitale-reader.conf"

    @property
    def pcsc_rule(self) -> Path:
        """The file of polkit's rule."""
        return self.machine.root / "etc/polkit-1/rules.d/50-vitale-reader.rules"

    @property
    def packaged(self) -> Path | None:
        """The unit of a package, where there is one and no other is in its place."""
        if self._own is not None:
            return None
        folders = ("usr/local/lib/systemd", "usr/lib/systemd", "lib/systemd")
        files = (self.machine.root / folder / self.scope / systemd.NAME for folder in folders)
        return next((file for file in files if file.exists()), None)

    def require(self) -> None:
        """Asks for the manager, which a user has only in a session of their own."""
        for _ in carried_out([self._systemctl("show", "--property=Version")], self.machine.run):
            pass

    def install(self) -> Iterator[Step]:
        """Steps after which it is there, runs, and starts by itself.

        Raises:
            LocalMisuse: the account of the machine's service could not run the program.
        """
        self.require_plain_names()
        changed = False
        if self.masked:
            yield self._systemctl("unmask", systemd.NAME)
        if self.packaged is None:
            self._require_a_program_within_reach()
            text = systemd.unit(self.scope, self.machine.program, self.home)
            written = [Write(file=self.file, text=text, keeps=True)]
            if self.scope == "system":
                written += [
                    Write(file=self.accounts, text=systemd.accounts()),
                    Write(file=self.pcsc_rule, text=systemd.pcsc_rule()),
                ]
            changed = written[0].needed
            yield from written
            if self.scope == "system":
                yield Command(command=("systemd-sysusers", str(self.accounts)))
            yield self._systemctl("daemon-reload")
        yield self._systemctl("enable", systemd.NAME)
        yield self._systemctl("restart" if changed else "start", systemd.NAME)

    def _require_a_program_within_reach(self) -> None:
        if self.scope == "user":
            return
        program = Path(self.machine.program[0])
        for home in systemd.HIDDEN:
            place = self.machine.root / home
            if program.is_relative_to(place) or program.resolve().is_relative_to(place.resolve()):
                raise LocalMisuse(str(program), variant="program_in_a_home", data={"file": str(program)})

    def uninstall(self) -> Iterator[Step]:
        """Steps after which nothing of it is there; keys, store and configuration stay."""
        if self.packaged is not None:
            yield from self._switched_off()
            return
        if self._own is not None:
            yield self._systemctl("disable", "--now", systemd.NAME)
        yield from _removed(self.file)
        if self.scope == "system":
            yield Remove(file=self.accounts)
            yield Remove(file=self.pcsc_rule)
        yield self._systemctl("daemon-reload")
        yield self._systemctl("reset-failed", systemd.NAME, may_fail=True)

    def _switched_off(self) -> Iterator[Step]:
        """Steps after which the unit of a package does not start by itself for this user, or for the machine."""
        if self.masked:
            return
        yield self._systemctl("disable", "--now", systemd.NAME)
        if self.scope == "user":
            yield self._systemctl("mask", systemd.NAME)

    def start(self) -> Step:
        """The step after which it runs."""
        return self._systemctl("start", systemd.NAME)

    def stop(self) -> Step:
        """The step after which it does not run, until it is started, by hand or by itself."""
        return self._systemctl("stop", systemd.NAME)

    def restart(self) -> Iterator[Step]:
        """Steps after which it runs anew, with the settings as they are now."""
        yield self._systemctl("restart", systemd.NAME)

    def state(self) -> State:
        """Asks systemd; the file alone where no manager answers."""
        file = self.packaged or self._own
        program = "" if file is None else systemd.program_in(_text(file))
        told = dict(line.split("=", 1) for line in (self._show() or "").splitlines() if "=" in line)
        return State(
            installed=file is not None and not self.masked,
            running=told.get("ActiveState") in {"active", "activating", "reloading"},
            starts=told.get("UnitFileState") == "enabled",
            off=file is not None and self.masked,
            file="" if file is None else str(file),
            program=program,
            program_missing=self.is_missing(program),
            pid=int(told.get("MainPID", "0")),
        )

    @property
    def station(self) -> Path | None:
        """The folder of its station, where that is the same for all users of the machine."""
        return systemd.STATE if self.scope == "system" else None

    def journal(self) -> tuple[str, ...]:
        """The command that gives its records as JSON, one a line."""
        unit = "--unit" if self.scope == "system" else "--user-unit"
        # --all: long texts are left out otherwise.
        return ("journalctl", "--output=json", "--all", "--no-pager", "--quiet", f"{unit}={systemd.NAME}")

    def _show(self) -> str | None:
        properties = "ActiveState,UnitFileState,MainPID"
        return self.succeeds(*self._systemctl("show", systemd.NAME, f"--property={properties}").command)

    def _systemctl(self, *words: str, may_fail: bool = False) -> Command:
        user = ("--user",) if self.scope == "user" else ()
        return Command(command=("systemctl", *user, *words), may_fail=may_fail)


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
        written = Write(file=self.file, text=launchd.agent(self.machine.program, self.home), keeps=True)
        loaded = self._print() is not None
        if loaded and not written.needed:
            yield self.start()
            return
        if loaded:
            yield Command(command=("launchctl", "bootout", self._target), may_fail=True)
        yield written
        yield Command(command=("launchctl", "bootstrap", self._domain, str(self.file)))

    def uninstall(self) -> Iterator[Step]:
        """Steps after which nothing of it is there; keys, store and configuration stay."""
        yield Command(command=("launchctl", "bootout", self._target), may_fail=True)
        yield from _removed(self.file)

    def start(self) -> Step:
        """The step after which it runs."""
        return Command(command=("launchctl", "kickstart", self._target))

    def stop(self) -> Step:
        """The step after which it does not run, until it is started, by hand or by itself."""
        return Command(command=("launchctl", "kill", "SIGTERM", self._target))

    def restart(self) -> Iterator[Step]:
        """Steps after which it runs anew, with the settings as they are now."""
        yield Command(command=("launchctl", "kickstart", "-k", self._target))

    def state(self) -> State:
        """Asks launchd, which knows it while its user is logged in."""
        told = self._print()
        program = launchd.program_in(_text(self.file))
        pid = next((line.split()[-1] for line in (told or "").splitlines() if line.strip().startswith("pid = ")), "0")
        return State(
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


class LogonTask(Service):
    """A task of the Windows task scheduler, which keeps its description itself."""

    def install(self) -> Iterator[Step]:
        """Steps after which it is there, runs, and starts by itself."""
        self.require_plain_names()
        text = logon_task.task(self.scope, self.machine.program, user=self.machine.user, home=self.home)
        file = self.machine.temporary / "vitale-reader-logon-task.xml"
        yield Write(file=file, text=text, encoding="utf-16")
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

    def state(self) -> State:
        """Asks the scheduler, in words that no language of Windows changes."""
        text = self.succeeds(*self._schtasks("/Query", "/XML").command)
        program = logon_task.program_in(text or "")
        # SCHED_S_TASK_RUNNING, 0x41301, is the last result of a task while it runs.
        told = "" if text is None else self.succeeds(*self._schtasks("/Query", "/FO", "CSV", "/V", "/NH").command) or ""
        return State(
            installed=text is not None,
            running=f'"{0x41301}"' in told,
            starts=text is not None,
            program=program,
            program_missing=self.is_missing(program),
        )

    def _schtasks(self, action: str, *words: str, may_fail: bool = False) -> Command:
        return Command(command=("schtasks", action, "/TN", logon_task.TASK, *words), may_fail=may_fail)


def service(scope: Scope, machine: Machine, home: Path | None = None) -> Service:
    """The service on a machine.

    Raises:
        ToolMissing: no service is known for this system.
    """
    kinds: dict[str, type[Service]] = {"linux": SystemdService, "darwin": LaunchAgent, "win32": LogonTask}
    kind = kinds.get(machine.system)
    if kind is None:
        raise ToolMissing(f"no service is known for {machine.system}", data={"tool": "systemd"})
    return kind(scope=scope, machine=machine, home=home)


def _removed(file: Path) -> Iterator[Step]:
    yield Remove(file=file)
    if (former := Remove(file=kept(file))).needed:
        yield former


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
