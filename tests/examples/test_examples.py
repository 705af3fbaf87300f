"""Each example gets its token from a real daemon process."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import vitale_reader
from tests.client.fake_daemon import FakeDaemon, Talk
from vitale_protocol.methods import Result
from vitale_protocol.records import Record
from vitale_protocol.session.session import Called
from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HOLDER = "EXEMPLE-MARCHAND CLAIRE"
PATIENCE = 100
Command = Callable[..., tuple[str, ...]]


@pytest.fixture(scope="module")
def station() -> Iterator[DemoEnvironment]:
    with demo_environment(simulated_driver=True) as running:
        assert running.slot is not None
        running.slot.insert("adulte")
        yield running


def ended(home: Path, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=given,
        env={**os.environ, "VITALE_READER_HOME": str(home), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def run(station: DemoEnvironment, *command: str, given: str = "") -> str:
    done = ended(station.home, *command, given=given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pairing(station: DemoEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tls = station.endpoints.tls
    assert tls is not None
    with vitale_reader.connect(home=station.home) as admin:
        added = admin.add_client("essai", scopes="identity", transports="tls")
    file = tmp_path_factory.mktemp("pairing") / "pairing.json"
    vitale_reader.Pairing.of(added, address=f"tls://{tls.host}:{tls.port}").save(file)
    return file


def runtime(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_counter(station: DemoEnvironment) -> None:
    said = run(station, sys.executable, str(EXAMPLES / "counter.py"), "--count", "1")
    assert HOLDER in said
    assert "jeton vérifié ; lecture non authentifiée (card-clear-read), origine simulated" in said
    assert "bénéficiaire : CLAIRE, 1985-07-14" in said


def test_service_asyncio(station: DemoEnvironment) -> None:
    said = run(station, sys.executable, str(EXAMPLES / "service_asyncio.py"), "--count", "1")
    assert HOLDER in said
    assert "token verified; reading not authenticated (card-clear-read), origin simulated" in said


def test_keyboard_imager(station: DemoEnvironment) -> None:
    ins = "IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8S3SARAHS4GARCIAS5FS625-01-1977S701154"
    typed = f"VITALESIM.typed\nVITALESIM.typed\n{ins}\n277010115400329"
    said = run(station, sys.executable, str(EXAMPLES / "keyboard_imager.py"), given=typed)
    assert "contenu transporté, non lu\n  apcv-qr, jeton vérifié ; contenu non authentifié" in said
    assert "origine simulated" in said
    assert "déjà" in said, "the second time"
    assert "GARCIA SARAH" in said
    assert len(said.splitlines()) >= 8


# Programs that speak the protocol by themselves: how each is started, and what it says of the token it got.
PLAIN = {
    # -I: nothing of this environment, the standard library alone.
    "plain_socket.py": ((sys.executable, "-I", "-S"), "signature not verified by this program"),
    "client.mjs": (("node",), "token verified: ES256"),
    "Client.java": (("java",), "token verified: ES256"),
}
plain = pytest.mark.parametrize("name", PLAIN)


def command(name: str, *arguments: str) -> tuple[str, ...]:
    (program, *options), _ = PLAIN[name]
    return (runtime(program), *options, str(EXAMPLES / name), *arguments)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command of a program, which for the one in Java runs classes: compiled once instead of at each start."""
    folder = tmp_path_factory.mktemp("classes")

    def made(name: str, *arguments: str) -> tuple[str, ...]:
        if not name.endswith(".java") or shutil.which("javac") is None:
            return command(name, *arguments)
        if not any(folder.iterdir()):
            subprocess.run(("javac", "-d", str(folder), str(EXAMPLES / name)), check=True, timeout=PATIENCE)
        return (
            runtime("java"),
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-cp",
            str(folder),
            Path(name).stem,
            *arguments,
        )

    return made


@plain
@pytest.mark.parametrize("over", ["unix", "tls"])
def test_plain_programs(station: DemoEnvironment, pairing: Path, name: str, over: str, compiled: Command) -> None:
    # Once as its page says, from the source.
    said = run(station, *(compiled(name, str(pairing)) if over == "tls" else command(name)))
    assert HOLDER in said
    assert PLAIN[name][1] in said
    assert "proof card-clear-read, verified: false, origin: simulated" in said.lower()


@plain
def test_plain_programs_talk_to_no_other_daemon(
    station: DemoEnvironment, pairing: Path, tmp_path: Path, name: str, compiled: Command
) -> None:
    paired = json.loads(pairing.read_text("utf-8"))
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**paired, "daemon_certificate_sha256": "00" * 32}), "utf-8")
    done = ended(station.home, *compiled(name, str(other)))
    assert done.returncode == 1
    assert "not the daemon of the pairing" in done.stderr
    assert done.stdout == ""


@plain
def test_plain_programs_cope_with_a_record_that_names_nobody(name: str, compiled: Command) -> None:
    with tempfile.TemporaryDirectory(prefix="vr-") as folder:
        daemon = FakeDaemon(Path(folder))

        def issue(_: Talk, call: Called) -> Result:
            nonce = getattr(call.params, "nonce", "")
            return daemon.issue(nonce, medium="apcv-qr", record=Record())

        daemon.handlers["presentation.request"] = issue
        daemon.start()
        try:
            done = ended(Path(folder), *compiled(name))
        finally:
            daemon.close()
    assert (done.returncode, done.stderr) == (0, "")
    assert "nobody is named" in done.stdout
    assert daemon.outbox == {}


@plain
@pytest.mark.parametrize("left", ["nothing", "a socket of a daemon that is gone"])
def test_plain_programs_say_that_no_daemon_runs(tmp_path: Path, name: str, left: str, compiled: Command) -> None:
    if left != "nothing":
        (tmp_path / "run").mkdir()
        endpoints = {"pid": 1, "version": "0", "unix": str(tmp_path / "gone.sock")}
        (tmp_path / "run" / "endpoints.json").write_text(json.dumps(endpoints), "utf-8")
    done = ended(tmp_path, *compiled(name))
    assert done.returncode == 1
    assert done.stderr.startswith("No daemon answers: start one with `vitale-reader serve`.")
    assert len(done.stderr.splitlines()) == 1


def test_programs_with_the_sdk_say_it_in_words(tmp_path: Path) -> None:
    def run_alone(name: str) -> subprocess.CompletedProcess[str]:
        return ended(tmp_path, sys.executable, str(EXAMPLES / name), given="typed\n")

    names = ("counter.py", "service_asyncio.py", "keyboard_imager.py")
    with ThreadPoolExecutor() as pool:  # at once, since each looks for a daemon for some seconds
        for done in pool.map(run_alone, names):
            assert done.returncode == 1
            assert "vitale-reader serve" in done.stderr
            assert "Traceback" not in done.stderr


def test_every_example_is_told_of_and_run() -> None:
    told = (EXAMPLES / "README.md").read_text("utf-8")
    run_here = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    for file in EXAMPLES.iterdir():
        if file.suffix in {".py", ".mjs", ".java"}:
            assert f"`{file.name}`" in told
            assert f'"{file.name}"' in run_here
