"""The two commands that the README opens with, and their kin, exist and start from nothing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vitale_drivers.host.confinement import WRITABLE

NEED_NO_ENVIRONMENT = {"setup", "lock", "deb", "bare", "bare-desk", "clean"}
TARGETS = NEED_NO_ENVIRONMENT | {
    *(
        "demo",
        "test",
        "test-quick",
        "test-newest",
        "test-elsewhere",
        "lint",
        "bench",
        "yardstick",
        "soak",
        "fuzz",
        "docs",
    ),
}


def test_the_targets_exist_and_are_listed(root: Path) -> None:
    text = (root / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)[0].split())
    listed = set(re.findall(r"^([\w-]+):.*## ", text, flags=re.MULTILINE))

    assert listed == phony
    assert listed >= TARGETS


def test_each_target_sets_itself_up(root: Path) -> None:
    text = (root / "Makefile").read_text(encoding="utf-8")
    for target in TARGETS - NEED_NO_ENVIRONMENT:
        recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, flags=re.MULTILINE)
        assert recipe is not None, target
        assert recipe[1].lstrip("\t@").startswith(".ci/setup "), target


def test_the_readme_opens_with_the_two_commands(root: Path) -> None:
    beginning = (root / "README.md").read_text(encoding="utf-8").split("## ")[0]

    assert re.findall(r"^make (\w+)", beginning, flags=re.MULTILINE) == ["demo", "test"]


# Writes down what it was to play. The suite ends with the statuses of a file, one after the other.
SUITE = """#!/bin/sh
case "$*" in
    *--last-failed*) echo again >>played ;;
    *"-m pytest"*) echo all >>played ;;
    *coverage_floor.py*) echo floors >>played; exit ;;
    *) exit ;;
esac
read -r status <statuses && sed -i 1d statuses && exit "$status"
"""


@pytest.mark.parametrize(("target", "after"), [("test", []), ("coverage", ["floors"])], ids=["test", "coverage"])
@pytest.mark.parametrize(
    ("statuses", "played", "status"),
    [((0,), ["all"], 0), ((1, 0), ["all", "again"], 0), ((1, 1), ["all", "again"], 2), ((2,), ["all"], 2)],
    ids=["good", "unsteady", "bad", "cut"],
)
def test_what_failed_is_played_once_more(
    root: Path, tmp_path: Path, target: str, after: list[str], statuses: tuple[int, ...], played: list[str], status: int
) -> None:
    shutil.copy(root / "Makefile", tmp_path)
    for name, text in {".ci/setup": "#!/bin/sh\n", ".venv/bin/python": SUITE, ".venv/bin/coverage": SUITE}.items():
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o700)
    (tmp_path / "statuses").write_text("".join(f"{each}\n" for each in statuses))

    done = subprocess.run(
        ["make", target, f"COVERAGE_FILE={tmp_path}/measured/data"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert status == done.returncode, done.stderr
    assert [*played, *after] == (tmp_path / "played").read_text().split()
    assert ("unsteady" in done.stdout) is (len(played) > 1)


@pytest.mark.skipif(not Path("/dev/shm").exists(), reason="only Linux confines processes, and has this folder")
def test_what_a_confined_process_measures_is_kept(root: Path) -> None:
    said = subprocess.run(["make", "-n", "coverage"], cwd=root, capture_output=True, text=True, timeout=100, check=True)

    (folder,) = re.findall(r"mkdir -m 700 (\S+)", said.stdout)
    assert folder.startswith(tuple(f"{each}/" for each in WRITABLE))


@pytest.mark.parametrize("script", [".ci/setup", ".ci/run", ".ci/wheel", ".ci/bare", ".ci/bare-desk", ".ci/deb"])
def test_scripts_can_be_run(root: Path, script: str) -> None:
    file = root / script
    assert os.access(file, os.X_OK)
    shell = "bash" if "bash" in file.read_text(encoding="utf-8").splitlines()[0] else "sh"
    subprocess.run([shell, "-n", file], check=True, timeout=100)


def test_setup_refuses_an_unknown_purpose(root: Path) -> None:
    answer = subprocess.run(
        [root / ".ci/setup", "everything"], capture_output=True, text=True, timeout=100, check=False
    )

    assert answer.returncode == 2
    assert "usage" in answer.stderr


# Suits set-up, and instead of a virtual environment makes programs that write down how they were called.
PYTHON3 = r"""
case "$*" in
    "-m venv"*)
        rm -rf $4
        mkdir -p $4/bin
        for name in python pip; do
            printf '#!/bin/sh\n[ "$1" != -m ] || echo "$@" >>"$HOME/installed"\n' >$4/bin/$name
            chmod +x $4/bin/$name
        done
        echo "$@" >>"$HOME/made" ;;
    --version) echo Python 3.12.1 ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path, root: Path) -> Path:
    """A copy of what set-up reads, beside a folder of programs that take the place of the system's."""
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / ".ci").mkdir()
    shutil.copy(root / ".ci/setup", tmp_path / ".ci/setup")
    shutil.copytree(root / ".ci/locks", tmp_path / ".ci/locks")
    (tmp_path / "os-release").write_text("ID=debian\nVERSION_ID=13\n", encoding="utf-8")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("cat", "chmod", "cksum", "dirname", "env", "mkdir", "rm", "sh", "uname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    program(tmp_path, "python3", PYTHON3)
    program(tmp_path, "dpkg-query", '[ "$4" = gcc ] && printf installed')
    program(tmp_path, "apt-cache", "exit 0")
    program(tmp_path, "apt-get", 'echo "$@" >>"$HOME/apt-get.log"')
    program(tmp_path, "install", 'echo "$@" >>"$HOME/written"; cat >>"$HOME/written"')
    program(tmp_path, "id", "echo 0")
    return tmp_path


# As on Debian 13; before, libglib2.0-0.
PACKAGES = "pcscd vsmartcard-vpcd libpcsclite-dev libusb-1.0-0 libgl1 libglib2.0-0t64 swig libc6-dev"

# What only the tests want.
STRANGERS = (
    "pcsc-tools opensc cardpeek libnfc-bin libnfc-examples libzbar0t64 postgresql pgbouncer libfaketime umockdev"
    " xvfb python3-tk libegl1 libxkbcommon0 libfontconfig1 libdbus-1-3 zsh fish chromium firefox-esr"
)
WAITING = "-q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=5"
UPDATE = "-q update -o Acquire::Retries=5"


def program(machine: Path, name: str, body: str) -> None:
    file = machine / "bin" / name
    file.unlink(missing_ok=True)  # never through a link, into the system's own program
    file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    file.chmod(0o755)


def variables(machine: Path) -> dict[str, str]:
    return {"PATH": str(machine / "bin"), "HOME": str(machine), "OS_RELEASE": str(machine / "os-release")}


def run_setup(machine: Path, purpose: str = "run") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [machine / ".ci/setup", purpose],
        env=variables(machine),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_only_what_is_missing_is_installed(machine: Path) -> None:
    answer = run_setup(machine)

    assert answer.returncode == 0, answer.stderr
    installed = (machine / "apt-get.log").read_text(encoding="utf-8")
    assert installed == f"{UPDATE}\n{WAITING} install -y --no-install-recommends {PACKAGES}\n"
    assert "--editable ." in (machine / "installed").read_text(encoding="utf-8")


def test_the_tests_get_the_programs_of_postgresql_and_the_machine_no_server(machine: Path) -> None:
    run_setup(machine, "test")

    installed = (machine / "apt-get.log").read_text(encoding="utf-8").split()
    assert "postgresql" in installed
    assert "Dpkg::Options::=--force-confold" in installed
    written = (machine / "written").read_text(encoding="utf-8")
    assert "/etc/postgresql-common/createcluster.conf" in written
    assert "create_main_cluster = false" in written


def test_only_the_yardstick_gets_valgrind(machine: Path) -> None:
    run_setup(machine, "test")
    assert "valgrind" not in (machine / "apt-get.log").read_text(encoding="utf-8").split()

    run_setup(machine, "bench")
    assert "valgrind" in (machine / "apt-get.log").read_text(encoding="utf-8").split()


def test_a_postgresql_that_is_there_is_left_alone(machine: Path) -> None:
    program(machine, "dpkg-query", 'case "$4" in postgresql*) printf installed ;; esac')

    run_setup(machine, "test")

    assert "postgresql" not in (machine / "apt-get.log").read_text(encoding="utf-8")
    assert not (machine / "written").exists()


def test_packages_are_called_what_the_release_calls_them(machine: Path) -> None:
    program(machine, "apt-cache", 'case "$2" in *t64) exit 100 ;; esac')

    run_setup(machine, "test")

    installed = (machine / "apt-get.log").read_text(encoding="utf-8").split()
    assert {"libglib2.0-0", "libzbar0"} <= set(installed)
    assert not [name for name in installed if "t64" in name or "|" in name]


@pytest.mark.parametrize("name", ["libglib2.0-0", "libglib2.0-0t64"])
def test_a_package_that_is_there_under_either_name_is_not_asked_for(machine: Path, name: str) -> None:
    program(machine, "dpkg-query", f'[ "$4" = {name} ] && printf installed')

    run_setup(machine)

    assert "libglib2.0-0" not in (machine / "apt-get.log").read_text(encoding="utf-8")


def test_names_are_chosen_again_once_there_are_lists(machine: Path) -> None:
    program(machine, "apt-cache", '[ -e "$HOME/lists" ]')
    program(machine, "apt-get", 'echo "$@" >>"$HOME/apt-get.log"; [ "$2" != update ] || echo >"$HOME/lists"')

    run_setup(machine)

    calls = (machine / "apt-get.log").read_text(encoding="utf-8").splitlines()
    assert calls == [UPDATE, f"{WAITING} install -y --no-install-recommends {PACKAGES}"]


def test_without_a_network_the_lists_that_are_there_serve(machine: Path) -> None:
    program(machine, "apt-get", 'echo "$@" >>"$HOME/apt-get.log"; [ "$2" != update ] || exit 100')

    answer = run_setup(machine)

    assert answer.returncode == 0, answer.stderr
    assert "the package lists could not be fetched; going on with those that are there" in answer.stderr
    calls = (machine / "apt-get.log").read_text(encoding="utf-8").splitlines()
    assert calls[0] == UPDATE
    assert calls[1].startswith(f"{WAITING} install")
    assert len(calls) == 2


def test_a_second_time_does_nothing(machine: Path) -> None:
    run_setup(machine)
    (machine / "installed").unlink()
    (machine / "apt-get.log").unlink()
    program(machine, "python3", "exit 1")

    answer = run_setup(machine)

    assert (answer.returncode, answer.stderr) == (0, "")
    assert not (machine / "installed").exists()
    assert not (machine / "apt-get.log").exists()


def test_two_at_once_take_turns(machine: Path) -> None:
    flock = shutil.which("flock")
    if flock is None:
        pytest.skip("no flock here: set-up does without")
    (machine / "bin" / "flock").symlink_to(flock)
    command = [str(machine / ".ci/setup"), "run"]
    both = [subprocess.Popen(command, env=variables(machine), stderr=subprocess.DEVNULL) for _ in range(2)]

    assert [0, 0] == [one.wait(100) for one in both]
    assert (machine / "made").read_text(encoding="utf-8") == "-m venv --clear .venv\n"


@pytest.mark.parametrize("changed", ["setup.cfg", "pyproject.toml", ".ci/locks/run.txt"])
def test_a_change_of_dependencies_installs_again(machine: Path, changed: str) -> None:
    run_setup(machine)
    (machine / "installed").unlink()
    with (machine / changed).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")

    run_setup(machine)

    assert (machine / "installed").exists()


def test_without_rights_setup_says_exactly_what_to_run(machine: Path) -> None:
    program(machine, "id", "echo 1000")
    program(machine, "sudo", "exit 1")

    answer = run_setup(machine)

    assert answer.returncode == 1
    assert answer.stderr.splitlines()[1:] == [
        "    sudo apt-get update",
        f"    sudo apt-get install --no-install-recommends {PACKAGES} {STRANGERS}",
    ]
    assert "installing" not in answer.stderr
    assert not (machine / ".venv").exists()


@pytest.mark.parametrize("purpose", ["run", "test"])
def test_where_there_is_no_sudo_it_is_one_command_for_root(machine: Path, purpose: str) -> None:
    program(machine, "id", "echo 1000")
    program(machine, "apt-cache", "exit 100")

    answer = run_setup(machine, purpose)

    install = f"apt-get install --no-install-recommends {PACKAGES} {STRANGERS}"
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[1:] == [f"    su - -c 'apt-get update && {install}'"]


@pytest.mark.parametrize(
    ("release", "glib"),
    [
        ("ID=debian\nVERSION_ID=12", "libglib2.0-0"),
        ("ID=debian\nVERSION_ID=13.2", "libglib2.0-0t64"),
        ("ID=ubuntu\nVERSION_ID=22.04", "libglib2.0-0"),
        ("ID=ubuntu\nVERSION_ID=24.04", "libglib2.0-0t64"),
        ("ID=other", "libglib2.0-0"),
    ],
)
def test_a_machine_without_lists_is_told_the_names_of_its_release(machine: Path, release: str, glib: str) -> None:
    program(machine, "id", "echo 1000")
    program(machine, "apt-cache", "exit 100")
    (machine / "os-release").write_text(f"{release}\n", encoding="utf-8")

    assert f" {glib} " in run_setup(machine).stderr


def test_without_rights_what_only_some_tests_want_is_told_and_done_without(machine: Path) -> None:
    program(machine, "id", "echo 1000")
    there = PACKAGES.replace(" ", "|")
    program(machine, "dpkg-query", f'case "$4" in {there}|gcc) printf installed ;; esac')

    answer = run_setup(machine, "test")

    assert answer.returncode == 0, answer.stderr
    assert f"not installed, so the tests that need it are skipped: {STRANGERS}." in answer.stderr
    assert (machine / "installed").exists()


def test_lists_that_another_program_is_fetching_are_waited_for(machine: Path) -> None:
    program(machine, "apt-cache", '[ -e "$HOME/lists" ]')
    program(machine, "sleep", 'echo >"$HOME/waited"')
    busy = "echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)' >&2; exit 100"
    fetch = f'[ "$2" != update ] || {{ [ -e "$HOME/waited" ] || {{ {busy}; }}; echo >"$HOME/lists"; }}'
    program(machine, "apt-get", fetch)

    answer = run_setup(machine)

    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.count("another program is using apt; waiting for it") == 1


def test_an_environment_that_works_is_kept_whichever_python_comes_first(machine: Path) -> None:
    run_setup(machine)
    # As in an activated environment, and again where the first Python is another.
    (machine / ".venv" / "own").touch()
    program(machine, "python3", PYTHON3.replace("3.12.1", "3.13.1"))
    with (machine / "setup.cfg").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")

    run_setup(machine)

    assert (machine / ".venv" / "own").exists()
    assert (machine / "made").read_text(encoding="utf-8") == "-m venv --clear .venv\n"


def test_an_environment_that_was_made_elsewhere_is_made_again(machine: Path) -> None:
    run_setup(machine)
    (machine / ".venv" / "made-in").write_text("/elsewhere\n", encoding="utf-8")
    (machine / ".venv" / "ready-run").unlink()

    run_setup(machine)

    assert (machine / "made").read_text(encoding="utf-8") == "-m venv --clear .venv\n" * 2


def test_an_installation_that_was_interrupted_is_made_again(machine: Path) -> None:
    run_setup(machine)
    (machine / ".venv" / "unfinished").touch()

    answer = run_setup(machine)

    assert answer.returncode == 0, answer.stderr
    assert (machine / "made").read_text(encoding="utf-8") == "-m venv --clear .venv\n" * 2
    assert not (machine / ".venv" / "unfinished").exists()


def test_an_installation_that_fails_does_not_count(machine: Path) -> None:
    run_setup(machine)
    (machine / ".ci" / "locks" / "run.txt").write_text("changed\n", encoding="utf-8")
    python = machine / ".venv" / "bin" / "python"
    assert not python.is_symlink()
    python.write_text('#!/bin/sh\n[ "$1" != -m ]\n', encoding="utf-8")

    assert run_setup(machine).returncode != 0
    assert (machine / ".venv" / "unfinished").exists()
    assert not list((machine / ".venv").glob("ready-*"))


def test_what_is_installed_is_what_the_locks_say(machine: Path) -> None:
    run_setup(machine, "test")

    flags = "-m pip install --quiet --disable-pip-version-check --no-input"
    assert (machine / "installed").read_text(encoding="utf-8").splitlines() == [
        f"{flags} --requirement .ci/locks/build.txt",
        f"{flags} --no-build-isolation --requirement .ci/locks/run.txt --requirement .ci/locks/test.txt",
        f"{flags} --no-build-isolation --no-deps --editable .",
    ]


def test_the_newest_that_the_ranges_allow_goes_into_an_environment_of_its_own(machine: Path) -> None:
    run_setup(machine, "newest")

    assert not (machine / ".venv").exists()
    assert "--upgrade --upgrade-strategy eager --editable .[all,test]" in (machine / "installed").read_text("utf-8")


def test_what_is_ready_for_the_tests_is_ready_to_run(machine: Path) -> None:
    run_setup(machine, "test")
    (machine / "installed").unlink()

    assert run_setup(machine, "run").returncode == 0
    assert not (machine / "installed").exists()


def test_a_failing_apt_fails(machine: Path) -> None:
    program(machine, "apt-get", "exit 100")

    answer = run_setup(machine)

    assert answer.returncode == 1
    assert "could not install" in answer.stderr


def test_the_fuzzer_comes_last_by_its_hashes(machine: Path) -> None:
    answer = run_setup(machine, "fuzz")

    assert answer.returncode == 0, answer.stderr
    last = (machine / "installed").read_text(encoding="utf-8").splitlines()[-1]
    assert last.endswith("--only-binary :all: --requirement .ci/locks/fuzz.txt")
    assert run_setup(machine, "fuzz").stderr == ""


def test_where_the_fuzzer_cannot_be_had_it_is_said_and_the_rest_is_of_use(machine: Path) -> None:
    assert run_setup(machine, "test").returncode == 0
    python = machine / ".venv/bin/python"
    python.write_text('#!/bin/sh\ncase "$*" in *fuzz.txt) exit 1 ;; esac\n', encoding="utf-8")

    answer = run_setup(machine, "fuzz")

    assert answer.returncode == 1
    assert "wheels for CPython 3.11 to 3.13 on Linux" in answer.stderr
    assert not (machine / ".venv/unfinished").exists()
    assert (machine / ".venv/ready-test").exists()
    assert not (machine / ".venv/ready-fuzz").exists()
