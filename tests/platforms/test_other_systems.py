"""The product on Windows and macOS, as far as this machine can stand in for them.

Programs run under ``stand_in``: modules of the product see the other platform, without the names that the standard
library lacks there.
"""

import contextlib
import json
import os
import plistlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.posix import lock_whole, posix_only
from tests.warm_interpreter import Process, WarmInterpreter
from vitale_protocol import catalogue
from vitale_protocol.catalogue import Language
from vitale_protocol.web.extensions import CHROMIUM_ID
from vitale_reader.home import Home

pytestmark = posix_only()
assert sys.platform != "win32"

STAND_IN = Path(__file__).with_name("stand_in")
PLATFORMS = ("win32", "darwin")
#: Of the clocks of Windows, in seconds.
STEP = "0.015625"
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
exec(compile("import os, sys\\nseen = sys.platform, hasattr(os, 'sched_getaffinity')", "<probe>", "exec"), vars(errors))
print(errors.seen)
"""


def environment(platform: str) -> dict[str, str]:
    path = os.pathsep.join((str(STAND_IN), *filter(None, sys.path)))
    return os.environ | {"VITALE_STAND_IN": platform, "PYTHONPATH": path}


#: What the stand-in looks at when Python starts: its clocks, which an interpreter has for all its programs, and what is
#: scanned, with which Python is executed.
CLOCK, SCANNED = "VITALE_STAND_IN_CLOCK", "VITALE_STAND_IN_SCANNED"
#: Interpreters that have loaded the product as it is on another system, by the system and the steps of its clocks.
WARM = dict[tuple[str, str], WarmInterpreter]()


@pytest.fixture(scope="module", autouse=True)
def interpreters() -> Iterator[None]:
    """Interpreters for the programs of this module, each begun with its first one."""
    with contextlib.ExitStack() as closing:
        for platform in PLATFORMS:
            for clock in ("", STEP):
                begun = WarmInterpreter(environment(platform) | {CLOCK: clock})
                WARM[platform, clock] = closing.enter_context(begun)
        yield
        WARM.clear()


def run(platform: str, *arguments: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end."""
    given = {**environment(platform), **(more or {})}
    if given.get(SCANNED):
        return execute(*arguments, env=given)
    return WARM[platform, given.get(CLOCK, "")].run(*arguments, env=given, timeout=PATIENCE)


def execute(*arguments: str, env: Mapping[str, str], patience: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """Executes Python for a program."""
    command = (sys.executable, *arguments)
    return subprocess.run(command, capture_output=True, check=False, encoding="utf-8", env=env, timeout=patience)


def eventually(condition: Callable[[], bool]) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process lives; one that waits for its parent's word does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal, which would end it otherwise."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "SigCgt":
            return bool(int(value, 16) >> number - 1 & 1)
    return False


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
    # Begun by an interpreter that has loaded most of them as they are there.
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
    arguments = ("-m", "vitale_reader", "serve", "--json", "--home", str(home.config.parent))
    env = environment(platform)
    said = dict[str, Any]()
    with (home.config.parent / "told").open("w+b") as told:
        if env.get(SCANNED):
            process: Process = subprocess.Popen(
                (sys.executable, *arguments), stdout=subprocess.PIPE, stderr=told, env=env
            )
        else:
            process = WARM[platform, env.get(CLOCK, "")].start(*arguments, stdout=subprocess.PIPE, stderr=told, env=env)
        assert process.stdout is not None
        with process.stdout:
            try:
                line = process.stdout.readline()
                assert line, Path(told.name).read_text("utf-8")
                said |= json.loads(line)["endpoints"]
                yield said
            finally:
                process.send_signal(end)
                try:
                    said["status"] = process.wait(PATIENCE)
                finally:
                    process.kill()
                said["told"] = Path(told.name).read_text("utf-8")


@pytest.mark.parametrize(("platform", "unix"), [("win32", False), ("darwin", True)])
def test_a_daemon_serves_and_is_stopped(platform: str, unix: bool, home: Home) -> None:
    with daemon(platform, home) as said:
        assert (said["tls"] is not None, said.get("unix") is not None) == (True, unix)
    assert "Traceback" not in said["told"]
    assert not home.endpoints_file.exists()
    assert sorted(home.state.glob("owner*")) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("step", ["", STEP], ids=["fine clocks", "clocks in steps of 15.6 ms"])
def test_the_owner_pairs_reads_and_looks_without_a_unix_socket(
    home: Home, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CLOCK, step)
    where = ("--home", str(home.config.parent))
    pairing = tmp_path / "desk.pairing.json"
    with daemon("win32", home):
        for arguments in (
            ("clients", "add", "desk", "--output", str(pairing), *where),
            ("clients", "list", *where),
            ("readers", *where),
            ("keys", "show", *where),
            ("read", "--timeout", "100", *where),
            ("read", "--timeout", "100", "--json", *where, "--pairing", str(pairing)),
            ("doctor", *where),
        ):
            done = run("win32", "-m", "vitale_reader", "--language", "en", *arguments)
            assert done.returncode == 0, (arguments, done.stdout, done.stderr)
            if "--json" in arguments:
                token = json.loads(done.stdout)["token"]
                verified = run("win32", "-m", "vitale_reader", "verify", token, *where, "--pairing", str(pairing))
                assert (verified.returncode, verified.stderr) == (0, "")


def test_a_browser_of_windows_reaches_the_daemon_by_a_native_host(home: Home) -> None:
    with home.config.open("a", encoding="utf-8") as written:
        written.write("[web]\nenabled = true\n")
    listing: dict[str, object] = {"jsonrpc": "2.0", "id": 1, "method": "clients.list", "params": {}}
    site: dict[str, object] = {"site": "https://facturation.example.fr"}
    texts = [json.dumps(each).encode() for each in (site, listing)]
    with daemon("win32", home) as said:
        assert (str(home.state / "hosts.pairing.json"), None) == (said["hosts"], said.get("web"))
        host = subprocess.run(
            (sys.executable, "-m", "vitale_reader", f"chrome-extension://{CHROMIUM_ID}/", "--parent-window=0"),
            input=b"".join(len(each).to_bytes(4, sys.byteorder) + each for each in texts),
            capture_output=True,
            check=False,
            env=environment("win32") | {"VITALE_READER_HOME": str(home.config.parent)},
            timeout=PATIENCE,
        )
        assert (0, b"") == (host.returncode, host.stderr)
        assert b'{"open":true}' in host.stdout
        assert b"not_authenticated" in host.stdout
        assert host.stdout.endswith(b'{"close":1008}')
    assert "Traceback" not in said["told"]
    assert [] == sorted(home.state.glob("hosts*"))


def test_drivers_of_windows_show_no_console_window(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "flags"
    monkeypatch.setenv("VITALE_STAND_IN_FLAGS", str(told))
    with daemon("win32", home):
        eventually(lambda: told.exists() and "simulated-card" in told.read_text("utf-8"))
    workers = [line for line in told.read_text("utf-8").splitlines() if "vitale_drivers.host.worker" in line]
    assert {line.partition(" ")[0] for line in workers} == {"0x8000000"}


#: Tests of drivers that are played with clocks in steps: what counts, waits, and compares times. Of the contract, which
#: is the same for all, one driver's, and those of the others in the soak.
IN_STEPS = ("cards", "nfc/test_contract.py", "pcsc/test_fake_service.py", "readers")
IN_STEPS_AS_WELL = ("camera/test_contract.py", "scanner/test_contract.py")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("names", [IN_STEPS, pytest.param(IN_STEPS_AS_WELL, marks=pytest.mark.soak)])
def test_drivers_keep_their_contract_with_clocks_in_steps_of_15_6_ms(names: tuple[str, ...]) -> None:
    folder = Path(__file__).parents[1] / "drivers"
    chosen = [str(folder / name) for name in names]
    env = environment("") | {CLOCK: STEP}
    done = execute("-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, env=env, patience=590)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_demonstration_plays_without_a_unix_socket(tmp_path: Path, launched: tuple[Path, dict[str, str]]) -> None:
    interpreter, more = launched
    done = execute("-m", "vitale_reader", "demo", "--no-pcscd", "--repeat", "1", "--json", env=more)
    assert done.returncode == 0, done.stderr
    assert {str(interpreter)} == begun_interpreters(tmp_path), "the daemon and its drivers, without a launcher between"
    told = json.loads(done.stdout)
    verdicts = {verdict for result in told["results"] for verdict in result["checks"].values()}
    assert ({result["place"] for result in told["results"]} >= {"slot"}, "accepted" in verdicts) == (True, True)
    assert {result["transport"] for result in told["results"]} == {"tls"}


@pytest.mark.parametrize(
    "end", [signal.SIGUSR2, signal.SIGUSR1, signal.SIGPROF], ids=["Ctrl-Break", "closed window", "log-off"]
)
def test_windows_ends_the_daemon_in_good_order(home: Home, end: int) -> None:
    with daemon("win32", home, end=end) as said:
        pass
    assert (said["status"], "Traceback" in said["told"], home.endpoints_file.exists()) == (0, False, False)
    assert "stopping" in said["told"]


def test_a_second_daemon_of_windows_is_refused_and_the_first_lives_on(home: Home) -> None:
    folder = str(home.config.parent)
    with daemon("win32", home) as said:
        for _ in range(2):
            second = run("win32", "-m", "vitale_reader", "--language", "en", "serve", "--home", folder)
            assert (second.returncode, "runs already" in second.stderr) == (1, True), second.stderr
            assert f"process {said['pid']} " in second.stderr
        assert run("win32", "-m", "vitale_reader", "readers", "--home", folder).returncode == 0


@contextlib.contextmanager
def held(file: Path) -> Generator[None]:
    """A file that another program has open, as Windows and the stand-in know it."""
    with file.open("rb") as stream:
        lock_whole(stream.fileno())
        yield


def test_addresses_that_are_held_open_are_waited_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.run.mkdir(parents=True, mode=0o700)
    home.endpoints_file.touch(mode=0o600)
    monkeypatch.setenv(SCANNED, str(home.endpoints_file))
    with daemon("win32", home) as said:
        assert home.endpoints().pid == said["pid"]
    assert not home.endpoints_file.exists()


#: Writes a file whole.
WRITE = (
    "import sys; from pathlib import Path; from vitale_reader.atomic_files import *; "
    "write_atomically(Path(sys.argv[1]), b'after')"
)


@pytest.mark.parametrize("scanned", ["addresses", ".addresses.new"])
def test_what_a_scanner_holds_is_waited_for_also_what_is_left_of_a_process_that_died(
    tmp_path: Path, scanned: str
) -> None:
    for name in ("addresses", ".addresses.new"):
        (tmp_path / name).write_bytes(b"before")
    done = run("win32", "-c", WRITE, str(tmp_path / "addresses"), more={SCANNED: str(tmp_path / scanned)})
    assert ("", 0) == (done.stderr, done.returncode)
    assert {"addresses": b"after"} == {each.name: each.read_bytes() for each in tmp_path.iterdir()}


def test_a_file_that_stays_held_is_told_with_its_own_name_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "addresses"
    file.write_bytes(b"before")
    with held(file):
        done = run("win32", "-c", WRITE, str(file))
    assert ("[WinError 32]" in done.stderr, ".addresses.new" in done.stderr.splitlines()[-1]) == (True, False)
    assert ["addresses"] == [each.name for each in tmp_path.iterdir()]


def test_addresses_that_stay_held_open_are_left_and_the_daemon_ends_well(home: Home) -> None:
    with contextlib.ExitStack() as holding:
        with daemon("win32", home) as said:
            holding.enter_context(held(home.endpoints_file))
        assert (said["status"], home.endpoints_file.exists()) == (0, True), said["told"]
        assert "endpoints.json cannot be removed" in said["told"]


#: Runs the command line without standard streams, as ``pythonw`` does.
WITHOUT_STREAMS = """
import sys
sys.stdin = sys.stdout = sys.stderr = None
sys.argv[0] = "vitale-reader"
from vitale_reader.cli import main
main()
"""


def test_a_daemon_without_standard_streams_serves_and_logs_to_a_file(home: Home) -> None:
    with subprocess.Popen(
        (sys.executable, "-c", WITHOUT_STREAMS, "serve", "--home", str(home.config.parent)), env=environment("win32")
    ) as process:
        try:
            log = home.state / "daemon.log"
            eventually(lambda: log.exists() and "serving, station" in log.read_text("utf-8"))
            eventually(lambda: catches(process.pid, signal.SIGUSR2))
            process.send_signal(signal.SIGUSR2)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def test_what_is_wrong_at_a_start_without_standard_streams_is_in_the_file(home: Home) -> None:
    home.config.write_text("[tls]\nport = 123456\n", "utf-8")
    done = run("win32", "-c", WITHOUT_STREAMS, "serve", "--home", str(home.config.parent))
    log = (home.state / "daemon.log").read_text("utf-8")
    assert (done.returncode, "configuration_invalid" in log, "Traceback" in log) == (2, True, False)


#: A worker of the supervisor's that starts a program, and ends; then whether that program lives.
ORPHANS = """
import asyncio, sys
from pathlib import Path
from vitale_reader.daemon.workers.worker import Worker

async def main():
    worker = Worker("x", {}, lambda *_: None, lambda *_: None, command=(sys.executable, "-c", LEAVES_ONE, sys.argv[1]))
    print(await worker._live_in("/tmp"))

LEAVES_ONE = '''
import subprocess, sys, time
from pathlib import Path
sys.stdin.buffer.read(1)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdin=subprocess.DEVNULL,
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
Path(sys.argv[1]).write_text(str(child.pid))
'''

asyncio.run(main())
"""


def test_what_a_worker_started_ends_with_it(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    done = run("win32", "-c", f"__import__('sys')\n{ORPHANS}", str(told))
    assert (done.stdout.strip(), done.stderr) == ("ended with status 0", "")
    eventually(lambda: not is_running(int(told.read_text())))


#: Begins the interpreter, which says its number; then whether that is the number that is known here. Asks a driver.
BEGIN_ITSELF = """
import asyncio, sys
from vitale_reader.daemon.workers.child_process import begun
from vitale_reader.daemon.workers.questions import check_options

async def main():
    child = await begun((sys.executable, "-c", "import os; print(os.getpid())"))
    print(int(await child.stdout.read()) == child.pid, await child.wait())
    child.close()

asyncio.run(main())
print(check_options({"simulated-card": {}}, 90))
"""


@pytest.fixture
def launched(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """An interpreter that stands behind that of a virtual environment, and the environment in which it does."""
    interpreter = tmp_path / "python"
    # It is told of the environment, and must not tell what it starts.
    interpreter.write_text(
        f'#!/bin/sh\necho "$__PYVENV_LAUNCHER__" >>"{tmp_path}/told"\nunset __PYVENV_LAUNCHER__\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    interpreter.chmod(0o700)
    own = {"VITALE_STAND_IN_INTERPRETER": str(interpreter), "VITALE_STAND_IN_FLAGS": str(tmp_path / "flags")}
    return interpreter, environment("win32") | own


def begun_interpreters(folder: Path) -> set[str]:
    """The interpreters that were begun: the environment's, and the one behind it."""
    lines = (folder / "flags").read_text("utf-8").splitlines()
    return {line.partition(" ")[2].split("'")[1] for line in lines} & {sys.executable, str(folder / "python")}


def test_a_driver_is_the_interpreter_itself_and_not_what_a_virtual_environment_has_in_its_place(
    tmp_path: Path, launched: tuple[Path, dict[str, str]]
) -> None:
    """``python.exe`` of one begins the interpreter as a process of its own, which no job would hold."""
    interpreter, more = launched
    done = execute("-c", BEGIN_ITSELF, env=more)
    assert (["True 0", "[None]"], "") == (done.stdout.splitlines(), done.stderr)
    assert [sys.executable] * 2 == (tmp_path / "told").read_text().splitlines()
    assert {str(interpreter)} == begun_interpreters(tmp_path)


@pytest.mark.parametrize(("language", "expected"), [("0x040C", "Lance le service"), ("0x0407", "Runs the daemon")])
def test_the_language_is_that_of_windows_where_no_locale_is_set(language: str, expected: str) -> None:
    unset = dict.fromkeys(("LANG", "LC_ALL", "LC_MESSAGES"), "")
    done = run("win32", "-m", "vitale_reader", "--help", more=unset | {"VITALE_STAND_IN_LANGUAGE": language})
    assert expected in done.stdout


def test_the_language_is_that_of_macos_where_no_locale_is_set(tmp_path: Path) -> None:
    preferences = tmp_path / "Library" / "Preferences" / ".GlobalPreferences.plist"
    unset = dict.fromkeys(("LANG", "LC_ALL", "LC_MESSAGES"), "") | {"HOME": str(tmp_path)}
    assert "Runs the daemon" in run("darwin", "-m", "vitale_reader", "--help", more=unset).stdout
    preferences.parent.mkdir(parents=True)
    preferences.write_bytes(plistlib.dumps({"AppleLanguages": ["fr-FR", "en-FR"]}))
    assert "Lance le service" in run("darwin", "-m", "vitale_reader", "--help", more=unset).stdout


def test_the_driver_of_a_frozen_program_is_started_by_its_command() -> None:
    ask = "import sys; sys.frozen = True; from vitale_reader.daemon.workers.worker import WORKER; "
    ask += (
        "from vitale_reader.daemon.diagnostics import PROGRAM; from vitale_drivers.host.programs import own_program; "
    )
    ask += "from vitale_reader.daemon.transports.gateway import GATEWAY; "
    ask += "from vitale_reader.daemon.transports.dashboard_gateway import DASHBOARD; "
    ask += "from vitale_reader.daemon.metrics.exporter import EXPORTER; import json; "
    ask += "beside = [GATEWAY[1:], DASHBOARD[1:], EXPORTER[1:]]; "
    ask += "print(json.dumps([WORKER[1:], PROGRAM[1:], own_program('vitale_reader')[1:], beside]))"
    worker, diagnosis, itself, beside = json.loads(execute("-c", ask, env=environment("win32")).stdout)
    assert (["worker"], ["diagnosis"], []) == (worker, diagnosis, itself)
    # Without a supervisor they have nothing to do.
    for words in beside:
        command = (sys.executable, "-m", "vitale_reader", *words, "name")
        begun = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=PATIENCE)
        assert (0, b"", b"") == (begun.returncode, begun.stdout, begun.stderr), words
    asked = subprocess.run(
        (sys.executable, "-m", "vitale_reader", "diagnosis"), input=b"{", capture_output=True, check=False
    )
    assert b"ParseError" in asked.stderr
    checked = subprocess.run(
        (sys.executable, "-m", "vitale_reader", "worker", "simulated-card", "--check"),
        input=b'{"control": 5}',
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (checked.returncode, json.loads(checked.stdout)["reason"]) == (78, "configuration_invalid")


# ── access lists ──

PROGRAM_DATA = (
    "O:BAD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;OICIID;0x1200a9;;;BU)(A;CIID;DCLCRPCR;;;BU)"
)
FOREIGN = "O:S-1-5-21-1-2-3-500D:(A;OICI;FA;;;BA)"

#: Closes a folder to others, and says who had a hand in it.
CLOSE = """
import sys
from pathlib import Path
from vitale_protocol.errors import VitaleError
from vitale_reader.daemon.keystore.private_files import open_to_others, private_folder
try:
    folder = private_folder(Path(sys.argv[1]))
except VitaleError as error:
    print(error.variant, error.detail)
else:
    print(open_to_others(folder))
"""


@pytest.fixture
def lists(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Gives files access lists, and the environment in which they have them."""
    file = tmp_path / "lists.json"

    def give(entries: Mapping[Path, str]) -> dict[str, str]:
        file.write_text(json.dumps({str(path): text for path, text in entries.items()}), "utf-8")
        return {"VITALE_STAND_IN_LISTS": str(file)}

    return give


def test_a_folder_of_windows_that_others_may_read_is_closed(
    tmp_path: Path, lists: Callable[..., dict[str, str]]
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "station.json").touch()
    more = lists({tmp_path: PROGRAM_DATA, tmp_path / "state" / "station.json": "O:BAD:(A;;FR;;;WD)"})
    done = run("win32", "-c", CLOSE, str(tmp_path / "state"), more=more)
    assert (done.stdout, done.stderr) == ("False\n", "")
    given = json.loads(Path(more["VITALE_STAND_IN_LISTS"]).read_text("utf-8"))
    assert {Path(path).name: text[:8] for path, text in given.items() if Path(path) != tmp_path} == {
        "state": "O:BAD:P(",
        "station.json": "O:BAD:P(",
    }


@pytest.mark.parametrize(
    ("list_", "more", "told"),
    [
        (FOREIGN, {}, "another user owns the folder"),
        (PROGRAM_DATA, {"VITALE_STAND_IN_NO_LISTS": "yes"}, "others have access (BU)"),
        ("O:BA", {"VITALE_STAND_IN_NO_LISTS": "yes"}, "others have access (WD)"),
    ],
    ids=["of another user", "that stays open", "on a medium without lists"],
)
def test_a_folder_of_windows_in_which_others_have_a_hand_is_refused(
    tmp_path: Path, lists: Callable[..., dict[str, str]], list_: str, more: dict[str, str], told: str
) -> None:
    done = run("win32", "-c", CLOSE, str(tmp_path / "state"), more=lists({tmp_path: list_}) | more)
    assert done.stdout.startswith(f"foreign_folder {told}"), done.stderr


@pytest.mark.parametrize(
    ("list_", "secret", "status", "told"),
    [
        (PROGRAM_DATA, False, 2, "others may write to the file: icacls"),
        (FOREIGN, False, 2, "another user owns the file: icacls"),
        ("O:BAD:(A;;FR;;;BU)", True, 2, "others may read the file: icacls"),
        ("O:BAD:(A;;FR;;;BU)", False, 0, "Other users may read this file, which holds no secret so far: icacls"),
        ("O:BAD:P(A;;FA;;;BA)", False, 0, ""),
    ],
)
def test_a_configuration_of_windows_is_looked_at_by_its_list(
    home: Home, lists: Callable[..., dict[str, str]], list_: str, secret: bool, status: int, told: str
) -> None:
    if secret:
        home.config.write_text(f'{SETTINGS}[apcv.options]\npin = "1234"\n', "utf-8")
    arguments = ("--language", "en", "config", "check", "--home", str(home.config.parent))
    done = run("win32", "-m", "vitale_reader", *arguments, more=lists({home.config.parent: list_}))
    assert (done.returncode, told in done.stderr + done.stdout) == (status, True), done.stderr


def test_a_pairing_file_of_windows_is_its_users_alone(tmp_path: Path, lists: Callable[..., dict[str, str]]) -> None:
    more = lists({tmp_path: PROGRAM_DATA})
    save = "import sys, pathlib; from vitale_reader.client.pairing import Pairing; "
    save += "Pairing(client_id='c').save(pathlib.Path(sys.argv[1]))"
    done = run("win32", "-c", save, str(tmp_path / "p"), more=more)
    assert done.stderr == ""
    given = json.loads(Path(more["VITALE_STAND_IN_LISTS"]).read_text("utf-8"))
    assert "BU" not in given[str(tmp_path / "p")]


# ── devices ──

FILTERS = "SOFTWARE\\Classes\\CLSID\\{860BB310-5D01-11D0-BD3B-00A0C911CE86}\\Instance"
CONSENT = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\CapabilityAccessManager\\ConsentStore\\webcam"
LOCAL_MACHINE, CURRENT_USER = 1, 2
CAMERAS = "from vitale_drivers.camera.system import *; print(cameras_of_programs(), forbidden_by_privacy())"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, "() False"),
        (
            {f"{LOCAL_MACHINE}\\{FILTERS}\\{{A3FCE0F5}}": {"FriendlyName": "OBS Virtual Camera"}},
            "('OBS Virtual Camera',) False",
        ),
        ({f"{CURRENT_USER}\\{FILTERS}\\{{17CCA71B}}": {"CLSID": "x"}}, "('{17CCA71B}',) False"),
        ({f"{CURRENT_USER}\\{CONSENT}": {"Value": "Allow"}}, "() False"),
        ({f"{CURRENT_USER}\\{CONSENT}\\NonPackaged": {"Value": "Deny"}}, "() True"),
        ({f"{LOCAL_MACHINE}\\{CONSENT}": {"Value": "Deny"}}, "() True"),
    ],
    ids=["none", "OBS", "without a name", "allowed", "no desktop applications", "nobody"],
)
def test_the_registry_tells_of_cameras_of_programs_and_of_privacy(
    tmp_path: Path, keys: dict[str, dict[str, str]], expected: str
) -> None:
    (tmp_path / "registry.json").write_text(json.dumps(keys), "utf-8")
    done = run("win32", "-c", CAMERAS, more={"VITALE_STAND_IN_REGISTRY": str(tmp_path / "registry.json")})
    assert (done.stdout.strip(), done.stderr) == (expected, "")


#: Tells the browsers of a user, looks, and takes it back.
DECLARED = r"""
import sys
from pathlib import Path
from vitale_reader.web.native.declaring import declare, examine, manifest, withdraw
from vitale_reader.web.native.manifest_locations import System, places

command = Path(sys.argv[1]) / "vitale-reader.exe"
command.touch()
known = places(System(platform="win32", environ={"LOCALAPPDATA": sys.argv[1]}), everyone=False)
told = {place.browser.name: manifest(place.browser.family, command, ["a" * 32, "a@b"]) for place in known}
states = lambda: {examine(place, told[place.browser.name], command) for place in known}
seen = [states()]
for place in known:
    declare(place, told[place.browser.name])
seen.append(states())
print(sorted(place.key for place in known if place.browser.name in {"brave", "firefox"}))
print(seen, [withdraw(place) for place in known], {withdraw(place) for place in known}, states())
"""


def test_browsers_of_windows_are_told_by_the_registry_and_nothing_is_left_behind(tmp_path: Path) -> None:
    registry, folder = tmp_path / "registry.json", tmp_path / "local"
    folder.mkdir()
    before = {f"{CURRENT_USER}\\Software\\Chromium": {"version": "1"}, f"{CURRENT_USER}\\Software": {}}
    registry.write_text(json.dumps(before), "utf-8")
    done = run("win32", "-c", DECLARED, str(folder), more={"VITALE_STAND_IN_REGISTRY": str(registry)})
    assert "" == done.stderr
    keys, states = done.stdout.splitlines()
    assert "Software\\\\BraveSoftware\\\\Brave-Browser\\\\NativeMessagingHosts\\\\vitale_reader" in keys
    assert "Software\\\\Mozilla\\\\NativeMessagingHosts\\\\vitale_reader" in keys
    assert f"[{{'absent'}}, {{'as_written'}}] {[True] * 5} {{False}} {{'absent'}}" == states
    assert before == json.loads(registry.read_text("utf-8"))
    assert ["vitale-reader.exe"] == [each.name for each in folder.iterdir()]


#: Lists cameras by libraries that stand in for those of Windows and macOS.
LISTED = r"""
import logging, sys, types
from types import SimpleNamespace as Made
usb = "\\\\?\\usb#vid_046d&pid_0825&mi_00#7&2b0c1f4&0&0000#{65e8773d}"
cameras = {
    700: [Made(name="HD Webcam", path=usb), Made(name="OBS Virtual Camera", path="")],
    1200: [Made(name="OBS Virtual Camera", path="A1"), Made(name="Caméra FaceTime HD", path="B2")],
}
transports = {"A1": b"virt", "B2": b"bltn"}
if sys.argv[1] != "without":
    for name in ("cv2_enumerate_cameras", "AVFoundation"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["cv2_enumerate_cameras"].enumerate_cameras = lambda backend: cameras[backend]
    sys.modules["AVFoundation"].AVMediaTypeVideo = "vide"
    sys.modules["AVFoundation"].AVCaptureDevice = Made(
        deviceWithUniqueID_=lambda told: Made(transportType=lambda: int.from_bytes(transports[told], "big")),
        authorizationStatusForMediaType_=lambda kind: {"vide": int(sys.argv[1])}[kind],
    )
from vitale_drivers.camera.obstacles import refused
from vitale_drivers.camera.settings import parse_address
from vitale_drivers.camera.devices import Devices
logging.disable()
places = Devices().places(parse_address("auto"))
print([(place.id, place.name, place.simulated) for place in places])
print(refused(places[0]).variant if refused(places[0]) else "allowed")
"""

OF_WINDOWS = [
    ("camera:046d:0825:7_2b0c1f4_0_0000", "HD Webcam (1)", False),
    ("camera:virtual:OBS_Virtual_Camera", "OBS Virtual Camera (2)", True),
]
OF_MACOS = [
    ("camera:virtual:A1", "OBS Virtual Camera (1)", True),
    ("camera:platform:B2", "Caméra FaceTime HD (2)", False),
]
WITHOUT = [("camera:index:0", "Camera 1", False)]


@pytest.mark.parametrize(
    ("platform", "status", "cameras", "told"),
    [
        ("win32", "3", OF_WINDOWS, "allowed"),
        ("win32", "without", WITHOUT, "allowed"),
        ("darwin", "0", OF_MACOS, "allowed"),
        ("darwin", "1", OF_MACOS, "camera-permission"),
        ("darwin", "2", OF_MACOS, "camera-permission"),
        ("darwin", "3", OF_MACOS, "allowed"),
        ("darwin", "without", WITHOUT, "allowed"),
    ],
    ids=["Windows", "Windows without", "not asked", "restricted", "denied", "allowed", "macOS without"],
)
def test_cameras_have_names_and_macos_tells_that_one_is_refused(
    platform: str, status: str, cameras: list[tuple[str, str, bool]], told: str
) -> None:
    done = run(platform, "-c", LISTED, status)
    assert (done.stdout.splitlines(), done.stderr) == ([str(cameras), told], "")


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_camera_that_is_refused_is_told_with_the_page_of_the_settings(language: Language) -> None:
    remedy = catalogue.text("reader_unavailable", language, variant="camera-permission").remedy
    assert "ms-settings:privacy-webcam" in remedy
    assert "x-apple.systempreferences:com.apple.preference.security?Privacy_Camera" in remedy


def test_a_reader_of_windows_is_told_by_the_instance_of_its_device() -> None:
    ask = "from vitale_drivers.pcsc.system import *; "
    ask += "print(device_serial(0x1_0000_0000, 'Gemplus USB Smart Card Reader 0'), SERVICE_COMES_WITH_READERS)"
    assert run("win32", "-c", ask).stdout.strip() == "0001A2 True"


@pytest.mark.parametrize(("session", "expected"), [("0", "[False, False]"), ("1", "[False, True]")])
def test_a_reader_is_redirected_where_the_session_is_remote_and_no_device_is_behind_it(
    session: str, expected: str
) -> None:
    ask = (
        "from vitale_drivers.pcsc.system import *; names = 'Gemplus USB Smart Card Reader 0', 'Reader of the desk 0'; "
    )
    ask += "print([is_redirected(0x1_0000_0000, name) for name in names])"
    assert run("win32", "-c", ask, more={"VITALE_STAND_IN_REMOTE": session}).stdout.strip() == expected


#: What stands in for ``tasklist``: a process of ours, one that cannot be seen, and a name that is not to be shown.
TASKLIST = r"""#!/bin/sh
case "$*" in
"/M winscard.dll /FO CSV /NH")
    printf '"lgo.exe","4321","WinSCard.dll"\r\n"pythonw.exe","77","WinSCard.dll"\r\n'
    printf '"b\033[2Jad.exe","5","WinSCard.dll"\r\n' ;;
"/SVC /FI SERVICES eq CertPropSvc /FO CSV /NH") printf '%s\r\n' "$PROPAGATION" ;;
*) exit 1 ;;
esac
"""
HOLDERS = "from vitale_reader.daemon.workers.holders import find_holders; print(find_holders('pcsc', {77}))"


@pytest.mark.parametrize(
    ("propagation", "expected"),
    [
        ('"svchost.exe","1160","CertPropSvc"', ("CertPropSvc", "b?[2Jad", "lgo")),
        ("Information\u00a0: aucune tâche en service ne correspond aux critères.", ("b?[2Jad", "lgo")),
    ],
    ids=["runs", "does not"],
)
def test_windows_names_the_programs_that_use_cards_and_the_service_that_does(
    tmp_path: Path, propagation: str, expected: tuple[str, ...]
) -> None:
    tasklist = tmp_path / "System32" / "tasklist.exe"
    tasklist.parent.mkdir()
    tasklist.write_text(TASKLIST, "utf-8")
    tasklist.chmod(0o700)
    done = run("win32", "-c", HOLDERS, more={"SYSTEMROOT": str(tmp_path), "PROPAGATION": propagation})
    assert (done.stdout.strip(), done.stderr) == (str(expected), "")


#: What stands in for ``pnputil``: it tells of a reader.
PNPUTIL = r"""#!/bin/sh
printf 'Instance ID: USB\\VID_072F&PID_2200\\1\r\n'
"""
PLUGGED = (
    "from vitale_reader.diagnosis.desk.usb import plugged; "
    "from vitale_reader.diagnosis.machine import InspectedMachine; "
    "print([(each.vendor, each.product) for each in plugged(InspectedMachine())])"
)


def test_a_program_of_windows_is_the_systems_and_none_of_the_current_folder(tmp_path: Path) -> None:
    """There the current folder is looked into before the system's own."""
    folder = tmp_path / "System32"
    folder.mkdir()
    for name, text in (("System32/pnputil.exe", PNPUTIL), ("pnputil", "#!/bin/sh\necho planted >planted\n")):
        (tmp_path / name).write_text(text, "utf-8")
        (tmp_path / name).chmod(0o700)
    more = {"SYSTEMROOT": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    more["VITALE_STAND_IN_FLAGS"] = str(tmp_path / "flags")
    done = run("win32", "-c", PLUGGED, more=more)
    assert ("[('072f', '2200')]", "") == (done.stdout.strip(), done.stderr)
    assert {"System32", "flags", "pnputil"} == {each.name for each in tmp_path.iterdir()}
    assert (tmp_path / "flags").read_text("utf-8").startswith("0x8000000 ")


def test_windows_without_an_answer_names_nobody(tmp_path: Path) -> None:
    done = run("win32", "-c", HOLDERS, more={"SYSTEMROOT": str(tmp_path)})
    assert (done.stdout.strip(), done.stderr) == ("()", "")


#: Starts a daemon as the demonstration does, and asks it to end.
ASKED = """
import subprocess, sys
from vitale_reader.cli.frame.signals import OWN_GROUP, ask_to_end
process = subprocess.Popen([sys.executable, "-m", "vitale_reader", "serve", "--json", "--home", sys.argv[1]],
    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, creationflags=OWN_GROUP)
process.stdout.readline()
ask_to_end(process)
print(process.wait(90))
"""


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_daemon_that_a_command_started_is_asked_to_end(platform: str, home: Home) -> None:
    done = run(platform, "-c", ASKED, str(home.config.parent))
    assert (done.stdout, home.endpoints_file.exists()) == ("0\n", False), done.stderr


def test_a_port_that_windows_forbids_is_one_that_is_taken() -> None:
    ask = "from vitale_reader.daemon.transports.port_holder import is_taken; "
    ask += "print(is_taken(PermissionError(13, 'WSAEACCES')), is_taken(OSError(99, 'WSAEADDRNOTAVAIL')))"
    assert run("win32", "-c", ask).stdout.strip() == "True False"
    assert run("darwin", "-c", ask).stdout.strip() == "False False"


def test_a_home_of_windows_with_a_long_path_and_accents_is_served(tmp_path: Path) -> None:
    long = Home.under(tmp_path / ("é" * 60) / "Cabinet médical de la Forêt" / "poste n° 1")
    long.config.parent.mkdir(parents=True)
    long.config.touch(mode=0o600)
    long.config.write_text(SETTINGS, "utf-8")
    where = ("--home", str(long.config.parent))
    with daemon("win32", long) as said:
        assert (said.get("unix"), said["tls"] is None) == (None, False)
        end = time.monotonic() + PATIENCE  # its driver starts beside the daemon
        while "simulated-card" not in (done := run("win32", "-m", "vitale_reader", "readers", *where)).stdout:
            assert (done.returncode, time.monotonic() < end) == (0, True), done.stderr


#: Tells the run of the machine twice, and that its seconds go on.
TELL_RUN = """
from vitale_reader.daemon.store.machine_run import boot, steady
before = steady()
assert boot() == boot()
assert 0 < before <= steady()
print(boot())
"""


def test_windows_has_a_name_for_each_run_of_the_machine(tmp_path: Path) -> None:
    file = tmp_path / "registry.json"

    def told(content: str | None = None) -> str:
        if content is not None:
            file.write_text(content, "utf-8")
        done = run("win32", "-c", TELL_RUN, more={"VITALE_STAND_IN_REGISTRY": str(file)})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    first = told("{}")
    assert (36, first) == (len(first), told()), "another process names it alike"
    content = json.loads(file.read_text("utf-8"))
    assert [first] == [value for key in content["in memory"] for value in content[key].values()]
    assert told("{}") not in {"", first}, "what is in memory alone is gone with the run"
    (key,) = content["in memory"]
    assert "" == told(json.dumps({key: {}})), "one that another process has just made, and not named yet"


def test_macos_has_a_name_for_each_run_of_the_machine() -> None:
    name = "8E2F5C1A-93B0-4D0E-9C7A-3F1B6D2A5E47"
    for told in (name, "", "too short"):
        done = run("darwin", "-c", TELL_RUN, more={"VITALE_STAND_IN_BOOT": told})
        assert (0, name if told == name else "") == (done.returncode, done.stdout.strip()), done.stderr
