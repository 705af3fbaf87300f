"""``watch --codes``: one code a line, for people, for pipes and for programs."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.fake_daemon import FakeDaemon, Talk
from vitale_protocol.events import CodeRead, Gs1
from vitale_protocol.methods import CodesSubscribed, Done, Result
from vitale_protocol.session.session import Called
from vitale_reader.cli.frame.exit_status import DONE, USAGE

pytestmark = pytest.mark.posix

GS1 = Gs1(gtin="03400930000120", lot="9A5C", expiry="2027-12-31")
CODES = (
    CodeRead(subscription="c", reader="scanner:one", symbology="gs1-datamatrix", data="01…\x1d10…", gs1=GS1),
    CodeRead(subscription="c", reader="scanner:one", data="3000012\x1b[2J"),
    CodeRead(subscription="c", reader="scanner:one", symbology="qr", data_b64="/wA="),
)


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with tempfile.TemporaryDirectory(prefix="vr-") as folder:  # short, for the socket
        fake = FakeDaemon(Path(folder))

        def subscribe(talk: Talk, call: Called) -> Result | None:
            talk.session.reply(call.id, CodesSubscribed(subscription="c"))
            for code in CODES:
                talk.session.notify("code.read", code)
            talk.flush()
            return None

        fake.handlers["codes.subscribe"] = subscribe
        fake.handlers["codes.unsubscribe"] = lambda _, __: Done()
        fake.start()
        yield fake
        fake.close()


def watch(daemon: FakeDaemon, *options: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "VITALE_READER_HOME": str(daemon.home.config.parent), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "vitale_reader", "watch", *options]
    return subprocess.run(command, env=environ, capture_output=True, encoding="utf-8", timeout=100, check=False)


def test_a_line_for_each_code(daemon: FakeDaemon) -> None:
    told = watch(daemon, "--codes", "--count", "3")
    assert (told.returncode, told.stdout.splitlines()) == (
        DONE,
        [
            "gs1-datamatrix\tGTIN 03400930000120  9A5C  2027-12-31\tscanner:one",
            "?\t3000012\\u001b[2J\tscanner:one",
            "qr\t/wA=\tscanner:one",
        ],
    )


def test_json_for_programs(daemon: FakeDaemon) -> None:
    told = watch(daemon, "--codes", "--count", "1", "--json")
    assert json.loads(told.stdout) == {
        "reader": "scanner:one",
        "symbology": "gs1-datamatrix",
        "data": "01…\x1d10…",
        "gs1": {"gtin": "03400930000120", "lot": "9A5C", "expiry": "2027-12-31"},
    }


def test_codes_and_presentations_are_two_watches(daemon: FakeDaemon) -> None:
    assert watch(daemon, "--codes", "--unclaimed").returncode == USAGE
