"""Video files as cameras record them: MJPEG in AVI, which OpenCV, FFmpeg and every player open.

AVI 1.0 (Microsoft, *AVI RIFF File Reference*) has a header and ``movi`` with a JPEG for each frame. ``idx1`` says where
each one is. Offsets in AVI have 32 bits, so a file stays below 1 GiB here. Old readers take that as well.
"""

import io
import struct
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitale_protocol.errors import ConfigurationInvalid, LocalMisuse

__all__ = ["AviWriter", "jpeg"]

_LARGEST: Final = 1 << 30
_HAS_INDEX: Final = 0x10
_KEY_FRAME: Final = 0x10


def jpeg(picture: NDArray[np.uint8], quality: int = 85) -> bytes:
    """A picture (grey or BGR) as JPEG."""
    ordered = picture if picture.ndim == 2 else np.ascontiguousarray(picture[..., ::-1])
    stored = io.BytesIO()
    Image.fromarray(ordered).save(stored, "JPEG", quality=quality)
    return stored.getvalue()


class AviWriter:
    """Writes frames of one size to a file: ``with AviWriter(path, size) as video: video.write(picture)``.

    Args:
        path: the file; one that is there is replaced.
        size: width and height of the frames.
        fps: frames a second.
        quality: of the JPEGs, 1 to 95.
    """

    def __init__(self, path: Path, size: tuple[int, int], *, fps: int = 30, quality: int = 85) -> None:
        self._path = path
        self._size = size
        self._fps = fps
        self._quality = quality
        self._index: list[tuple[int, int]] = []
        self._largest = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        self._file.write(self._header(0))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        with file:
            end = file.tell()
            file.write(_chunk(b"idx1", b"".join(self._entries())))
            total = file.tell()
            # Sizes and counts are known only now.
            file.seek(0)
            file.write(self._header(end, total))

    def write(self, picture: NDArray[np.uint8] | bytes) -> None:
        """Adds a frame, a picture or a JPEG that is one already.

        Raises:
            ConfigurationInvalid: the file has become too large.
            LocalMisuse: the video is not open, or the picture has another size.
        """
        file = self._file
        if file is None:
            raise LocalMisuse("the video is not open")
        if not isinstance(picture, bytes):
            if (picture.shape[1], picture.shape[0]) != self._size:
                raise LocalMisuse("a frame of another size")
            picture = jpeg(picture, self._quality)
        if file.tell() + len(picture) + 32 * len(self._index) > _LARGEST:
            raise ConfigurationInvalid("a video is limited to 1 GiB", data={"path": "seconds"})
        self._index.append((file.tell(), len(picture)))
        self._largest = max(self._largest, len(picture))
        file.write(_chunk(b"00dc", picture))

    def _entries(self) -> list[bytes]:
        # Places are counted from the word movi, which stands four bytes before the first frame.
        first = len(self._header(0)) - 4
        return [struct.pack("<4sIII", b"00dc", _KEY_FRAME, place - first, size) for place, size in self._index]

    def _header(self, end: int, total: int = 0) -> bytes:
        """All before the first frame; ``end`` is where the frames end, ``total`` the length of the file."""
        width, height = self._size
        frames, fps = len(self._index), self._fps
        rate = self._largest * fps
        main = struct.pack(
            "<14I", 1_000_000 // fps, rate, 0, _HAS_INDEX, frames, 0, 1, self._largest, width, height, 0, 0, 0, 0
        )
        stream = struct.pack(
            "<4s4sIHHIIIIIIII4H",
            *(b"vids", b"MJPG", 0, 0, 0, 0, 1, fps, 0, frames, self._largest, 0xFFFFFFFF, 0),
            *(0, 0, width, height),
        )
        bitmap = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, b"MJPG", width * height * 3, 0, 0, 0, 0)
        streams = _list(b"strl", _chunk(b"strh", stream) + _chunk(b"strf", bitmap))
        headers = _list(b"hdrl", _chunk(b"avih", main) + streams)
        # The RIFF's and the list's own eight bytes do not count.
        before = 12 + len(headers)
        return (
            struct.pack("<4sI4s", b"RIFF", max(total - 8, 0), b"AVI ")
            + headers
            + struct.pack("<4sI4s", b"LIST", max(end - before - 8, 0), b"movi")
        )


def _chunk(name: bytes, content: bytes) -> bytes:
    """A chunk begins at an even place; the byte that fills up does not count."""
    return struct.pack("<4sI", name, len(content)) + content + b"\0" * (len(content) % 2)


def _list(name: bytes, content: bytes) -> bytes:
    return _chunk(b"LIST", name + content)
