"""One daemon a home, found by its endpoints file: the lock, the addresses, the signals that end it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from vitale_protocol.errors import DaemonRunning
from vitale_reader.daemon.keystore.files import private_folder, write_private
from vitale_reader.daemon.process import locked
from vitale_reader.home import Endpoints, Home

__all__ = ["exclusive", "published", "until_told_to_stop"]


@contextmanager
def exclusive(home: Home, *, open_to_others: bool = False) -> Generator[None]:
    """Holds the home for this process; the kernel lets go of it when the process dies, however it dies.

    Args:
        home: the home.
        open_to_others: other users of the machine may pass through its run folder to the socket, and see nothing.

    Raises:
        DaemonRunning: another process holds it; ``data.pid`` says which.
    """
    private_folder(home.run)
    if open_to_others:
        home.run.chmod(0o711)
    with open(home.run / "daemon.lock", "a+", opener=_private) as stream:
        if not locked(stream.fileno()):
            stream.seek(0)
            holder = stream.read().strip()
            raise DaemonRunning(
                f"process {holder or 'unknown'} runs a daemon in this home",
                data={"pid": int(holder) if holder.isdecimal() else None, "home": str(home.run)},
            )
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


@contextmanager
def published(home: Home, endpoints: Endpoints) -> Generator[None]:
    """Tells clients the addresses in use, for as long as they are."""
    # Not durable: after a power cut no process is behind these addresses.
    write_private(home.endpoints_file, msgspec.json.encode(endpoints), durable=False)
    try:
        yield
    finally:
        home.endpoints_file.unlink(missing_ok=True)
        if endpoints.unix:
            Path(endpoints.unix).unlink(missing_ok=True)


async def until_told_to_stop() -> None:
    """Waits for SIGTERM or SIGINT (on Windows, for Ctrl-C or Ctrl-Break)."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt in run()
            loop.add_signal_handler(number, told.set)
    await told.wait()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
