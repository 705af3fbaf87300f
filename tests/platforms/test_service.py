"""``vitale-reader service`` on Windows and macOS, with their programs played by a recorder on the path."""

import json
import os
import plistlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.posix import posix_only

pytestmark = posix_only()
assert sys.platform != "win32"

STAND_IN = Path(__file__).with_name("stand_in")

#: Notes its words; keeps the task that it is given, and tells it when it is asked. All in the folder where it lies.
RECORDER = """#!/bin/sh
here=$(dirname "$0")
echo "$(basename "$0") $*" >>"$here/told"
case $1 in
    print) [ -f "$here/loaded" ] || exit 113; echo "	pid = 4711" ;;
    bootstrap) touch "$here/loaded" ;;
    bootout) rm "$here/loaded" ;;
    /Create) cp "$6" "$here/task" ;;
    /Query) [ -f "$here/task" ] || exit 1
        case $4 in /XML) iconv -f utf-16 -t cp850 "$here/task" ;; *) echo '"x","267009"' ;; esac ;;
    /Delete) rm "$here/task" ;;
esac
"""


class Machine:
    """A machine of another system, whose commands are noted."""

    def __init__(self, platform: str, folder: Path) -> None:
        self.platform = platform
        self.bin = folder / "bin"
        self.own = folder / "own"
        self.bin.mkdir()
        self.own.mkdir()
        (self.bin / "System32").mkdir()
        # What only bears the name of a program of Windows is found first, and is not to be run.
        for name in ("launchctl", "schtasks", "System32/schtasks.exe"):
            (self.bin / name).write_text(RECORDER, "utf-8")
            (self.bin / name).chmod(0o755)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environ = {name: value for name, value in os.environ.items() if name != "VITALE_READER_HOME"} | {
            "HOME": str(self.own),
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "SYSTEMROOT": str(self.bin),
            "PYTHONPATH": os.pathsep.join((str(STAND_IN), *filter(None, sys.path))),
            "TMPDIR": str(self.own),
            "VITALE_STAND_IN": self.platform,
            "XDG_STATE_HOME": str(self.own),
        }
        return subprocess.run(
            (sys.executable, "-m", "vitale_reader", "--language", "en", "service", *arguments),
            capture_output=True,
            check=False,
            encoding="utf-8",
            env=environ,
            timeout=100,
        )

    def json(self, *arguments: str, status: int = 0) -> Any:
        done = self.run(*arguments, "--json")
        assert status == done.returncode, done.stdout + done.stderr
        return json.loads(done.stdout)

    def taken(self) -> list[str]:
        assert self.platform == "darwin" or not (self.bin / "told").exists(), "a program of that name in the path"
        file = self.bin / ("told" if self.platform == "darwin" else "System32/told")
        told = file.read_text("utf-8").splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return told


@pytest.fixture
def windows(tmp_path: Path) -> Machine:
    return Machine("win32", tmp_path)


@pytest.fixture
def macos() -> Iterator[Machine]:
    # A short name: the daemon's socket has to fit.
    with tempfile.TemporaryDirectory(prefix="vr-") as folder:
        yield Machine("darwin", Path(folder))


def test_a_task_at_logon_is_installed_and_removed(windows: Machine) -> None:
    assert 3 == windows.run("status").returncode
    assert not windows.json("install", "--dry-run")["steps"][0].get("done")
    windows.taken()
    state = windows.json("install")["state"]
    assert (True, True, sys.executable) == (state["installed"], state["running"], state["program"])
    assert [] != [told for told in windows.taken() if told.startswith("schtasks.exe /Create /TN vitale-reader /F /XML")]
    task = etree.fromstring((windows.bin / "System32/task").read_bytes())
    assert ["-P -m vitale_reader serve"] == task.xpath("//*[local-name()='Arguments']/text()")
    assert not list(windows.own.glob("*.xml"))
    assert not windows.json("uninstall")["state"]["installed"]
    assert "schtasks.exe /Delete /TN vitale-reader /F" in windows.taken()


def test_an_agent_is_installed_and_removed(macos: Machine) -> None:
    shown = macos.run("install", "--dry-run")
    assert (0, True) == (shown.returncode, "launchctl bootstrap gui/" in shown.stdout)
    assert not (macos.own / "Library").exists()
    macos.json("install")
    file = macos.own / "Library/LaunchAgents/vitale-reader.plist"
    assert [sys.executable, "-P", "-m", "vitale_reader", "serve"] == plistlib.loads(file.read_bytes())[
        "ProgramArguments"
    ]
    assert 4_711 == macos.json("status")["state"]["pid"]
    assert not macos.json("uninstall")["state"]["installed"]
    assert not file.exists()
