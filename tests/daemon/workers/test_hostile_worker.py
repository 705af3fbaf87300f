"""A worker that was taken over reaches neither socket, files, memory nor signals of the daemon, nor another worker."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from vitale_drivers.host.confinement import COMPLETE, landlock_version

PROGRAM = Path(__file__).with_name("hostile_daemon.py")

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such confinement: trust.md"),
    pytest.mark.timeout(400),
]

#: Seconds for all attempts together.
PATIENCE = 240.0

NOT_PERMITTED = "refused: Operation not permitted"
DENIED = "refused: Permission denied"

#: What stops each attempt: the daemon's own refusal, Landlock, or that the processes are not dumpable.
CONFINED = {
    "connect to the socket": ("kinship", "not_authenticated"),
    "connect as an orphan of another session": ("kinship", "not_authenticated"),
    "leave a process behind in another session": ("kinship", "ended with the daemon"),
    "ask which programs have the store open": ("the supervisor", "nobody is named"),
    "flood the daemon with questions": ("the supervisor", "all answered"),
    "read the keys": ("Landlock", DENIED),
    "read the store": ("Landlock", DENIED),
    "read the configuration": ("Landlock", DENIED),
    "read the endpoints": ("Landlock", DENIED),
    "write into the state folder": ("Landlock", DENIED),
    "plant a module": ("Landlock", DENIED),
    "trace the daemon": ("Landlock and not dumpable", NOT_PERMITTED),
    "read the daemon's memory": ("Landlock and not dumpable", DENIED),
    "copy the daemon's memory": ("Landlock and not dumpable", NOT_PERMITTED),
    "read the daemon's environment": ("Landlock and not dumpable", DENIED),
    "open the daemon's files": ("Landlock and not dumpable", DENIED),
    "signal the daemon": ("Landlock", NOT_PERMITTED),
    "signal the other worker": ("Landlock", NOT_PERMITTED),
    "write into the other worker's pipe": ("Landlock and not dumpable", DENIED),
    "trace the other worker": ("Landlock and not dumpable", NOT_PERMITTED),
    "see a secret of the environment": ("the supervisor", "not there"),
}

#: Without Landlock, what still holds.
UNCONFINED = {
    name: CONFINED[name]
    for name, (layer, _) in CONFINED.items()
    if layer in {"kinship", "the supervisor"} or (layer.endswith("dumpable") and "daemon" in name)
}

#: What drivers need, and have.
NEEDED = ("read a device", "make a pseudo-terminal", "open a network socket", "write a temporary file")


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder for a home and for results, where a confined worker may write: in shared memory, as devices are."""
    found = Path(tempfile.mkdtemp(prefix="vitale-", dir="/dev/shm"))
    yield found
    shutil.rmtree(found)


def ended(folder: Path, *, confined: bool = True) -> dict[str, str]:
    """Runs a daemon with the hostile worker until it has tried everything; how each attempt ended."""
    for name in ("home", "results"):
        (folder / name).mkdir(mode=0o700)
    environment = {**os.environ, "PGPASSWORD": "of the site", "HOME": str(folder)}
    # A file, not a pipe, which a daemon that tells much would fill while nobody reads it.
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(
            (sys.executable, str(PROGRAM), str(folder / "home"), str(folder / "results")),
            stdout=log,
            stderr=log,
            env=environment if confined else {**environment, "UNCONFINED": "1"},
        )
    try:
        results, never = folder / "results" / "ended.json", threading.Event()
        for _ in range(int(PATIENCE / 0.05)):
            if results.exists() or daemon.poll() is not None:
                break
            never.wait(0.05)
        assert daemon.poll() is None
        status = Path(f"/proc/{daemon.pid}/limits").read_text()
        assert any(line.split()[4:6] == ["0", "0"] for line in status.splitlines() if "core file" in line)
        found_ended: dict[str, str] = json.loads(results.read_text())
    finally:
        daemon.terminate()
        daemon.wait(60)
        print((folder / "log").read_text())
    left = int(results.with_name("left").read_text())
    for _ in range(int(60 / 0.05)):  # one that was killed may take a while to be gone
        if not is_running(left):
            found_ended["leave a process behind in another session"] = "ended with the daemon"
            break
        never.wait(0.05)
    return found_ended


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended, whoever is to wait for it."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def layer(name: str, how: str) -> str:
    return CONFINED[name][0] if name in CONFINED else f"needed: {how}"


def shown(attempts: dict[str, str]) -> None:
    for name, how in attempts.items():
        print(f"{name:42} {how:40} {layer(name, how)}")


def normal(how: str) -> str:
    """ptrace(2) and process_vm_readv(2) say EPERM, /proc says EACCES; which one is no matter."""
    return DENIED if how == NOT_PERMITTED else how


@pytest.mark.skipif(landlock_version() < COMPLETE, reason="this kernel's Landlock does not confine files and signals")
def test_a_confined_worker_reaches_nothing_of_the_daemon_or_of_another_worker(folder: Path) -> None:
    attempts = ended(folder)
    shown(attempts)
    assert {name: normal(attempts[name]) for name in CONFINED} == {
        name: normal(how) for name, (_, how) in CONFINED.items()
    }
    assert {name: attempts[name] for name in NEEDED} == dict.fromkeys(NEEDED, "allowed")


def test_without_landlock_the_daemon_is_still_no_open_door(folder: Path) -> None:
    attempts = ended(folder, confined=False)
    shown(attempts)
    assert {name: normal(attempts[name]) for name in UNCONFINED} == {
        name: normal(how) for name, (_, how) in UNCONFINED.items()
    }
