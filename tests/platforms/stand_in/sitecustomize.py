"""Stand-in for another system: the standard library as modules of the product find it on Windows or macOS.

Off unless ``VITALE_STAND_IN`` names a platform, ``win32`` or ``darwin``; Python loads it at its start where this folder
is on its path. Modules of the product alone see ``sys.platform`` of that system, and lack the names and modules that it
lacks; the standard library and third parties stay those of this machine. It is no Windows: sockets, files, consoles and
devices behave as here.

``VITALE_STAND_IN_TESTS`` has the tests see it as well, whatever its value: so those that every system plays are played.

``VITALE_STAND_IN_SCANNED`` names a file that a scanner for viruses has open when it is first to be replaced or removed;
it lets go of it after three refusals.

``VITALE_STAND_IN_INTERPRETER`` is the interpreter that the one of a virtual environment starts.

``VITALE_STAND_IN_CLOCK`` is the step of all clocks, in seconds, for whoever asks Python: those of Windows go on every
15.6 ms (Python 3.11 and 3.12, GetTickCount64).
"""

import asyncio
import builtins
import codecs
import ctypes
import fcntl
import importlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

assert sys.platform != "win32"

libraries: Any = importlib.import_module("libraries")

PRODUCT = frozenset({"vitale_reader", "vitale_drivers", "vitale_protocol", "vitale_firmware_sim"})
SEEING = PRODUCT | (frozenset({"tests"}) if os.environ.get("VITALE_STAND_IN_TESTS") else frozenset[str]())

#: Of the options of Unix sockets of macOS: the process at the other end. The other one that is asked is for its user.
LOCAL_PEERPID = 2
#: And the one of Linux, which tells both (asm-generic/socket.h).
SO_PEERCRED = 17

#: Standard modules that the system has not.
MODULES = {
    "win32": frozenset({"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}),
    "darwin": frozenset({"msvcrt", "winreg"}),
}


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Names of standard modules that it has not.
NAMES = {
    "win32": {
        "asyncio": words("open_unix_connection start_unix_server ThreadedChildWatcher"),
        "os": words(
            "O_CLOEXEC O_DIRECTORY O_NOCTTY O_NOFOLLOW O_NONBLOCK WIFSIGNALED WNOHANG chown fchmod fchown fork forkpty "
            "getegid geteuid getgid getloadavg getpgid getpriority getuid initgroups killpg lchown major minor mkfifo "
            "mknod nice openpty pidfd_open pipe2 posix_fadvise posix_fallocate register_at_fork sched_getaffinity "
            "set_blocking setpgid setsid setuid statvfs sysconf ttyname uname wait"
        ),
        "select": words("epoll poll"),
        "signal": words(
            "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 SIGWINCH alarm pause "
            "pthread_kill pthread_sigmask setitimer siginterrupt sigwait"
        ),
        "socket": words("AF_UNIX CMSG_LEN SCM_RIGHTS SO_PEERCRED SO_REUSEPORT send_fds"),
        "time": words("CLOCK_BOOTTIME CLOCK_MONOTONIC clock_gettime tzset"),
    },
    "darwin": {
        "os": words("O_TMPFILE pidfd_open posix_fadvise posix_fallocate sched_getaffinity"),
        "select": words("epoll"),
        "socket": words("SO_PASSCRED SO_PEERCRED"),
        "time": words("CLOCK_BOOTTIME"),
    },
}

#: Names that it has, and this machine has not or otherwise.
OWN: dict[str, dict[str, dict[str, object]]] = {
    "win32": {
        "ctypes": {
            "WINFUNCTYPE": ctypes.CFUNCTYPE,
            "WinDLL": libraries.WinDLL,
            "WinError": libraries.win_error,
            "get_last_error": libraries.last_error,
        },
        "os": {
            "name": "nt",
            "O_BINARY": 0,
            "O_NOINHERIT": 0,
            "O_TEMPORARY": libraries.TEMPORARY,
            "open": libraries.open_file,
            "close": libraries.close_file,
        },
        "signal": {"CTRL_BREAK_EVENT": int(signal.SIGUSR2), "CTRL_C_EVENT": 0, "SIGBREAK": signal.SIGUSR2},
        "socket": {"SO_EXCLUSIVEADDRUSE": socket.SO_REUSEPORT},
        "subprocess": {"CREATE_NEW_PROCESS_GROUP": 0x200, "CREATE_NO_WINDOW": 0x0800_0000},
        "sys": {
            "platform": "win32",
            "_base_executable": os.environ.get("VITALE_STAND_IN_INTERPRETER", sys.executable),
        },
    },
    "darwin": {"ctypes": {"CDLL": libraries.system_library}, "sys": {"platform": "darwin"}},
}


class Seen(types.ModuleType):
    """A standard module as the product sees it."""

    def __init__(self, real: types.ModuleType, lacking: frozenset[str], own: dict[str, object]) -> None:
        super().__init__(real.__name__)
        for name, value in own.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_real", real)
        object.__setattr__(self, "_lacking", lacking)
        object.__setattr__(self, "_former", dict[str, object]())

    def __getattr__(self, name: str) -> object:
        if name in object.__getattribute__(self, "_lacking"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on this system")
        return getattr(object.__getattribute__(self, "_real"), name)

    def __setattr__(self, name: str, value: object) -> None:
        real = object.__getattribute__(self, "_real")
        if hasattr(real, name):
            object.__getattribute__(self, "_former").setdefault(name, getattr(real, name))
        setattr(real, name, value)

    def __delattr__(self, name: str) -> None:
        # For whoever has put something in its place, the name was not here: taken away is what was put there.
        real, former = object.__getattribute__(self, "_real"), object.__getattribute__(self, "_former")
        if name in former:
            setattr(real, name, former.pop(name))
        else:
            delattr(real, name)


def is_of_the_product(importer: Mapping[str, object] | None) -> bool:
    """Whether the module that has these globals is one of the product's, run as a program or not."""
    if importer is None:
        return False
    spec = importer.get("__spec__")
    name = getattr(spec, "name", "") if importer.get("__name__") == "__main__" else importer.get("__name__", "")
    return str(name).partition(".")[0] in SEEING


def install(platform: str) -> None:
    """Stands in for a system from now on."""
    blocked, lacking, own, find = MODULES[platform], NAMES[platform], OWN[platform], builtins.__import__
    seen: dict[str, Seen] = {}

    def find_for(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the names are those of __import__
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        if level or not is_of_the_product(globals):
            return find(name, globals, locals, fromlist or (), level)
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r} on this system", name=name)
        found = find(name, globals, locals, fromlist or (), level)
        if found.__name__ not in lacking and found.__name__ not in own:
            return found
        if found.__name__ not in seen:
            seen[found.__name__] = Seen(found, lacking.get(found.__name__, frozenset()), own.get(found.__name__, {}))
        return seen[found.__name__]

    builtins.__import__ = find_for
    if platform == "darwin":
        _tell_peers()
    if platform == "win32":
        _without_posix_loops()
        codecs.register(lambda name: codecs.lookup("cp850") if name == "oem" else None)
        sys.modules["msvcrt"] = _msvcrt()
        sys.modules["winreg"] = libraries.registry()
        sys.modules["asyncio.windows_utils"] = _windows_utils()
        _refuse_what_is_held()
        _note_flags()
        signal.signal(signal.SIGUSR1, _close_window)
        signal.signal(signal.SIGPROF, _log_off)


def _close_window(number: int, frame: object) -> None:
    libraries.close_window()


def _tell_peers() -> None:
    """Tells who is at the other end of a Unix socket as macOS does (unix(4), ``struct xucred``)."""
    real: Any = socket.socket.getsockopt

    def ask(self: socket.socket, level: int, option: int, *size: int) -> Any:
        if (self.family, level) != (socket.AF_UNIX, 0):
            return real(self, level, option, *size)
        pid, uid, gid = struct.unpack("3i", real(self, socket.SOL_SOCKET, SO_PEERCRED, struct.calcsize("3i")))
        return pid if option == LOCAL_PEERPID else struct.pack("=IIh2x16I", 0, uid, 1, gid, *[0] * 15)

    of_all: Any = socket.socket
    of_all.getsockopt = ask


def _log_off(number: int, frame: object) -> None:
    libraries.log_off()


def _without_posix_loops() -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise NotImplementedError

    # What takes them away again is called by asyncio itself, for sockets that connect.
    for name in words(
        "add_reader add_signal_handler add_writer create_unix_connection create_unix_server remove_signal_handler"
    ):
        setattr(asyncio.SelectorEventLoop, name, missing)


def _refuse_what_is_held() -> None:
    """Refuses to replace or remove files that a program holds; one that does has locked it with ``flock``."""
    refusals = {os.environ.get("VITALE_STAND_IN_SCANNED"): 3}

    def held(path: Any) -> bool:
        if refusals.get(str(path), 0) > 0:
            refusals[str(path)] -= 1
            return True
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (OSError, TypeError):
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def guarded(act: Any) -> Any:
        def guard(*paths: Any, **options: Any) -> Any:
            if not options.get("dir_fd") and any(held(path) for path in paths):
                raise libraries.win_error(libraries.SHARING_VIOLATION)
            return act(*paths, **options)

        return guard

    for name in ("replace", "unlink", "remove"):
        setattr(os, name, guarded(getattr(os, name)))


def _note_flags() -> None:
    """Takes the flags of processes, which this system has not; a file of the test's is told them with the program."""
    start: Any = subprocess.Popen.__init__

    def noted(self: Any, args: Any, *rest: Any, creationflags: int = 0, **options: Any) -> None:
        if place := os.environ.get("VITALE_STAND_IN_FLAGS"):
            with Path(place).open("a", encoding="utf-8") as file:
                file.write(f"{creationflags:#x} {args}\n")
        start(self, args, *rest, **options)

    popen: Any = subprocess.Popen
    popen.__init__ = noted


class InSteps:
    """A clock that goes on in steps. No function: classes that keep one as an attribute would make a method of it."""

    def __init__(self, real: Callable[[], Any], step: Any) -> None:
        self._real = real
        self._step = step

    def __call__(self) -> Any:
        """What the clock says, without what has passed of its step."""
        return self._real() // self._step * self._step


def coarsen(step: float) -> None:
    """Makes all clocks go on in steps; who has taken one of their functions already gets the other one."""

    made: dict[Any, Any] = {}
    for name in ("time", "monotonic", "perf_counter"):
        made[getattr(time, name)] = InSteps(getattr(time, name), step)
        made[getattr(time, f"{name}_ns")] = InSteps(getattr(time, f"{name}_ns"), round(step * 1e9))
    for module in tuple(sys.modules.values()):
        for name, value in tuple(vars(module).items()):
            if isinstance(value, types.BuiltinFunctionType) and value in made:
                setattr(module, name, made[value])

    def tell(name: str) -> types.SimpleNamespace:
        return types.SimpleNamespace(resolution=step, monotonic=name != "time")

    clocks: Any = time
    clocks.get_clock_info = tell


def _msvcrt() -> types.ModuleType:
    """Locks ranges of bytes from the position in the file on, as the real one does."""

    def locking(descriptor: int, mode: int, count: int) -> None:
        # Of the open file, as there: another one of the same process is refused as well (struct flock, fcntl(2)).
        kind = fcntl.F_WRLCK if mode else fcntl.F_UNLCK
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("@hhqqi4x", kind, os.SEEK_CUR, 0, count, 0))

    def setmode(descriptor: int, mode: int) -> int:
        return 0

    module = types.ModuleType("msvcrt")
    vars(module).update(LK_UNLCK=0, LK_NBLCK=2, locking=locking, setmode=setmode)
    return module


def _windows_utils() -> types.ModuleType:
    """Begins processes with the pipes of this system, which the loop here can wait for."""
    module = types.ModuleType("asyncio.windows_utils")
    vars(module).update(Popen=subprocess.Popen)
    return module


if tick := os.environ.get("VITALE_STAND_IN_CLOCK"):
    coarsen(float(tick))
if platform := os.environ.get("VITALE_STAND_IN"):
    install(platform)
