"""Installations without some of the extras: what is there works, and what is missing is named with its extra."""

import importlib.metadata
import json
import os
import subprocess
import venv
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.cli.slot import until
from vitale_protocol import catalogue
from vitale_protocol.extras import EXTRA_OF, EXTRAS, Extra
from vitale_reader.cli import BASE
from vitale_reader.cli.root import COMMANDS

OWN = ("vitale_reader", "vitale_drivers", "vitale_firmware_sim", "vitale_protocol")

PythonWith = Callable[..., Path]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
Serve = Callable[..., AbstractContextManager[Path]]

DESK = ("daemon", "pcsc", "nfc", "camera", "scanner")
DRIVERS: tuple[Extra, ...] = ("pcsc", "nfc", "camera", "scanner")


def distributions(name: str, extras: frozenset[str] = frozenset()) -> Iterator[importlib.metadata.Distribution]:
    """A distribution and all that it requires, with these extras; some come more than once."""
    todo, done = [(name, extras)], set[tuple[str, frozenset[str]]]()
    while todo:
        one = todo.pop()
        if one in done:
            continue
        done.add(one)
        found = importlib.metadata.distribution(one[0])
        yield found
        for requirement in map(Requirement, found.requires or ()):
            wanted = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in one[1] or {""}
            )
            if wanted:
                todo.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))


def tops(distribution: importlib.metadata.Distribution) -> Iterator[Path]:
    """The files and folders of a distribution in the folder of packages."""
    for first in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
        yield Path(str(distribution.locate_file(first)))


@pytest.fixture(scope="session")
def python_with(tmp_path_factory: pytest.TempPathFactory) -> PythonWith:
    """Makes the interpreter of an environment with the base and the extras named, and with nothing else."""
    made: dict[frozenset[str], Path] = {}

    def make(*extras: str) -> Path:
        chosen = frozenset(extras)
        if chosen not in made:
            folder = tmp_path_factory.mktemp("-".join(("base", *sorted(extras))))
            made[chosen] = environment(folder, distributions("vitale-reader", chosen))
        return made[chosen]

    return make


def environment(folder: Path, contents: Iterator[importlib.metadata.Distribution]) -> Path:
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for distribution in contents:
        for top in tops(distribution):
            if top.exists() and not (packages / top.name).exists() and not top.name.startswith("__editable__"):
                (packages / top.name).symlink_to(top)
    for own in OWN:
        if (spec := find_spec(own)) and not (packages / own).exists():
            (packages / own).symlink_to(Path(str(spec.origin)).parent)
    return folder / "bin" / "python"


def alone(home: Path, language: str = "en") -> dict[str, str]:
    """The variables of a process that sees its own environment only."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    return {**bare, "LC_ALL": f"{language}_FR.UTF-8", "PYTHONUTF8": "1", "VITALE_READER_HOME": str(home)}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs an interpreter to its end, in an empty home."""

    def run(python: Path | str, *arguments: str, language: str = "en") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [python, *arguments],
            env=alone(tmp_path, language),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


#: Runs commands one after the other, as one process each would; prints each exit code and what stood on standard error.
IN_TURN = """
import contextlib, io, json, sys
from vitale_reader.cli import main
told = []
for command in json.loads(sys.argv[1]):
    sys.argv = ["vitale-reader", *command]
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        try:
            code = main()
        except SystemExit as end:
            code = end.code
    told.append((code or 0, streams[1].buffer.getvalue().decode()))
print(json.dumps(told))
"""


def in_turn(
    run: Run, python: Path, commands: Sequence[Sequence[str]], language: str = "en"
) -> Iterator[tuple[Sequence[str], int, str]]:
    """The commands, each with its exit code and what it said on standard error."""
    done = run(python, "-c", IN_TURN, json.dumps(commands), language=language)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(commands) == len(told)
    for command, (code, said) in zip(commands, told, strict=True):
        yield command, code, said


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Runs a daemon in mode ``simulated`` for a while; gives its home."""

    @contextmanager
    def serve(python: Path, *drivers: str) -> Generator[Path]:
        enabled = (option for driver in drivers for option in ("--driver", driver))
        command: list[str | Path] = [
            python,
            "-m",
            "vitale_reader",
            "serve",
            "--json",
            "--mode",
            "simulated",
            "--tls-port",
            "0",
            *enabled,
        ]
        with subprocess.Popen(
            command, env=alone(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            try:
                assert process.stdout is not None
                assert "endpoints" in json.loads(process.stdout.readline())
                yield tmp_path
            finally:
                process.terminate()

    return serve


@pytest.mark.posix("its environments are made of links")
def test_the_base_holds_no_package_of_an_extra(python_with: PythonWith, run: Run) -> None:
    done = run(
        python_with(),
        "-c",
        f"from importlib.util import find_spec; print([name for name in {sorted(EXTRA_OF)} if find_spec(name)])",
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.posix("its environments are made of links")
def test_the_help_lists_all_commands(python_with: PythonWith, run: Run) -> None:
    done = run(python_with(), "-m", "vitale_reader", "--help")
    assert done.returncode == 0, done.stderr
    assert [name for name in COMMANDS if f"\n  {name} " not in done.stdout] == []


@pytest.mark.posix("its environments are made of links")
def test_each_command_explains_itself(python_with: PythonWith, run: Run) -> None:
    simulators = [("sim", name) for name in ("camera", "card", "imager", "phone", "reader", "service")]
    commands = [(*command, "--help") for command in (*((name,) for name in COMMANDS), *simulators)]
    told = [each for each in in_turn(run, python_with(), commands) if each[1:] != (0, "")]
    assert told == []


NEEDS: Mapping[tuple[str, ...], Extra] = {
    ("serve",): "daemon",
    ("demo",): "all",
    ("audit", "verify"): "daemon",
    ("service", "install"): "daemon",
    ("service", "install", "--system", "--dry-run"): "daemon",
    ("sim", "camera", "--serve", "0"): "sim",
    ("sim", "service"): "sim",
}


@pytest.mark.posix("its environments are made of links")
@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_a_command_names_the_extra_that_it_needs(
    language: catalogue.Language, python_with: PythonWith, run: Run
) -> None:
    for command, code, told in in_turn(run, python_with(), [*NEEDS], language):
        extra = NEEDS[tuple(command)]
        assert ("Traceback" in told, code) == (False, 1), (command, told)
        entry = catalogue.text("tool_missing", language, extra)
        for said in (entry.title, entry.remedy, f"vitale-reader[{extra}]"):
            assert said in told, command
    # As a process of its own, which a person starts.
    done = run(python_with(), "-m", "vitale_reader", "serve", language=language)
    assert done.returncode == 1
    assert catalogue.text("tool_missing", language, "daemon").remedy in done.stderr


@pytest.mark.posix("its environments are made of links")
def test_the_client_of_a_light_install_reads_a_token(python_with: PythonWith, run: Run, serve: Serve) -> None:
    program = "import vitale_reader\nwith vitale_reader.connect() as reader: print(reader.read().medium)"
    with serve(python_with("daemon"), "simulated-card") as home:
        until(home, "present")
        read = run(python_with(), "-m", "vitale_reader", "read", "--json")
        by_sdk = run(python_with(), "-c", program)
    assert (read.returncode, by_sdk.returncode) == (0, 0), read.stderr + by_sdk.stderr
    assert json.loads(read.stdout)["claims"]["medium"] == by_sdk.stdout.strip() == "vitale-card"


@pytest.mark.posix("its environments are made of links")
def test_each_driver_of_a_daemon_names_its_extra(python_with: PythonWith, run: Run, serve: Serve) -> None:
    program = """
import time, vitale_reader
with vitale_reader.connect() as daemon:
    while not all(one.reason for one in daemon.station().drivers):
        time.sleep(0.05)
    drivers = daemon.station().drivers
    print({one.name: f"{one.reason}.{one.variant}" for one in drivers})
"""
    with serve(python_with("daemon"), *DRIVERS):
        health = run(python_with(), "-c", program)
        told = run(python_with(), "-m", "vitale_reader", "doctor", language="fr")
    assert health.stdout.strip() == str({name: f"tool_missing.{name}" for name in DRIVERS}), health.stderr
    for driver in DRIVERS:
        assert f"vitale-reader[{driver}]" in told.stdout
    assert "python3-pyscard" in told.stdout


@pytest.mark.posix("its environments are made of links")
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_with_its_extra_finds_what_it_needs(driver: str, python_with: PythonWith, run: Run) -> None:
    program = f"from vitale_drivers.registry import load; print(load('{driver}').name)"
    places = {
        "camera": "camera.opencv, vitale_drivers.decoding",
        "nfc": "nfc.devices",
        "pcsc": "pcsc.api",
        "scanner": "scanner.ports",
    }
    done = run(python_with(driver), "-c", f"import vitale_drivers.{places[driver]}\n{program}")
    assert done.stdout.strip() == driver, done.stderr


@pytest.mark.posix("its environments are made of links")
@pytest.mark.parametrize(
    ("setting", "extra"), [('store = "postgresql://desk@/x"', "postgresql"), ("[keys]\nkeyring = true", "keyring")]
)
def test_what_a_setting_needs_is_named(
    setting: str, extra: str, python_with: PythonWith, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text(f"{setting}\n[drivers]\nenabled = []\n[tls]\nport = 0\n")
    done = run(python_with("daemon"), "-m", "vitale_reader", "serve")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"vitale-reader[{extra}]" in done.stderr


@pytest.mark.posix("its environments are made of links")
def test_the_doctor_of_a_client_program_says_that_there_is_no_daemon(
    python_with: PythonWith, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text("[tls]\nport = 0\n")
    done = run(python_with(), "-m", "vitale_reader", "doctor", "--json")
    found = {one["id"]: one for one in json.loads(done.stdout)["findings"]}
    assert done.returncode == 3
    assert (found["tool_missing.daemon"]["state"], found["daemon_unreachable"]["state"]) == ("note", "wrong")
    assert "vitale-reader[daemon]" in found["tool_missing.daemon"]["remedy"]


@pytest.mark.posix("its environments are made of links")
def test_the_doctor_names_the_extras_of_the_drivers_that_are_configured(
    python_with: PythonWith, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text('[drivers]\nenabled = ["camera", "nfc", "simulated-card"]\n[tls]\nport = 0\n')
    done = run(python_with("daemon"), "-m", "vitale_reader", "doctor", "--json")
    parts = [one for one in json.loads(done.stdout)["findings"] if one["state"] == "wrong" and one["subject"] == "part"]
    assert (done.returncode, len(parts)) == (1, 2)
    assert "vitale-reader[camera]" in parts[0]["remedy"]
    assert "vitale-reader[nfc]" in parts[1]["remedy"]


@pytest.mark.posix("its environments are made of links")
def test_the_demonstration_goes_without_what_is_not_installed(python_with: PythonWith, run: Run) -> None:
    done = run(python_with("daemon"), "-m", "vitale_reader", "demo", "--no-pcscd", "--repeat", "1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {one["claims"]["medium"] for one in told["results"]} == {"vitale-card"}
    for extra, why in (("nfc", "why_not_nfc"), ("camera", "why_not_camera"), ("scanner", "why_not_imager")):
        assert f"vitale-reader[{extra}]" in told[why]


@pytest.mark.posix("its environments are made of links")
@pytest.mark.parametrize(
    ("language", "said"), [("fr", "n’est pas installé pour ce Python"), ("en", "is not installed for")]
)
@pytest.mark.parametrize("there", [(), ("click",)], ids=["nothing", "click alone"])
@pytest.mark.parametrize("command", [("--help",), ("serve",), ("read",)], ids=" ".join)
def test_a_python_with_nothing_says_what_to_install(
    command: tuple[str, ...], there: tuple[str, ...], language: str, said: str, run: Run, tmp_path: Path
) -> None:
    python = environment(tmp_path / "bare", map(importlib.metadata.distribution, there))
    done = run(python, "-m", "vitale_reader", *command, language=language)
    if there and command == ("--help",):
        assert done.returncode == 0, "what click can do alone works"
        return
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert said in done.stderr
    assert "make demo" in done.stderr
    assert "pip install ." in done.stderr


def test_what_no_command_works_without_is_the_base() -> None:
    required = [
        Requirement(line) for line in importlib.metadata.requires("vitale-reader") or () if "extra ==" not in line
    ]
    assert {one.name for one in required} == BASE


def test_each_extra_has_its_words() -> None:
    assert catalogue.variants("tool_missing") == set(EXTRAS)
