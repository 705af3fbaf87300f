"""Pure modules reach for nothing: what they use of the standard library is listed, and so is what they never call.

The import contracts name what is forbidden. Here what is allowed is named, so that a module nobody thought of is found.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_contracts import CONTRACTS, PURE, SOURCE_ROOTS

#: Modules of the standard library that have no state of the world in them.
ALLOWED = {
    *("base64", "binascii", "collections", "contextlib", "dataclasses", "datetime", "difflib", "enum", "functools"),
    *("hashlib", "hmac", "inspect", "io", "itertools", "json", "math", "re", "shlex", "struct", "tomllib", "typing"),
    *("unicodedata", "uuid", "zlib"),
}

#: Calls of those, and of what is built in, that reach for a clock, for randomness or for a file.
NEVER = {
    "exec",
    "generate",
    "generate_key",
    "generate_private_key",
    "getnode",
    "input",
    "now",
    "print",
    "today",
    "utcnow",
} | {
    *("uuid1", "uuid4", "uuid6", "uuid7", "uuid8"),
}

#: The texts of the catalogue lie beside its code; which packages are installed is asked where one is missing.
EXCEPTIONS = {
    "protocol/vitale_protocol/catalogue/__init__.py importlib",
    "protocol/vitale_protocol/extras.py importlib.util",
}


def reached(source: str) -> Iterator[str]:
    """Everything that a module imports of the standard library or calls, and is not to."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (name for alias in names if (name := alias.name) and not _is_allowed(name))
            case ast.ImportFrom(module=str(module), level=0):
                yield from [] if _is_allowed(module) else [module]
            case ast.Call(func=ast.Name(id=name)) if name in NEVER | {"open"}:
                yield f"{name}()"
            case ast.Call(func=ast.Attribute(attr=name)) if name in NEVER and not _is_given(node):
                yield f"{name}()"
            case _:
                pass


def _is_allowed(module: str) -> bool:
    top = module.partition(".")[0]
    return top in ALLOWED or top not in sys.stdlib_module_names


def _is_given(call: ast.Call) -> bool:
    """True of a call of what an object holds, such as a clock that was an argument."""
    of = call.func.value if isinstance(call.func, ast.Attribute) else None
    return isinstance(of, ast.Attribute) and isinstance(of.value, ast.Name) and of.value.id == "self"


def pure(root: Path) -> Iterator[Path]:
    """Files of the protocol and of all modules that a contract calls pure."""
    names = next(contract["source_modules"] for contract in CONTRACTS if contract["name"] == PURE)
    for name in ["vitale_protocol", *names]:
        place = root / SOURCE_ROOTS[name.partition(".")[0]] / name.replace(".", "/")
        yield from place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]


def test_pure_modules_reach_for_nothing(root: Path) -> None:
    files = sorted(pure(root))
    assert files
    found = {
        f"{name} {what}"
        for file in files
        for what in reached(file.read_text(encoding="utf-8"))
        if (name := file.relative_to(root).as_posix())
    }

    assert EXCEPTIONS == found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import sqlite3", ["sqlite3"]),
        ("import os.path", ["os.path"]),
        ("from concurrent.futures import Future", ["concurrent.futures"]),
        ("x = open('/etc/passwd')", ["open()"]),
        ("x = dt.datetime.now()", ["now()"]),
        ("x = date.today()", ["today()"]),
        ("x = uuid.uuid4()", ["uuid4()"]),
        ("x = X25519PrivateKey.generate()", ["generate()"]),
        ("x = self._clock.now()", []),
        ("x = uuid.uuid5(space, name)", []),
        ("import msgspec, re", []),
    ],
)
def test_what_reaches_out_is_found(line: str, expected: list[str]) -> None:
    assert expected == [*reached(line)]
