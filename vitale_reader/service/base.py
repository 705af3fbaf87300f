"""The service of any system: what can be had done with it, and how it is."""

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from vitale_protocol.errors import LocalMisuse, ToolMissing
from vitale_reader.service.machine import Machine
from vitale_reader.service.scope import Scope
from vitale_reader.service.steps import Remove, Step, StepDone, carried_out, kept

__all__ = ["Service", "ServiceState", "removed", "text_of"]

#: Categories of Unicode: control characters, bytes that are no text (PEP 383), ends of lines and paragraphs.
_NO_TEXT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    """A service as it is.

    Attributes:
        installed: whether the system knows it.
        running: whether its daemon runs.
        starts: whether it starts by itself.
        packaged: whether its file is a package's, and it is switched on by whoever wants it.
        off: whether it is a package's, and this user has switched it off.
        file: the file that describes it; empty where the system keeps that itself.
        program: the path of the program that it runs.
        program_missing: whether nothing is there any more.
        pid: its process, 0 where none is known.
    """

    installed: bool
    running: bool
    starts: bool
    packaged: bool = False
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
    def state(self) -> ServiceState:
        """Asks the system whether it is there and runs."""

    def require_plain_names(self) -> None:
        """Nothing, where each name can stand in the file of a service.

        Raises:
            LocalMisuse: one has a line end or another control character, or bytes that are no text.
        """
        for name in (*self.machine.program, *([] if self.home is None else [str(self.home)])):
            if any(unicodedata.category(letter) in _NO_TEXT for letter in name):
                raise LocalMisuse(ascii(name), variant="odd_name", data={"file": ascii(name)})

    def carry_out(self, steps: Iterable[Step]) -> Iterator[StepDone]:
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


def removed(file: Path) -> Iterator[Step]:
    """Steps after which a file is gone, and what it replaced."""
    yield Remove(file=file)
    if (former := Remove(file=kept(file))).needed:
        yield former


def text_of(file: Path) -> str:
    """The text of a file; empty where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
