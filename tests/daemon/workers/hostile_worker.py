"""A driver that was taken over by what it read: it tries whatever leads to the daemon, and writes down how each ended.

Run in the place of ``vitale_drivers.host.worker``, which does its real work here: ``hostile_worker.py DRIVER``. The
driver ``hostile`` tries; the driver ``victim`` is another worker, with a pipe to be had. With ``UNCONFINED`` in the
environment the worker gives up nothing, as on a system that has no Landlock.
"""

import contextlib
import ctypes
import errno
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import msgspec

from vitale_drivers.base import Arm, Driver, Emit, Options, Started, Transmit
from vitale_drivers.host import confinement, worker

assert sys.platform == "linux"  # for type checkers: no other system is tried

PTRACE_ATTACH, PTRACE_DETACH = 16, 17
#: Seconds for what another process does, and for what one orphan does.
PATIENCE, EACH = 60.0, 5.0
OPEN = {"jsonrpc": "2.0", "id": 1, "method": "session.open", "params": {"protocol": [1], "client": {"name": "hostile"}}}

#: A descendant that leaves its parents and its session before it connects.
ORPHAN = """
import os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
while os.getppid() not in (1, int(sys.argv[2])):
    time.sleep(0.01)
exec(sys.argv[3])
with open(sys.argv[4] + ".part", "w") as file:
    file.write(connect(sys.argv[1]))
os.rename(sys.argv[4] + ".part", sys.argv[4])
"""
#: A descendant that does so, and stays.
DAEMON = """
import os, sys
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open(sys.argv[1] + ".part", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".part", sys.argv[1])
os.execvp("sleep", ["sleep", "600"])
"""
CONNECT = f"""
import json, socket
def connect(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    client.connect(path)
    client.sendall(json.dumps({OPEN!r}).encode() + b"\\n")
    answer = json.loads(client.makefile().readline() or '{{"error": {{"data": {{"reason": "closed"}}}}}}')
    return answer["error"]["data"]["reason"] if "error" in answer else "let in as " + answer["result"]["client_id"]
"""


class Victim(Driver):
    name: ClassVar[str] = "victim"
    media: ClassVar[tuple[str, ...]] = ("vitale-card",)

    def open(self, emit: Emit) -> None:
        emit(Started(driver=self.name, media=self.media))
        Path(str(self.options["results"]), self.name).write_text(str(os.getpid()))

    def arm(self, command: Arm) -> None:
        pass

    def disarm(self) -> None:
        pass

    def transmit(self, command: Transmit) -> None:
        pass

    def close(self) -> None:
        pass


class Hostile(Victim):
    name: ClassVar[str] = "hostile"

    def open(self, emit: Emit) -> None:
        emit(Started(driver=self.name, media=self.media))
        threading.Thread(target=self._try_all, name="attempts").start()

    def _try_all(self) -> None:
        results = Path(str(self.options["results"]))
        ended = {name: outcome(attempt) for name, attempt in attempts(self, os.getppid()).items()}
        (results / "part").write_text(json.dumps(ended))
        (results / "part").rename(results / "ended.json")


def outcome(attempt: Callable[[], object]) -> str:
    try:
        return str(attempt())
    except OSError as error:
        return f"refused: {os.strerror(error.errno or 0)}"


def drop_capabilities(_hidden: object, _named: object) -> None:
    confinement._drop_capabilities()  # pyright: ignore[reportPrivateUsage]  # what a worker does anyway
    confinement._prctl(confinement.PR_SET_NO_NEW_PRIVS, 1)  # pyright: ignore[reportPrivateUsage]  # likewise


def attempts(driver: Driver, core: int) -> dict[str, Callable[[], object]]:
    options: Options = driver.options
    home, results = Path(str(options["home"])), Path(str(options["results"]))
    victim = wait_for(results / "victim", PATIENCE)

    def connect() -> str:
        found: dict[str, Callable[[str], str]] = {}
        exec(CONNECT, found)  # noqa: S102  the same text as the orphan's
        return found["connect"](str(home / "run" / "daemon.sock"))

    def orphan() -> str:
        answer = results / "orphan"
        return written(answer, ORPHAN, str(home / "run" / "daemon.sock"), str(core), CONNECT, str(answer))

    def stay() -> str:
        written(results / "left", DAEMON, str(results / "left"))
        return "left behind"

    return {
        "connect to the socket": connect,
        "leave a process behind in another session": stay,
        "ask which programs have the store open": lambda: holders(driver, home / "state" / "store.db"),
        "flood the daemon with questions": lambda: flood(driver),
        "connect as an orphan of another session": orphan,
        "read the keys": lambda: read(home / "state" / "station.json"),
        "read the store": lambda: read(home / "state" / "store.db"),
        "read the configuration": lambda: read(home / "config.toml"),
        "read the endpoints": lambda: read(home / "run" / "endpoints.json"),
        "write into the state folder": lambda: write(home / "state" / "planted"),
        "plant a module": lambda: write(Path(str(msgspec.__file__)).parent / "planted.py"),
        "trace the daemon": lambda: trace(core),
        "read the daemon's memory": lambda: read(Path(f"/proc/{core}/mem")),
        "copy the daemon's memory": lambda: copy_memory(core),
        "read the daemon's environment": lambda: read(Path(f"/proc/{core}/environ")),
        "open the daemon's files": lambda: read(Path(f"/proc/{core}/fd/2")),
        "signal the daemon": lambda: probe(core),
        "signal the other worker": lambda: probe(int(victim)),
        "write into the other worker's pipe": lambda: write(Path(f"/proc/{victim}/fd/0")),
        "trace the other worker": lambda: trace(int(victim)),
        "see a secret of the environment": lambda: os.environ.get("PGPASSWORD", "not there"),
        "read a device": lambda: read(Path("/dev/zero")),
        "make a pseudo-terminal": lambda: os.ttyname(os.openpty()[1]) and "allowed",
        "open a network socket": open_network,
        "write a temporary file": lambda: write(results / "temporary"),
    }


def holders(driver: Driver, file: Path) -> str:
    return ", ".join(driver.find_holders(str(file))) or "nobody is named"


def flood(driver: Driver) -> str:
    """Asks from many threads at once, and once more when they have their answers."""
    threads = [threading.Thread(target=driver.find_holders, args=(os.devnull,)) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "all answered"


def read(file: Path) -> str:
    with file.open("rb") as stream:
        stream.read(1)
    return "allowed"


def probe(pid: int) -> str:
    os.kill(pid, 0)
    return "allowed"


def open_network() -> str:
    socket.socket().close()
    return "allowed"


def write(file: Path) -> str:
    with file.open("wb"):
        pass
    if file.name.startswith("planted"):
        file.unlink()
    return "allowed"


def trace(pid: int) -> str:
    library = ctypes.CDLL(None, use_errno=True)
    if library.ptrace(PTRACE_ATTACH, pid, 0, 0):
        raise OSError(ctypes.get_errno(), "")
    os.waitpid(pid, 0)
    library.ptrace(PTRACE_DETACH, pid, 0, 0)
    return "allowed"


def copy_memory(pid: int) -> str:
    library = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(1)
    here = struct.pack("PN", ctypes.addressof(buffer), 1)
    if library.process_vm_readv(pid, here, 1, here, 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "allowed"


def written(file: Path, program: str, *arguments: str) -> str:
    """What an orphan writes; another is made where the daemon, as it does from time to time, has ended it before."""
    for _ in range(int(PATIENCE / EACH)):
        subprocess.run((sys.executable, "-c", program, *arguments), check=True)
        with contextlib.suppress(TimeoutError):
            return wait_for(file, EACH)
    raise TimeoutError(errno.ETIMEDOUT, "")


def wait_for(file: Path, seconds: float) -> str:
    never = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if file.exists() and (said := file.read_text()):
            return said
        never.wait(0.02)
    raise TimeoutError(errno.ETIMEDOUT, "")


if __name__ == "__main__":
    drivers = {driver.name: driver for driver in (Victim, Hostile)}
    setattr(worker, "load", drivers.__getitem__)  # noqa: B010  not exported for anybody else
    if "UNCONFINED" in os.environ:
        # An administrator's capabilities go: what a person's process does not have, no layer has to stop.
        setattr(worker, "confine", drop_capabilities)  # noqa: B010
    worker.main(sys.argv[1:])
