"""The options of the driver ``camera``: what it takes, and what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_drivers.camera.driver import CameraDriver
from vitale_drivers.camera.settings import CameraAddress, parse_address, parse_options
from vitale_protocol.errors import ConfigurationInvalid

SERIAL = "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_5E2F-video-index0"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("auto", CameraAddress("auto")),
        ("/dev/video0", CameraAddress("node", "/dev/video0")),
        (SERIAL, CameraAddress("node", SERIAL)),
        ("/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0",
         CameraAddress("node", "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0")),
        ("index:0", CameraAddress("index", "0")),
        ("name: Caméra HD (046d:0825) ", CameraAddress("name", "Caméra HD (046d:0825)")),
        ("index:07", CameraAddress("index", "7")),
        ("/srv/videos/claire.avi", CameraAddress("file", "/srv/videos/claire.avi")),
        (r"C:\videos\claire.avi", CameraAddress("file", r"C:\videos\claire.avi")),
        ("http://127.0.0.1:8090/camera", CameraAddress("url", "http://127.0.0.1:8090/camera")),
        ("rtsp://user:secret@camera.lan/1", CameraAddress("url", "rtsp://user:secret@camera.lan/1")),
    ],
)  # fmt: skip
def test_addresses(text: str, address: CameraAddress) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["0", "camera", "videos/claire.avi", "/dev/null", "/dev/sda", "/dev/v4l/by-id/../../sda", "index:x", "file:///x",
     "ftp://host/x", "http://", "http://host:99999/", "/srv/%03d.png", "/srv/a\nb",
     "name:", "name: \t", "name:a\x07b", "gst-launch ! x"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse_address(text)


@pytest.mark.parametrize(
    ("address", "simulated", "told", "still"),
    [
        ("/dev/video0", False, {}, 1.0),
        ("/dev/video0", False, {"still": 3}, 3.0),
        ("/dev/video0", True, {"still": 3}, 0.0),
        ("/srv/videos/claire.avi", True, {"still": 3}, 0.0),
        ("http://127.0.0.1:8090/camera", True, {}, 0.0),
        ("http://127.0.0.1:8090/camera", True, {"still": 3}, 3.0),
    ],
)
def test_a_network_camera_stands_still_only_where_that_is_set(
    address: str, simulated: bool, told: dict[str, float], still: float
) -> None:
    settings, _ = parse_options(told)
    assert still == settings.still_for(parse_address(address), simulated=simulated)


@given(st.text(max_size=300))
def test_any_text_is_an_address_or_is_refused_without_being_quoted(text: str) -> None:
    try:
        parse_address(text)
    except ConfigurationInvalid as error:
        said = error.detail
    else:
        said = ""
    assert said in {"", "drivers.options.camera.devices: one of them is not the address of a camera"}


@pytest.mark.parametrize(
    "options",
    [{"width": 1}, {"fps": 0}, {"devices": []}, {"devices": ["no"]}, {"settle": 0}, {"warm": "yes"}, {"colour": True}],
)
def test_options_that_cannot_be_used_are_refused_before_anything_is_opened(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationInvalid):
        CameraDriver(options)


def test_what_is_not_said_is_as_most_have_it() -> None:
    settings, addresses = parse_options({})
    assert addresses == (CameraAddress("auto"),)
    assert (settings.width, settings.height, settings.fps, settings.warm) == (1280, 720, 30, False)


def test_an_address_that_is_there_twice_is_one() -> None:
    assert parse_options({"devices": ["auto", "auto"]})[1] == (CameraAddress("auto"),)
