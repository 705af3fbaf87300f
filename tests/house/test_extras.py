"""Each extra brings what the modules that need it import, no less and no more."""

import ast
import configparser
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from vitale_protocol.extras import EXTRA_OF, EXTRAS

ROOT = Path(__file__).parents[2]

SOURCES = {
    "vitale_reader": ".",
    "vitale_drivers": "drivers",
    "vitale_firmware_sim": "firmware-sim",
    "vitale_protocol": "protocol",
}

# What must be installed for each module to work: the longest prefix that fits, "" for the base.
PART_OF = {
    "vitale_reader": "",
    "vitale_reader.cli.demo": "all",
    "vitale_reader.cli.demo.command": "",
    "vitale_reader.diagnosis.settings_file": "daemon",
    "vitale_reader.cli.sim": "sim",
    "vitale_reader.cli.web.site_identity": "web",
    "vitale_reader.daemon": "daemon",
    "vitale_reader.daemon.config": "",
    "vitale_reader.daemon.database.postgresql": "postgresql",
    "vitale_reader.daemon.database.service_lock": "postgresql",
    "vitale_reader.daemon.database.target": "postgresql",
    "vitale_reader.daemon.keystore.keyring_secrets": "keyring",
    "vitale_reader.daemon.site.listener": "postgresql",
    "vitale_reader.daemon.traces": "traces",
    "vitale_reader.daemon.web.site_identity": "web",
    "vitale_reader.metrics": "metrics",
    "vitale_reader.resolvers": "daemon",
    "vitale_reader.web": "web",
    "vitale_protocol": "",
    "vitale_protocol.media": "daemon",
    "vitale_protocol.web.lookalikes": "web",
    "vitale_protocol.web.registration": "web",
    "vitale_drivers": "daemon",
    "vitale_drivers.base": "",
    "vitale_drivers.camera": "camera",
    "vitale_drivers.contract": "daemon",
    "vitale_drivers.decoding": "camera",
    "vitale_drivers.host": "",
    "vitale_drivers.nfc": "nfc",
    "vitale_drivers.pcsc": "pcsc",
    "vitale_drivers.readers.serial_ports": "scanner",
    "vitale_drivers.registry": "",
    "vitale_drivers.scanner": "scanner",
    "vitale_firmware_sim": "sim",
    "vitale_firmware_sim.card": "daemon",
}

# The names under which distributions are imported, where they differ.
IMPORTED_AS = {
    "libusb1": "usb1",
    "nfcpy": "nfc",
    "opencv-python": "cv2",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry",
    "opentelemetry-sdk": "opentelemetry",
    "prometheus-client": "prometheus_client",
    "cv2-enumerate-cameras": "cv2_enumerate_cameras",
    "pillow": "PIL",
    "pyobjc-framework-avfoundation": "AVFoundation",
    "pyscard": "smartcard",
    "pyserial": "serial",
    "python-stdnum": "stdnum",
    "zxing-cpp": "zxingcpp",
}

# A suite for the tests of others' drivers, which bring pytest.
OF_TESTS = {"vitale_drivers.contract": {"pytest"}}


@cache
def modules() -> dict[str, Path]:
    """Every module of the distribution and its file, in an order that is that of every process of a run."""
    found: dict[str, Path] = {}
    for top, base in SOURCES.items():
        for file in sorted((ROOT / base / top).rglob("*.py")):
            parts = file.relative_to(ROOT / base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def part_of(module: str) -> str:
    fitting = [prefix for prefix in PART_OF if module == prefix or module.startswith(f"{prefix}.")]
    return PART_OF[max(fitting, key=len)]


def statements(tree: ast.AST, *, late: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports of a module: those of its functions too if ``late``; never those for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        elif not isinstance(node, ast.expr) and (late or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            yield from statements(node, late=late)


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text("utf-8"))


@cache
def imports(module: str, *, late: bool) -> frozenset[str]:
    """What a module imports by name: modules, and the packages that they are in."""
    named = set[str]()
    for node in statements(tree_of(module), late=late):
        if isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
        else:
            named.add(node.module or "")
            named.update(name for alias in node.names if (name := f"{node.module}.{alias.name}") in modules())
    for name in tuple(named):
        parts = name.split(".")
        named.update(".".join(parts[:end]) for end in range(1, len(parts)))
    return frozenset(named)


def strangers(module: str, *, late: bool) -> set[str]:
    """The packages of others that a module imports."""
    tops = {name.partition(".")[0] for name in imports(module, late=late)}
    return tops - set(sys.stdlib_module_names) - set(SOURCES) - OF_TESTS.get(module, set())


def loaded_with(module: str) -> set[str]:
    """The modules of the distribution that are loaded when a module is."""
    todo, seen = [module], set[str]()
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += [name for name in imports(one, late=False) if name in modules()]
    return seen


@cache
def requirements() -> dict[str, tuple[Requirement, ...]]:
    """The requirements of the base, which is "", and of each extra, as setup.cfg lists them."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    sections = {"": parser["options"]["install_requires"], **parser["options.extras_require"]}
    return {
        extra: tuple(Requirement(line) for line in text.splitlines() if line and not line.startswith("#"))
        for extra, text in sections.items()
    }


def own_packages(extra: str) -> set[str]:
    """The packages that an extra itself lists, as they are imported."""
    names = {canonicalize_name(requirement.name) for requirement in requirements()[extra]} - {"vitale-reader"}
    return {IMPORTED_AS.get(name, str(name)) for name in names}


def brought(extra: str) -> set[str]:
    """The packages that are there with an extra: those of the base, its own, those of the extras in it."""
    inner = {name for one in requirements()[extra] if one.name == "vitale-reader" for name in one.extras}
    return own_packages("").union(own_packages(extra), *(brought(name) for name in inner))


@pytest.mark.parametrize("module", modules())
def test_a_module_finds_what_it_imports(module: str) -> None:
    there = brought(part_of(module))
    assert strangers(module, late=True) - there == set()
    loaded = {one: strangers(one, late=False) - there for one in loaded_with(module)}
    assert {one: lacking for one, lacking in loaded.items() if lacking} == {}


@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_an_extra_brings_nothing_that_none_of_its_modules_loads(extra: str) -> None:
    mine = [module for module in modules() if part_of(module) == extra]
    used = {name for one in mine for module in loaded_with(one) for name in strangers(module, late=False)}
    used.update(name for module in mine for name in strangers(module, late=True))
    assert own_packages(extra) - used == set()


def test_the_extra_that_is_named_for_a_package_brings_it() -> None:
    # What one system alone gets is one that it can do without.
    everywhere = (one for extra in EXTRAS for one in requirements()[extra] if one.marker is None)
    names = {canonicalize_name(one.name) for one in everywhere} - {"vitale-reader"}
    optional = {IMPORTED_AS.get(name, str(name)) for name in names} - own_packages("")
    assert set(EXTRA_OF) == optional
    assert {name: extra for name, extra in EXTRA_OF.items() if name not in own_packages(extra)} == {}


def test_the_base_is_small() -> None:
    assert len(requirements()[""]) <= 8


def test_all_is_everything_for_a_desk() -> None:
    (everything,) = requirements()["all"]
    assert everything.extras == set(EXTRAS) - {"all"}
    assert set(requirements()) - {"", *EXTRAS} == {"test", "lint", "fuzz", "docs"}


def test_these_tests_can_see_what_is_wrong() -> None:
    assert "sqlalchemy" in {
        name for one in loaded_with("vitale_reader.daemon.app") for name in strangers(one, late=False)
    }
    assert "cv2" in strangers("vitale_drivers.camera.opencv", late=False)
    assert "cv2" not in brought("scanner")
