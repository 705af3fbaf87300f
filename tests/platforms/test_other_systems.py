"""The product on Windows and macOS, as far as this machine can stand in for them.

Programs run under ``stand_in``: modules of the product see the other platform, without the names that the standard
library lacks there.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from vitale_reader.home import Home

pytestmark = pytest.mark.posix

STAND_IN = Path(__file__).with_name("stand_in")
PLATFORMS = ("win32", "darwin")
PATIENCE = 100
SETTINGS = '[station]\nmode = "simulated"\n[drivers]\nenabled = ["simulated-card"]\n[tls]\nport = 0\n'

#: Imports every module of the product, and prints those that cannot be, with the reason.
IMPORT_ALL = """
import importlib, json, pkgutil, sys
told = {}
def walk(package):
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        name = found.name
        if name.endswith(".__main__") or ".migrations." in name:
            continue
        try:
            module = importlib.import_module(name)
        except Exception as error:
            told[name] = f"{type(error).__name__}: {error}"
        else:
            if found.ispkg:
                walk(module)
for name in ("vitale_reader", "vitale_drivers", "vitale_protocol", "vitale_firmware_sim"):
    walk(importlib.import_module(name))
assert "vitale_reader.daemon.lifecycle" in sys.modules
json.dump(told, sys.stdout)
"""

#: Says which platform modules of the product see, and what they lack.
ASK = """
import sys
from vitale_protocol import errors
exec(compile("import os, sys\\nseen = sys.platform, hasattr(os, 'sched_getaffinity')", "probe", "exec"), vars(errors))
print(errors.seen)
"""


def environment(platform: str) -> dict[str, str]:
    path = os.pathsep.join((str(STAND_IN), *filter(None, sys.path)))
    return os.environ | {"VITALE_STAND_IN": platform, "PYTHONPATH": path}


def run(platform: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, *arguments),
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=environment(platform),
        timeout=PATIENCE,
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "config.toml").touch(mode=0o600)
    (tmp_path / "config.toml").write_text(SETTINGS, "utf-8")
    return Home.under(tmp_path)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_product_sees_the_other_system(platform: str) -> None:
    done = run(platform, "-c", ASK)
    assert (done.stdout.strip(), done.stderr) == (str((platform, False)), "")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_module_can_be_imported(platform: str) -> None:
    done = run(platform, "-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("arguments", [["--help"], ["config", "check"], ["sim", "--help"], ["doctor", "--help"]])
def test_the_command_line_answers(platform: str, arguments: list[str], home: Home) -> None:
    where = ["--home", str(home.config.parent)] if arguments[0] == "config" else []
    done = run(platform, "-m", "vitale_reader", "--language", "en", *arguments, *where)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [["sim", "imager"], ["sim", "reader", "--empty"]])
def test_a_simulation_that_needs_pseudo_terminals_says_that_there_are_none(command: list[str]) -> None:
    done = run("win32", "-m", "vitale_reader", "--language", "en", *command)
    assert done.returncode == 2
    assert "this system has no pseudo-terminals" in done.stderr
    assert "Traceback" not in done.stderr


@contextlib.contextmanager
def daemon(platform: str, home: Home, *, end: int = signal.SIGINT) -> Generator[dict[str, Any]]:
    """A daemon; what it said of its addresses, and once it was ended, what it logged as ``told``."""
    with subprocess.Popen(
        (sys.executable, "-m", "vitale_reader", "serve", "--json", "--home", str(home.config.parent)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(platform),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = dict[str, Any]()
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            said |= json.loads(line)["endpoints"]
            yield said
        finally:
            process.send_signal(end)
            try:
                said["told"] = process.communicate(timeout=PATIENCE)[1]
            finally:
                process.kill()
    said["status"] = process.returncode


@pytest.mark.parametrize(("platform", "unix"), [("win32", False), ("darwin", True)])
def test_a_daemon_serves_and_is_stopped(platform: str, unix: bool, home: Home) -> None:
    with daemon(platform, home) as said:
        assert (said["tls"] is not None, said.get("unix") is not None) == (True, unix)
    assert "Traceback" not in said["told"]
    assert not home.endpoints_file.exists()
    assert sorted(home.state.glob("owner*")) == []


def test_the_owner_pairs_reads_and_looks_without_a_unix_socket(home: Home, tmp_path: Path) -> None:
    where = ("--home", str(home.config.parent))
    pairing = tmp_path / "desk.pairing.json"
    with daemon("win32", home):
        for arguments in (
            ("clients", "add", "desk", "--output", str(pairing), *where),
            ("clients", "list", *where),
            ("readers", *where),
            ("keys", "show", *where),
            ("read", "--timeout", "20", *where),
            ("read", "--timeout", "20", *where, "--pairing", str(pairing)),
            ("doctor", *where),
        ):
            done = run("win32", "-m", "vitale_reader", "--language", "en", *arguments)
            assert done.returncode == 0, (arguments, done.stdout, done.stderr)


@pytest.mark.slow
def test_the_demonstration_plays_without_a_unix_socket() -> None:
    done = run("win32", "-m", "vitale_reader", "demo", "--no-pcscd", "--repeat", "1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    verdicts = {verdict for result in told["results"] for verdict in result["checks"].values()}
    assert ({result["place"] for result in told["results"]} >= {"slot"}, "accepted" in verdicts) == (True, True)
    assert {result["transport"] for result in told["results"]} == {"tls"}
