"""Names of places: nothing imported before it is asked for, and a true cause for what cannot be."""

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from vitale_drivers import registry
from vitale_drivers.pcsc.driver import PcscDriver
from vitale_protocol.errors import ConfigurationInvalid, ToolMissing


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[EntryPoint]:
    """Entry points for the test alone, and a folder of modules for them."""
    found: list[EntryPoint] = []

    def entry_points(group: str, name: str | None = None) -> EntryPoints:
        mine = EntryPoints(found).select(group=group)
        return mine if name is None else mine.select(name=name)

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    monkeypatch.syspath_prepend(str(tmp_path))  # pyright: ignore[reportUnknownMemberType] - not annotated in pytest
    (tmp_path / "driver_without_library.py").write_text("import no_such_library\n")
    (tmp_path / "driver_that_is_none.py").write_text("Thing = 3\n")
    return found


def place(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, registry.GROUP)


def test_the_drivers_of_the_house_are_installed() -> None:
    assert {"pcsc", "simulated-card"} <= set(registry.available())
    assert registry.load("pcsc") is PcscDriver


def test_names_are_told_once_and_in_order(places: list[EntryPoint]) -> None:
    places += [place("b", "m:B"), place("a", "m:A"), place("b", "m:B")]
    assert registry.available() == ("a", "b")


def test_an_unknown_name_is_refused_with_the_choices(places: list[EntryPoint]) -> None:
    places.append(place("pcsc", "vitale_drivers.pcsc.driver:PcscDriver"))
    with pytest.raises(ConfigurationInvalid) as refused:
        registry.load("pcscc")
    assert refused.value.data["choices"] == ["pcsc"]


def test_a_driver_that_cannot_be_imported_tells_the_module_that_is_missing(places: list[EntryPoint]) -> None:
    places.append(place("x", "driver_without_library:X"))
    with pytest.raises(ToolMissing) as missing:
        registry.load("x")
    assert missing.value.data == {"tool": "no_such_library"}
    assert isinstance(missing.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("value", ["driver_that_is_none:Thing", "driver_that_is_none:Absent"])
def test_a_place_without_a_driver_is_refused(places: list[EntryPoint], value: str) -> None:
    places.append(place("x", value))
    with pytest.raises(ConfigurationInvalid):
        registry.load("x")


def test_a_driver_under_anothers_name_is_refused(places: list[EntryPoint]) -> None:
    places.append(place("camera", "vitale_drivers.pcsc.driver:PcscDriver"))
    with pytest.raises(ConfigurationInvalid):
        registry.load("camera")


def test_a_name_that_two_packages_claim_is_refused(places: list[EntryPoint]) -> None:
    places += [place("pcsc", "vitale_drivers.pcsc.driver:PcscDriver"), place("pcsc", "elsewhere:PcscDriver")]
    with pytest.raises(ConfigurationInvalid):
        registry.load("pcsc")


def test_the_same_place_declared_twice_is_one_driver(places: list[EntryPoint]) -> None:
    places += [place("pcsc", "vitale_drivers.pcsc.driver:PcscDriver")] * 2
    assert registry.load("pcsc") is PcscDriver


@pytest.mark.parametrize("module", ["vitale_drivers", "vitale_drivers.registry", "vitale_drivers.host.worker"])
def test_no_device_library_is_imported_before_a_driver_is(module: str) -> None:
    program = (
        "import sys; before = set(sys.modules);"  # a start of Python itself may have loaded some
        f"import {module}; print({{'smartcard', 'pytest', 'asyncio'}} & set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
