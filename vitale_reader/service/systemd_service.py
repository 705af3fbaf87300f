"""The service of systemd: its unit, switched on and off by ``systemctl``."""

import os
from collections.abc import Iterator
from pathlib import Path

from vitale_protocol.errors import LocalMisuse
from vitale_reader.service import systemd
from vitale_reader.service.base import Service, ServiceState, removed, text_of
from vitale_reader.service.steps import Remove, Step, SystemCommand, WriteFile, carried_out

__all__ = ["SystemdService"]


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
            written = [WriteFile(file=self.file, text=text, keeps=True)]
            if self.scope == "system":
                written += [
                    WriteFile(file=self.accounts, text=systemd.accounts()),
                    WriteFile(file=self.pcsc_rule, text=systemd.pcsc_rule()),
                ]
            changed = written[0].needed
            yield from written
            if self.scope == "system":
                yield SystemCommand(command=("systemd-sysusers", str(self.accounts)))
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
        yield from removed(self.file)
        if self.scope == "system":
            yield Remove(file=self.accounts)
            yield Remove(file=self.pcsc_rule)
        yield self._systemctl("daemon-reload")
        yield self._systemctl("reset-failed", systemd.NAME, may_fail=True)

    def _switched_off(self) -> Iterator[Step]:
        """Steps that keep a package's unit from starting by itself, for this user or for the machine."""
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

    def state(self) -> ServiceState:
        """Asks systemd; the file alone where no manager answers."""
        file = self.packaged or self._own
        program = "" if file is None else systemd.program_in(text_of(file))
        told = dict(line.split("=", 1) for line in (self._show() or "").splitlines() if "=" in line)
        return ServiceState(
            installed=file is not None and not self.masked,
            running=told.get("ActiveState") in {"active", "activating", "reloading"},
            starts=told.get("UnitFileState") == "enabled",
            packaged=self.packaged is not None,
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

    def _systemctl(self, *words: str, may_fail: bool = False) -> SystemCommand:
        user = ("--user",) if self.scope == "user" else ()
        return SystemCommand(command=("systemctl", *user, *words), may_fail=may_fail)
