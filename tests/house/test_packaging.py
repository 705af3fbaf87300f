"""What setup.cfg says is what the tree holds, what the documents say, and what gets installed."""

import configparser
import importlib.metadata
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

SOURCE_ROOTS = {
    "vitale_reader": ".",
    "vitale_drivers": "drivers",
    "vitale_firmware_sim": "firmware-sim",
    "vitale_protocol": "protocol",
}


@pytest.fixture(scope="module")
def setup_cfg(root: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(root / "setup.cfg", encoding="utf-8")
    return parser


def lines(text: str) -> list[str]:
    """The entries of a multi-line option, without its comments."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def packages_of(root: Path, top: str) -> set[str]:
    base = root / SOURCE_ROOTS[top]
    folders = {file.parent for file in (base / top).rglob("*.py")}
    return {".".join(folder.relative_to(base).parts) for folder in folders}


def test_the_package_list_is_the_tree(root: Path, setup_cfg: configparser.ConfigParser) -> None:
    tree = set[str]().union(*(packages_of(root, top) for top in SOURCE_ROOTS))
    listed = lines(setup_cfg["options"]["packages"])

    assert sorted(tree) == sorted(listed)


def test_each_package_is_a_regular_package(root: Path, setup_cfg: configparser.ConfigParser) -> None:
    for package in lines(setup_cfg["options"]["packages"]):
        top, *rest = package.split(".")
        assert (root / SOURCE_ROOTS[top] / top / Path(*rest) / "__init__.py").is_file(), package


def test_each_source_root_is_mapped(setup_cfg: configparser.ConfigParser) -> None:
    mapping = dict(line.split(" = ") for line in lines(setup_cfg["options"]["package_dir"]))

    assert {top: (top if base == "." else f"{base}/{top}") for top, base in SOURCE_ROOTS.items()} == mapping


def test_each_package_is_typed_and_says_so(root: Path) -> None:
    for top, base in SOURCE_ROOTS.items():
        assert (root / base / top / "py.typed").is_file(), top


def test_data_patterns_match_files(root: Path, setup_cfg: configparser.ConfigParser) -> None:
    for package, patterns in setup_cfg["options.package_data"].items():
        top, *rest = package.split(".")
        folder = root / SOURCE_ROOTS[top] / top / Path(*rest)
        for pattern in lines(patterns):
            assert list(folder.glob(pattern)), f"{package}: {pattern}"


def documented(root: Path) -> dict[str, str]:
    """Package to range, from the tables of docs/dependencies.md."""
    text = (root / "docs" / "dependencies.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| ([A-Za-z][\w.-]*) \| ([<>=!~][^|]*?) \|", text, flags=re.MULTILINE))


def test_each_dependency_is_documented_with_its_range(root: Path, setup_cfg: configparser.ConfigParser) -> None:
    required = lines(setup_cfg["options"]["install_requires"])
    for extra in setup_cfg["options.extras_require"].values():
        required += lines(extra)
    expected: dict[str, str] = {}
    for requirement in required:
        name, _, span = requirement.partition(" ")
        if name.startswith("vitale-reader["):
            continue  # an extra within an extra
        expected[name.partition("[")[0]] = span.partition(";")[0]

    assert expected == documented(root)


def test_each_entry_point_leads_somewhere() -> None:
    found = importlib.metadata.distribution("vitale-reader").entry_points
    assert {"vitale-reader", "pcsc", "simulated-card"} <= {point.name for point in found}
    for point in found:
        assert callable(point.load()), point


def test_the_installed_command_tells_its_version() -> None:
    command = Path(sys.executable).with_name("vitale-reader")
    answer = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=100, check=True)

    assert importlib.metadata.version("vitale-reader") in answer.stdout


def test_a_checkout_runs_without_being_installed(root: Path) -> None:
    answer = subprocess.run(
        [sys.executable, root / "cli.py", "--version"], capture_output=True, text=True, timeout=100, check=True
    )

    assert importlib.metadata.version("vitale-reader") in answer.stdout


def test_a_checkout_on_a_bare_python_says_what_to_do(root: Path) -> None:
    command = (sys.executable, "-S", str(root / "cli.py"), "--version")
    answer = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    assert answer.returncode == 1
    assert "make demo" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_changelog_knows_this_version(root: Path) -> None:
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")

    assert f"## [{importlib.metadata.version('vitale-reader')}]" in text


class TestWheelChecker:
    """The program that .ci/wheel uses finds what must not pass."""

    GOOD = (
        "vitale_drivers/py.typed",
        *(f"vitale_firmware_sim/images/{number}.toml" for number in range(5)),
        *(f"vitale_firmware_sim/pages/phone.{ending}" for ending in ("css", "html", "js", "svg")),
        "vitale_firmware_sim/profiles/simulator.toml",
        "vitale_firmware_sim/py.typed",
        "vitale_firmware_sim/scenarios/famille.toml",
        "vitale_firmware_sim/scenarios/incidents.toml",
        "vitale_protocol/catalogue/en.toml",
        "vitale_protocol/catalogue/fr.toml",
        "vitale_protocol/py.typed",
        "vitale_protocol/schema/openrpc.json",
        "vitale_protocol/schema/schema.json",
        "vitale_reader/py.typed",
        "vitale_reader-0.1.0.dist-info/licenses/LICENSE",
    )

    @pytest.fixture
    def faults(self, root: Path) -> Callable[[Sequence[str]], list[str]]:
        found: Callable[[Sequence[str]], list[str]] = runpy.run_path(str(root / ".ci" / "check_wheel.py"))["faults"]
        return found

    def test_a_good_wheel_has_no_faults(self, faults: Callable[[Sequence[str]], list[str]]) -> None:
        assert [] == faults(self.GOOD)

    @pytest.mark.parametrize("stranger", ["tests/test_x.py", "protocol/x.py", "vitale_reader/__pycache__/a.pyc"])
    def test_what_does_not_belong_is_found(self, stranger: str, faults: Callable[[Sequence[str]], list[str]]) -> None:
        assert len(faults([*self.GOOD, stranger])) == 1

    @pytest.mark.parametrize("missing", range(len(GOOD)))
    def test_what_is_missing_is_found(self, missing: int, faults: Callable[[Sequence[str]], list[str]]) -> None:
        assert faults([name for index, name in enumerate(self.GOOD) if index != missing])

    def test_each_file_of_the_packages_is_looked_for(self, root: Path) -> None:
        check = runpy.run_path(str(root / ".ci" / "check_wheel.py"))
        every = check["sources"](root)

        assert {"vitale_reader/cli/__init__.py", "vitale_protocol/catalogue/fr.toml"} <= {*every}
        assert [] == check["left_out"](every, every)
        assert ["left out: vitale_protocol/catalogue/fr.toml"] == check["left_out"](
            [name for name in every if name != "vitale_protocol/catalogue/fr.toml"], every
        )
