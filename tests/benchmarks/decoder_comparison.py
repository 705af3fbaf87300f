"""Decoders of codes: others beside ours, on the same pictures and films, in one run.

Each engine runs in a process of its own (``baseline_decoding``). The pictures are those of the simulated
camera, by kind and severity, with and without a code; and photographs of a folder, where one is named. *Read* is a
picture whose text an engine gives, *wrong* is one of which it gives only others.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from tests.benchmarks import paper, photographs
from tests.benchmarks.processes import baseline
from tests.benchmarks.screens import HELD_OUT, screens
from tests.benchmarks.table import p95
from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.cli.frame.language import t

__all__ = ["ENGINES", "Codes", "Film", "Reading", "StageReading", "measure_codes"]

ENGINES = (
    "pyzbar",
    "zxing",
    "zxing-both",
    "zxing-fast",
    "zxing-global",
    "zxing-fixed",
    "opencv",
    "opencv-aruco",
    "wechat",
    "four-stages",
    "ours",
    "ours-all",
)
FILMED = ("pyzbar", "zxing", "four-stages", "ours", "ours-slow")
SIZES = ((640, 480), (1280, 720), (1920, 1080))
FILMS = ("presented", "hurried", "shaky", "far", "dark_mode")
PAPERS = 5
"""Pictures of each kind of paper, for each that is asked for of the others."""
PHONES = 100
"""Phones before a counter's camera, likewise: all kinds together, by a seed by which no stage was chosen."""
HARD = 2
"""Simulated photographs of each difficult kind, likewise."""
DECOYS = 500
"""Pictures without a code: none may be read."""
SOON = 800.0
"""Milliseconds from the first frame that shows a code in which it is to be read."""
FRAMES = 75
"""Of each film: two and a half seconds, in which the phone has come and the focus is found."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How one engine did on one set of pictures.

    Attributes:
        pictures: the name of the set.
        engine: the engine.
        count: how many pictures there are.
        read: how many were read.
        wrong: of how many something else was read than what is there.
        mean_ms: milliseconds of the processor for a picture, which other programs do not lengthen.
        median_ms: likewise, of the picture in the middle.
        p95_ms: and of the slowest but one in twenty.
        kinds: how many were read of each kind and severity, ``kind/severity``.
    """

    pictures: str
    engine: str
    count: int
    read: int
    wrong: int
    mean_ms: float
    median_ms: float
    p95_ms: float
    kinds: dict[str, int] = {}


class Film(msgspec.Struct, frozen=True, kw_only=True):
    """How soon one engine read a code that is brought before the camera.

    Attributes:
        engine: the engine.
        count: how many films there are.
        read: in how many it was read.
        soon: in how many within 0.8 s.
        median_ms: milliseconds from the first frame that shows the code to its text, over those that were read.
        mean_ms: likewise.
    """

    engine: str
    count: int
    read: int
    soon: int
    median_ms: float | None
    mean_ms: float | None


class StageReading(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage of ours is worth, on all pictures with a code.

    Attributes:
        stage: the stage.
        read: how many pictures it reads, of all.
        added: how many that no stage before it reads.
        mean_ms: milliseconds a picture.
    """

    stage: str
    read: int
    added: int
    mean_ms: float


class Codes(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; ``left_out`` says of an engine why it did not run."""

    readings: tuple[Reading, ...]
    films: tuple[Film, ...]
    stages: tuple[StageReading, ...]
    left_out: dict[str, str]


class _Said(msgspec.Struct, frozen=True):
    name: str
    ms: float
    texts: list[str]
    at: float = 0.0
    stage: str = ""


def measure_codes(
    count: int,
    photographs: Path | None,
    wechat: str | None,
    say: Callable[[str], None],
    engines: Sequence[str] = ENGINES,
) -> Codes:
    """Measures all engines.

    Args:
        count: pictures of each kind and severity, and films of each sort.
        photographs: a folder of pictures with a ``manifest.json`` that gives the texts of each.
        wechat: the interpreter of an environment with OpenCV's contrib modules and the models of its WeChat detector;
            both cannot be installed beside what is used here.
        say: is told what is being done.
        engines: which of ``ENGINES``.

    Raises:
        ConfigurationInvalid: there is no folder with such a manifest.
    """
    readings: list[Reading] = []
    left_out: dict[str, str] = {}
    worth = _Worth()
    run = _Runner(wechat, left_out)
    with tempfile.TemporaryDirectory(prefix="vitale-bench-") as folder:
        for name, made in _sets(count, photographs):
            place = Path(folder) / "pictures"
            say(t(f"Images : {name}…", f"Pictures: {name}…"))
            expected = _written(made, place)
            for engine in engines:
                say(t(f"{name} : {engine}…", f"{name}: {engine}…"))
                if said := run(engine, place):
                    readings.append(_reading(name, engine, said, expected))
            if any(expected.values()) and "ours" in engines:
                worth.add(run("ours", place, "--stages"), expected)
            _emptied(place)
        films = _films(
            Path(folder), count, [engine for engine in FILMED if engine.removesuffix("-slow") in engines], run, say
        )
    return Codes(readings=tuple(readings), films=films, stages=worth.table, left_out=left_out)


class _Runner:
    """Runs engines over folders of pictures; one that cannot run is left out, once and for all."""

    def __init__(self, wechat: str | None, left_out: dict[str, str]) -> None:
        self._wechat = wechat
        self._left_out = left_out

    def __call__(self, engine: str, folder: Path, *options: str) -> list[_Said]:
        if engine in self._left_out:
            return []
        interpreter = self._wechat if engine == "wechat" else sys.executable
        if interpreter is None:
            self._left_out[engine] = t("aucun interpréteur (--wechat)", "no interpreter (--wechat)")
            return []
        answer = subprocess.run(
            (interpreter, *baseline("decoding")[1:], engine, str(folder), *options),
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            said = answer.stderr.strip().splitlines()
            self._left_out[engine] = said[-1] if said else f"status {answer.returncode}"
            return []
        return [msgspec.json.decode(line, type=_Said) for line in answer.stdout.splitlines()]


class _Worth:
    """What each stage is worth, over several sets."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}
        self._read: dict[str, int] = {}
        self._added: dict[str, int] = {}

    def add(self, said: Sequence[_Said], expected: Mapping[str, Sequence[str]]) -> None:
        """Takes what all stages read in the pictures of a set, in their order."""
        done: set[str] = set()
        for one in said:
            right = bool(set(one.texts) & set(expected[one.name]))
            self._times.setdefault(one.stage, []).append(one.ms)
            self._read[one.stage] = self._read.get(one.stage, 0) + right
            self._added[one.stage] = self._added.get(one.stage, 0) + (right and one.name not in done)
            if right:
                done.add(one.name)

    @property
    def table(self) -> tuple[StageReading, ...]:
        """A line for each stage, in their order."""
        return tuple(
            StageReading(stage=stage, read=self._read[stage], added=self._added[stage], mean_ms=statistics.fmean(times))
            for stage, times in self._times.items()
        )


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────────────────────

Made = Iterator[tuple[str, object, Sequence[str]]]
"""The name of a picture, its pixels, and the texts that are right."""


def _sets(count: int, photographs: Path | None) -> Iterator[tuple[str, Made]]:
    if photographs is not None:
        yield t("photographies", "photographs"), _photographs(photographs)
    for size in SIZES:
        yield f"{size[0]}×{size[1]}", _scenes(count, size)
    for size in SIZES:
        yield f"{size[0]}×{size[1]} {t('sans code', 'without a code')}", _empty(count * 10, size)
    if PHONES:
        yield t("téléphones au comptoir", "phones at a counter"), _phones(count * PHONES)
    if PAPERS:
        yield t("Datamatrix sur papier", "Datamatrix on paper"), _papers(count * PAPERS, paper.datamatrix)
        name = t("autres Datamatrix sur papier", "other Datamatrix on paper")
        yield name, _papers(count * PAPERS, paper.datamatrix, seed=paper.HELD_OUT)
        yield t("QR sur papier", "QR codes on paper"), _papers(count * PAPERS, paper.qr)
    if HARD:
        yield t("photographies difficiles", "difficult photographs"), _hard(count * HARD, matrix=False)
        name = t("photographies difficiles de Datamatrix", "difficult photographs of Datamatrix")
        yield name, _hard(count * HARD, matrix=True)
    if DECOYS:
        yield t("leurres", "decoys"), _decoys(DECOYS)


def _scenes(count: int, size: tuple[int, int]) -> Made:
    from vitale_firmware_sim.camera.picture import scenes
    from vitale_firmware_sim.camera.scene import COMBINED, KINDS, SEVERITIES

    for kind in (*KINDS, *COMBINED):
        for severity in SEVERITIES:
            for number, frame in enumerate(scenes(kind, severity, count, seed=11, size=size)):
                yield f"{kind}~{severity}~{number}", frame.picture, [(frame.payload or b"").decode("ascii")]


def _empty(count: int, size: tuple[int, int]) -> Made:
    from vitale_firmware_sim.camera.picture import empty_scenes

    for number, frame in enumerate(empty_scenes(count, seed=11, size=size)):
        yield f"empty~{number:04}", frame.picture, []


def _phones(count: int) -> Made:
    for number, (kind, pixels, content) in enumerate(screens(count, HELD_OUT)):
        yield f"phone-{number:04}-{kind}", pixels, [content.decode("ascii")]


def _papers(count: int, draw: Callable[[bytes], paper.Grey], seed: int = 11) -> Made:
    for kind in paper.KINDS:
        for number, (pixels, content) in enumerate(paper.papers(kind, count, seed=seed, draw=draw)):
            yield f"{kind}~paper~{number}", pixels, [content.decode("ascii")]


def _hard(count: int, *, matrix: bool) -> Made:
    for kind in photographs.KINDS:
        for number, (pixels, content) in enumerate(photographs.photographs(kind, count, seed=11, matrix=matrix)):
            yield f"{kind}~photograph~{number}", pixels, [content.decode("ascii")]


def _decoys(count: int) -> Made:
    for number, pixels in enumerate(paper.negatives(count, seed=11)):
        yield f"decoy~{number:04}", pixels, []


def _photographs(folder: Path) -> Made:
    import numpy as np
    from PIL import Image

    try:
        entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for entry in entries:
            with Image.open(folder / entry["file"]) as picture:
                pixels = np.asarray(picture.convert("L"))
            yield Path(entry["file"]).stem, pixels, entry["texts"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationInvalid("no photographs with a manifest", data={"file": str(folder)}) from error


def _written(made: Made, folder: Path) -> dict[str, Sequence[str]]:
    import numpy as np

    folder.mkdir()
    expected: dict[str, Sequence[str]] = {}
    for name, pixels, texts in made:
        np.save(folder / f"{name}.npy", np.asarray(pixels))
        expected[name] = texts
    return expected


def _emptied(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _reading(name: str, engine: str, said: Sequence[_Said], expected: Mapping[str, Sequence[str]]) -> Reading:
    kinds: dict[str, int] = {}
    read = wrong = 0
    for one in said:
        right = bool(set(one.texts) & set(expected[one.name]))
        read += right
        wrong += bool(one.texts) and not right
        kind, *rest = one.name.split("~")
        if rest:
            kinds[f"{kind}/{rest[0]}"] = kinds.get(f"{kind}/{rest[0]}", 0) + right
    times = [one.ms for one in said]
    return Reading(
        pictures=name,
        engine=engine,
        count=len(said),
        read=read,
        wrong=wrong,
        mean_ms=statistics.fmean(times),
        median_ms=statistics.median(times),
        p95_ms=p95(times),
        kinds=kinds if len(kinds) > 1 and expected[said[0].name] else {},
    )


# ── films ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _films(
    folder: Path, count: int, engines: Sequence[str], run: _Runner, say: Callable[[str], None]
) -> tuple[Film, ...]:
    times: dict[str, list[float | None]] = {engine: [] for engine in engines}
    for name in FILMS:
        for seed in range(count):
            place = folder / f"{name}-{seed}"
            say(t(f"Film : {name} {seed}…", f"Film: {name} {seed}…"))
            shown = _filmed(name, seed, place)
            for engine in engines:
                if said := run(engine, place, "--film"):
                    times[engine].append(_first(said, shown))
            _emptied(place)
    return tuple(_film(engine, taken) for engine, taken in times.items() if taken)


def _filmed(name: str, seed: int, folder: Path) -> list[str]:
    from itertools import islice

    import numpy as np

    from vitale_firmware_sim.camera.sequence import sequence

    folder.mkdir()
    shown: list[str] = []
    for number, frame in enumerate(islice(sequence(name, seed), FRAMES)):
        np.save(folder / f"{number:04}.npy", frame.picture)
        shown.append((frame.payload or b"").decode("ascii"))
    return shown


def _first(said: Iterable[_Said], shown: Sequence[str]) -> float | None:
    appears = next(number for number, text in enumerate(shown) if text) * 1000 / 30
    for one in said:
        text = shown[int(one.name)]
        if text and text in one.texts:
            return one.at - appears
    return None


def _film(engine: str, taken: Sequence[float | None]) -> Film:
    read = [one for one in taken if one is not None]
    return Film(
        engine=engine,
        count=len(taken),
        read=len(read),
        soon=sum(one <= SOON for one in read),
        median_ms=statistics.median(read) if read else None,
        mean_ms=statistics.fmean(read) if read else None,
    )
