"""Processes that an interpreter which has loaded the product forks; see ``warm_interpreter``.

The interpreter is this file, run with the number of a socket that requests come on.
"""

import atexit
import contextlib
import ctypes
import fcntl
import functools
import gc
import importlib
import inspect
import json
import os
import platform
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TextIO, cast

assert sys.platform == "linux"

__all__ = ["ForkingInterpreter"]

#: Bytes of a request, with the environment of a process.
MOST = 1 << 20
#: Seconds within which a busy machine loads the product and forks a process, or ends one that was killed.
PATIENCE = 100.0
#: Characters of a command line that are shown.
LONGEST = 400
#: Commands that start programs of the product.
STARTING = frozenset({"config", "demo", "doctor", "serve"})
#: Files of a request.
MOST_FILES = 32
#: Numbers of files from here on are nobody's.
ABOVE = 200
STREAMS = ("p2cread", "c2pwrite", "errwrite")
# include/uapi/linux/sched.h, and the number of clone in asm/unistd.h
CLONE_PARENT = 0x8000
CLONE = {"x86_64": 56, "aarch64": 220}
#: What the daemon, its processes and the commands load.
LOADED = (
    "cv2",
    "encodings.idna",
    "nfc.clf",
    "segno",
    "serial.tools.list_ports",
    "sqlalchemy.dialects.sqlite",
    "vitale_drivers.camera.capture",
    "vitale_drivers.camera.driver",
    "vitale_drivers.decoding.cascade",
    "vitale_drivers.host.worker",
    "vitale_drivers.nfc.driver",
    "vitale_drivers.pcsc.driver",
    "vitale_drivers.scanner.driver",
    "vitale_firmware_sim.apcv_service.service",
    "vitale_firmware_sim.card.driver",
    "vitale_firmware_sim.imager.device",
    "vitale_firmware_sim.phone",
    "vitale_firmware_sim.pn532.reader",
    "vitale_firmware_sim.scenario",
    "vitale_protocol.tokens",
    "vitale_reader.cli.config",
    "vitale_reader.cli.doctor.command",
    "vitale_reader.cli.read",
    "vitale_reader.cli.readers",
    "vitale_reader.cli.root",
    "vitale_reader.cli.serve",
    "vitale_reader.client.blocking",
    "vitale_reader.daemon.app",
    "vitale_reader.daemon.keystore.certificate_authority",
    "vitale_reader.daemon.metrics.exporter",
    "vitale_reader.daemon.config_check",
    "vitale_reader.diagnosis.__main__",
    "vitale_reader.web.dashboard.page_server",
    "vitale_reader.web.dashboard.page_files",
    "vitale_reader.web.dashboard.process",
    "vitale_reader.web.gateway",
    "vitale_reader.web.peer_users",
    "vitale_reader.web.serving",
)
#: Modules below are loaded by each program: they are in the language that it is asked in.
IN_A_LANGUAGE = "vitale_reader.cli"
#: An interpreter with threads cannot be forked; numpy begins them when it is loaded.
WITHOUT_THREADS = {"OPENBLAS_NUM_THREADS": "1"}

#: What is read from the environment when an interpreter starts: by itself, the loader of programs and stand-ins.
READ_AT_START_BY = ("FAKETIME", "GLIBC_", "LD_", "MALLOC_", "OPENSSL_", "PYTHON", "VITALE_STAND_IN")
LOCALES = frozenset({"LANG", "LC_ALL", "LC_CTYPE"})
#: Locales in which Python reads and writes UTF-8, as in those that say so.
SAME = frozenset({"", "C", "POSIX"})
#: Read by a program that is forked as well, or of no account to one that is loaded.
NOT_READ = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONPATH"})
#: Names folders with modules; a program that is forked is told of them.
FOLDERS = "PYTHONPATH"
#: Packages whose modules are run as programs.
PROGRAMS = ("tests", "vitale_drivers", "vitale_reader")
#: Where programs of the tests lie.
TESTS = Path(__file__).parent
#: What stands in a program that loads the product.
LOADS = "vitale_"
#: What stands in one that asks what it has loaded, which is to be known of one that is executed.
ASKS = "sys.modules"


#: What ``subprocess`` starts a process with, and the names of what it is given.
EXECUTE: Any = cast("Any", subprocess.Popen)._execute_child
NAMES = (*inspect.signature(EXECUTE).parameters,)[1:]


class Forked(subprocess.Popen[bytes]):
    """A process that is forked, and waited for as any other.

    Args:
        fork: forks it.
        arguments: its command line.
        options: of ``subprocess.Popen``.
    """

    def __init__(
        self, fork: Callable[[Any, Mapping[str, Any]], None], arguments: Sequence[str], **options: Any
    ) -> None:
        self._fork = fork
        super().__init__(arguments, **options)

    def _execute_child(self, *values: Any) -> None:
        self._fork(self, dict(zip(NAMES, values, strict=True)))


class ForkingInterpreter:
    """The interpreter, begun with its first program. Programs are children of the process that asks for them.

    Args:
        environment: its own, where that is not this process's.
        line: to one that runs.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, line: socket.socket | None = None) -> None:
        self._environment = environment
        self._line = line
        self.process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def close(self) -> None:
        """Ends it; its programs live on."""
        if self._line is not None and self.process is not None:
            self._line.close()
            self.process.wait(PATIENCE)

    def start(
        self,
        arguments: Sequence[str],
        stdin: IO[bytes] | int | None,
        stdout: IO[bytes] | int | None,
        stderr: IO[bytes] | int | None,
        environment: Mapping[str, str],
    ) -> subprocess.Popen[bytes]:
        """Forks a program; its input is empty unless it is given."""
        streams: dict[str, Any] = {
            "stdin": subprocess.DEVNULL if stdin is None else stdin,
            "stdout": stdout,
            "stderr": stderr,
        }
        return Forked(self._fork, (sys.executable, *arguments), env=environment, **streams)

    @contextlib.contextmanager
    def instead(self) -> Generator[None]:
        """Forks the programs of the product that this process executes meanwhile, where they would be the same."""

        def start(process: Any, *values: Any) -> None:
            asked = dict(zip(NAMES, values, strict=True))
            if self._can_fork(asked):
                self._fork(process, asked)
            else:
                EXECUTE(process, *values)

        # Before a daemon in this process: it would take the interpreter for a program that a driver left behind.
        with self._turn:
            self.begin()
        popen: Any = subprocess.Popen
        popen._execute_child = start
        try:
            yield
        finally:
            popen._execute_child = EXECUTE

    def _can_fork(self, asked: Mapping[str, Any]) -> bool:
        """Whether a process would be the same if it were forked."""
        command = asked["args"]
        if isinstance(command, str) or asked["executable"] or asked["preexec_fn"] or asked["shell"]:
            return False
        program, *arguments = [os.fsdecode(each) for each in command]
        if program != sys.executable or not _is_forked(*(each for each in arguments if each != "-P")):
            return False
        environment = os.environ if asked["env"] is None else asked["env"]
        if _read_at_start(environment) != _read_at_start(self._environment or os.environ):
            return False
        return all(map(_only_adds, _more_folders(environment)))

    def _fork(self, process: Any, asked: Mapping[str, Any]) -> None:
        given = os.environ if asked["env"] is None else asked["env"]
        streams = [asked[name] if asked[name] != -1 else own for own, name in enumerate(STREAMS)]
        kept = sorted(asked["pass_fds"])
        arguments = [os.fsdecode(each) for each in asked["args"][1:]]
        request = {
            "arguments": arguments,
            "environment": {os.fsdecode(name): os.fsdecode(value) for name, value in given.items()},
            "folder": os.fsdecode(asked["cwd"] or Path.cwd()),
            "folders": _more_folders(given),
            "kept": kept,
            "leads": asked["start_new_session"],
        }
        with self._turn:
            process.pid = self._told(json.dumps(request).encode(), [*streams, *kept])
        process._child_created = True
        process._close_pipe_fds(
            *(asked[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite"))
        )

    def _told(self, request: bytes, descriptors: Sequence[int]) -> int:
        """The number of a process, by the interpreter or, where a test has ended that, by another."""
        for _ in range(2):
            line, said = self.begin(), b""
            try:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    socket.send_fds(line, [request], descriptors)
                    said = line.recv(MOST)
            finally:
                if not said:
                    self._leave()
            if said:
                return int(said)
        raise ConnectionError("the interpreter has ended")

    def _leave(self) -> None:
        """Has another interpreter asked from now on: what a late one answers is not the answer to the next request."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def begin(self) -> socket.socket:
        """The line to the interpreter, which is started where none runs."""
        if self._line is None:
            self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._line.settimeout(PATIENCE)
            with theirs:
                self.process = subprocess.Popen(
                    (sys.executable, "-P", __file__, str(theirs.fileno()), " " * LONGEST),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env={**(self._environment or os.environ), **WITHOUT_THREADS},
                )
        return self._line


def _is_forked(how: str = "", what: str = "", *_: str) -> bool:
    """Whether a program loads the product, and can be run by an interpreter that has loaded it."""
    match how:
        case "-m":
            return what.partition(".")[0] in PROGRAMS
        case "-c":
            return LOADS in what and ASKS not in what
        case _:
            return how.endswith(".py") and Path(how).is_relative_to(TESTS)


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """What makes an interpreter another one; locales do where nothing else says how text is written."""
    read = {name: value for name, value in environment.items() if name.startswith(READ_AT_START_BY)}
    locales = {name: value for name, value in environment.items() if name in LOCALES}
    if "PYTHONIOENCODING" in environment:
        locales = {name: value for name, value in locales.items() if value not in SAME and not value.endswith("UTF-8")}
    return {name: value for name, value in (read | locales).items() if name not in NOT_READ}


def _more_folders(environment: Mapping[str, str]) -> list[str]:
    """Folders that Python is to find modules in, besides those of this process."""
    return [each for each in environment.get(FOLDERS, "").split(os.pathsep) if each and each not in sys.path]


def _only_adds(folder: str) -> bool:
    """Whether nothing in a folder stands for what is loaded already, or is loaded when Python starts."""
    loaded = {name.partition(".")[0] for name in (*LOADED, *sys.modules)} | {"sitecustomize", "usercustomize"}
    return Path(folder).is_dir() and loaded.isdisjoint(each.name.partition(".")[0] for each in Path(folder).iterdir())


# ── the interpreter ──────────────────────────────────────────────────────────────────────────────────────────────────


class Asked:
    """A request for a program, and the files that it has."""

    def __init__(self, message: bytes, descriptors: Sequence[int]) -> None:
        request = cast("dict[str, Any]", json.loads(message))
        arguments: list[str] = request["arguments"]
        #: Nothing is loaded from the folder that it is begun in, or from that of its file.
        self.safe = arguments[0] == "-P"
        self.arguments = arguments[self.safe :]
        self.environment: dict[str, str] = request["environment"]
        self.folder: str = request["folder"]
        self.folders: list[str] = request["folders"]
        self.leads: bool = request["leads"]
        #: By the number that each is to have.
        self.files = dict(zip((0, 1, 2, *request["kept"]), descriptors, strict=True))


def serve(line: socket.socket) -> Asked | None:
    """Forks programs until the line is closed; None then, and in each process that is forked what it is to be."""
    while True:
        message, descriptors, *_ = socket.recv_fds(line, MOST, MOST_FILES)
        if not message:
            return None
        asked = Asked(message, descriptors)
        pid = fork_sibling()
        if not pid:
            return asked
        for descriptor in descriptors:
            os.close(descriptor)
        line.send(str(pid).encode())


def fork_sibling() -> int:
    """Forks a child of this process's parent, which waits for its end as for one that it has executed."""
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    # PyDLL keeps the lock of the interpreter meanwhile. There is no other thread whose locks could be held.
    pid: int = ctypes.PyDLL(None).syscall(CLONE[platform.machine()], CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    if pid:
        python.PyOS_AfterFork_Parent()
    else:
        python.PyOS_AfterFork_Child()
    return pid


def _anew(stream: TextIO) -> TextIO:
    """A standard stream, opened again: it knows what kind of file was there before."""
    number = stream.fileno()
    mode, buffering = "w" if number else "r", 1 if number == 2 else -1
    encoding, errors = stream.encoding, stream.errors
    if asked := os.environ.get("PYTHONIOENCODING"):
        encoding, _, handler = asked.partition(":")
        errors = "backslashreplace" if number == 2 else handler or "strict"
    return cast("TextIO", os.fdopen(number, mode, buffering, encoding, errors, closefd=False))


def name_itself(command: Sequence[str]) -> None:
    """Puts the command line of a program where the system shows it."""
    fields = Path("/proc/self/stat").read_text("ascii").rpartition(")")[2].split()
    begin, end = (int(each) for each in fields[45:47])
    shown = b"".join(os.fsencode(each) + b"\0" for each in command)[: end - begin - 1]
    ctypes.memmove(begin, shown.ljust(end - begin, b"\0"), end - begin)


def fork_for(program: Asked) -> None:
    """Has programs forked that this one starts, where it starts any."""
    what, *arguments = program.arguments[1:] or [""]
    if what != "vitale_reader.diagnosis" and STARTING.isdisjoint(arguments):
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        theirs.close()
        ours.settimeout(PATIENCE)
        until_the_end = contextlib.ExitStack()
        until_the_end.enter_context(ForkingInterpreter(None, ours).instead())
        atexit.register(until_the_end.close)
        return
    ours.close()
    for each in program.files.values():
        os.close(each)
    with theirs:
        asked = serve(theirs)
    if asked is None:
        os._exit(0)
    end_of(functools.partial(become, asked))


def become(asked: Asked) -> None:
    """Runs the program, in this process."""
    fork_for(asked)
    name_itself((sys.executable, *asked.arguments))
    # Out of the way first: the number of one may be what another is to have.
    moved = {number: fcntl.fcntl(each, fcntl.F_DUPFD, ABOVE) for number, each in asked.files.items()}
    for each in asked.files.values():
        os.close(each)
    for number, each in moved.items():
        os.dup2(each, number)
        os.close(each)
    if asked.leads:
        os.setsid()
    os.environ.clear()
    os.environ.update(asked.environment)
    os.chdir(asked.folder)
    # Both were read when the product was loaded.
    time.tzset()
    tempfile.tempdir = None
    for name in ("stdin", "stdout", "stderr"):
        stream = _anew(getattr(sys, name))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    how, *arguments = asked.arguments
    sys.path[:0] = asked.folders
    if not asked.safe:
        sys.path.insert(0, asked.folder if how.startswith("-") else str(Path(how).parent))
    match how:
        case "-m":
            # As a program it is loaded by itself.
            sys.modules.pop(arguments[0], None)
            sys.argv = arguments
            runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        case "-c":
            code, *arguments = arguments
            run_text(code, "<string>", [how, *arguments])
        case file:
            run_text(Path(file).read_text("utf-8"), file, [file, *arguments])


def run_text(code: str, name: str, arguments: list[str]) -> None:
    """Runs the text of a program, whose file has a name."""
    sys.argv = arguments
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__file__ = name
    exec(compile(code, name, "exec"), vars(main))  # noqa: S102  a program of the tests'


def end_of(program: Callable[[], None]) -> None:
    """Runs a program and ends as Python does, but that nothing of all that is loaded is taken apart.

    Other exceptions than ``SystemExit`` are left to Python.
    """
    status = 0
    try:
        program()
    except SystemExit as end:
        if isinstance(end.code, str):
            raise
        status = end.code or 0
    cast("Any", threading)._shutdown()
    cast("Any", atexit)._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


def main(descriptor: str, _room: str) -> None:
    """Loads the product, and serves."""
    gc.disable()  # all that is loaded stays
    for name in LOADED:
        importlib.import_module(name)
    texts = importlib.import_module("vitale_protocol.catalogue")
    for language in texts.LANGUAGES:
        texts.load(language)
    for name in [*sys.modules]:
        if name.startswith(IN_A_LANGUAGE):
            del sys.modules[name]
    del cast("Any", sys.modules["vitale_reader"]).cli
    assert len([*Path("/proc/self/task").iterdir()]) == 1
    if measured := sys.modules.get("coverage"):
        # Each program then saves what it ran itself, into a file of its own.
        measured.Coverage.current().save()
    gc.collect()
    gc.freeze()
    gc.enable()
    with socket.socket(fileno=int(descriptor)) as line:
        asked = serve(line)
    if asked is not None:
        end_of(functools.partial(become, asked))


if __name__ == "__main__":
    main(*sys.argv[1:])
