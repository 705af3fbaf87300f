"""The page library as it is served: small, whole in one file, and of nobody else's code."""

import json
import re
from pathlib import Path

import vitale_reader.web

PAGE = Path(vitale_reader.web.__file__).parent / "page"
SOURCE = (PAGE / "vitale-reader.js").read_text("utf-8")

#: Bytes that a minifier may leave; and the part of a source without comments and indentation that terser leaves, which
#: shortens names too, rounded up.
MOST, LEFT = 15_000, 0.75


def test_it_is_small_once_a_minifier_has_read_it() -> None:
    lines = (line.strip() for line in re.sub(r"/\*.*?\*/", "", SOURCE, flags=re.DOTALL).splitlines())
    bare = "\n".join(line for line in lines if line and not line.startswith("//"))
    assert len(bare.encode()) * LEFT < MOST


def test_it_needs_nothing_else() -> None:
    package = json.loads((PAGE / "package.json").read_text("utf-8"))
    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & package.keys()
    assert re.findall(r"^\s*import\b.*|\bimport\(|\brequire\(", SOURCE, flags=re.MULTILINE) == []
