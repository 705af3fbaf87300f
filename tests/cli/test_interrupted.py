"""Ctrl-C ends every command that waits, without a word of Python; with its connection ends what it asked for."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.fake_daemon import FakeDaemon
from vitale_protocol.methods import CodesSubscribed, Done, PresentationsSubscribed
from vitale_reader.cli.frame.exit_status import INTERRUPTED


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with tempfile.TemporaryDirectory(prefix="vr-") as folder:  # short, for the socket
        fake = FakeDaemon(Path(folder))
        fake.handlers["presentation.request"] = lambda _, __: None
        fake.handlers["presentations.subscribe"] = lambda _, __: PresentationsSubscribed(subscription="s")
        fake.handlers["presentations.unsubscribe"] = lambda _, __: Done()
        fake.handlers["codes.subscribe"] = lambda _, __: CodesSubscribed(subscription="c")
        fake.handlers["codes.unsubscribe"] = lambda _, __: Done()
        fake.start()
        yield fake
        fake.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one process")
@pytest.mark.parametrize(
    ("command", "waits_at"),
    [
        (("read",), "presentation.request"),
        (("watch",), "presentation.request"),
        (("watch", "--unclaimed"), "presentations.subscribe"),
        (("watch", "--codes"), "codes.subscribe"),
        (("readers", "--watch"), "readers.watch"),
    ],
    ids=["read", "watch", "watch --unclaimed", "watch --codes", "readers --watch"],
)
def test_ctrl_c(daemon: FakeDaemon, command: tuple[str, ...], waits_at: str) -> None:
    environ = {**os.environ, "VITALE_READER_HOME": str(daemon.home.config.parent)}
    with subprocess.Popen(
        [sys.executable, "-m", "vitale_reader", *command],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            daemon.wait_for(waits_at)
            process.send_signal(signal.SIGINT)
            _, complained = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == INTERRUPTED
    assert "Traceback" not in complained
