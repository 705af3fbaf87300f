"""A state folder on a disk that is really full: requests are answered with the cause, and all comes back by itself."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

import vitale_reader

pytestmark = [pytest.mark.posix, pytest.mark.timeout(300)]

PATIENCE = 100.0
#: What the store can take into what it has already.
MOST_READ = 2_000
SETTINGS = '[station]\nmode = "simulated"\n[drivers]\nenabled = ["simulated-card"]\n[tls]\nenabled = false\n'
#: A namespace of its own, in which the state folder is a disk of twelve mebibytes.
OWN = ("--mount", "--propagation", "private")
MOUNTED = 'mount -t tmpfs -o size=12m,mode=0700 tmpfs "$1" && shift && exec "$@"'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    (tmp_path / "config.toml").touch(mode=0o600)
    (tmp_path / "config.toml").write_text(SETTINGS, "utf-8")
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def environ(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("VITALE_READER_HOME", str(home))
    return {**os.environ, "VITALE_READER_HOME": str(home)}


def until(condition: Callable[[], bool]) -> None:
    end, never = time.monotonic() + PATIENCE, threading.Event()
    while not condition():
        assert time.monotonic() < end
        never.wait(0.05)


@pytest.fixture
def daemon(home: Path, environ: dict[str, str]) -> Generator[int]:
    """The number of the daemon's process."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run((unshare, *OWN, "true"), capture_output=True, check=False).returncode:
        pytest.skip("only root mounts a small disk, and only where the container lets it (CAP_SYS_ADMIN)")
    serve = (sys.executable, "-m", "vitale_reader", "serve")
    command = (unshare, *OWN, "sh", "-c", MOUNTED, "sh", str(home / "state"), *serve)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        until(lambda: (home / "run" / "endpoints.json").exists() or process.poll() is not None)
        assert process.poll() is None, (home / "log").read_text("utf-8")
        yield process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE)
        print((home / "log").read_text("utf-8"))


def within(pid: int, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the product beside the daemon, on its disk."""
    command = ("nsenter", "--mount", "--target", str(pid), sys.executable, "-m", "vitale_reader", *arguments)
    return subprocess.run(command, env=environ, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False)


def test_a_disk_that_is_full_is_told_and_costs_nothing_once_there_is_room(
    home: Path, daemon: int, environ: dict[str, str]
) -> None:
    filler = Path("/proc", str(daemon), "root", *home.parts[1:], "state", "filler")
    with vitale_reader.connect() as reader:
        kept = reader.read(timeout=60, acknowledge=False)
        fill(filler)
        refused = next(error for _ in range(MOST_READ) if (error := refusal(reader)) is not None)
        assert ("store_unavailable", "file-full") == (refused.reason, refused.variant)
        for _ in range(3):
            assert kept.token in [each.token for each in reader.pending()], "what was kept is there"
            assert refusal(reader) is not None
        log = (home / "log").read_text("utf-8")
        lines = ("the store cannot be used", "the store is back", "a line of the audit trail is lost")
        assert [1, 0, 1] == [log.count(line) for line in lines], "a log on a full disk has little to say"
        told = json.loads(within(daemon, environ, "doctor", "--json").stdout)
        assert [("disk_full", "wrong")] == [
            (row["id"], row["state"]) for row in told["findings"] if row["id"].startswith("disk_")
        ]
        filler.unlink()
        until(lambda: refusal(reader) is None)
        assert 1 == reader.acknowledge(kept.claims.jti)
    assert 0 == within(daemon, environ, "audit", "verify").returncode


def fill(file: Path) -> None:
    """Writes until there is no room for a page."""
    with file.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while stream.write(bytes(4_096)):
            pass


def refusal(reader: vitale_reader.Connection) -> vitale_reader.VitaleError | None:
    """The error of a reading, which is answered within its own time; None where it gave a token."""
    try:
        reader.read(timeout=60)
    except vitale_reader.VitaleError as error:
        return error
    return None
