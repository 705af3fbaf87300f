"""Folders that Windows keeps elsewhere are told; the machine is a prepared one."""

from pathlib import Path

import pytest

from vitale_reader.diagnosis.desk.folders import look
from vitale_reader.diagnosis.machine import InspectedMachine
from vitale_reader.home import Home

STORE = "Packages/PythonSoftwareFoundation.Python.3.13_qbz5n2kfra8p0/LocalCache/Local/vitale-reader"


@pytest.mark.parametrize(
    ("system", "elsewhere", "told"),
    [("win32", STORE, True), ("win32", "another/disk", False), ("darwin", STORE, False)],
    ids=["Python of the Store", "a junction", "no Windows"],
)
def test_a_folder_that_windows_keeps_for_one_python_alone_is_told(
    tmp_path: Path, system: str, elsewhere: str, told: bool
) -> None:
    home = Home.under(tmp_path)
    home.state.mkdir()
    machine = InspectedMachine(system=system, real=lambda folder: tmp_path / elsewhere / folder.name)
    rows = {row.id: row.values for row in look(machine, home)}
    expected = {"place": str(home.state), "real": str(tmp_path / elsewhere / "state")}
    assert rows.get("folder_redirected") == (expected if told else None)


def test_a_folder_that_is_where_it_seems_to_be_is_no_matter(tmp_path: Path) -> None:
    home = Home.under(tmp_path / STORE)
    home.state.mkdir(parents=True)
    assert "folder_redirected" not in {row.id for row in look(InspectedMachine(system="win32"), home)}
