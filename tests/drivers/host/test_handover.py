"""Sockets that one process hands to another."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from vitale_drivers.host.handover import channel_pair, hand_over, line_pair, take_over

pytestmark = pytest.mark.posix


def test_a_socket_comes_with_its_message() -> None:
    ours, theirs = line_pair()
    near, far = channel_pair()
    with ours, theirs, near:
        with far:
            hand_over(ours, b"first")
            hand_over(ours, b"second", far)
        assert (b"first", None) == take_over(theirs, 100)
        message, handed = take_over(theirs, 100)
        assert b"second" == message
        assert handed is not None
        with handed:
            assert not handed.getblocking()
            assert not handed.get_inheritable()
            near.sendall(b"through")
            assert b"through" == handed.recv(100)
        assert b"" == near.recv(100)


def fill(line: socket.socket) -> None:
    for _ in range(100_000):
        hand_over(line, b"x" * 1_000)


def test_nobody_waits() -> None:
    ours, theirs = line_pair()
    with ours, theirs:
        with pytest.raises(BlockingIOError):
            take_over(theirs, 100)
        with pytest.raises(BlockingIOError):
            fill(ours)
        theirs.close()
        with pytest.raises(ConnectionError):
            hand_over(ours, b"gone")


def test_what_is_too_long_is_cut() -> None:
    ours, theirs = line_pair()
    with ours, theirs:
        hand_over(ours, b"x" * 200)
        assert (b"x" * 100, None) == take_over(theirs, 100)


def a_pipe() -> int:
    reading, writing = os.pipe()
    os.close(writing)
    return reading


NO_SOCKETS: dict[str, Callable[[], int]] = {
    "file": lambda: os.open(__file__, os.O_RDONLY),
    "folder": lambda: os.open(os.curdir, os.O_RDONLY),
    "device": lambda: os.open(os.devnull, os.O_RDONLY),
    "pipe": a_pipe,
}


@pytest.mark.parametrize("what", NO_SOCKETS)
def test_a_descriptor_that_is_no_socket_is_refused_and_does_not_stay_open(what: str) -> None:
    ours, theirs = line_pair()
    with ours, theirs:
        before = sorted(each.name for each in Path("/dev/fd").iterdir())
        handed = NO_SOCKETS[what]()
        hand_over(ours, b"message", cast("socket.socket", SimpleNamespace(fileno=lambda: handed)))
        os.close(handed)
        with pytest.raises(OSError, match="socket"):
            take_over(theirs, 100)
        assert before == sorted(each.name for each in Path("/dev/fd").iterdir())
        hand_over(ours, b"next")
        assert (b"next", None) == take_over(theirs, 100)
