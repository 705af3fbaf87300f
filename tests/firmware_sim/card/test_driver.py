"""The driver ``simulated-card``: its options, its control socket, and what its faults look like from above."""

import queue
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.problems import named
from vitale_drivers.base import (
    Arm,
    Failed,
    Health,
    Presented,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Report,
    Started,
    Transmit,
    Transmitted,
)
from vitale_firmware_sim.card import control as control_socket
from vitale_firmware_sim.card.control import ControlSocket, control
from vitale_firmware_sim.card.driver import SimulatedCardDriver
from vitale_firmware_sim.card.unix import local_socket
from vitale_protocol.errors import ConfigurationInvalid, DaemonUnreachable
from vitale_protocol.media import interpret

PATIENCE = 40.0
COMPTOIR = "simulated-card:comptoir"
ALL = ("vitale-card", "cps-card")


class Desk:
    """A driver that is open, and the reports that it made."""

    def __init__(self, **options: object) -> None:
        self.reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self.driver = SimulatedCardDriver(options)
        self.driver.open(self.reports.put)

    def next(self, *kinds: type[Report]) -> Report:
        """The next report of one of these kinds; others are passed over."""
        while True:
            report = self.reports.get(timeout=PATIENCE)
            if isinstance(report, kinds):
                return report

    def arm(self) -> None:
        self.driver.arm(Arm(media=ALL, deadline=time.monotonic() + 60))

    def outcome(self) -> Presented | Failed:
        report = self.next(Presented, Failed)
        assert isinstance(report, Presented | Failed)
        return report


OpenDesk = Callable[..., Desk]


@pytest.fixture
def desk() -> Iterator[OpenDesk]:
    desks: list[Desk] = []

    def make(**options: object) -> Desk:
        desks.append(Desk(**options))
        return desks[-1]

    yield make
    for one in desks:
        one.driver.close()


def test_it_says_what_it_has(desk: OpenDesk) -> None:
    there = desk(readers=["comptoir", "bureau"], image="famille")
    assert isinstance(there.next(Started), Started)
    assert there.next(Health) == Health(state="ok")
    first, second = there.next(ReaderAdded), there.next(ReaderAdded)
    assert isinstance(first, ReaderAdded)
    assert isinstance(second, ReaderAdded)
    assert (first.reader.id, first.reader.state, first.reader.medium) == (COMPTOIR, "present", "vitale-card")
    assert (second.reader.id, second.reader.state, second.reader.medium) == ("simulated-card:bureau", "empty", None)
    assert first.reader.simulated
    assert second.reader.simulated


@pytest.mark.parametrize("image", ["adulte", "famille", "dix-neuf", "date-fictive"])
def test_it_reads_the_image(desk: OpenDesk, image: str) -> None:
    there = desk(image=image)
    there.arm()
    presented = there.outcome()
    assert isinstance(presented, Presented)
    assert (presented.reader, presented.simulated) == (COMPTOIR, True)
    assert interpret(presented.medium, presented.evidence, simulated=presented.simulated).origin == "simulated"


@pytest.mark.parametrize(
    ("image", "fault", "reason", "data"),
    [
        ("vitale-1", "", "medium_unsupported", {"medium": "vitale-card", "generation": "vitale-1"}),
        ("cps", "", "medium_unsupported", {"medium": "cps-card", "generation": "cps4"}),
        ("adulte", "mute", "medium_mute", {}),
        ("adulte", "truncated-tlv", "medium_unreadable", {}),
        ("adulte", "wrong-length", "medium_unreadable", {}),
        ("adulte", "hiccup=99", "medium_unreadable", {"sw": "6F00"}),
    ],
)
def test_what_cannot_be_read_fails_and_shows(
    desk: OpenDesk, image: str, fault: str, reason: str, data: dict[str, object]
) -> None:
    there = desk(image=image, fault=fault)
    there.arm()
    failed = there.outcome()
    assert isinstance(failed, Failed)
    assert (failed.problem.reason, failed.problem.data) == (reason, data)
    there.driver.remove("comptoir")
    changed = there.next(ReaderChanged)
    assert isinstance(changed, ReaderChanged)
    states = [changed.reader]
    while states[-1].state != "empty":
        later = there.next(ReaderChanged)
        assert isinstance(later, ReaderChanged)
        states.append(later.reader)
    assert states[-1].error is None


def test_a_card_that_withdraws_itself_leaves_its_reader_empty(desk: OpenDesk) -> None:
    there = desk(fault="withdrawn@20")
    there.arm()
    failed = there.outcome()
    assert isinstance(failed, Failed)
    assert failed.problem.reason == "medium_removed"
    changed = there.next(ReaderChanged)
    assert isinstance(changed, ReaderChanged)
    assert changed.reader.state == "empty"


def test_a_stuck_card_is_stuck_until_it_is_pulled_out(desk: OpenDesk) -> None:
    there = desk(fault="stuck", transmit_limit=0.001)
    assert there.driver.stuck() == ""
    there.arm()
    deadline = time.monotonic() + PATIENCE
    while there.driver.stuck() != f"transmit in {COMPTOIR}":
        assert time.monotonic() < deadline
    there.driver.remove("comptoir")
    failed = there.outcome()
    assert isinstance(failed, Failed)
    assert failed.problem.reason == "medium_removed"


def test_closing_ends_a_stuck_reading_in_silence(desk: OpenDesk) -> None:
    there = desk(fault="stuck")
    there.arm()
    there.driver.close()
    while not there.reports.empty():
        assert not isinstance(there.reports.get(), Failed | Presented)


@pytest.mark.parametrize(
    ("reader", "apdus", "reason", "count"),
    [
        (COMPTOIR, ("00A4000C023F00", "00B0820001"), "", 2),
        (COMPTOIR, ("00A4000C023F00", "00A40000022FFF", "00B0820001"), "card_error", 1),
        ("simulated-card:bureau", ("00A4000C023F00",), "medium_removed", 0),
        ("simulated-card:ailleurs", ("00A4000C023F00",), "reader_gone", 0),
    ],
)
def test_raw_apdus(desk: OpenDesk, reader: str, apdus: tuple[str, ...], reason: str, count: int) -> None:
    there = desk(readers=["comptoir", "bureau"])
    there.driver.transmit(Transmit(id=7, reader=reader, apdus=tuple(bytes.fromhex(apdu) for apdu in apdus)))
    answered = there.next(Transmitted)
    assert isinstance(answered, Transmitted)
    assert (answered.id, named(answered.problem), len(answered.responses)) == (7, reason, count)


@pytest.mark.parametrize(
    "options",
    [
        {"image": "inconnue"},
        {"fault": "inconnue"},
        {"readers": []},
        {"readers": ["Comptoir 1"]},
        {"colour": "blue"},
        {"transmit_limit": 0},
        {"control": "/nulle/part/control"},
    ],
)
def test_wrong_options_are_refused_when_it_is_opened(options: dict[str, object]) -> None:
    driver = SimulatedCardDriver(options)
    with pytest.raises(ConfigurationInvalid):
        driver.open(lambda _: None)
    driver.close()


def test_the_hand_at_the_counter_is_told_its_mistakes(desk: OpenDesk) -> None:
    driver = desk().driver
    for act in (driver.remove, driver.plug, driver.unplug, driver.insert):
        with pytest.raises(ConfigurationInvalid):
            act("ailleurs")
    with pytest.raises(ConfigurationInvalid):
        driver.insert("comptoir", "inconnue")


# ── the control socket ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.posix("the control socket is a Unix socket")
def test_the_control_socket_plays_the_hand(desk: OpenDesk, tmp_path: Path) -> None:
    path = tmp_path / "control"
    there = desk(present=False, control=str(path))
    there.arm()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert control(path, "readers") == "comptoir"
    assert control(path, "insert comptoir famille slow=1") == ""
    assert isinstance(there.outcome(), Presented)
    control(path, "insert comptoir vitale-1")
    assert isinstance(there.outcome(), Failed)
    control(path, "remove comptoir")
    control(path, "unplug comptoir")
    assert there.next(ReaderRemoved) == ReaderRemoved(reader=COMPTOIR)
    control(path, "plug comptoir")
    assert isinstance(there.next(ReaderAdded), ReaderAdded)


@pytest.mark.posix("the control socket is a Unix socket")
@pytest.mark.parametrize("line", ["", "dance", "insert", "insert ailleurs adulte", "insert comptoir x", "remove"])
def test_the_control_socket_refuses_what_it_does_not_know(desk: OpenDesk, tmp_path: Path, line: str) -> None:
    path = tmp_path / "control"
    desk(control=str(path))
    with pytest.raises(ConfigurationInvalid):
        control(path, line)


@pytest.mark.posix("the control socket is a Unix socket")
def test_the_control_socket_survives_strangers(desk: OpenDesk, tmp_path: Path) -> None:
    path = tmp_path / "control"
    desk(control=str(path))
    for noise in (b"", b"\xff\n", b"A" * 5000):
        with local_socket() as stranger:
            stranger.connect(str(path))
            stranger.sendall(noise)
    assert control(path, "readers") == "comptoir"


@pytest.mark.posix("the control socket is a Unix socket")
def test_the_control_socket_waits_for_nobody_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serving = threading.Event()
    plain = ControlSocket._serve  # pyright: ignore[reportPrivateUsage]

    def serve(served: ControlSocket, connection: socket.socket) -> None:
        serving.set()
        plain(served, connection)

    monkeypatch.setattr(ControlSocket, "_serve", serve)
    monkeypatch.setattr(control_socket, "_PATIENCE", 3_600.0)
    served = ControlSocket(tmp_path / "control", lambda line: line)
    served.open()
    with local_socket() as silent:
        silent.connect(str(tmp_path / "control"))
        assert serving.wait(PATIENCE)
        closing = threading.Thread(target=served.close, daemon=True)
        closing.start()
        closing.join(PATIENCE)
    assert not closing.is_alive()


@pytest.mark.posix("the control socket is a Unix socket")
def test_the_control_socket_goes_with_the_driver(desk: OpenDesk, tmp_path: Path) -> None:
    path = tmp_path / "control"
    there = desk(control=str(path))
    there.driver.close()
    assert not path.exists()
    with pytest.raises(DaemonUnreachable):
        control(path, "readers")
