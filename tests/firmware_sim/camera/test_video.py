"""Sequences of frames, and the files that they are written to: OpenCV and, where it is installed, FFmpeg open them."""

import json
import math
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import zxingcpp

from vitale_firmware_sim.camera import video as camera_video
from vitale_firmware_sim.camera.picture import Frame
from vitale_firmware_sim.camera.sequence import FPS, SEQUENCES, PhoneShowing, sequence
from vitale_firmware_sim.camera.video import AviWriter, jpeg
from vitale_protocol.errors import ConfigurationInvalid, LocalMisuse

SIZE = (960, 540)


def code_in(frame: Frame) -> bytes | None:
    found = zxingcpp.read_barcodes(frame.picture)
    return found[0].bytes if found else None


def test_a_phone_is_brought_up_and_taken_away() -> None:
    frames = list(sequence(PhoneShowing(seconds=2.5, arrives=0.2, takes=0.3, focus=0.4, leaves=1.7), 3, size=SIZE))

    read = [code_in(frame) for frame in frames]
    (code,) = {frame.payload for frame in frames} - {None}
    assert len(frames) == round(2.5 * FPS)
    assert [frame.at for frame in frames[:2]] == [0, 1 / FPS]
    assert {None} == {*read[:6], *read[-6:]}
    # A decoder has no excuse where the frame is clear, and may have luck where it is not.
    assert [code] * 10 < [code for frame in frames if frame.clear]
    assert [frame.at for frame in frames if frame.clear and code_in(frame) != code] == []
    assert [frame.at for frame in frames if frame.payload and not frame.clear] != []
    assert not np.array_equal(frames[40].picture, frames[41].picture)


def test_codes_are_renewed() -> None:
    frames = list(sequence(PhoneShowing(seconds=0.4, arrives=-1, focus=0, renews=0.2), 5, size=SIZE))

    assert [code_in(frame) for frame in frames] == [frame.payload for frame in frames]
    assert len({frame.payload for frame in frames}) == 2


def test_codes_can_be_given() -> None:
    frames = sequence(PhoneShowing(seconds=0.1, arrives=-1), codes=lambda at: b"VITALESIM.%d" % (at * FPS), size=SIZE)

    assert [frame.payload for frame in frames] == [b"VITALESIM.0", b"VITALESIM.1", b"VITALESIM.2"]


@pytest.mark.parametrize("name", SEQUENCES)
def test_each_named_sequence_begins(name: str) -> None:
    frame = next(sequence(name, 1, size=SIZE))

    assert (frame.payload is not None) == (name == "still")
    assert frame.clear == (name == "still")
    assert next(sequence(name, 1, size=SIZE)).picture.tobytes() == frame.picture.tobytes()


def test_there_is_no_such_sequence() -> None:
    with pytest.raises(ConfigurationInvalid, match="a sequence is one of"):
        sequence("upside down")
    with pytest.raises(ConfigurationInvalid, match="a kind is one of"):
        sequence(PhoneShowing(kind="fog"))


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("count", [0, 1, 12])
def test_opencv_opens_the_file(tmp_path: Path, count: int, *, colour: bool) -> None:
    showing = PhoneShowing(seconds=count / FPS, arrives=-1, focus=0)
    frames = list(sequence(showing, 2, size=SIZE, colour=colour))
    with AviWriter(tmp_path / "phone.avi", SIZE, fps=FPS) as video:
        for frame in frames:
            video.write(frame.picture)

    opened = cv2.VideoCapture(str(tmp_path / "phone.avi"), cv2.CAP_FFMPEG)
    read: list[np.ndarray] = []
    while True:
        good, picture = opened.read()
        if not good:
            break
        read.append(np.asarray(picture))
    if count:
        assert opened.get(cv2.CAP_PROP_FPS) == FPS
        assert opened.get(cv2.CAP_PROP_FRAME_COUNT) == count
    assert len(read) == count
    for picture, frame in zip(read, frames, strict=True):
        assert picture.shape == (540, 960, 3)
        seen = picture if colour else picture[..., 0]
        assert np.abs(seen.astype(int) - frame.picture.astype(int)).mean() < 6


def test_the_index_leads_to_the_frames(tmp_path: Path) -> None:
    """As AVI readers take it: places count from the word movi, and a JPEG of odd length is filled up."""
    pictures = [jpeg(np.full((16, 16), tone, np.uint8)) + b"\0" * odd for tone, odd in ((0, 0), (128, 1), (255, 0))]
    path = tmp_path / "index.avi"
    with AviWriter(path, (16, 16)) as video:
        for picture in pictures:
            video.write(picture)

    data = path.read_bytes()
    movi, index = data.index(b"movi"), data.index(b"idx1")
    entries = [data[at : at + 16] for at in range(index + 8, len(data), 16)]
    found = [
        (int.from_bytes(entry[8:12], "little") + movi, int.from_bytes(entry[12:16], "little")) for entry in entries
    ]
    assert [data[place + 8 : place + 8 + size] for place, size in found] == pictures
    assert int.from_bytes(data[4:8], "little") == len(data) - 8


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed; OpenCV has opened the file")
def test_ffprobe_finds_nothing_wrong(tmp_path: Path) -> None:
    path = tmp_path / "phone.avi"
    with AviWriter(path, SIZE, fps=FPS) as video:
        for frame in sequence(PhoneShowing(seconds=0.2, arrives=-1), size=SIZE):
            video.write(frame.picture)

    done = subprocess.run(
        ["ffprobe", "-v", "warning", "-show_streams", "-count_frames", "-of", "json", str(path)],
        capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    (stream,) = json.loads(done.stdout)["streams"]
    assert done.stderr == b""
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("mjpeg", *SIZE)
    assert (stream["nb_read_frames"], stream["avg_frame_rate"]) == ("6", "30/1")
    assert math.isclose(float(stream["duration"]), 0.2, abs_tol=0.01)


def test_what_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = AviWriter(tmp_path / "small.avi", (16, 16))
    with pytest.raises(LocalMisuse):
        video.write(np.zeros((16, 16), np.uint8))
    with video:
        with pytest.raises(LocalMisuse):
            video.write(np.zeros((16, 17), np.uint8))
        monkeypatch.setattr(camera_video, "_LARGEST", 500)
        with pytest.raises(ConfigurationInvalid, match="limited"):
            video.write(np.zeros((16, 16), np.uint8))
