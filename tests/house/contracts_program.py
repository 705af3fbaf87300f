"""Import-linter on the packages in the current folder: as they are, and with some imports more.

Reads a JSON array of arrays of ``[module, imported]``. Prints what import-linter says without and with the imports of
each array, as a JSON array. One process serves all of them, since to start costs more than to check.
"""

import contextlib
import io
import json
import sys
from collections.abc import Generator
from pathlib import Path

from importlinter.cli import lint_imports

#: In the current folder: what a file imports is looked for again where its time has changed.
CACHE = ".contracts"


@contextlib.contextmanager
def planted(module: str, imported: str) -> Generator[None]:
    """A module with one import more."""
    path = Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    as_it_is = file.read_bytes()
    file.write_bytes(as_it_is + f"\nimport {imported}\n".encode())
    try:
        yield
    finally:
        file.write_bytes(as_it_is)


def said() -> str:
    """What import-linter prints of the folder."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        lint_imports(cache_dir=CACHE, no_logo=True)
    return printed.getvalue()


def main() -> None:
    """Reads, plants, prints."""
    answers = [said()]
    for plants in json.load(sys.stdin):
        with contextlib.ExitStack() as planting:
            for module, imported in plants:
                planting.enter_context(planted(module, imported))
            answers.append(said())
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
