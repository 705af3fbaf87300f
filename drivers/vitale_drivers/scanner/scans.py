"""Handling of the scans of one imager; the reader's lock is held around each call.

Rules, beside those of ``base``:

- A scan is an event. When somebody is to be read here, it is presented and is over. The reader shows it and is empty.
- When nobody is, it lies there for ``grace`` seconds. It is presented once if somebody asks meanwhile. Then its bytes
  are forgotten. A scan that follows takes its place.
- Two scans that arrive together are two. Each is dealt with like one that came by itself, in their order. So the first
  goes to who asked first, and the second to who waits next, if anybody does.
- A code that comes again within ``repeat`` seconds is the same scan. Imagers in a stand go on telling what they see.
- A code that is no patient's (a box, a prescription, anything) is told as such, at each scan. Two boxes of one kind are
  two. They end no request, and take away nothing that lies there.
- A code of a patient that cannot be presented is reported (``failed``) to a request that waits. The same holds for a
  request in the next half second, by when it was ordered. An order to arm takes its time. So it is with a line that was
  too long, incomplete or garbled. The last two are a ``retry``, since scanning again may succeed. Of what is dropped
  while nobody waits, a box for another program perhaps, the log says that it was.
- What may be the rest of a torn scan is a code only if its beginning proves it. Otherwise it is reported as incomplete.
- More scans in a second than anyone can make are noise. They are reported once as garbled, and dropped, so that they
  delay no other reading.
- Several codes that came as one are scanned again, one by one (``retry``): nobody knows where one ends.
- Content that is no text is an apCV's, or another code's, only where the imager identifies the symbology. Otherwise a
  wrong speed made it. The real strings can be typed by imagers in keyboard mode: they are text.
"""

import hashlib
import logging
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from vitale_drivers.base import Arm, CodeScanned, Emit, Failed, Presented, Progress, ReaderChanged
from vitale_drivers.readers.presence import Presence
from vitale_drivers.scanner.framing import Dropped, LineEvent, Scan
from vitale_drivers.scanner.gs1 import read_gs1
from vitale_drivers.scanner.maker_identifiers import is_proved, recognise_identifier
from vitale_protocol.errors import PayloadInvalid
from vitale_protocol.events import Reader
from vitale_protocol.media.codes import Code, classify
from vitale_protocol.problems import Problem

__all__ = ["MEDIA", "PassOn", "Scans"]

logger = logging.getLogger(__name__)

PassOn = Callable[[bytes], bool]

MEDIA = ("apcv-qr", "ins-datamatrix", "2d-doc")

INCOMPLETE = Problem(PayloadInvalid.reason, "incomplete")
GARBLED = Problem(PayloadInvalid.reason, "garbled")

_MEDIA = frozenset(MEDIA)

_ANYTHING = frozenset({"apcv-qr", "other"})

_SHORTLY = 0.5
"""Seconds: longer than it takes to ask, and shorter than anybody takes to scan and then to ask."""

_MOST = 100
"""Scans in a second."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A scan that lies there, and until when (monotonic)."""

    code: Code
    at: float
    elapsed: float
    until: float


class Scans:
    """The scans of an imager.

    Args:
        reader: what clients know it as, empty; whoever shows another one than this tells ``appear``.
        grace: seconds that a scan lies there.
        repeat: seconds within which the same code is the same scan.
        emit: told under the reader's lock.
        clock: monotonic seconds.
        wall: seconds since the epoch.
        pass_on: writes a code that is no patient's on to another program; whether it has it.
        others: beginnings of codes that are no patient's, though they could be a phone's.
        formats: published formats that a phone's codes may have here.
    """

    def __init__(
        self,
        reader: Reader,
        grace: float,
        repeat: float,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        pass_on: PassOn = lambda _: False,
        others: tuple[bytes, ...] = (),
        formats: tuple[str, ...] = (),
    ) -> None:
        self._reader = reader
        self._grace = grace
        self._repeat = repeat
        self._emit = emit
        self._pass_on = pass_on
        self._others = others
        self._formats = formats
        self._clock = clock
        self._wall = wall
        self._presence = Presence(reader.id)
        self._held: _Held | None = None
        self._refused: tuple[Failed | Progress, float] | None = None
        self._key = os.urandom(32)
        self._last = b""
        self._last_at = 0.0
        self._second = 0.0
        self._taken = 0

    @property
    def due(self) -> float | None:
        """Time at which ``expire`` has to be called."""
        return None if self._held is None else self._held.until

    @property
    def wanted(self) -> bool:
        """True if a request waits for a scan here."""
        return self._presence.wanted(self._clock(), _MEDIA)

    def appear(self, reader: Reader) -> None:
        """Takes the reader, which was reported already."""
        self._reader = reader

    def leave(self) -> None:
        """Forgets the reader, and the scan held there."""
        self._held = self._refused = None
        self._last = b""
        self._presence.left()

    def arm(self, command: Arm) -> None:
        """Presents what lies there, if it is wanted, and what comes."""
        self._presence.arm(command)
        self.expire()
        self._offer()
        self._tell_refused(min(command.at, self._clock()))

    def disarm(self) -> None:
        """Ends the effect of ``arm``."""
        self._presence.disarm()

    def take(self, event: LineEvent) -> None:
        """Takes an event of the imager's framing."""
        if self._is_noise():
            return
        match event:
            case Scan():
                self._take(event)
            case Dropped(why="too-long"):
                self._fail(Problem(PayloadInvalid.reason, "too-long", "the line is too long"))
            case Dropped(why="garbled"):
                self._retry(GARBLED)
            case Dropped():
                self._retry(INCOMPLETE)

    def expire(self) -> None:
        """Time has passed: forgets what lay there for long enough."""
        if self._held is not None and self._held.until <= self._clock():
            self._end()

    # ── inside ──

    def _is_noise(self) -> bool:
        now = self._clock()
        if now - self._second >= 1.0:
            self._second, self._taken = now, 0
        self._taken += 1
        if self._taken == _MOST + 1:
            self._retry(GARBLED)
        return self._taken > _MOST

    def _take(self, scan: Scan) -> None:
        if not scan.symbology:
            symbology, data = recognise_identifier(scan.data)
            scan = replace(scan, data=data, symbology=symbology)
        code = classify(scan.data, scan.symbology, self._formats)
        if scan.tail and not is_proved(scan.data):
            self._retry(INCOMPLETE)
            return
        if code.kind == "several" and code.problem is not None:
            self._retry(code.problem)
            return
        if code.kind in _ANYTHING and scan.data and not scan.symbology and not _is_text(scan.data):
            self._retry(GARBLED)
            return
        if (code.kind == "other" and scan.data) or (code.kind == "apcv-qr" and scan.data.startswith(self._others)):
            self._tell_other(scan, code.format)
            return
        if self._is_repeated(scan):
            if self._held is not None:
                self._held = self._prolonged(self._held)
            return
        self._end()
        if code.problem is not None:
            self._fail(msgspec.structs.replace(code.problem, detail=f"the code is {code.kind}"))
            if self._refused is None:
                # A code that was not reported is no repetition when it comes again.
                self._remember(scan)
            return
        self._remember(scan)
        self._held = _Held(code, self._wall(), scan.elapsed, self._clock() + self._grace)
        self._presence.came(code.medium or "")
        self._show(state="present", medium=code.medium)
        self._offer()

    def _tell_other(self, scan: Scan, published: str) -> None:
        """Tells of a code that is no patient's."""
        passed_on = self._pass_on(scan.data)
        self._emit(
            CodeScanned(
                reader=self._reader.id,
                data=scan.data,
                symbology=scan.symbology,
                gs1=read_gs1(scan.data),
                passed_on=passed_on,
                format=published,
            )
        )

    def _offer(self) -> None:
        held = self._held
        if held is None or held.code.medium is None or not self._presence.due(self._clock()):
            return
        self._presence.begin()
        self._emit(
            Presented(
                id=str(uuid.uuid4()),
                medium=held.code.medium,
                reader=self._reader.id,
                at=held.at,
                evidence=held.code.evidence,
                simulated=self._reader.simulated,
                elapsed=held.elapsed,
                over=True,
            )
        )
        self._end()

    def _end(self) -> None:
        self._refused = None
        if self._held is not None:
            self._held = None
            self._presence.left()
            self._show(state="empty", medium=None)

    def _fail(self, problem: Problem) -> None:
        """Reports a scan that is of no use."""
        self._end()
        self._refuse(Failed(reader=self._reader.id, problem=problem))

    def _refuse(self, report: Failed | Progress) -> None:
        now = self._clock()
        self._refused = report, now
        self._tell_refused(now)

    def _tell_refused(self, asked_at: float) -> None:
        if self._refused is not None and self.wanted:
            (report, at), self._refused = self._refused, None
            if asked_at - at < _SHORTLY:
                self._emit(report)

    def _retry(self, problem: Problem) -> None:
        if not self.wanted:
            logger.warning("%s: what was scanned is %s, and was dropped", self._reader.id, problem.variant)
        self._refuse(Progress(reader=self._reader.id, step="retry", problem=problem))

    # ── the same again ──

    def _is_repeated(self, scan: Scan) -> bool:
        """True if the scan repeats the last one; compared by digest, so that the bytes need not be kept."""
        if not self._last or self._clock() - self._last_at >= self._repeat or self._digest(scan) != self._last:
            return False
        self._last_at = self._clock()
        return True

    def _remember(self, scan: Scan) -> None:
        self._last, self._last_at = self._digest(scan), self._clock()

    def _digest(self, scan: Scan) -> bytes:
        return hashlib.blake2b(scan.data, key=self._key, digest_size=16).digest()

    def _prolonged(self, held: _Held) -> _Held:
        return _Held(held.code, self._wall(), held.elapsed, self._clock() + self._grace)

    def _show(self, *, state: str, medium: str | None) -> None:
        self._reader = msgspec.structs.replace(self._reader, state=state, medium=medium)
        self._emit(ReaderChanged(reader=self._reader))


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False
