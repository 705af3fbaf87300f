"""A process under the supervisor: its pipe, its log that goes through it, and its one way to end.

Exit statuses are the numbers of ``sysexits.h``; ``worker`` says what each means.
"""

import contextlib
import errno
import logging
import os
import signal
import threading
import uuid
from collections.abc import Callable, Generator
from typing import NoReturn

from vitale_drivers.base import (
    Command,
    Health,
    Log,
    Report,
)
from vitale_drivers.host.pipe import Decoder, StreamError, encode
from vitale_drivers.host.redaction import RedactingFormatter, redact_exception
from vitale_drivers.host.streams import take_streams
from vitale_protocol.errors import (
    ConfigurationInvalid,
    LocalError,
    ToolMissing,
)
from vitale_protocol.problems import Problem

__all__ = [
    "EX_DATAERR",
    "EX_OK",
    "Pipe",
    "ReportHandler",
    "end_after",
    "run_and_end",
    "status_of",
    "unread_is_no_fault",
]

READ_SIZE = 1 << 16

#: Errors of a pipe that nobody reads any more: EPIPE, and EINVAL on Windows.
WITHOUT_READER = frozenset({errno.EPIPE, errno.EINVAL})

EX_OK = 0
EX_DATAERR = 65
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_CONFIG = 78


@contextlib.contextmanager
def unread_is_no_fault() -> Generator[None]:
    """Ends what it is around where nobody reads any more: the end of standard input shows that as well."""
    try:
        yield
    except OSError as error:
        if error.errno not in WITHOUT_READER:
            raise


class Pipe:
    """The worker's end of the pipe: commands from one descriptor, reports to another, from any thread."""

    def __init__(self, source: int, sink: int) -> None:
        """Takes the descriptors; the caller closes them."""
        self._source = source
        self._sink = sink
        self._decoder = Decoder[Command](Command)
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """The descriptor that commands come from, to be waited for."""
        return self._source

    def receive(self) -> list[Command]:
        """Waits for bytes and returns the commands they complete, which may be none.

        Raises:
            EOFError: the supervisor closed its end.
            StreamError: what came is not a command.
        """
        data = os.read(self._source, READ_SIZE)
        if not data:
            raise EOFError
        return self._decoder.receive(data)

    def send(self, report: Report) -> None:
        """Writes one report whole; a supervisor that does not read holds the writer back, so memory stays bounded."""
        frame = memoryview(encode(report))
        with self._lock, unread_is_no_fault():
            while frame:
                frame = frame[os.write(self._sink, frame) :]


class ReportHandler(logging.Handler):
    """Sends log records to the supervisor, redacted."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self.setFormatter(RedactingFormatter())
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        """Sends one log record to the daemon."""
        self._pipe.send(Log(level=record.levelno, logger=record.name, text=self.format(record)))


def run_and_end(work: Callable[[Pipe], None]) -> NoReturn:
    """Runs what a worker is for, with a pipe to its supervisor, and ends the process.

    Its log goes to the pipe, too.
    """
    pipe = Pipe(*take_streams())
    logging.basicConfig(level=logging.INFO, handlers=[ReportHandler(pipe)])
    threading.excepthook = lambda fault: _end_by_fault(pipe, fault.exc_value, str(fault.thread and fault.thread.name))
    # Ctrl-C reaches the whole foreground group; ending a worker is the supervisor's decision, sent through the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        work(pipe)
        status = EX_OK
    except (ConfigurationInvalid, ToolMissing) as error:
        status = _refuse(pipe, error)
    except StreamError as error:
        logging.getLogger(__name__).error("the supervisor's stream is broken: %s", error)
        status = EX_DATAERR
    except BaseException as error:  # noqa: BLE001 - the top of the process: logged with an incident id, then its end
        _end_by_fault(pipe, error, threading.current_thread().name)
    # Not sys.exit: a native library's thread that never returns must not keep a worker alive without its supervisor.
    os._exit(status)


def _refuse(pipe: Pipe, error: LocalError) -> int:
    logging.getLogger(__name__).error("%s", redact_exception(error))
    pipe.send(Health(state="degraded", problem=Problem.of(error)))
    return status_of(error)


def status_of(error: LocalError) -> int:
    """The exit status of an error."""
    return EX_UNAVAILABLE if isinstance(error, ToolMissing) else EX_CONFIG


def _end_by_fault(pipe: Pipe, error: BaseException | None, thread: str) -> NoReturn:
    incident = uuid.uuid4().hex[:12]
    frames = redact_exception(error) if error is not None else "no exception"
    pipe.send(Log(level=logging.CRITICAL, logger=__name__, text=f"incident {incident} in thread {thread}: {frames}"))
    os._exit(EX_SOFTWARE)


def end_after(seconds: float) -> None:
    """Ends the process after a while, whatever it does then."""
    timer = threading.Timer(seconds, os._exit, (EX_SOFTWARE,))
    timer.daemon = True
    timer.start()
