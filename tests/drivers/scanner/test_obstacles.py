"""What keeps a port from being opened, seen without opening it."""

import os
from pathlib import Path

import pytest

from vitale_drivers.base import Sighting
from vitale_drivers.scanner.driver import ScannerDriver
from vitale_drivers.scanner.obstacles import obstacle
from vitale_drivers.scanner.settings import ScannerAddress
from vitale_drivers.scanner.transport import ScannerPlace
from vitale_protocol.problems import Problem


def at(path: Path | str) -> ScannerPlace:
    return ScannerPlace("scanner:p", "imager", ScannerAddress("port", str(path)), str(path))


def test_a_port_that_is_free_has_none(tmp_path: Path) -> None:
    (tmp_path / "port").touch()
    assert obstacle(at(tmp_path / "port")) is None


def test_a_port_of_windows_tells_by_being_opened_only() -> None:
    assert obstacle(at("COM3")) is None


def test_a_port_that_this_user_may_not_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def access(*_: object) -> bool:
        return False

    monkeypatch.setattr(os, "access", access)
    assert obstacle(at(tmp_path)) == Problem("reader_unavailable", "scanner-permission")


def test_a_survey_names_each_device_once_and_those_that_are_absent(tmp_path: Path) -> None:
    (tmp_path / "port").touch()
    here, nowhere = str(tmp_path / "port"), str(tmp_path / "nowhere")
    seen = ScannerDriver({"devices": [here, here, nowhere]}).survey()
    assert seen == (
        Sighting(kind="reader", name=f"imager ({here})", device=here),
        Sighting(kind="absent", name=nowhere),
    )
