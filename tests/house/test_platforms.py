"""What differs by platform lies in few modules, each for one concern; all others are the same everywhere."""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

#: Where the product asks for the platform, and for which concern.
ALLOWED = {
    "drivers/vitale_drivers/camera/system.py": "the nodes of cameras",
    "drivers/vitale_drivers/host/confinement.py": "what a worker gives up",
    "drivers/vitale_drivers/host/handover.py": "sockets that go from process to process",
    "drivers/vitale_drivers/host/programs.py": "the interpreter of a virtual environment",
    "drivers/vitale_drivers/host/streams.py": "standard streams that carry bytes",
    "drivers/vitale_drivers/pcsc/system.py": "the service, and devices of readers",
    "drivers/vitale_drivers/readers/terminals.py": "serial lines",
    "firmware-sim/vitale_firmware_sim/card/unix.py": "local sockets, and who is root",
    "firmware-sim/vitale_firmware_sim/serial/pseudo_terminal.py": "pseudo-terminals",
    "vitale_reader/diagnosis/machine.py": "the machine that is looked at",
    "vitale_reader/diagnosis/desk/pcsc_service.py": "the socket of the PC/SC service",
    "vitale_reader/access_lists.py": "access lists",
    "vitale_reader/cli/dashboard.py": "the browsers of the system",
    "vitale_reader/cli/frame/system_language.py": "the language of the system",
    "vitale_reader/client/system.py": "Unix sockets and Ctrl-C, for the SDK",
    "vitale_reader/daemon/config_file.py": "who may read and change the configuration",
    "vitale_reader/daemon/workers/pcsc_users.py": "who uses PC/SC",
    "vitale_reader/daemon/workers/child_process.py": "pipes that the event loop can wait for",
    "vitale_reader/daemon/workers/offspring.py": "what holds a worker and its offspring together",
    "vitale_reader/atomic_files.py": "a file that another program has open, owners and modes",
    "vitale_reader/daemon/keystore/private_files.py": "private files",
    "vitale_reader/daemon/fairness/processor_shares.py": "the processor time of a thread",
    "vitale_reader/daemon/keystore/folder_permissions.py": "whose files these are",
    "vitale_reader/daemon/process_ancestry.py": "which processes came of the daemon",
    "vitale_reader/daemon/process.py": "limits, the lock, how processes end",
    "vitale_reader/daemon/windows_logoff.py": "the end of a session of Windows",
    "vitale_reader/daemon/store/machine_run.py": "the run of the machine, and a clock that goes on while it sleeps",
    "vitale_reader/daemon/transports/peers.py": "peer credentials and users",
    "vitale_reader/daemon/transports/tcp.py": "who else may take a port",
    "vitale_reader/daemon/transports/port_holder.py": "who holds a port",
    "vitale_reader/service/machine.py": "whose service it is, and how programs of the system speak",
    "vitale_reader/web/native/access.py": "who can change what a browser starts",
    "vitale_reader/web/native/dialling.py": "the socket to the daemon",
    "vitale_reader/web/native/manifest_locations.py": "where browsers look",
    "vitale_reader/web/native/registry.py": "the registry of Windows",
    "vitale_reader/web/peer_users.py": "whose program is at the other end",
}
SOURCES = ("vitale_reader", "drivers", "protocol", "firmware-sim")
ASKS = re.compile(r"\bsys\.platform\b|\bos\.name\b|\bplatform\.system\(|^from sys import .*\bplatform\b", re.MULTILINE)
BLANKET = re.compile(r"^\s*(platform|ignore_errors|follow_imports)\s*=|^\s*pythonPlatform\b", re.MULTILINE)


def test_only_the_modules_of_a_concern_ask_for_the_platform(root: Path) -> None:
    asking = {
        str(file.relative_to(root))
        for source in SOURCES
        for file in (root / source).rglob("*.py")
        if ASKS.search(file.read_text("utf-8"))
    }
    assert asking == set(ALLOWED)


def test_no_setting_relaxes_the_types_of_a_platform(root: Path) -> None:
    assert BLANKET.findall((root / "pyproject.toml").read_text("utf-8")) == []


def test_lint_checks_the_types_of_all_platforms(root: Path) -> None:
    lint = (root / "Makefile").read_text("utf-8")
    assert "PLATFORMS = linux win32 darwin" in lint
    assert "--pythonplatform" in lint


def test_the_page_of_the_platforms_names_tests_that_there_are(root: Path) -> None:
    page = (root / "docs" / "explanation" / "platforms.md").read_text("utf-8")
    short = {"T": "tests/platforms/test_other_systems.py", "W": "tests/platforms/test_windows.py"}
    named: list[tuple[str, str]] = re.findall(r"`(T|W|tests/[\w/]+\.py)::(test_\w+)`", page)
    assert len(named) > 30
    missing = [
        (file, test)
        for file, test in named
        if not re.search(rf"^ *def {test}\(", (root / short.get(file, file)).read_text("utf-8"), re.MULTILINE)
    ]
    assert missing == []


def rows(page: str, title: str) -> dict[str, tuple[str, ...]]:
    """The rows of the table below a title, by their first cell; what stands there in brackets is left out."""
    lines = re.findall(r"^\| (.+) \|$", page.partition(f"\n## {title}\n")[2].partition("\n## ")[0], re.MULTILINE)
    cells = [line.split(" | ") for line in lines]
    return {re.sub(r" \(.*?\)$", "", first): tuple(others) for first, *others in cells if first != "what"}


def test_what_was_shown_here_has_its_tests_and_every_row_says_where(root: Path) -> None:
    page = (root / "docs" / "explanation" / "platforms.md").read_text("utf-8")
    tests, windows, macos = (rows(page, title) for title in ("The tests", "Windows", "macOS"))
    told = windows | macos
    assert len(told) > 25
    assert [] == [what for what, (_, shown) in told.items() if not re.search(r"here|stand-in|CI|\*\*never\*\*", shown)]
    assert set(told) == set(tests)
    # Who only reads it elsewhere has no test here, and who has one there says so.
    for what, (named,) in tests.items():
        shown = told[what][1]
        assert ("stand-in" in shown or "here" in shown) == bool(re.search("`(T|tests/)", named)), what
        assert "CI" in shown or not re.search(r"`W::", named), what


#: Libraries whose data PyInstaller and its contributed hooks bring by themselves.
HOOKED = frozenset({"alembic", "lxml", "numpy", "stdnum"})
DATA = frozenset({".csv", ".dat", ".json", ".lzma", ".rng", ".toml", ".xml", ".xsl"})


def with_data(requirement: str) -> Iterator[str]:
    """The packages of a library that is installed here, with data beside their modules."""
    try:
        files = metadata.files(requirement) or ()
    except metadata.PackageNotFoundError:  # of another system
        return
    for file in files:
        if file.suffix in DATA and not file.parts[0].endswith(".dist-info"):
            yield file.parts[0]


def test_a_frozen_program_has_the_data_of_its_libraries(root: Path) -> None:
    said = (root / ".ci" / "frozen").read_text("utf-8")
    collected = set(re.findall(r"--collect-(?:data|all) (\w+)", said))
    libraries = {
        re.split(r"[^\w.-]", line)[0]
        for line in metadata.requires("vitale-reader") or ()
        if not re.search(r"extra == .(docs|fuzz|lint|test).", line) and not line.startswith("vitale-reader")
    }
    needed = {package for library in libraries for package in with_data(library)}
    assert {"biip", "publicsuffixlist"} <= needed
    assert set() == needed - HOOKED - collected
