"""Plays the situations and prints what is heard: ``python -m tests.situations [WORD…]``; ``--write`` makes the page.

With words it writes those rows alone, and leaves the others as they were.
"""

import sys
from pathlib import Path

from tests.situations.counter import counter
from tests.situations.play import Playing, Row, can_be_played, page, play, play_together, row, rows_of
from tests.situations.situations import SITUATIONS
from vitale_protocol.catalogue import LANGUAGES, Language

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "what-goes-wrong.md"


def main() -> None:
    """Plays all, or those whose text has one of the words."""
    words = [word.lower() for word in sys.argv[1:] if not word.startswith("-")]
    write = "--write" in sys.argv
    heard: dict[str, dict[Language, Row]] = rows_of(PAGE.read_text("utf-8")) if words else {}
    wanted = [
        one
        for situations in SITUATIONS.values()
        for one in situations
        if not words or any(word in one.english.lower() for word in words)
    ]
    # A counter for each language: a service that failed too often is left alone for a while.
    for language in LANGUAGES if write else LANGUAGES[:1]:
        with counter() as at:
            assert all(can_be_played(at, one) for one in wanted), "umockdev is not installed"
            played = play_together(at, [Playing(one, language) for one in wanted])
            for one in wanted:
                said = row(played.get(one.english) or play(at, Playing(one, language)), language)
                heard.setdefault(one.english, {})[language] = said
                print(one.english, *said.told, said.end, *sorted(said.keys), sep="\n    ", flush=True)
    if write:
        PAGE.write_text(page(heard), encoding="utf-8")


if __name__ == "__main__":
    main()
