"""Processes that an interpreter which has loaded the product forks; see ``warm_interpreter``.

The interpreter is this file, run with the number of a socket that requests come on.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TextIO, cast

from vitale_reader.daemon.process import kill

assert sys.platform == "linux"

__all__ = ["ForkingInterpreter", "Program"]

#: Bytes of a request, with the environment of a process.
MOST = 1 << 20
#: Seconds within which a busy machine forks a process, or ends one that was killed.
PATIENCE = 60.0
#: What the daemon and the commands load.
LOADED = (
    "sqlalchemy.dialects.sqlite",
    "vitale_reader.cli",
    "vitale_reader.cli.config",
    "vitale_reader.cli.doctor.command",
    "vitale_reader.cli.read",
    "vitale_reader.cli.readers",
    "vitale_reader.cli.serve",
    "vitale_reader.client.blocking",
    "vitale_reader.daemon.app",
    "vitale_reader.daemon.startup",
    "vitale_reader.diagnosis.report",
)


class Program:
    """A process of the interpreter, as ``subprocess.Popen`` has it."""

    def __init__(self, told: socket.socket, stdout: IO[bytes] | None) -> None:
        self.stdout = stdout
        self.returncode: int | None = None
        self._told = told
        self.pid = self._hear(PATIENCE)

    def poll(self) -> int | None:
        """Its exit status, negative where a signal ended it; None as long as it runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end; its exit status.

        Raises:
            subprocess.TimeoutExpired: it runs still.
        """
        if self.returncode is None:
            self.returncode = self._hear(timeout)
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends it a signal unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once."""
        if self.poll() is None:
            kill(self.pid)

    def _hear(self, timeout: float | None) -> int:
        if not select.select([self._told], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a program", timeout or 0.0)
        said = self._told.recv(MOST)
        assert said, "the interpreter has ended"
        return int(said)


class ForkingInterpreter:
    """The interpreter, begun with its first program."""

    def __init__(self, environment: Mapping[str, str] | None) -> None:
        self._environment = environment
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """Ends it; its programs live on."""
        if self._line is not None and self._process is not None:
            self._line.close()
            self._process.wait(PATIENCE)

    def start(
        self,
        arguments: Sequence[str],
        stdin: IO[bytes] | None,
        stdout: IO[bytes] | int | None,
        stderr: IO[bytes] | int | None,
        environment: Mapping[str, str],
    ) -> Program:
        """Forks a program."""
        request = {"arguments": arguments, "environment": {**environment}, "folder": str(Path.cwd())}
        with contextlib.ExitStack() as closing:
            nothing = closing.enter_context(Path(os.devnull).open("r+b"))
            reading: IO[bytes] | None = None
            if stdout == subprocess.PIPE:
                source, sink = os.pipe()
                reading, stdout = os.fdopen(source, "rb"), closing.enter_context(os.fdopen(sink, "wb"))
            streams = (stdin or nothing, *(_stream(given, own, nothing) for given, own in ((stdout, 1), (stderr, 2))))
            told, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            closing.enter_context(telling)
            descriptors = [each if isinstance(each, int) else each.fileno() for each in streams]
            socket.send_fds(self._begun(), [json.dumps(request).encode()], [*descriptors, telling.fileno()])
        return Program(told, reading)

    def _begun(self) -> socket.socket:
        if self._line is None:
            self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    (sys.executable, "-P", __file__, str(theirs.fileno())),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env=self._environment,
                )
        return self._line


def _stream(given: IO[bytes] | int | None, own: int, nothing: IO[bytes]) -> IO[bytes] | int:
    if given is None:
        return own
    return nothing if given == subprocess.DEVNULL else given


# ── the interpreter ──────────────────────────────────────────────────────────────────────────────────────────────────


class Asked:
    """A request for a program: its streams, and where its id and its end are told."""

    def __init__(self, message: bytes, descriptors: Sequence[int]) -> None:
        request = cast("dict[str, object]", json.loads(message))
        self.arguments = cast("list[str]", request["arguments"])
        self.environment = cast("dict[str, str]", request["environment"])
        self.folder = cast("str", request["folder"])
        *self.streams, telling = descriptors
        self.telling = socket.socket(fileno=telling)


def serve(line: socket.socket) -> Asked | None:
    """Forks programs until the line is closed; None then, and in each process that is forked what it is to be."""
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is not None:
                    selector.unregister(key.fd)
                    _tell_end(key.fd, *key.data)
                    continue
                message, descriptors, *_ = socket.recv_fds(line, MOST, 4)
                if not message:
                    return None
                asked = Asked(message, descriptors)
                pid = os.fork()
                if not pid:
                    _forget(line, selector)
                    return asked
                for descriptor in asked.streams:
                    os.close(descriptor)
                asked.telling.send(str(pid).encode())
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, asked.telling))


def _tell_end(descriptor: int, pid: int, telling: socket.socket) -> None:
    _, status = os.waitpid(pid, 0)
    os.close(descriptor)
    with telling, contextlib.suppress(OSError):  # nobody may be there to hear of it
        telling.send(str(os.waitstatus_to_exitcode(status)).encode())


def _forget(line: socket.socket, selector: selectors.BaseSelector) -> None:
    """Closes what is the interpreter's, in a process that is forked: others wait for these files to be closed."""
    for key in (*selector.get_map().values(),):
        if key.data is not None:
            os.close(key.fd)
            key.data[1].close()
    line.close()


def _anew(stream: TextIO) -> TextIO:
    """A standard stream, opened again: it knows what kind of file was there before."""
    number = stream.fileno()
    mode, buffering = "w" if number else "r", 1 if number == 2 else -1
    return cast("TextIO", os.fdopen(number, mode, buffering, stream.encoding, stream.errors, closefd=False))


def become(asked: Asked) -> None:
    """Runs the program, in this process."""
    asked.telling.close()
    for number, descriptor in enumerate(asked.streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    for name in ("stdin", "stdout", "stderr"):
        stream = _anew(getattr(sys, name))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.environ.clear()
    os.environ.update(asked.environment)
    os.chdir(asked.folder)
    how, what, *arguments = asked.arguments
    if how == "-m":
        sys.argv = [what, *arguments]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [how, *arguments]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), vars(main))  # noqa: S102  a program of the tests'


def main(descriptor: str) -> None:
    """Loads the product, and serves."""
    for name in LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(descriptor)) as line:
        asked = serve(line)
    if asked is not None:
        become(asked)


if __name__ == "__main__":
    main(*sys.argv[1:])
