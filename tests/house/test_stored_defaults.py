"""Members that are left out where they are empty: msgspec does so for ``dict``, ``list`` and ``set`` themselves.

A factory with parameters (``default_factory=dict[str, int]``) makes the same value, and it is written all the same: a
file, a message or a token then has a member that it never had.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

PACKAGES = ("vitale_reader", "vitale_drivers", "vitale_protocol", "vitale_firmware_sim")

#: Factories whose empty result msgspec recognizes.
RECOGNIZED = (dict, list, set)


def subclasses(of: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for one in of.__subclasses__():
        yield one
        yield from subclasses(one)


def written_though_empty(struct: type[msgspec.Struct]) -> list[str]:
    """The members of a structure that leaves out defaults, which it writes nevertheless."""
    if not struct.__struct_config__.omit_defaults:
        return []
    factories = {field.name: field.default_factory for field in msgspec.structs.fields(struct)}
    return [
        f"{struct.__module__}.{struct.__qualname__}.{name}"
        for name, factory in factories.items()
        if factory is not msgspec.NODEFAULT and factory not in RECOGNIZED
    ]


@pytest.fixture(scope="module")
def structs() -> list[type[msgspec.Struct]]:
    """Every structure of the packages."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__") and ".migrations." not in module.name:  # programs
                importlib.import_module(module.name)
    return [one for one in subclasses(msgspec.Struct) if one.__module__.split(".")[0] in PACKAGES]


def test_what_is_empty_is_left_out_where_defaults_are(structs: list[type[msgspec.Struct]]) -> None:
    assert len([one for one in structs if one.__struct_config__.omit_defaults]) > 50, "messages, tokens, files"
    assert [] == [name for one in structs for name in written_though_empty(one)]


class Left(msgspec.Struct, omit_defaults=True):
    """Empty literals, of which msgspec makes the factories that it recognizes."""

    mapping: dict[str, int] = {}
    sequence: list[int] = []


class Written(msgspec.Struct, omit_defaults=True):
    """Factories that are not."""

    mapping: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    inner: Left = msgspec.field(default_factory=Left)


@pytest.mark.parametrize(("struct", "expected"), [(Left, set[str]()), (Written, {"mapping", "inner"})])
def test_what_msgspec_writes_is_what_is_told_of_it(struct: type[Any], expected: set[str]) -> None:
    assert expected == set(msgspec.json.decode(msgspec.json.encode(struct()), type=dict[str, Any]))
    assert expected == {name.rpartition(".")[2] for name in written_though_empty(struct)}
