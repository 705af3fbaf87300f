"""The attendance of a process that drives nothing, such as the web gateway.

It is started and pinged like a driver.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from vitale_drivers.base import Command, Ping, Pong, Start, Stop
from vitale_drivers.host.confinement import confine
from vitale_drivers.host.pipe import StreamError
from vitale_drivers.host.worker_process import Pipe

__all__ = ["begun", "inherited", "obeying"]

InheritedT = TypeVar("InheritedT")


def begun(pipe: Pipe) -> Start | None:
    """Waits for the first command, and gives up what the process does not need.

    Returns None where nothing is to begin.

    Raises:
        StreamError: something else came.
    """
    try:
        first = _first(pipe)
    except EOFError:
        return None
    if not isinstance(first, Start):
        return None
    confine(first.hidden)
    return first


def inherited(start: Start, kind: type[InheritedT]) -> InheritedT:
    """Descriptors that the supervisor left to the process.

    Raises:
        StreamError: they are something else.
    """
    try:
        return msgspec.convert(start.options, kind)
    except msgspec.ValidationError as error:
        raise StreamError(f"not what this process inherits: {error}") from error


def _first(pipe: Pipe) -> Command:
    """The first command, alone: nothing is said before it is answered."""
    while not (commands := pipe.receive()):
        pass
    first, *rest = commands
    if not isinstance(first, Start | Stop) or rest not in ([], [Stop()]):
        raise StreamError("the first command is not a start")
    return Stop() if rest else first


@contextmanager
def obeying(pipe: Pipe) -> Generator["asyncio.Future[None]"]:
    """Answers the supervisor; gives the order to end, which the end of the supervisor is, too.

    It raises ``StreamError`` where the supervisor says something else.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    loop.add_reader(pipe.fileno(), _obey, pipe, ended)
    try:
        yield ended
    finally:
        loop.remove_reader(pipe.fileno())


def _obey(pipe: Pipe, ended: "asyncio.Future[None]") -> None:
    try:
        for command in pipe.receive():
            match command:
                case Ping(id=number):
                    pipe.send(Pong(id=number))
                case Stop():
                    raise EOFError
                case _:
                    raise StreamError(f"not for this process: {type(command).__name__}")
    except EOFError:
        if not ended.done():
            ended.set_result(None)
    except StreamError as error:
        if not ended.done():
            ended.set_exception(error)
