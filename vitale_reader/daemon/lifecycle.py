"""One daemon a home, found by its endpoints file: its lock, its addresses, its signals, its end."""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from vitale_protocol.errors import DaemonRunning, DaemonUnreachable
from vitale_reader.atomic_files import remove, write_atomically
from vitale_reader.daemon.keystore.private_files import private_folder
from vitale_reader.daemon.observation.incidents import incident
from vitale_reader.daemon.process import folder_locked, kill, locked, when_told_to_stop
from vitale_reader.home import Endpoints, Home

__all__ = ["Ending", "HeldHome", "end_when_told", "exclusive", "published"]

logger = logging.getLogger(__name__)

#: Seconds between two looks at whether the files of the home are still those that this daemon holds.
WATCHING = 30.0

#: Seconds of an end: for its stages together, after which the store is closed, in two more at most; for those that end
#: aside; and those after which the process ends whatever its event loop and its threads do.
LIMIT, WHOLE, LAST = 1.7, 4.0, 4.5

#: Seconds for a stage whose turn comes when the time of all is over.
LEAST = 0.1


@contextmanager
def exclusive(home: Home, *, open_to_others: bool = False) -> Generator["HeldHome"]:
    """Holds the home for this process; the kernel lets go of it when the process dies, however it dies.

    The state folder and the run folder are held each by itself. Two daemons can share only one of them, if just one was
    started in a session (``XDG_RUNTIME_DIR``).

    Args:
        home: the home.
        open_to_others: other users of the machine may pass through its run folder to the socket, and see nothing.

    Raises:
        DaemonRunning: another process holds it; ``data.pid`` says which.
        StoreUnavailable: another user has a hand in one of the folders.
    """
    with ExitStack() as stack:
        folders = [private_folder(home.state), private_folder(home.run)]
        if open_to_others:
            home.run.chmod(0o711)
        locks = tuple(stack.enter_context(_locked(folder, home)) for folder in folders)
        yield HeldHome(locks)


class Lock(msgspec.Struct, frozen=True):
    """A file that is locked, and the folder that it stands in; each with the inode that was locked."""

    file: Path
    file_inode: int
    folder_inode: int


class HeldHome:
    """The home, as long as it is held; ``look`` notices whoever takes its files away."""

    def __init__(self, locks: tuple[Lock, ...]) -> None:
        self._locks = locks
        self._told = set[Path]()

    async def watch(self) -> None:
        """Looks from time to time."""
        while True:
            await asyncio.sleep(WATCHING)
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  an edge: the next look is taken
                incident(error)

    def look(self) -> tuple[Path, ...]:
        """Logs, once each, what was removed or replaced since the home was taken."""
        lost = tuple(place for lock in self._locks for place in _lost(lock))
        for place in lost:
            if place not in self._told:
                logger.error("somebody removed or replaced %s while this daemon uses it: restart it", place)
        self._told.update(lost)
        return lost


def _lost(lock: Lock) -> Generator[Path]:
    if _inode(lock.file.parent) != lock.folder_inode:
        yield lock.file.parent
    elif _inode(lock.file) != lock.file_inode:
        yield lock.file


def _inode(file: Path) -> int | None:
    try:
        return file.lstat().st_ino
    except OSError:
        return None


@contextmanager
def _locked(folder: Path, home: Home) -> Generator[Lock]:
    file = folder / "daemon.lock"
    with folder_locked(folder) as free, open(file, "a+", opener=_private) as stream:
        if not (free and locked(stream.fileno())):
            stream.seek(0)
            raise _runs(stream.read().strip(), folder, home)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield Lock(file, os.fstat(stream.fileno()).st_ino, folder.stat().st_ino)


def _runs(holder: str, folder: Path, home: Home) -> DaemonRunning:
    pid = int(holder) if holder.isdecimal() else None
    if pid is None:  # its lock file was removed
        with contextlib.suppress(DaemonUnreachable):
            pid = home.endpoints().pid
    return DaemonRunning(
        f"process {pid or 'unknown'} runs a daemon in this home", data={"pid": pid, "home": str(folder)}
    )


@contextmanager
def published(home: Home, endpoints: Endpoints) -> Generator[Callable[[Endpoints], None]]:
    """Tells clients the addresses in use, for as long as they are; gives what tells them of others."""
    mine: dict[Path, int | None] = {}

    def publish(endpoints: Endpoints) -> None:
        # Not durable: after a power cut no process is behind these addresses.
        write_atomically(home.endpoints_file, msgspec.json.encode(endpoints), durable=False)
        mine.update({Path(file): _inode(Path(file)) for file in (home.endpoints_file, endpoints.unix) if file})

    publish(endpoints)
    try:
        yield publish
    finally:
        for file, inode in mine.items():
            if _inode(file) == inode:  # else it is another daemon's
                _unpublish(file)


def _unpublish(file: Path) -> None:
    try:
        remove(file)
    except OSError as error:  # clients find nobody behind the addresses
        logger.warning("%s cannot be removed: %s", file.name, error.strerror)


class Ending:
    """The end of a daemon: stages one after the other, within a time that none of them can lengthen.

    The rest is left as it is after ``kill -9``, which loses nothing. Tokens stay in the outbox, and the next start sees
    what was begun.

    Args:
        bounded: whether there is such a time; without one each stage takes what it needs.
    """

    def __init__(self, *, bounded: bool) -> None:
        self._processes: Callable[[], Collection[int]] = frozenset
        self._bounded = bounded
        self._began: float | None = None
        self._stage = "sessions"
        self._aside: dict[str, asyncio.Task[None]] = {}
        self._wakes: int | None = None

    async def stage(self, name: str, end: Callable[[], Coroutine[Any, Any, None]], most: float = LIMIT) -> None:
        """Ends one part, in ``most`` seconds; where it takes longer, the log says so and the next one begins."""
        task = self._begin(name, end)
        if await self._wait(name, task, min(most, self._left(LIMIT))):
            task.result()

    async def aside(self, name: str, end: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begins to end a part that nothing else needs; ``finish`` waits for it."""
        self._aside[name] = self._begin(name, end)

    async def finish(self) -> None:
        """Waits for all that ends aside; the first fault among them is raised then, and the others are logged."""
        faults: list[BaseException] = []
        for name, task in self._aside.items():
            has_ended = await self._wait(name, task, self._left(WHOLE))
            if has_ended and not task.cancelled() and (fault := task.exception()) is not None:
                if faults:
                    logger.error("%s: not ended in order", name, exc_info=fault)
                faults.append(fault)
        if faults:
            raise faults[0]

    def watch(self) -> None:
        """Has the process end ``LAST`` seconds after ``told``, whatever its event loop and its threads do."""
        reads, self._wakes = os.pipe()
        threading.Thread(target=self._end_at_last, args=(reads,), name="last resort", daemon=True).start()

    def take_along(self, processes: Callable[[], Collection[int]]) -> None:
        """Has these processes, of the drivers, end with the daemon where that ends so."""
        self._processes = processes

    def told(self) -> None:
        """The daemon is told to end; may be called at any moment, from a signal as well."""
        if self._wakes is not None:
            os.write(self._wakes, b".")

    def _begin(self, name: str, end: Callable[[], Coroutine[Any, Any, None]]) -> "asyncio.Task[None]":
        self._stage = name
        if self._began is None:
            self._began = time.monotonic()
        return asyncio.create_task(end(), name=f"end of {name}")

    def _left(self, limit: float) -> float:
        passed = 0.0 if self._began is None else time.monotonic() - self._began
        return max(limit - passed, LEAST)

    async def _wait(self, name: str, task: "asyncio.Task[None]", limit: float) -> bool:
        """Waits for a part; False if it takes longer than it may, and is left."""
        self._stage = name
        await asyncio.wait({task}, timeout=limit if self._bounded else None)
        if task.done():
            return True
        logger.error("%s: not ended after %.1f s, and not waited for any longer", name, limit)
        task.cancel()
        return False

    def _end_at_last(self, reads: int) -> None:
        os.read(reads, 1)
        threading.Event().wait(LAST)
        logger.error("the daemon hangs at its end (%s), and is ended", self._stage)
        for pid in self._processes():
            with contextlib.suppress(OSError):
                kill(pid)
        os._exit(0)


def end_when_told(told: "asyncio.Future[None]", at_once: Callable[[], None] | None = None) -> None:
    """Has SIGTERM and SIGINT settle a future from now on; on Windows Ctrl-Break, a closed window, a log-off.

    Ctrl-C ends the loop there.

    Args:
        told: the future.
        at_once: called when the signal comes, also while the loop is busy with something else.
    """

    def stop() -> None:
        if not told.done():
            told.set_result(None)

    when_told_to_stop(stop, at_once)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
