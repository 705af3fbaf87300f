"""The end of a daemon, whatever hangs: each part has its time, and what takes more is left as after ``kill -9``."""

import base64
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.posix import UNIX_SOCKETS, posix_only
from vitale_reader.home import Home

pytestmark = posix_only()
assert sys.platform != "win32"

PATIENCE = 100.0
SETTINGS = """\
[station]
mode = "simulated"
[drivers]
enabled = ["simulated-card"]
[tls]
enabled = false
[apcv]
timeout = 100.0
"""
CODE = base64.b64encode(b"VITALESIM.a string that no service answers for").decode()


@contextmanager
def hanging(how: str, folder: Path) -> Generator[subprocess.Popen[str]]:
    """A daemon that serves, and hangs when it is told to end."""
    home = Home.under(folder)
    home.config.write_text(SETTINGS)
    home.config.chmod(0o600)
    command = [sys.executable, "-m", "tests.daemon.hanging_daemon", how, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "serves\n" == process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> str:
    """Tells it to end, and gives what it said; it may take as long as the machine is busy, and not for ever."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE)
    assert 0 == process.returncode, said
    return said


def call(stream: Any, method: str, **params: object) -> None:
    stream.write(json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params}) + "\n")
    stream.flush()


def test_a_daemon_ends_whatever_hangs(tmp_path: Path) -> None:
    """A service that does not answer, a driver that is stopped, a store that is locked, a client that says nothing."""
    home = Home.under(tmp_path)
    with hanging("until it is cancelled", tmp_path) as daemon, ExitStack() as others:
        assert daemon.stdout is not None
        client = others.enter_context(socket.socket(UNIX_SOCKETS))
        client.settimeout(PATIENCE)
        client.connect(str(home.socket))
        stream = client.makefile("rw")
        call(stream, "session.open", protocol=[1], client={"name": "test", "version": "1"})
        assert "result" in json.loads(stream.readline())
        call(stream, "station.info")
        (driver,) = json.loads(stream.readline())["result"]["drivers"]
        call(stream, "presentation.submit", nonce="n" * 22, payload_b64=CODE, progress=False)
        assert "asked\n" == daemon.stdout.readline()
        silent = others.enter_context(socket.socket(UNIX_SOCKETS))
        silent.connect(str(home.socket))
        os.kill(driver["pid"], signal.SIGSTOP)
        store = others.enter_context(closing(sqlite3.connect(home.state / "store.db", isolation_level=None)))
        store.execute("BEGIN EXCLUSIVE")
        said = ended(daemon)
        with contextlib.suppress(ProcessLookupError):
            os.kill(driver["pid"], signal.SIGCONT)
            pytest.fail("the driver's process is left behind")
    assert "sessions: not ended after 1.2 s" in said
    assert "resolver: not ended after 0.2 s" in said
    assert "hangs at its end" not in said
    assert not home.endpoints_file.exists()


@pytest.mark.parametrize("how", ["in the loop", "in a thread", "for ever"])
def test_a_daemon_that_cannot_end_by_itself_is_ended(tmp_path: Path, how: str) -> None:
    with hanging(how, tmp_path) as daemon:
        assert "the daemon hangs at its end (" in ended(daemon)
