"""Presences in the view of one camera: pure, symbols and times in, reports out.

Rules, beside those of ``base``:

- A presence is one code that stays in view: thirty pictures of it are one. It ends when the code was not seen for
  ``settle``, in two pictures at least. It also ends when another takes its place: a phone that renews its code presents
  anew.
- Where no pictures come nothing is known. A slow stream, or a camera that is opened anew, ends no presence by itself.
- It is presented in the first picture that shows it while it is wanted. Each ``again`` presents it once more, by a
  picture that shows it then. So it was in view at that instant.
- Before it is presented all of that very picture is looked at. What was found first may not be alone. Only what has not
  changed since it was looked at is left out.
- Of two wanted codes in view at once none is presented, until one is left.
- Posters, medicine boxes and the like are no presences. They are told (``retry``) where nothing that is wanted is seen.
- What codes say is kept only while a code in several parts is being collected. Otherwise a digest of it is kept.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from vitale_drivers.base import Presented, Progress, ReaderChanged, Report
from vitale_drivers.camera.structured_append import Box, SeenSymbol, Series, box_of, overlap
from vitale_drivers.readers.presence import Presence
from vitale_protocol.errors import AmbiguousMedium
from vitale_protocol.events import Reader, ReaderState
from vitale_protocol.media.codes import Code, classify
from vitale_protocol.privacy import concealed
from vitale_protocol.problems import Problem

__all__ = ["MEDIA", "SEVERAL", "CameraView", "Moment", "Survey"]

MEDIA = ("apcv-qr", "ins-datamatrix", "2d-doc")

_ALL = frozenset(MEDIA)

SEVERAL = Problem(AmbiguousMedium.reason, "codes")

_RIVAL = 0.3
"""Seconds: a code that was not seen for so long, in pictures that show another one, is not beside that but gone."""

_STRANGER = 0.5
"""Seconds: how long a stranger's code is in view alone before it is told; a phone may be on its way before it."""

_AT_ONCE = frozenset({"mdoc", "openid4vp", "several"})
"""Kinds that somebody shows on purpose."""

_MISSED = 2
"""Pictures without a code that it takes for it to be gone: of a stream of less than one a second, one says little."""

_LONGEST = 15.0
"""Seconds for which a code is remembered that no picture was there to show: a camera takes up to ten to open."""

_MOST = 32
"""Codes that are followed at a time."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Times of one picture.

    Attributes:
        now: seconds of the monotonic clock.
        at: seconds since the epoch, when its codes were read.
        elapsed: seconds from its coming to then.
    """

    now: float
    at: float = 0.0
    elapsed: float = 0.0


Survey = Callable[[], tuple[Iterable[SeenSymbol], float]]
"""All the symbols of the picture that was just seen, wherever they are, and the seconds that this look took."""


@dataclass(slots=True)
class _Code:
    """A code that is in view, without what it says."""

    __repr__ = concealed

    kind: str
    medium: str | None
    problem: Problem | None
    box: Box
    first: float
    last: float
    missed: int = 0


class CameraView:
    """View of one camera, kept from its opening to its closing and on to the next."""

    def __init__(
        self,
        reader: Reader,
        presence: Presence,
        new_id: Callable[[], str],
        *,
        settle: float,
        collect: float,
        formats: tuple[str, ...] = (),
    ) -> None:
        """Stores.

        ``reader`` is what clients know the reader as, ``new_id`` makes the ids of presentations. ``formats`` are the
        published ones that a phone's codes may have here.
        """
        self._formats = formats
        self.reader = reader
        self._presence = presence
        self._new_id = new_id
        self._settle = settle
        self._series = Series(collect)
        self._codes: dict[bytes, _Code] = {}
        self._current: bytes | None = None
        self._resumed = 0.0
        self._interrupted = False
        self._reported_several = False
        self._reported: set[tuple[str, str]] = set()

    @property
    def occupied(self) -> bool:
        """True if there is a presence."""
        return self._current is not None

    @property
    def simple(self) -> bool:
        """True if what is presented is all that was in view lately."""
        return self.occupied and len(self._codes) == 1

    def saw(self, symbols: Iterable[SeenSymbol], moment: Moment, survey: Survey) -> list[Report]:
        """A picture showed these symbols; ``survey`` is asked before a presentation whether it shows more."""
        self._resume(moment.now)
        seen = self._note(symbols, moment.now)
        self._pass_over(moment.now)
        reports = self.passed(moment.now)
        rivals = self._candidates(moment.now)
        if len(rivals) == 1 and rivals[0] in seen and self._would_present(rivals[0], moment.now):
            more, elapsed = survey()
            moment = replace(moment, at=moment.at + elapsed, elapsed=moment.elapsed + elapsed)
            seen |= self._note(more, moment.now)
            reports += self.passed(moment.now)
            rivals = self._candidates(moment.now)
        if len(rivals) > 1:
            return reports + self._ambiguous(rivals, moment.now)
        self._reported_several = False
        if rivals and self._current != rivals[0]:
            reports += self._end()
            self._arrive(rivals[0])
        code = seen.get(self._current) if self._current is not None else None
        if code is not None:
            reports += self._present(code, moment)
        return reports + self._strangers(moment.now)

    def passed(self, now: float) -> list[Report]:
        """Time has passed, whether or not there were pictures."""
        self._series.forget(now)
        for key in [key for key, code in self._codes.items() if self._is_gone(code, now)]:
            del self._codes[key]
        return [] if self._current in self._codes else self._end()

    def interrupted(self) -> None:
        """No pictures come until the camera was opened anew: what was in view may still be there then."""
        self._interrupted = True

    def leave(self) -> list[Report]:
        """The camera closes: nothing is in view any more."""
        self._codes.clear()
        self._series.clear()
        self._reported.clear()
        self._reported_several = self._interrupted = False
        return self._end()

    # ── what is there ──

    def _resume(self, now: float) -> None:
        """Gives what is in view as long to be seen again as a code just seen.

        Cameras need time to find their light.
        """
        for code in self._codes.values():
            code.missed = 0 if self._interrupted else code.missed + 1
        if self._interrupted:
            self._resumed, self._interrupted = now, False

    def _is_gone(self, code: _Code, now: float) -> bool:
        if now - code.last > max(_LONGEST, self._settle):
            return True
        return now - max(code.last, self._resumed) > self._settle and code.missed >= _MISSED

    def _note(self, symbols: Iterable[SeenSymbol], now: float) -> dict[bytes, Code]:
        """Takes down what a picture shows; returns what each code is, by its digest."""
        seen: dict[bytes, Code] = {}
        fresh: list[bytes] = []
        for symbol in symbols:
            data = self._series.whole(symbol, now)
            if data is None:
                continue
            key = hashlib.sha256(symbol.symbology.encode() + b"\0" + data).digest()
            seen[key] = classify(data, symbol.symbology, self._formats)
            known = self._codes.get(key)
            if known is None:
                self._codes[key] = _new(seen[key], box_of(symbol.corners), now)
                fresh.append(key)
            else:
                known.box, known.last, known.missed = box_of(symbol.corners), now, 0
        for key in fresh:
            self._replace(key, now)
        for key in sorted(self._codes, key=lambda one: self._codes[one].last)[:-_MOST]:
            del self._codes[key]
        return seen

    def _replace(self, key: bytes, now: float) -> None:
        """Replaces a code that is gone by one in its place: a screen shows one at a time."""
        new = self._codes[key]
        for other, code in list(self._codes.items()):
            if code.last < now and (code.medium is None) == (new.medium is None) and overlap(code.box, new.box):
                del self._codes[other]

    def _pass_over(self, now: float) -> None:
        """Ends candidates that were not seen lately, if others are seen now."""
        candidates = self._candidates(now)
        if any(self._codes[key].last == now for key in candidates):
            for key in candidates:
                if now - self._codes[key].last > _RIVAL:
                    del self._codes[key]

    def _candidates(self, now: float) -> list[bytes]:
        """The codes that may be what is presented: those wanted, or while nothing is, those that could be."""
        wanted = self._presence.wanted
        armed = wanted(now, _ALL)
        return [
            key
            for key, code in self._codes.items()
            if code.medium is not None and (not armed or wanted(now, frozenset({code.medium})))
        ]

    def _would_present(self, key: bytes, now: float) -> bool:
        if key == self._current:
            return self._presence.due(now)
        return self._presence.wanted(now, frozenset({self._codes[key].medium or ""}))

    # ── what is told ──

    def _arrive(self, key: bytes) -> None:
        self._current = key
        self._presence.came(self._codes[key].medium or "")

    def _end(self) -> list[Report]:
        """Ends a presence, also between two codes of one phone, so that each presence has its end."""
        if self._current is None:
            return []
        self._current = None
        self._presence.left()
        return self._show("empty")

    def _present(self, code: Code, moment: Moment) -> list[Report]:
        reports = self._show("present", code.medium)
        if not self._presence.due(moment.now):
            return reports
        self._presence.begin()
        presented = Presented(
            id=self._new_id(),
            medium=code.medium or "",
            reader=self.reader.id,
            at=moment.at,
            evidence=code.evidence,
            simulated=self.reader.simulated,
            elapsed=moment.elapsed,
        )
        return [*reports, presented]

    def _ambiguous(self, rivals: Sequence[bytes], now: float) -> list[Report]:
        """Reports codes that were in view together; one that came after the other was last seen may replace it."""
        codes = [self._codes[key] for key in rivals]
        together = max(code.first for code in codes) <= min(code.last for code in codes)
        if self._reported_several or not together or not self._presence.wanted(now, _ALL):
            return []
        self._reported_several = True
        return [Progress(reader=self.reader.id, step="ambiguous", problem=SEVERAL)]

    def _strangers(self, now: float) -> list[Report]:
        strangers = [(code, code.problem) for code in self._codes.values() if code.problem is not None]
        self._reported &= {_name(problem) for _, problem in strangers}
        if self._current is not None or not self._presence.wanted(now, _ALL):
            return []
        due = {
            _name(problem): problem
            for code, problem in strangers
            if code.last == now and (code.kind in _AT_ONCE or now - code.first >= _STRANGER)
        }
        new = sorted(due.keys() - self._reported)
        self._reported.update(new)
        return [Progress(reader=self.reader.id, step="retry", problem=due[name]) for name in new]

    def _show(self, state: ReaderState, medium: str | None = None) -> list[Report]:
        shown = msgspec.structs.replace(self.reader, state=state, medium=medium)
        if shown == self.reader:
            return []
        self.reader = shown
        return [ReaderChanged(reader=shown)]


def _new(code: Code, box: Box, now: float) -> _Code:
    return _Code(code.kind, code.medium, code.problem, box, now, now)


def _name(problem: Problem) -> tuple[str, str]:
    return problem.reason, problem.variant
