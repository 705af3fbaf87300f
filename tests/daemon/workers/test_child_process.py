"""Processes that the loop reads and writes: heard to their end, and none left behind by whoever is cancelled."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.posix import posix_only
from vitale_reader.daemon.workers import child_process
from vitale_reader.daemon.workers.child_process import ChildProcess, begun

#: Says in a file that it runs, then repeats what it is told until its input ends.
ECHO = """
import sys
open(sys.argv[1], "w").close()
print("said aside", file=sys.stderr, flush=True)
for line in sys.stdin.buffer:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
sys.exit(7)
"""

#: Turns of the loop in which a process is begun, and one more.
TURNS = range(12)


def command(folder: Path) -> tuple[str, ...]:
    return (sys.executable, "-c", ECHO, str(folder / "runs"))


def test_a_process_is_written_to_and_read_until_it_ends(tmp_path: Path) -> None:
    async def work() -> None:
        child = await begun(command(tmp_path))
        child.stdin.write(b"word\n")
        assert b"word\n" == await child.stdout.readline()
        assert b"said aside" == (await child.stderr.readline()).strip()
        child.stdin.write_eof()
        assert (b"", 7) == (await child.stdout.read(), await child.wait())
        assert 7 == child.returncode
        child.kill()  # nothing
        child.close()

    asyncio.run(work())


def test_what_is_not_to_be_heard_is_lost(tmp_path: Path) -> None:
    async def work() -> None:
        child = await begun(command(tmp_path), heard=False)
        child.stdin.write_eof()
        assert (7, b"") == (await child.wait(), await child.stdout.read())
        child.close()

    asyncio.run(work())


def test_a_program_that_is_not_there_is_told() -> None:
    async def work() -> None:
        with pytest.raises(FileNotFoundError):
            await begun(("/nowhere/program",))

    asyncio.run(work())


def watched(monkeypatch: pytest.MonkeyPatch) -> list[ChildProcess]:
    """Every process that is begun, also those that nobody was given."""
    made: list[ChildProcess] = []

    class Watched(ChildProcess):
        async def connect(self) -> None:
            made.append(self)
            await super().connect()

    monkeypatch.setattr(child_process, "ChildProcess", Watched)
    return made


async def begin(folder: Path, turns: int) -> "asyncio.Task[ChildProcess]":
    """A task that begins a process and ends it, after so many turns of the loop."""

    async def work() -> ChildProcess:
        child = await begun(command(folder))
        # In that turn: there may be no other.
        child.kill()
        child.close()
        return child

    task = asyncio.create_task(work())
    for _ in range(turns):
        await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("turns", TURNS)
def test_whoever_is_cancelled_meanwhile_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    made = watched(monkeypatch)

    async def work() -> None:
        task = await begin(tmp_path, turns)
        if task.cancel():
            await asyncio.wait({task}, timeout=60)
            assert task.cancelled()
        async with asyncio.timeout(60):
            assert all([await child.wait() != 7 for child in made]), "killed, and by nobody's leave"

    asyncio.run(work())


@pytest.mark.timeout(60)
@pytest.mark.parametrize("turns", TURNS)
def test_a_loop_that_ends_meanwhile_comes_to_its_end(tmp_path: Path, turns: int) -> None:
    task = asyncio.run(begin(tmp_path, turns))
    assert task.cancelled() or task.result().pid > 0


def test_what_was_waited_for_is_not_killed_under_a_number_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr(child_process, "kill", killed.append)

    async def work() -> None:
        child = await begun((sys.executable, "-c", "input()"), heard=False)
        os.kill(child.pid, signal.SIGTERM)
        waiting = [each for each in threading.enumerate() if each.name == f"end of process {child.pid}"]
        for each in waiting:
            each.join(60)  # the loop hears of it in its next turn
        assert waiting
        child.kill()
        assert [] == killed
        await child.wait()
        child.close()

    asyncio.run(work())


posix = posix_only()


@posix
def test_a_process_that_nobody_can_wait_for_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[subprocess.Popen[bytes]] = []
    kind: Any = vars(child_process)["Popen"]

    def popen(*arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
        made.append(kind(*arguments, **options))
        return made[-1]

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(child_process, "Popen", popen)
    monkeypatch.setattr(threading.Thread, "start", start)

    async def work() -> None:
        with pytest.raises(OSError, match=r".*"):
            await begun((sys.executable, "-c", "input()"))

    asyncio.run(work())
    (process,) = made
    assert process.returncode
    assert all(pipe is not None and pipe.closed for pipe in (process.stdin, process.stdout, process.stderr))


@posix
def test_it_keeps_what_it_inherits_and_leads_a_session() -> None:
    assert sys.platform != "win32"
    program = "import os, sys; os.write(int(sys.argv[1]), b'here'); print(os.getsid(0) == os.getpid(), flush=True)"

    async def work() -> None:
        reads, writes = os.pipe()
        try:
            child = await begun((sys.executable, "-c", program, str(writes)), inherited=[writes], leads=True)
            assert (b"True\n", 0) == (await child.stdout.read(), await child.wait())
            assert b"here" == os.read(reads, 100)
            child.close()
        finally:
            os.close(reads)
            os.close(writes)

    asyncio.run(work())


@pytest.mark.parametrize(
    "refused", [ProcessLookupError(), PermissionError(13, "[WinError 5]"), OSError(22, "[WinError 87]")]
)
def test_one_that_ends_just_as_it_is_killed_is_no_fault(
    tmp_path: Path, refused: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def kill(pid: int) -> None:
        asked.append(pid)
        raise refused

    async def work() -> None:
        child = await begun(command(tmp_path))
        with monkeypatch.context() as patched:
            patched.setattr(child_process, "kill", kill)
            child.kill()
        child.stdin.write_eof()
        assert (7, [child.pid]) == (await child.wait(), asked)
        child.close()

    asyncio.run(work())
