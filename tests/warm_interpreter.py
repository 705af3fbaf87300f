"""Programs of the product as processes of their own, without loading it anew for each.

An interpreter that has loaded the product forks a process for each program. The process is a real one: its id, folder,
environment, files, signals, parent and end are its own. A daemon, and a command that starts programs of the product,
has them forked likewise. That the product can be loaded is not shown by it: modules that are marked ``executes``, the
tests of the examples, of services and of the wheel execute programs.

A program is named as Python's command line names it, ``-m MODULE``, ``-c CODE`` or a file of the tests, and its
arguments. What Python reads from the environment when it starts is that of the interpreter; ``PYTHONPATH`` may
name more folders. Whoever asks by ``subprocess`` has a program executed that does not load the product, asks what is
loaded, or finds other modules in place of those that are.

On other systems than Linux, Python is executed for each program.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from typing import IO, Protocol, Self

if sys.platform == "linux":
    from tests.forked_programs import ForkingInterpreter

__all__ = ["Process", "WarmInterpreter"]

#: Seconds that a command may take on a busy machine.
PATIENCE = 100.0


class Process(Protocol):
    """Part of ``subprocess.Popen`` that programs have."""

    @property
    def pid(self) -> int:
        """The id of the process."""
        ...

    @property
    def stdout(self) -> IO[bytes] | None:
        """Standard output, where it was asked for."""
        ...

    def poll(self) -> int | None:
        """The exit status; None as long as it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end; the exit status."""
        ...

    def send_signal(self, sig: int, /) -> None:
        """Sends a signal unless it has ended."""
        ...

    def terminate(self) -> None:
        """Asks it to end."""
        ...

    def kill(self) -> None:
        """Ends it at once."""
        ...


class WarmInterpreter:
    """An interpreter that has loaded the product; it ends with the ``with`` statement.

    Args:
        environment: its own, and that of its programs unless they are given another.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = environment
        if sys.platform == "linux":
            self._forking = ForkingInterpreter(environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if sys.platform == "linux":
            self._forking.close()

    def start(
        self,
        *arguments: str,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | int | None = None,
        stderr: IO[bytes] | int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Starts a program; streams are given as ``subprocess.Popen`` takes them; its input is a file, or empty."""
        environment = env if env is not None else self._environment
        program: Process
        if sys.platform == "linux":
            program = self._forking.start(arguments, stdin, stdout, stderr, environment or os.environ)
        else:
            command = (sys.executable, *arguments)
            given = subprocess.DEVNULL if stdin is None else stdin
            program = subprocess.Popen(command, stdin=given, stdout=stdout, stderr=stderr, env=environment)
        return program

    @contextlib.contextmanager
    def instead(self) -> Generator[None]:
        """Has the programs of the product forked that this process executes, where that makes no difference."""
        if sys.platform == "linux":
            with self._forking.instead():
                yield
        else:
            yield

    def run(
        self,
        *arguments: str,
        given: str | bytes = "",
        env: Mapping[str, str] | None = None,
        timeout: float = PATIENCE,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end; what it wrote, as text in UTF-8. It is given text or bytes on standard input."""
        with tempfile.TemporaryFile() as read, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            read.write(given if isinstance(given, bytes) else given.encode())
            read.seek(0)
            program = self.start(*arguments, stdin=read, stdout=out, stderr=errors, env=env)
            try:
                status = program.wait(timeout)
            finally:
                program.kill()
            said = [_text(stream) for stream in (out, errors)]
        return subprocess.CompletedProcess(arguments, status, *said)


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode().replace("\r\n", "\n")
