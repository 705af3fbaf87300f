"""Nothing in the tree tells on which machine it was written, or where its packages came from."""

import re
from pathlib import Path

# Home folders, work folders and temporary virtual environments, written so that this file does not match itself.
MACHINE = re.compile(
    r"(?<![\w./~-])/(?:wor[k]|roo[t]|op[t]/(?:wheels|pypi)|tm[p]/(?:v|brief|house)|home/(?!dev\b)[a-z]+)(?=/|\b(?![\w-]))"
)
REGISTRY = re.compile(
    r"pypi\.or[g]|pythonhosted\.or[g]|registry\.npmjs|artifactregistr[y]|artifact-registr[y]|pkg\.dev\b"
)


def texts(tracked: list[Path]) -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    for file in tracked:
        try:
            found.append((file, file.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def test_no_paths_of_a_machine(tracked: list[Path]) -> None:
    hits = [f"{file.name}: {match[0]}" for file, text in texts(tracked) for match in MACHINE.finditer(text)]

    assert [] == hits


def test_no_hosts_of_registries(tracked: list[Path]) -> None:
    hits = [f"{file.name}: {match[0]}" for file, text in texts(tracked) for match in REGISTRY.finditer(text)]

    assert [] == hits


def test_the_patterns_find_what_they_look_for() -> None:
    for trace in ("cd /" + "work/main", "/" + "root/.cache", "'/" + "tmp/v/bin'", "/" + "home/alice/x"):
        assert MACHINE.search(trace), trace
    for harmless in ("docs/" + "work/x", "~/" + "work/", "$VITALE/" + "root/", "/" + "rooted", "the /" + "works"):
        assert not MACHINE.search(harmless), harmless


def test_no_keys_and_no_databases(tracked: list[Path]) -> None:
    assert [] == [file for file in tracked if file.suffix in {".db", ".key", ".p12", ".pem", ".sqlite"}]


def test_text_files_end_well(tracked: list[Path]) -> None:
    # Inputs of the fuzzer may happen to be text.
    kept = [(file, text) for file, text in texts(tracked) if "corpora" not in file.parts]
    wrong = [str(file) for file, text in kept if "\r" in text or (text and not text.endswith("\n"))]

    assert [] == wrong
