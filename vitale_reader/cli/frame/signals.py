"""The end of a command from outside: a closed terminal and a kill end it as Ctrl-C does."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["ending_in_good_order"]


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
