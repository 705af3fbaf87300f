"""The ledger: what each target has had on this version of its parser, in ``build/fuzz/``.

A folder for each target holds its record, the inputs found so far, and what the last run said. The engine writes the
record every few seconds, so that a run that is cut loses no more than those.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

__all__ = ["LEDGER", "Place", "Record", "code_of", "version_of_what_is_loaded"]

ROOT = Path(__file__).parents[2]
LEDGER = ROOT / "build" / "fuzz"
#: Where a change makes it another parser; the rest of the tests does not count.
SOURCES = ("protocol", "drivers", "firmware-sim", "vitale_reader", "tests/fuzz/targets")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What one target has had.

    Attributes:
        version: digest of the code that it ran.
        seconds: of processor time, without those of its start.
        runs: inputs tried.
        edges: of the code that they reached.
        corpus: inputs that libFuzzer held at the end.
        findings: names of files in ``tests/fuzz/crashes/``.
    """

    version: str = ""
    seconds: float = 0.0
    runs: int = 0
    edges: int = 0
    corpus: int = 0
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the ledger keeps what belongs to one target: its folder."""

    folder: Path

    @property
    def found(self) -> Path:
        """The inputs that a run begins with, and those that it adds."""
        return self.folder / "found"

    @property
    def log(self) -> Path:
        """The output of the last engine."""
        return self.folder / "engine.log"

    def read(self) -> Record:
        """The record; an empty one where there is none that can be read."""
        try:
            return msgspec.json.decode(self._record.read_bytes(), type=Record)
        except (FileNotFoundError, msgspec.DecodeError):
            return Record()

    def write(self, record: Record) -> None:
        """Puts a record in the place of the last one, whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self._record.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(record))
        draft.replace(self._record)

    @property
    def _record(self) -> Path:
        return self.folder / "record.json"


def version_of_what_is_loaded() -> str:
    """A digest of our own code that this process has imported: a target's parser and all that it uses."""
    loaded = (getattr(module, "__file__", None) for module in [*sys.modules.values()])
    return _digest(sorted({Path(file) for file in loaded if file and _counts(Path(file))}))


def _counts(file: Path) -> bool:
    return any(file.is_relative_to(ROOT / place) for place in SOURCES)


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(code_of(file.read_bytes())).digest())
    return digest.hexdigest()


def code_of(source: bytes) -> bytes:
    """What a module does: its syntax tree, without comments, layout and docstrings, whose change is no new parser."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [one for one in body if not _is_text(one)]  # type: ignore[attr-defined]  # which has one
    return ast.dump(tree).encode()


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
