"""Programs that hold a device are named to a worker that cannot see them: devices only, one look at a time."""

import asyncio
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.posix import posix_only, raw_terminal, somebodys_terminal
from vitale_drivers.base import HeldBy, WhoHolds
from vitale_reader.daemon.workers.holders import MOST_WAITING, HolderDesk, find_holders

LIBRARY = "7f00-7f01 r-xp 00000000 00:00 1 /usr/lib/x86_64-linux-gnu/libpcsclite.so.1.0.0\n"
LIMIT = 40


def process(proc: Path, pid: int, name: str, maps: str | None = None, opened: Path | str | None = None) -> None:
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "comm").write_text(name + "\n")
    if maps is not None:
        (folder / "maps").write_text(maps)
    if opened is not None:
        (folder / "fd" / "3").symlink_to(opened)


@pytest.mark.posix("/proc, which has links")
def test_programs_with_the_library_of_pcsc_are_named(tmp_path: Path) -> None:
    process(tmp_path, 11, "scdaemon", LIBRARY)
    process(tmp_path, 12, "opensc-tool", LIBRARY)
    process(tmp_path, 13, "scdaemon", LIBRARY)
    process(tmp_path, 14, "bash", "nothing\n")
    process(tmp_path, 15, "gone")
    process(tmp_path, 16, "the worker", LIBRARY)
    (tmp_path / "self").mkdir()
    assert find_holders("pcsc", {16}, tmp_path) == ("opensc-tool", "scdaemon")


@posix_only()
def test_programs_that_have_a_device_open_are_named(tmp_path: Path) -> None:
    device, link = Path(os.devnull), tmp_path / "by-id"
    link.symlink_to(device)
    process(tmp_path, 7, "lgo", opened=device)
    process(tmp_path, 8, "other", opened="/dev/zero")
    process(tmp_path, 9, "the worker", opened=device)
    process(tmp_path, 10, "no link")
    (tmp_path / "10" / "fd" / "3").write_text("")
    process(tmp_path, 11, "evil\x1b[2J\nname", opened=device)
    process(tmp_path, 12, "", opened=device)
    assert find_holders(str(link), {9}, tmp_path) == ("evil?[2J?name", "lgo")


STRANGER = """
import fcntl, os, struct, subprocess, sys
wanted = int(sys.argv[1])
mount = ["mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", "/dev/pts"]
if subprocess.run(mount, capture_output=True).returncode:
    sys.exit(77)
kept = []
while True:
    kept.append(os.open("/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY))
    number = struct.unpack("i", fcntl.ioctl(kept[-1], 0x80045430, bytes(4)))[0]
    if number == wanted:
        break
fcntl.ioctl(kept[-1], 0x40045431, bytes(4))
kept.append(os.open(f"/dev/pts/{wanted}", os.O_RDWR | os.O_NOCTTY))
print("open", flush=True)
input()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell")
def test_the_terminal_of_a_container_is_another_one_of_the_same_name() -> None:
    """As agetty in a container has /dev/pts/0, which is no reason to leave this machine's /dev/pts/0 alone."""
    leader, follower, device = raw_terminal()
    unshare = shutil.which("unshare") or pytest.skip("there is no unshare")
    command = [unshare, "--mount", sys.executable, "-c", STRANGER, device.rpartition("/")[2]]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stranger:
            assert stranger.stdout is not None
            if stranger.stdout.readline() != "open\n":
                pytest.skip("this user may not mount a file system of its own")
            descriptors = [str(each.readlink()) for each in Path(f"/proc/{stranger.pid}/fd").iterdir()]
            assert device in descriptors
            told = find_holders(device, {os.getpid()})
            stranger.communicate("\n")
        assert () == told
    finally:
        os.close(leader)
        os.close(follower)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell")
def test_who_works_in_a_terminal_is_told_apart_from_who_has_it_open() -> None:
    with somebodys_terminal() as path:
        assert (("python",),) * 2 == (find_holders(f"terminal:{path}", ()), find_holders(path, {os.getpid()}))
    leader, follower, device = raw_terminal()
    with subprocess.Popen(["sleep", "600"], stdin=follower) as simulator:
        try:
            assert ((), ("sleep",)) == (
                find_holders(f"terminal:{device}", ()),
                find_holders(device, {os.getpid()}),
            )
        finally:
            simulator.kill()
            os.close(leader)
            os.close(follower)


@posix_only()
@pytest.mark.parametrize("named", ["file", "folder", "pipe", "missing"])
def test_of_what_is_no_device_nothing_is_told(tmp_path: Path, named: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe")
    process(tmp_path, 7, "lgo", opened=tmp_path / named)
    assert find_holders(str(tmp_path / named), set(), tmp_path) == ()


@pytest.mark.posix("/proc, which has links")
@pytest.mark.parametrize("named", ["", "nul\0", "/" + "x" * 5_000, "COM3", "../..", "PCSC"])
def test_what_is_no_path_of_a_device_is_held_by_nobody(tmp_path: Path, named: str) -> None:
    process(tmp_path, 7, "lgo", LIBRARY, opened=tmp_path)
    assert find_holders(named, set(), tmp_path) == ()


def test_where_there_is_no_proc_nobody_is_named(tmp_path: Path) -> None:
    assert find_holders("pcsc", set(), tmp_path / "none") == ()
    assert find_holders(os.devnull, set(), tmp_path / "none") == ()


def test_a_flood_of_questions_waits_and_the_rest_is_answered_at_once() -> None:
    looked: list[str] = []
    release = threading.Event()

    def find(device: str, own: Collection[int]) -> tuple[str, ...]:
        assert threading.current_thread() is not threading.main_thread()
        assert own == {5}
        release.wait(LIMIT)
        looked.append(device)
        return (f"program at {device}",)

    async def main() -> list[HeldBy]:
        answers: asyncio.Queue[HeldBy] = asyncio.Queue()
        desk = HolderDesk(answers.put_nowait, {5}, find)
        running = asyncio.create_task(desk.run())
        for number in range(MOST_WAITING + 10):
            desk.ask(WhoHolds(id=number, device=f"/dev/tty{number}"))
        async with asyncio.timeout(LIMIT):
            refused = [await answers.get() for _ in range(10)]
            assert looked == [], "the loop goes on while a look hangs"
            release.set()
            answered = [await answers.get() for _ in range(MOST_WAITING)]
        running.cancel()
        assert [each.programs for each in refused] == [()] * 10
        return answered

    answered = asyncio.run(main())
    assert looked == [f"/dev/tty{number}" for number in range(MOST_WAITING)]
    assert answered == [HeldBy(id=n, programs=(f"program at /dev/tty{n}",)) for n in range(MOST_WAITING)]


def test_a_look_that_fails_is_an_answer_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    faults: queue.SimpleQueue[type[BaseException]] = queue.SimpleQueue()

    def note(fault: threading.ExceptHookArgs) -> None:
        faults.put(fault.exc_type)

    monkeypatch.setattr(threading, "excepthook", note)

    def find(device: str, own: Collection[int]) -> tuple[str, ...]:
        if device == "bad":
            raise ValueError(device)
        return ("lgo",)

    async def main() -> list[HeldBy]:
        answers: asyncio.Queue[HeldBy] = asyncio.Queue()
        desk = HolderDesk(answers.put_nowait, (), find)
        running = asyncio.create_task(desk.run())
        desk.ask(WhoHolds(id=1, device="bad"))
        desk.ask(WhoHolds(id=2, device="good"))
        async with asyncio.timeout(LIMIT):
            given = [await answers.get(), await answers.get()]
        running.cancel()
        return given

    assert asyncio.run(main()) == [HeldBy(id=1, programs=()), HeldBy(id=2, programs=("lgo",))]
    # The answer goes out first; the thread that failed may say so much later.
    assert faults.get(timeout=LIMIT) is ValueError
    assert faults.empty()
