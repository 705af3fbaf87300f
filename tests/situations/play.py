"""Plays situations, and makes the page of what was heard."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from tests.situations.counter import FIRST_SLOT, PATIENCE, READERS, Counter, Heard
from tests.situations.situations import SITUATIONS, Situation
from tests.situations.texts import ELSEWHERE, counter_texts, with_equals
from vitale_protocol import catalogue
from vitale_protocol.catalogue import Language

__all__ = ["Row", "can_be_played", "page", "play", "row", "rows_of", "say_the_same"]

HEAD = """# What goes wrong at the counter

{count} situations, played on the real stacks (PC/SC, NFC, camera, imager) with simulated devices, and the words that a
person at the counter reads then. First comes what the screen says while the request waits. **The end** is bold, and
what to do follows it. Beside a token stand its warnings. `python -m tests.situations --write` plays them and writes
this page; the tests play them again and compare.

"""


TEXTS = """## Every text of a reading

Every step, error and warning of the catalogue that a reading can show, each with a situation of this page that shows it
in both languages; where no counter on Linux can, the reason stands instead.

| text | situation |
|---|---|
"""


class Row(NamedTuple):
    """The cell of one situation in one language: what was told, the end, and the keys of all texts that were shown."""

    told: tuple[str, ...]
    end: str
    keys: frozenset[str]


Enough = Callable[[Heard], bool]


class Playing(NamedTuple):
    """A situation to be played in a language, until so much was heard; None: until its end."""

    one: Situation
    language: Language
    enough: Enough | None = None


def can_be_played(at: Counter, one: Situation) -> bool:
    """True unless it is about a device that cannot be mocked on this machine."""
    return not one.held or at.other.held is not None


def play(at: Counter, playing: Playing) -> Heard:
    """Plays one situation, and clears away."""
    one = playing.one
    try:
        _prepare(at, [one])
        return _heard(at, playing)
    finally:
        one.clear(at)
        at.settle()


def play_together(at: Counter, all_playing: Iterable[Playing]) -> dict[str, Heard]:
    """Plays those that take their time, each group at once; what was heard, by the English text of the situation."""
    heard = dict[str, Heard]()
    together = sorted((playing for playing in all_playing if playing.one.together), key=_group)
    for _, group in itertools.groupby(together, key=_group):
        heard |= _play_group(at, list(group))
    return heard


def _group(playing: Playing) -> int:
    return playing.one.together


def _play_group(at: Counter, together: list[Playing]) -> dict[str, Heard]:
    try:
        _prepare(at, [playing.one for playing in together])
        with ThreadPoolExecutor(len(together)) as pool:
            heard = pool.map(partial(_heard, at), together)
            return {playing.one.english: each for playing, each in zip(together, heard, strict=True)}
    finally:
        for playing in together:
            playing.one.clear(at)
        at.settle()


def _prepare(at: Counter, situations: Iterable[Situation]) -> None:
    lying, readers = 0, READERS
    for one in situations:
        one.before(at)
        lying, readers = lying + one.lying, readers + one.plugged
    if lying or readers > READERS:
        at.settle(lying, readers)


def _never(_: Heard) -> bool:
    return False


def _heard(at: Counter, playing: Playing) -> Heard:
    one, language, enough = playing
    if one.hear is not None:
        return one.hear(at, language)
    readers = (FIRST_SLOT,) if one.first_slot else None if one.readers is None else one.readers(at)
    timeout = one.timeout or (one.said if enough is None else PATIENCE)
    return at.hear(one.media, one.present, language, enough or _never, timeout, readers, one.then, one.until, one.desk)


def row(heard: Heard, language: Language) -> Row:
    """What was heard, as the page has it."""
    told, keys = tuple(heard.told), frozenset(heard.keys)
    if heard.token:
        token = {"fr": "Un jeton", "en": "A token"}[language]
        return Row(told, f"**{token}.** {' · '.join(heard.warnings)}".strip(), keys)
    return Row(told, f"**{heard.title}.** {heard.remedy}".strip(), keys)


def page(heard: dict[str, dict[Language, Row]]) -> str:
    """The page; situations by their English text."""
    parts = [HEAD.format(count=len(heard))]
    for group, situations in SITUATIONS.items():
        parts.append(f"## {group}\n\n| situation | l’écran dit | the screen says |\n|---|---|---|\n")
        for one in situations:
            rows = heard[one.english]
            cells = (" ".join(_cell(rows[language])) for language in ("fr", "en"))
            keys = " ".join(sorted(rows["fr"].keys | rows["en"].keys))
            parts.append(f"| {one.french}<br>*{one.english}* <!-- {keys} --> | {' | '.join(cells)} |\n")
        parts.append("\n")
    return "".join((*parts, *_texts(heard))).rstrip() + "\n"


def _texts(heard: dict[str, dict[Language, Row]]) -> Iterator[str]:
    """Every text that a reading can show, with a situation that shows it, or why none does."""
    names = [one.english for situations in SITUATIONS.values() for one in situations]
    shown = {
        key: name for name in reversed(names) for key in with_equals(heard[name]["fr"].keys | heard[name]["en"].keys)
    }
    yield TEXTS
    for key in sorted(counter_texts()):
        where = f"*{shown[key]}*" if key in shown else ELSEWHERE.get(key, "")
        yield f"| `{key}` | {where} |\n"


def _cell(row: Row) -> tuple[str, ...]:
    return (*(f"« {text} »<br>" for text in row.told), row.end)


def rows_of(text: str) -> dict[str, dict[Language, Row]]:
    """The cells of a page, by the English text of the situation."""
    found: dict[str, dict[Language, Row]] = {}
    for line in text.splitlines():
        if line.startswith("| ") and (match := _SITUATION.match(line)):
            french, english = match["cells"].removesuffix(" |").split(" | ")
            keys = frozenset(match["keys"].split())
            found[match["name"]] = {"fr": _row_of(french, keys), "en": _row_of(english, keys)}
    return found


_SITUATION = re.compile(r"\| .*<br>\*(?P<name>.*)\* <!-- (?P<keys>.*) --> \| (?P<cells>.*)")


def _row_of(cell: str, keys: frozenset[str]) -> Row:
    *told, end = cell.split("<br>")
    return Row(tuple(each.strip(" «»") for each in told), end.strip(), keys)


def say_the_same(french: Row, english: Row) -> bool:
    """True if each text of one row is what the catalogue has for that of the other."""
    said = catalogue.load("fr").steps, catalogue.load("en").steps
    steps = {(said[0][key], said[1][key]) for key in said[0]}
    if len(french.told) != len(english.told) or set(zip(french.told, english.told, strict=True)) - steps:
        return False
    words = {pair for reason in catalogue.reasons() for pair in _words(reason)} | {("Un jeton", "A token"), ("", "")}
    parts = _parts(french.end), _parts(english.end)
    return len(parts[0]) == len(parts[1]) and set(zip(*parts, strict=True)) <= words


def _words(reason: str) -> Iterator[tuple[str, str]]:
    """Titles and remedies of a reason and of its variants, French and English."""
    for variant in ("", *catalogue.variants(reason)):
        french, english = (catalogue.text(reason, language, variant) for language in ("fr", "en"))
        yield from ((french.title, english.title), (french.remedy, english.remedy))


def _parts(end: str) -> list[str]:
    """The title, and the remedy, or the warnings beside a token."""
    title, _, rest = end.removeprefix("**").partition(".**")
    return [title, *(part.strip() for part in rest.split(" · "))]
