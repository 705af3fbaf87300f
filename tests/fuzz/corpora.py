"""The kept corpora: what is in them, and how a run's finds are made few and small."""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

__all__ = ["CORPORA", "MOST_BYTES", "MOST_FILES", "keep", "kept", "save"]

CORPORA = Path(__file__).with_name("corpora")
MOST_FILES = 50
MOST_BYTES = 100 * 1024


def kept(name: str) -> list[Path]:
    """The files of a target's corpus, in the order of their names."""
    return sorted((CORPORA / name).glob("*"))


def save(folder: Path, inputs: Iterable[bytes]) -> None:
    """Writes inputs under the names that libFuzzer would give them."""
    folder.mkdir(parents=True, exist_ok=True)
    for content in inputs:
        (folder / hashlib.sha1(content, usedforsecurity=False).hexdigest()).write_bytes(content)


def keep(name: str, minimised: Path) -> list[Path]:
    """Takes a minimised corpus for the kept one: the smallest inputs first, as far as there is room.

    Args:
        name: the target.
        minimised: a folder that libFuzzer has merged everything into.
    """
    folder = CORPORA / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    room = MOST_BYTES
    for file in sorted(minimised.iterdir(), key=lambda one: (one.stat().st_size, one.name))[:MOST_FILES]:
        room -= file.stat().st_size
        if room < 0:
            break
        shutil.copy(file, folder / file.name)
    return kept(name)
