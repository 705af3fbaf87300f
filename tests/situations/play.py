"""Plays situations, and makes the page of what was heard."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.situations.counter import PATIENCE, Counter, Heard
from tests.situations.situations import SITUATIONS, Situation
from vitale_protocol import catalogue
from vitale_protocol.catalogue import Language

__all__ = ["FIRST_SLOT", "Row", "page", "play", "row", "rows_of", "say_the_same"]

FIRST_SLOT = "pcsc:virtual-pcd"

#: Seconds of a request whose medium stays and is not read: whatever is said has been said by then.
SAID = 3.0

HEAD = """# What goes wrong at the counter

{count} situations, played on the real stacks (PC/SC, NFC, camera, imager) with simulated devices, and the words that a
person at the counter reads then. First comes what the screen says while the request waits. **The end** is bold, and
what to do follows it. Beside a token stand its warnings. `python -m tests.situations --write` plays them and writes
this page; the tests play them again and compare.

"""


class Row(NamedTuple):
    """The cell of one situation in one language: what was told, and the end."""

    told: tuple[str, ...]
    end: str


def play(at: Counter, one: Situation, language: Language, enough: Callable[[Heard], bool] | None = None) -> Heard:
    """Plays one situation, and clears away."""
    one.before(at)
    if one.lying:
        at.settle(one.lying)
    readers = (FIRST_SLOT,) if one.first_slot else None
    timeout = one.timeout or (SAID if enough is None else PATIENCE)
    try:
        return at.hear(one.media, lambda: one.present(at), language, enough or (lambda _: False), timeout, readers)
    finally:
        one.clear(at)
        at.settle()


def row(heard: Heard, language: Language) -> Row:
    """What was heard, as the page has it."""
    if heard.token:
        token = {"fr": "Un jeton", "en": "A token"}[language]
        return Row(tuple(heard.told), f"**{token}.** {' · '.join(heard.warnings)}".strip())
    return Row(tuple(heard.told), f"**{heard.title}.** {heard.remedy}".strip())


def page(heard: dict[str, dict[Language, Row]]) -> str:
    """The page; situations by their English text."""
    parts = [HEAD.format(count=len(heard))]
    for group, situations in SITUATIONS.items():
        parts.append(f"## {group}\n\n| situation | l’écran dit | the screen says |\n|---|---|---|\n")
        for one in situations:
            cells = (" ".join(_cell(heard[one.english][language])) for language in ("fr", "en"))
            parts.append(f"| {one.french}<br>*{one.english}* | {' | '.join(cells)} |\n")
        parts.append("\n")
    return "".join(parts).rstrip() + "\n"


def _cell(row: Row) -> tuple[str, ...]:
    return (*(f"« {text} »<br>" for text in row.told), row.end)


def rows_of(text: str) -> dict[str, dict[Language, Row]]:
    """The cells of a page, by the English text of the situation."""
    found: dict[str, dict[Language, Row]] = {}
    for line in text.splitlines():
        if line.startswith("| ") and "<br>*" in line:
            situation, french, english = line.strip("| ").split(" | ")
            name = situation.split("<br>*")[1].rstrip("*")
            found[name] = {"fr": _row_of(french), "en": _row_of(english)}
    return found


def _row_of(cell: str) -> Row:
    *told, end = cell.split("<br>")
    return Row(tuple(each.strip(" «»") for each in told), end.strip())


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
