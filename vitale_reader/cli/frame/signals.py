"""Orderly termination from outside, on each system: of a command, and of a program that it started."""

import signal
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager

from vitale_reader.cli.frame import output

__all__ = ["OWN_GROUP", "ask_to_end", "ending_in_good_order", "until_interrupted"]

OWN_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
"""Flags of a program that ``ask_to_end`` is to reach on Windows, and no other."""


def ask_to_end(process: "subprocess.Popen[bytes]") -> None:
    """Asks a program to end in good order: by SIGTERM, or on Windows by Ctrl-Break.

    On Windows SIGTERM would end it at once.
    """
    try:
        process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
    except OSError:  # Windows: there is no console that they share
        process.terminate()


@contextmanager
def ending_in_good_order() -> Generator[None, None, None]:
    """Raises ``KeyboardInterrupt`` for SIGTERM and SIGHUP, so that processes, files and keys go with the command.

    A signal that is ignored stays ignored: under ``nohup`` a closed terminal is nothing.
    """

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # handlers are the main thread's business
    former = {number: signal.signal(number, end) for number in numbers if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def until_interrupted() -> Generator[None, None, None]:
    """Takes Ctrl-C, or a signal that stands for it, as the way to end what is done within."""
    try:
        yield
    except KeyboardInterrupt:
        output.note("")
