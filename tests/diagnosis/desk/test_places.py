"""Ports, cameras, clock, folders and the character set of a prepared machine."""

import contextlib
import socket
import sys
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest

from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_reader.daemon.workers import holders
from vitale_reader.diagnosis.desk import cameras, clock, folders, installation, pcsc_service, serial_ports, tcp_ports
from vitale_reader.diagnosis.machine import InspectedMachine
from vitale_reader.home import Home


def ids(rows: Iterable[CheckResult]) -> list[str]:
    return [row.id for row in rows]


def write(file: Path, text: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def with_a_port(root: Path) -> InspectedMachine:
    usb = root / "sys/devices/usb1/1-2"
    for name, text in (
        ("idVendor", "0c2e"),
        ("idProduct", "0b6a"),
        ("manufacturer", "Honeywell"),
        ("product", "Xenon"),
    ):
        write(usb / name, text)
    device = usb / "1-2:1.0"
    device.mkdir()
    for name, target in (("ttyACM0", device), ("ttyS0", root / "sys/devices/platform/serial8250")):
        target.mkdir(parents=True, exist_ok=True)
        (root / "sys/class/tty" / name).mkdir(parents=True)
        (root / "sys/class/tty" / name / "device").symlink_to(target)
    (root / "sys/class/tty/tty0").mkdir()
    return InspectedMachine(root=root, system="linux")


@pytest.fixture(autouse=True)
def _nodes_are_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes of the prepared machine are not in this one's ``/dev``."""

    def node_at(path: str | Path) -> holders.DeviceNode | None:
        named = str(path.readlink()) if isinstance(path, Path) else path
        return holders.DeviceNode(number=hash(named)) if named.startswith("/dev/") else None

    monkeypatch.setattr(holders, "node_at", node_at)


def held_by(root: Path, pid: int, name: str, device: str) -> None:
    process = root / "proc" / str(pid)
    (process / "fd").mkdir(parents=True)
    write(process / "comm", name)
    (process / "fd" / "3").symlink_to(device)


@pytest.mark.posix("/proc and /sys, which have links")
def test_a_serial_port_is_told_with_its_device_and_those_of_the_mainboard_are_not(tmp_path: Path) -> None:
    (row,) = serial_ports.look(with_a_port(tmp_path), frozenset())
    assert (row.id, row.values) == ("serial_port", {"name": "/dev/ttyACM0", "product": "Honeywell Xenon (0c2e:0b6a)"})


@pytest.mark.posix("/proc and /sys, which have links")
def test_a_serial_port_that_a_program_has_is_told_unless_it_is_ours(tmp_path: Path) -> None:
    machine = with_a_port(tmp_path)
    held_by(tmp_path, 4711, "galsvw32", "/dev/ttyACM0")
    (row,) = serial_ports.look(machine, frozenset())
    assert (row.id, row.values["holder"]) == ("serial_held", "galsvw32")
    assert ids(serial_ports.look(machine, frozenset({4711}))) == ["serial_port"]


@pytest.mark.posix("/proc and /sys, which have links")
def test_a_camera_is_told_once_and_who_has_it(tmp_path: Path) -> None:
    for node, index in (("video0", "0"), ("video1", "1")):
        write(tmp_path / "sys/class/video4linux" / node / "name", "Webcam C270: Webcam")
        write(tmp_path / "sys/class/video4linux" / node / "index", index)
    machine = InspectedMachine(root=tmp_path, system="linux")
    (row,) = cameras.look(machine, frozenset())
    assert (row.id, row.values) == ("camera", {"name": "Webcam C270", "device": "/dev/video0"})
    held_by(tmp_path, 4711, "zoom", "/dev/video0")
    assert ids(cameras.look(machine, frozenset())) == ["camera_held"]


def test_a_clock_that_follows_a_server_and_one_that_does_not_yet(tmp_path: Path) -> None:
    home, machine = (
        Home.under(tmp_path / "home"),
        InspectedMachine(root=tmp_path, system="linux", now=lambda: 1_800_000_000.0),
    )
    assert ids(clock.look(machine, home)) == ["clock"]
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    assert ids(clock.look(machine, home)) == ["clock_alone"]
    write(tmp_path / "run/systemd/timesync/synchronized")
    assert ids(clock.look(machine, home)) == ["clock"]


def test_a_clock_behind_the_files_of_the_station(tmp_path: Path) -> None:
    home = Home.under(tmp_path)
    written = write(home.state / "station.json").stat().st_mtime
    assert ids(clock.look(InspectedMachine(now=lambda: written - 90_000), home)) == ["clock_behind"]
    assert ids(clock.look(InspectedMachine(root=tmp_path, now=lambda: written - 3_600), home)) == ["clock"]


@pytest.mark.parametrize(
    ("free", "expected"), [(9_999_999, "disk_full"), (10_000_000, "disk_low"), (200_000_000, "disk_free")]
)
def test_room_on_the_disk(free: int, expected: str, tmp_path: Path) -> None:
    rows = folders.look(InspectedMachine(free=lambda _: free, system="win32"), Home.under(tmp_path / "made" / "later"))
    assert ids(rows) == [expected]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"LANG": "fr_FR.UTF-8"}, []),
        ({"LANG": "fr_FR.utf8@euro"}, []),
        ({"LANG": "C"}, []),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "fr_FR.ISO-8859-15@euro"}, ["locale_not_utf8"]),
    ],
)
def test_the_character_set(environ: dict[str, str], expected: list[str]) -> None:
    told = [row.id for row in installation.look(InspectedMachine(environ=environ), ()) if row.id.startswith("locale")]
    assert told == expected


def test_parts_that_nothing_needs_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(part: str, _: str) -> object:
        return object() if part in {"camera", "nfc"} else None

    monkeypatch.setattr(installation, "missing_part", missing)
    rows = {row.id: row.values for row in installation.look(InspectedMachine(environ={}), {"camera"})}
    assert rows["parts_absent"] == {"absent": "nfc"}
    assert "camera" not in rows["parts"]["there"]


@contextlib.contextmanager
def port_of_its_own() -> Generator[int]:
    """A port at which one may listen, and nobody else does."""
    with socket.socket() as kept:
        if sys.platform != "win32":  # there, whoever has an address has it alone
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        if sys.platform == "win32":
            kept.close()
        yield port


def test_a_port_that_is_free_ours_any_or_taken() -> None:
    with port_of_its_own() as port:
        with socket.create_server(("127.0.0.1", port)):
            assert ids(tcp_ports.look("127.0.0.1", port, ours=True, holder=str)) == ["port_ours"]
            (row,) = tcp_ports.look("127.0.0.1", port, ours=False, holder=lambda _: "process 1 (squatter)")
            assert (row.id, row.values["holder"]) == (
                "configuration_invalid.port_in_use",
                "process 1 (squatter)",
            )
            (row,) = tcp_ports.look("127.0.0.1", port, ours=False, holder=lambda _: "")
            assert row.problem is not None
            assert row.problem.detail == f"127.0.0.1:{port} is held"
        assert ids(tcp_ports.look("127.0.0.1", port, ours=False, holder=str)) == ["port_free"]
    assert ids(tcp_ports.look("127.0.0.1", 0, ours=False, holder=str)) == []


def test_the_port_for_pages_is_needed_on_both_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (row,) = tcp_ports.look_at_loopback(port, table="web", holder=lambda _: "process 1 (squatter)")
        assert (row.id, row.values["holder"]) == ("configuration_invalid.web_port_in_use", "process 1 (squatter)")
        assert row.problem is not None
        assert "127.0.0.1" in row.problem.detail
        (row,) = tcp_ports.look_at_loopback(port, table="metrics", holder=lambda _: "")
        assert "configuration_invalid.metrics_port_in_use" == row.id
        assert row.problem is not None
        assert row.problem.detail.endswith("is held")
    assert ids(tcp_ports.look_at_loopback(port, table="web", holder=str)) == ["port_free"]
    assert ids(tcp_ports.look_at_loopback(0, table="metrics", holder=str)) == []


@pytest.mark.posix
def test_the_pcsc_service_answers_or_is_not_needed(tmp_path: Path) -> None:
    place = tmp_path / "pcscd.comm"
    machine = InspectedMachine(system="linux", environ={"PCSCLITE_CSOCK_NAME": str(place)})
    assert ids(pcsc_service.look(machine, needed=True)) == []
    assert ids(pcsc_service.look(machine, needed=False)) == ["pcsc_silent"]
    if sys.platform != "win32":  # for the type checkers: the marker skips it there
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(place))
            server.listen(1)
            (row,) = pcsc_service.look(machine, needed=True)
        assert row.id in {"pcsc_run_by", "pcsc_answers"}
        assert row.state == "ok"
    assert ids(pcsc_service.look(InspectedMachine(system="win32"), needed=True)) == []
