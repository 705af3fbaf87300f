"""The end of simulations from outside: by a kill or a closed terminal as in good order as by Ctrl-C."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.posix import posix_only

pytestmark = posix_only()
assert sys.platform != "win32"

# A port that nobody listens at: what is to be laid on a reader waits for one.
NOBODY = "127.0.0.1:9"
COMMANDS = {
    "card": ("card", "--vpcd", NOBODY),
    "phone": ("phone", "--vpcd", NOBODY),
    "screen": ("phone", "--screen"),
    "service": ("service",),
    "reader": ("reader", "--empty"),
    "camera": ("camera", "--serve", "--grey"),
    "imager": ("imager",),
}


@contextmanager
def start(*arguments: str) -> "Generator[subprocess.Popen[bytes]]":
    """A simulation that has said its first words; it is gone at the end, also where a test fails."""
    with subprocess.Popen(
        (sys.executable, "-m", "vitale_reader", "sim", *arguments),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            ready, _, _ = select.select([process.stdout, process.stderr], [], [], 60)
            assert ready
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_kill_ends_it_in_good_order(name: str) -> None:
    with start(*COMMANDS[name]) as process:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert b"Traceback" not in err


def test_a_closed_terminal_takes_the_link_along(tmp_path: Path) -> None:
    link = tmp_path / "reader"
    with start("reader", "--empty", "--link", str(link)) as process:
        assert link.is_symlink()
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert not link.is_symlink()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_programs_that_the_tests_start_can_be_interrupted(number: signal.Signals) -> None:
    """Also where the tests themselves were told to ignore the signal, as under nohup."""
    program = (sys.executable, "-c", "print(flush=True); input()")
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(number)
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == -number
