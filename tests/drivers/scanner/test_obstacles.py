"""What keeps a port from being opened, seen without opening it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.posix import raw_terminal
from vitale_drivers.base import Sighting
from vitale_drivers.scanner.driver import ScannerDriver
from vitale_drivers.scanner.obstacles import obstacle
from vitale_drivers.scanner.settings import ScannerAddress
from vitale_drivers.scanner.transport import ScannerPlace
from vitale_protocol.problems import Problem


def at(path: Path | str) -> ScannerPlace:
    return ScannerPlace("scanner:p", "imager", ScannerAddress("port", str(path)), str(path))


@pytest.fixture
def port() -> Iterator[str]:
    """A port with nobody at its other end."""
    *ends, path = raw_terminal()
    yield path
    for end in ends:
        os.close(end)


@pytest.mark.posix("pseudo-terminals")
def test_a_port_that_is_free_has_none(port: str) -> None:
    assert obstacle(at(port)) is None


@pytest.mark.posix("ports are files")
def test_a_file_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "port").touch()
    assert obstacle(at(tmp_path / "port")) == Problem("reader_unavailable", "no-device")


def test_a_port_of_windows_tells_by_being_opened_only() -> None:
    assert obstacle(at("COM3")) is None


@pytest.mark.posix("pseudo-terminals")
def test_a_port_that_this_user_may_not_open(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def access(*_: object) -> bool:
        return False

    monkeypatch.setattr(os, "access", access)
    assert obstacle(at(port)) == Problem("reader_unavailable", "scanner-permission")


@pytest.mark.posix("pseudo-terminals")
def test_a_survey_names_each_device_once_and_those_that_are_absent(port: str, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    seen = ScannerDriver({"devices": [port, port, nowhere]}).survey()
    assert seen == (
        Sighting(kind="reader", name=f"imager ({port})", device=port, simulated=True),
        Sighting(kind="absent", name=nowhere),
    )
