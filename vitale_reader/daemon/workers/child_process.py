"""Processes that the daemon begins and whose standard streams its event loop reads and writes.

Not asyncio's own (Python 3.11 to 3.14). A loop that ends while those begin a process waits for it without an end. The
task that connects their pipes is cancelled with all others. What waits for the process waits for its pipes. Here
nothing but the caller waits, and a caller that is cancelled leaves no process behind.
"""

import asyncio
import contextlib
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vitale_drivers.host.programs import itself
from vitale_reader.daemon.process import kill
from vitale_reader.daemon.workers.offspring import WITHOUT_WINDOW

if sys.platform == "win32":
    # Its pipes are those that the loop of Windows can wait for.
    from asyncio.windows_utils import Popen
else:
    from subprocess import Popen

__all__ = ["ChildProcess", "begun"]


class ChildProcess:
    """A process that was begun: its streams, and its end.

    Attributes:
        pid: its number.
        returncode: its exit status, once it has ended and was waited for.
        stdin: takes what it is to read.
        stdout: what it writes.
        stderr: what it writes there; nothing where that was not asked for.
    """

    stdin: asyncio.WriteTransport

    def __init__(self, process: "Popen[bytes]", loop: asyncio.AbstractEventLoop) -> None:
        self.pid = process.pid
        self.returncode: int | None = None
        self.stdout, self.stderr = asyncio.StreamReader(), asyncio.StreamReader()
        self._process = process
        self._loop = loop
        self._ended: asyncio.Future[int] = loop.create_future()
        self._transports: list[asyncio.BaseTransport] = []
        threading.Thread(target=self._wait, name=f"end of process {self.pid}", daemon=True).start()

    async def wait(self) -> int:
        """The exit status, once the process has ended."""
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """Kills it, where it lives."""
        # By its number: whoever calls Popen.kill reaps it as well, behind the back of the thread that waits for it.
        # Windows refuses access to a process that is just ending, and says "invalid" of one that has.
        # Popen knows before the loop hears of it, when the number may be another's already.
        if self._process.returncode is None:
            with contextlib.suppress(OSError):
                kill(self.pid)

    def close(self) -> None:
        """Closes its streams at this end, whoever holds them open at the other."""
        for transport in self._transports:
            transport.close()

    async def connect(self) -> None:
        """Connects the streams with the loop; to be called once."""
        pipes = [pipe for pipe in (self._process.stdin, self._process.stdout, self._process.stderr) if pipe is not None]
        try:
            self.stdin, _ = await self._loop.connect_write_pipe(asyncio.BaseProtocol, pipes[0])
            self._transports.append(self.stdin)
            for pipe, reader in zip(pipes[1:], (self.stdout, self.stderr), strict=False):
                await self._read(pipe, reader)
        except BaseException:
            self.close()
            for pipe in pipes[len(self._transports) :]:
                pipe.close()
            self.kill()
            raise

    async def _read(self, pipe: Any, reader: asyncio.StreamReader) -> None:
        transport, _ = await self._loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        self._transports.append(transport)

    def _wait(self) -> None:
        status = self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._end, status)

    def _end(self, status: int) -> None:
        self.returncode = status
        if not self._ended.done():
            self._ended.set_result(status)


async def begun(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    inherited: Collection[int] = (),
    heard: bool = True,
    leads: bool = False,
) -> ChildProcess:
    """Begins a process; one whose caller is cancelled meanwhile is killed.

    Args:
        command: the program and its arguments.
        environment: of it; None for the daemon's own.
        inherited: descriptors that it keeps.
        heard: whether its standard error is read; what it says there is lost otherwise.
        leads: whether it leads a session, by which it and what it starts are known and ended.

    Raises:
        OSError: it cannot be started.
    """
    command, environment = itself(command, environment)
    process: Popen[bytes] = Popen(  # noqa: ASYNC220  asyncio begins processes so itself
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if heard else subprocess.DEVNULL,
        bufsize=0,
        env=environment,
        start_new_session=leads,
        creationflags=WITHOUT_WINDOW,
        pass_fds=tuple(inherited),
    )
    try:
        child = ChildProcess(process, asyncio.get_running_loop())
    except RuntimeError as error:  # there is no thread to wait for it
        with process:
            process.kill()
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    await child.connect()
    return child
