"""Which cameras the machine has and what they are called: on folders that look like those of Linux."""

import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.holders import held_by, nobody
from vitale_drivers.camera import obstacles
from vitale_drivers.camera.capture import CameraPlace
from vitale_drivers.camera.devices import Devices
from vitale_drivers.camera.obstacles import explain, is_there, obstacle, refused
from vitale_drivers.camera.settings import CameraAddress, parse_address
from vitale_drivers.camera.system import ListedCamera, VideoNode, ask_node, from_macos, from_windows
from vitale_protocol.errors import ReaderBusy, ReaderError, ReaderGone, ReaderUnavailable

AUTO = CameraAddress("auto")


class Machine:
    """The folders of sysfs and of nodes, and what the nodes answer."""

    def __init__(self, folder: Path) -> None:
        self.system, self.devices, self.bus = folder / "class", folder / "dev", folder / "bus"
        for one in (self.system, self.devices, self.bus):
            one.mkdir()
        self.answers: dict[str, VideoNode | None] = {}
        self.asked: list[str] = []

    def usb(self, socket: str, make: tuple[str, str] = ("046d", "082d"), serial: str = "") -> Path:
        device = self.bus / socket
        device.mkdir()
        for name, text in (("idVendor", make[0]), ("idProduct", make[1]), *((("serial", serial),) if serial else ())):
            (device / name).write_text(text + "\n")
        return device

    def interface(self, device: Path, number: str = "00") -> Path:
        interface = device / f"{device.name}:1.{int(number)}"
        interface.mkdir()
        (interface / "bInterfaceNumber").write_text(number + "\n")
        return interface

    def node(self, name: str, device: Path, label: str = "HD Webcam: HD Webcam", index: int = 0) -> None:
        entry = device / "video4linux" / name
        entry.mkdir(parents=True)
        (entry / "name").write_text(label + "\n")
        (entry / "index").write_text(f"{index}\n")
        (entry / "device").symlink_to(device)
        (self.system / name).symlink_to(entry)
        (self.devices / name).write_bytes(b"")
        self.answers[name] = VideoNode("uvcvideo", captures=index == 0)

    def unplug(self, name: str) -> None:
        (self.devices / name).unlink()
        shutil.rmtree((self.system / name).resolve())
        (self.system / name).unlink()

    def finder(self) -> Devices:
        def ask(path: Path) -> VideoNode | None:
            self.asked.append(path.name)
            return self.answers[path.name]

        return Devices(self.system, self.devices, ask, named=True)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if sys.platform == "win32":
        pytest.skip("names in sysfs have colons, which those of files have not there")
    else:
        return Machine(tmp_path)


@pytest.mark.posix("nodes and links of Linux")
def test_a_camera_is_named_by_its_serial_number(machine: Machine) -> None:
    machine.node("video0", machine.interface(machine.usb("1-2", serial="5E2F 01")))
    (place,) = machine.finder().places(AUTO)
    where = str(machine.devices / "video0")
    assert place == CameraPlace("camera:046d:082d:5E2F_01", "HD Webcam (video0)", AUTO, where=where)


@pytest.mark.posix("nodes and links of Linux")
def test_a_camera_without_one_is_named_by_its_socket(machine: Machine) -> None:
    machine.node("video0", machine.interface(machine.usb("1-2.4")))
    assert [one.id for one in machine.finder().places(AUTO)] == ["camera:046d:082d:1-2.4"]


@pytest.mark.posix("nodes and links of Linux")
def test_cameras_that_share_a_serial_number_are_named_by_their_sockets(machine: Machine) -> None:
    machine.node("video0", machine.interface(machine.usb("1-1", serial="0001")))
    machine.node("video2", machine.interface(machine.usb("1-2", serial="0001")))
    assert [one.id for one in machine.finder().places(AUTO)] == ["camera:046d:082d:1-1", "camera:046d:082d:1-2"]


@pytest.mark.posix("nodes and links of Linux")
def test_only_nodes_that_give_pictures_are_cameras(machine: Machine) -> None:
    camera = machine.interface(machine.usb("1-2", serial="A"))
    machine.node("video0", camera)
    machine.node("video1", camera, index=1)
    assert [Path(one.where).name for one in machine.finder().places(AUTO)] == ["video0"]


@pytest.mark.posix("nodes and links of Linux")
def test_the_second_camera_of_a_device_is_another_one(machine: Machine) -> None:
    device = machine.usb("1-2", serial="A")
    machine.node("video0", machine.interface(device))
    machine.node("video2", machine.interface(device, "02"))
    assert [one.id for one in machine.finder().places(AUTO)] == ["camera:046d:082d:A", "camera:046d:082d:A:02"]


@pytest.mark.posix("nodes and links of Linux")
def test_a_node_that_may_not_be_asked_is_taken_by_its_place_and_asked_again(machine: Machine) -> None:
    camera = machine.interface(machine.usb("1-2", serial="A"))
    machine.node("video0", camera)
    machine.node("video1", camera, index=1)
    machine.answers = {"video0": None, "video1": None}
    finder = machine.finder()
    assert [Path(one.where).name for one in finder.places(AUTO)] == ["video0"]
    machine.answers = {"video0": VideoNode("uvcvideo", captures=False), "video1": VideoNode("uvcvideo", captures=True)}
    assert [Path(one.where).name for one in finder.places(AUTO)] == ["video1"]


@pytest.mark.posix("nodes and links of Linux")
def test_a_node_is_asked_once_for_each_time_that_it_comes(machine: Machine) -> None:
    camera = machine.interface(machine.usb("1-2", serial="A"))
    machine.node("video0", camera)
    finder = machine.finder()
    before = finder.places(AUTO)
    assert finder.places(AUTO) == before
    assert machine.asked == ["video0"]
    machine.unplug("video0")
    assert finder.places(AUTO) == ()
    machine.node("video0", camera)
    assert finder.places(AUTO) == before
    assert machine.asked == ["video0", "video0"]


@pytest.mark.posix("nodes and links of Linux")
def test_a_camera_is_the_same_on_another_node(machine: Machine) -> None:
    camera = machine.interface(machine.usb("1-2", serial="A"))
    machine.node("video0", camera)
    finder = machine.finder()
    (before,) = finder.places(AUTO)
    machine.unplug("video0")
    machine.node("video4", camera)
    (after,) = finder.places(AUTO)
    assert (before.id, before.where != after.where) == (after.id, True)


@pytest.mark.posix("nodes and links of Linux")
def test_a_camera_may_be_addressed_by_its_node_or_by_a_link_to_it(machine: Machine, tmp_path: Path) -> None:
    machine.node("video0", machine.interface(machine.usb("1-1", serial="A")))
    machine.node("video2", machine.interface(machine.usb("1-2", serial="B")))
    link = tmp_path / "usb-camera-B"
    link.symlink_to(machine.devices / "video2")
    finder = machine.finder()
    assert [one.id for one in finder.places(CameraAddress("node", str(link)))] == ["camera:046d:082d:B"]
    assert [one.id for one in finder.places(CameraAddress("node", "/dev/video0"))] == ["camera:046d:082d:A"]
    assert finder.places(CameraAddress("node", "/dev/video7")) == ()


@pytest.mark.posix("nodes and links of Linux")
def test_cameras_that_programs_make_are_simulated(machine: Machine) -> None:
    virtual = machine.bus / "virtual" / "video4linux"
    virtual.mkdir(parents=True)
    machine.node("video9", virtual, label="A phone as webcam")
    platform = machine.bus / "vivid.0"
    platform.mkdir()
    machine.node("video10", platform, label="vivid")
    machine.answers["video10"] = VideoNode("vivid", captures=True)
    found = machine.finder().places(AUTO)
    assert [(one.id, one.simulated) for one in found] == [
        ("camera:virtual:A_phone_as_webcam", True),
        ("camera:platform:vivid.0", True),
    ]


def test_a_machine_that_never_had_a_camera_has_none(tmp_path: Path) -> None:
    assert Devices(tmp_path / "class", tmp_path, named=True).places(AUTO) == ()


def nobody_lists() -> None:
    return None


@pytest.mark.posix("nodes and links of Linux")
def test_a_camera_may_be_addressed_by_its_name(machine: Machine) -> None:
    for number in (0, 1):
        machine.node(f"video{number}", machine.interface(machine.usb(f"1-{number}")), f"HD Webcam {number}: HD")
    finder = machine.finder()
    (found,) = finder.places(parse_address("name:hd webcam 1"))
    assert (found.id, found.where) == ("camera:046d:082d:1-1", str(machine.devices / "video1"))
    assert finder.places(parse_address("name:HD Webcam")) == ()


def test_where_cameras_have_no_names_there_is_the_order_of_the_system() -> None:
    finder = Devices(named=False, programs=tuple, listed=nobody_lists)
    assert [one.id for one in finder.places(AUTO)] == ["camera:index:0"]
    (second,) = finder.places(parse_address("index:1"))
    assert (second.id, second.where, second.simulated) == ("camera:index:1", "1", False)


def test_where_programs_offer_cameras_too_only_what_the_site_vouches_for_is_real(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registered = list[str]()
    finder = Devices(named=False, programs=lambda: tuple(registered), listed=nobody_lists, physical=[1])
    addresses = (AUTO, parse_address("index:1"), parse_address("index:2"))

    def simulated() -> list[bool]:
        return [place.simulated for address in addresses for place in finder.places(address)]

    assert simulated() == [False, False, False]
    registered.append("OBS Virtual Camera")
    assert [simulated() for _ in range(2)] == [[True, False, True]] * 2
    assert sum("OBS Virtual Camera" in record.message for record in caplog.records) == 1


C270 = r"\\?\usb#vid_046d&pid_0825&mi_00#7&2b0c1f4&0&0000#{65e8773d-8f56-11d0-a3b9-00a0c9223196}\global"
BUILT_IN, VIRTUAL = (int.from_bytes(name, "big") for name in (b"bltn", b"virt"))


@pytest.mark.parametrize(
    ("camera", "lasting", "device"),
    [
        (from_windows("HD Webcam C270", C270), "046d:0825:7_2b0c1f4_0_0000", True),
        (from_windows("Camera", C270.replace("usb#vid_046d&pid_0825&mi_00", "DISPLAY#INT3480")), None, True),
        (from_windows("OBS Virtual Camera", ""), "virtual:OBS_Virtual_Camera", False),
        (from_windows("Windows Virtual Camera", r"\\?\swd#vcamdevapi#9f1#{e5323777}"), None, False),
        (from_windows("e2eSoft VCam", r"\\?\root#image#0000#{65e8773d}\global"), "virtual:e2eSoft_VCam", False),
        (from_windows("", ""), "virtual:camera", False),
        (from_macos("Caméra FaceTime HD", "0x8020000005ac8514", BUILT_IN), "platform:0x8020000005ac8514", True),
        (
            from_macos("OBS Virtual Camera", "7626645E-4425", int.from_bytes(b"virt", "big")),
            "virtual:7626645E-4425",
            False,
        ),
        (from_macos("Something", "id", 0), "virtual:id", False),
        (from_macos("Something", "id", -1), "virtual:id", False),
    ],
)
def test_a_listed_camera_is_a_device_only_where_its_bus_says_so(
    camera: ListedCamera, lasting: str | None, device: bool
) -> None:
    assert (camera.lasting if lasting else None, camera.device) == (lasting, device)


class Order:
    """The cameras of a system that lists them, and a clock that a test moves on."""

    def __init__(self, *cameras: ListedCamera) -> None:
        self.cameras, self.now, self.asked = cameras, 100.0, 0

    def __call__(self) -> tuple[ListedCamera, ...]:
        self.asked += 1
        return self.cameras

    def finder(self, *physical: int | str) -> Devices:
        return Devices(named=False, programs=tuple, listed=self, physical=physical, clock=lambda: self.now)

    def change(self, *cameras: ListedCamera) -> None:
        self.cameras = cameras
        self.now += 60


WEBCAM = from_windows("HD Webcam C270", C270)
OBS = from_windows("OBS Virtual Camera", "")


def test_where_the_system_lists_its_cameras_they_have_names_and_keep_their_ids() -> None:
    order = Order(OBS, WEBCAM)
    finder = order.finder()
    assert [(one.id, one.name, one.where, one.simulated) for one in finder.places(AUTO)] == [
        ("camera:virtual:OBS_Virtual_Camera", "OBS Virtual Camera (1)", "0", True),
        ("camera:046d:0825:7_2b0c1f4_0_0000", "HD Webcam C270 (2)", "1", False),
    ]
    named, numbered = parse_address("name: hd webcam c270"), parse_address("index:1")
    assert finder.places(named) == finder.places(numbered) == finder.places(AUTO)[1:]
    order.change(WEBCAM)
    (moved,) = finder.places(named)
    assert (moved.id, moved.where, moved.address) == (
        "camera:046d:0825:7_2b0c1f4_0_0000",
        "0",
        CameraAddress("index", "0"),
    )
    assert (finder.places(numbered), finder.places(parse_address("name:OBS Virtual Camera"))) == ((), ())


def test_cameras_of_one_kind_that_nothing_tells_apart_have_two_ids() -> None:
    assert [one.id for one in Order(OBS, OBS).finder().places(AUTO)] == [
        "camera:virtual:OBS_Virtual_Camera",
        "camera:virtual:OBS_Virtual_Camera~2",
    ]


@pytest.mark.parametrize("physical", ["obs virtual camera", 0])
def test_a_camera_that_the_site_vouches_for_is_real(physical: int | str, caplog: pytest.LogCaptureFixture) -> None:
    order = Order(OBS)
    assert [one.simulated for _ in range(2) for one in order.finder().places(AUTO)] == [True, True]
    assert [one.simulated for one in order.finder(physical).places(AUTO)] == [False]
    finder = order.finder()
    caplog.clear()
    for _ in range(3):
        finder.places(AUTO)
    assert [record.getMessage() for record in caplog.records] == [
        "camera 'OBS Virtual Camera' is of a program, or not known to be a device: simulated"
    ]


def test_the_system_is_asked_for_its_list_now_and_then() -> None:
    order = Order(WEBCAM)
    finder = order.finder()
    for _ in range(5):
        finder.places(AUTO)
    assert order.asked == 1
    order.now += 2.0
    finder.places(AUTO)
    assert order.asked == 2


def test_files_come_and_go_and_are_simulated(tmp_path: Path) -> None:
    finder, path = Devices(), tmp_path / "claire.avi"
    assert finder.places(CameraAddress("file", str(path))) == ()
    path.write_bytes(b"")
    (place,) = finder.places(CameraAddress("file", str(path)))
    assert (place.id, place.simulated) == (f"camera:{path}", True)


def test_at_a_path_that_may_not_be_asked_is_no_camera() -> None:
    path = f"/{'a' * 290}.avi"
    assert Devices().places(parse_address(path)) == ()
    with pytest.raises(OSError, match="too long"):
        Path(path).is_file()
    assert not is_there(CameraPlace("camera:1", "first", parse_address(path), where=path))


def test_of_a_stream_nothing_secret_is_shown(tmp_path: Path) -> None:
    address = parse_address("rtsp://user:secret@camera.lan:554/1?key=secret")
    (place,) = Devices().places(address)
    assert (place.id, place.simulated) == ("camera:rtsp://camera.lan:554/1", True)
    assert "secret" not in place.id + place.name
    assert place.where == address.where


# ── why not ──────────────────────────────────────────────────────────────────────────────────────────────────────


def answering(number: int) -> Callable[..., int]:
    def answer(*_: object) -> int:
        return number

    return answer


@pytest.fixture
def node(tmp_path: Path) -> CameraPlace:
    path = tmp_path / "video0"
    path.write_bytes(b"")
    return CameraPlace("camera:1", "first", AUTO, where=str(path))


def test_what_is_no_camera_cannot_be_asked(node: CameraPlace, tmp_path: Path) -> None:
    assert ask_node(Path(node.where)) is None
    assert ask_node(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("number", "error", "variant"),
    [
        (errno.EACCES, ReaderUnavailable, "camera-permission"),
        (errno.EPERM, ReaderUnavailable, "camera-permission"),
        (errno.EBUSY, ReaderBusy, "camera"),
        (errno.ENODEV, ReaderGone, ""),
        (errno.ENXIO, ReaderGone, ""),
        (errno.EIO, ReaderUnavailable, "camera"),
        (0, ReaderUnavailable, "camera"),
    ],
)
def test_why_a_camera_does_not_open_is_told_by_the_system(
    node: CameraPlace, monkeypatch: pytest.MonkeyPatch, number: int, error: type[ReaderError], variant: str
) -> None:
    monkeypatch.setattr(obstacles, "refusal", answering(number))
    found = explain(node, nobody)
    assert (type(found), found.variant) == (error, variant)


@pytest.mark.parametrize(
    ("number", "forbidden", "expected"),
    [(errno.EBUSY, False, "reader_busy.camera"), (0, False, None), (0, True, "reader_unavailable.camera-permission")],
)
def test_what_keeps_a_camera_from_being_opened_is_found_without_opening_it(
    node: CameraPlace, monkeypatch: pytest.MonkeyPatch, number: int, forbidden: bool, expected: str | None
) -> None:
    def access(*_: object) -> bool:
        return not forbidden

    monkeypatch.setattr(obstacles, "refusal", answering(number))
    monkeypatch.setattr(os, "access", access)
    found = obstacle(node)
    assert expected == (None if found is None else f"{found.reason}.{found.variant}")


@pytest.mark.parametrize("forbidden", [True, False])
def test_a_camera_by_number_is_kept_back_by_the_settings_for_privacy(
    monkeypatch: pytest.MonkeyPatch, forbidden: bool
) -> None:
    def by_privacy() -> bool:
        return forbidden

    monkeypatch.setattr(obstacles, "forbidden_by_privacy", by_privacy)
    found = obstacle(CameraPlace("camera:1", "first", CameraAddress("index", "0")))
    assert forbidden == (found is not None)


def test_the_program_that_has_a_camera_is_named(node: CameraPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obstacles, "refusal", answering(errno.EBUSY))
    assert explain(node, held_by(node.where, "visio", "zoom")).data["holder"] == "visio, zoom"
    assert "holder" not in explain(node, nobody).data


def test_what_is_not_there_is_gone(tmp_path: Path) -> None:
    place = CameraPlace("camera:1", "first", AUTO, where=str(tmp_path / "none"))
    assert isinstance(explain(place, nobody), ReaderGone)
    assert refused(place) is None


def test_what_answers_to_nothing_is_out_of_order(node: CameraPlace) -> None:
    # A file is no camera: it may be opened, and takes no question.
    assert isinstance(explain(node, nobody), ReaderUnavailable)
    stream = CameraPlace("camera:2", "stream", CameraAddress("url", "http://127.0.0.1:1/"), where="http://127.0.0.1:1/")
    assert is_there(stream)
    assert isinstance(explain(stream, nobody), ReaderUnavailable)


def test_a_camera_that_this_user_may_not_open_is_known_without_opening_it(
    node: CameraPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused(node) is None
    monkeypatch.setattr(os, "access", answering(0))
    refusal = refused(node)
    assert refusal is not None
    assert refusal.variant == "camera-permission"
    film = CameraPlace("camera:3", "film", CameraAddress("file", node.where), where=node.where)
    assert explain(film, nobody).variant == "camera-permission"
