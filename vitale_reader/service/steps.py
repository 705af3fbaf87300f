"""Steps of an installation: files written and removed, commands of the system; told first, done one by one after."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from vitale_protocol.errors import LocalMisuse

__all__ = ["Remove", "Run", "Step", "StepDone", "SystemCommand", "WriteFile", "carried_out", "kept"]

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


class WriteFile(msgspec.Struct, frozen=True, kw_only=True, tag="write", tag_field="step"):
    """A file with a text, for everybody to read; it is left alone where it has that text.

    Attributes:
        file: where it is.
        text: of it.
        encoding: of the text.
        keeps: whether another text that is there is kept beside it: somebody may have written that by hand.
    """

    file: Path
    text: str
    encoding: str = "utf-8"
    keeps: bool = False

    @property
    def needed(self) -> bool:
        """True if the file is to be written."""
        try:
            return self.file.read_bytes() != self.text.encode(self.encoding)
        except OSError:
            return True

    @property
    def former(self) -> Path | None:
        """The file in which another text is kept; None where there is none to keep."""
        return kept(self.file) if self.keeps and self.file.is_file() and self.needed else None

    def carry_out(self) -> None:
        """Writes the file, whole or not at all, and the folders above it. Two may do it at once without loss."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            wanted, found = self.text.encode(self.encoding), self.file.read_bytes() if self.file.is_file() else None
            if self.keeps and found not in {None, wanted}:
                _replace(kept(self.file), found or b"")
            _replace(self.file, wanted)
        except OSError as error:
            error.filename, error.filename2 = str(self.file), None  # not the file beside it that was tried
            raise


def _replace(file: Path, content: bytes) -> None:
    """Writes a file beside its place, under a name that nobody else has, and moves it there."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class Remove(msgspec.Struct, frozen=True, kw_only=True, tag="remove", tag_field="step"):
    """A file that goes, where it is there."""

    file: Path

    #: Nothing of it is kept.
    former = None

    @property
    def needed(self) -> bool:
        """True if the file is there."""
        return self.file.exists() or self.file.is_symlink()

    def carry_out(self) -> None:
        """Removes the file, and no folder."""
        self.file.unlink(missing_ok=True)


class SystemCommand(msgspec.Struct, frozen=True, kw_only=True, tag="run", tag_field="step"):
    """A command of the system.

    Attributes:
        command: its words.
        may_fail: whether it is in order that it fails, as the end of a service that does not run.
    """

    command: tuple[str, ...]
    may_fail: bool = False


def kept(file: Path) -> Path:
    """The place of what a file held before."""
    return file.with_name(f"{file.name}.old")


Step = WriteFile | Remove | SystemCommand


class StepDone(msgspec.Struct, frozen=True, kw_only=True):
    """A step, and whether it changed something; ``former`` is where it left another text that was there."""

    step: Step
    done: bool
    former: Path | None = None


def carried_out(steps: Iterable[Step], run: Run) -> Iterator[StepDone]:
    """Carries out steps, and tells each.

    Raises:
        LocalMisuse: a command of the system failed.
        ToolMissing: the system has no such command.
        OSError: a file cannot be written or removed.
    """
    for step in steps:
        if isinstance(step, SystemCommand):
            ran = run(step.command)
            if ran.returncode and not step.may_fail:
                why = _first_line(ran) or f"exit status {ran.returncode}"
                raise LocalMisuse(f"{' '.join(step.command)}: {why}", variant="service_command")
            yield StepDone(step=step, done=not ran.returncode)
        else:
            needed, former = step.needed, step.former
            if needed:
                step.carry_out()
            yield StepDone(step=step, done=needed, former=former)


def _first_line(ran: "subprocess.CompletedProcess[str]") -> str:
    """The fault itself; systemctl and launchctl go on with what to type next."""
    said = (ran.stderr or ran.stdout).strip().splitlines()
    return said[0].strip() if said else ""
