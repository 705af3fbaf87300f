"""A network camera in software, and who stands before it: what it shows is changed while it runs.

Any program that opens MJPEG over HTTP can open it. Frames are rendered before they are shown, so that sending them
takes little time. A few of each scene take turns, for no two frames of a real sensor are alike.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Final, Literal, Self

import numpy as np

from vitale_firmware_sim.camera.picture import SIZE, Frame, render
from vitale_firmware_sim.camera.scene import Scene, fitted, scene
from vitale_firmware_sim.camera.sequence import FPS
from vitale_firmware_sim.camera.stream import MjpegServer
from vitale_firmware_sim.camera.video import jpeg

__all__ = ["LiveCamera"]

_TURNS: Final = 4
# Scenes that are kept; one is about half a megabyte.
_PREPARED: Final = 64
Mood = Literal["live", "frozen", "blocked"]


@dataclass(frozen=True, slots=True)
class _Shot:
    jpeg: bytes = field(repr=False)
    payload: bytes | None = field(repr=False)


class LiveCamera:
    """A camera at an address of its own: ``with LiveCamera() as camera: camera.show(payload)``.

    All methods may be called from any thread.

    Args:
        size: width and height.
        fps: frames a second.
        port: 0 for any that is free.
        colour: whether it gives colour.
        seed: for the counter behind, the hand and the noise.
        clock: seconds, for ``sent_at``; the same clock as whoever measures has.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int] = SIZE,
        fps: int = FPS,
        port: int = 0,
        colour: bool = False,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = size
        self._fps = fps
        self._colour = colour
        self._seed = seed
        self._turns = 0
        self._clock = clock
        self._changed = threading.Condition()
        self._mood: Mood = "live"
        self._prepared: dict[Scene, tuple[_Shot, ...]] = {}
        self._shots: Sequence[_Shot] = ()
        self._began = 0.0
        self._repeat = True
        self._frozen: _Shot | None = None
        self._sent: dict[bytes, float] = {}
        self._count = 0
        self._server = MjpegServer(self._next, fps=fps, port=port)

    def __enter__(self) -> Self:
        self.clear()
        self._server.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        """The address of the stream, ``http://127.0.0.1:PORT/stream.mjpg``."""
        return self._server.url

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return self._server.connections

    # ── what is before it ────────────────────────────────────────────────────────────────────────────────────────

    def prepare(self, what: bytes | Scene) -> None:
        """Renders what will be shown later, so that ``show`` takes no time."""
        self._shots_of(self._scene(what))

    def show(self, what: bytes | Scene) -> None:
        """Shows a phone with this code, or a scene, from the next frame on."""
        self._turn_to(self._shots_of(self._scene(what)), repeat=True)

    def show_together(self, *payloads: bytes) -> None:
        """Shows a phone with each of these codes, side by side, from the next frame on."""
        share = 1 / len(payloads)
        first, *others = (
            replace(self._scene(payload), at=((number + 0.5) * share, 0.5)) for number, payload in enumerate(payloads)
        )
        self._turn_to([self._shot(number, first, others) for number in range(_TURNS)], repeat=True)

    def clear(self) -> None:
        """Shows an empty counter from the next frame on."""
        self.show(replace(scene("plain", seed=self._seed, payload=b""), phone=False))

    def cover(self) -> None:
        """Shows what is seen with the cover before the lens: black, and the noise of the sensor."""
        random = np.random.default_rng((61, self._seed))
        dark = random.integers(0, 8, (_TURNS, *self._size[::-1]), dtype=np.uint8)
        self._turn_to([_Shot(jpeg(picture), None) for picture in dark], repeat=True)

    def play(self, frames: Iterable[Frame]) -> None:
        """Plays a sequence, rendered beforehand, once; its last frame stays."""
        self._turn_to([_Shot(jpeg(frame.picture), frame.payload) for frame in frames], repeat=False)

    # ── what becomes of it ───────────────────────────────────────────────────────────────────────────────────────

    def freeze(self) -> None:
        """Sends its last frame again and again, byte for byte, as cameras with a fault do."""
        self._feel("frozen")

    def thaw(self) -> None:
        """Sends frames as they are seen again."""
        self._feel("live")

    def block(self) -> None:
        """Sends nothing, and keeps its connections."""
        self._feel("blocked")

    def vanish(self) -> None:
        """Ends its connections and refuses new ones, as when it is unplugged."""
        self._server.close()

    def come_back(self) -> None:
        """Is there again, at the same address, and is not frozen or blocked any more.

        Raises:
            OSError: somebody else has taken the port.
        """
        self._feel("live")
        self._server.close()
        self._server.open()

    # ── what was sent ────────────────────────────────────────────────────────────────────────────────────────────

    def sent_at(self, payload: bytes) -> float | None:
        """Time at which the first frame with this code was handed to a socket; None before that."""
        with self._changed:
            return self._sent.get(payload)

    def wait_sent(self, payload: bytes, seconds: float) -> float | None:
        """Waits until a frame with this code was handed to a socket.

        Returns when that was, by the camera's clock, or None after ``seconds``.
        """
        with self._changed:
            self._changed.wait_for(lambda: payload in self._sent, seconds)
            return self._sent.get(payload)

    def wait_frames(self, count: int, seconds: float) -> bool:
        """Waits until so many more frames were sent; whether they were."""
        with self._changed:
            until = self._count + count
            return self._changed.wait_for(lambda: self._count >= until, seconds)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _scene(self, what: bytes | Scene) -> Scene:
        if isinstance(what, Scene):
            return what
        return fitted(scene("plain", seed=self._seed, payload=what), self._size[0])

    def _shots_of(self, made: Scene) -> tuple[_Shot, ...]:
        with self._changed:
            shots = self._prepared.get(made)
        if shots is None:
            shots = tuple(itertools.starmap(self._shot, enumerate(self._held(made))))
            with self._changed:
                self._prepared[made] = shots
                while len(self._prepared) > _PREPARED:
                    del self._prepared[next(iter(self._prepared))]
        return shots

    def _held(self, made: Scene) -> list[Scene]:
        """The scene as a hand holds it, pixels to and fro."""
        random = np.random.default_rng((60, self._seed))
        if not made.phone:
            return [made] * _TURNS
        strays = random.normal(0, 0.6 / self._size[0], (_TURNS, 2)).tolist()
        return [replace(made, at=(made.at[0] + x, made.at[1] + y)) for x, y in strays]

    def _shot(self, number: int, made: Scene, beside: Sequence[Scene] = ()) -> _Shot:
        seed = self._seed * 100 + number
        picture = render(made, size=self._size, seed=seed, colour=self._colour, beside=beside)
        return _Shot(jpeg(picture), made.payload if made.phone and made.payload else None)

    def _turn_to(self, shots: Sequence[_Shot], *, repeat: bool) -> None:
        with self._changed:
            self._shots, self._repeat, self._began = shots, repeat, time.monotonic()

    def _feel(self, mood: Mood) -> None:
        with self._changed:
            self._mood = mood

    def _next(self) -> bytes | None:
        """The frame that is to be sent now; asked by the threads of the connections."""
        with self._changed:
            if self._mood == "blocked" or not self._shots:
                return None
            if self._mood == "live" or self._frozen is None:
                self._frozen = self._shots[self._turn()]
            shot = self._frozen
            if shot.payload is not None:
                self._sent.setdefault(shot.payload, self._clock())
            self._count += 1
            self._changed.notify_all()
            return shot.jpeg

    def _turn(self) -> int:
        """The shot whose turn it is.

        A hand that holds still has the next one, a sequence that of the moment.
        """
        last = len(self._shots) - 1
        if self._repeat:
            # By count, not by time: of two frames that are sent close together, neither is the other again.
            self._turns += 1
            return self._turns % (last + 1)
        return min(int((time.monotonic() - self._began) * self._fps), last)
