"""Mistakes in settings, found from msgspec's errors and the types of the settings."""

import re
from collections.abc import Iterator
from typing import TypeAlias

import msgspec
from msgspec import inspect

from vitale_protocol.errors import JsonValue

__all__ = ["Mistake", "find"]

Mistake: TypeAlias = tuple[str, str, str | None, tuple[JsonValue, ...]]
"""The setting's path, the fault, the name written there, and the names that may be."""

_PLACE = re.compile(r" - at `\$(?P<place>[^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_VALUE = re.compile(r"Invalid enum value (?:'(?P<text>.*)'|(?P<number>-?\d+))", re.DOTALL)


def find(error: msgspec.ValidationError, kind: type[object], table: str) -> Mistake:
    """The mistake behind an error of a table that is not of its kind."""
    text = str(error)
    found = _PLACE.search(text)
    place = found["place"].removeprefix(".") if found else ""
    why = _PLACE.sub("", text)
    if unknown := _UNKNOWN.match(why):
        path = _joined(table, place, unknown["name"])
        return path, "no such setting", unknown["name"], _fields(_at(kind, place))
    if value := _VALUE.match(why):
        written = value["text"] if value["number"] is None else value["number"]
        return _joined(table, place), f"{written} cannot be used", written, _values(_at(kind, place))
    member, _, fault = why.partition(": ")
    if member in _fields(_at(kind, place)):  # a struct that looks at its members together names the one at fault
        return _joined(table, place, member), fault, None, ()
    return _joined(table, place), why[:1].lower() + why[1:], None, ()


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _at(kind: type[object], place: str) -> tuple[inspect.Type, ...]:
    """The types that a place may have, unions taken apart; none inside a value that has no members."""
    types = tuple(_members(inspect.type_info(kind)))
    for name in re.findall(r"[^.\[\]]+|\[[^\]]*\]", place):
        types = tuple(member for one in types for inner in _inside(one, name) for member in _members(inner))
    return types


def _inside(one: inspect.Type, name: str) -> Iterator[inspect.Type]:
    match one:
        case inspect.StructType(fields=fields):
            yield from (field.type for field in fields if field.encode_name == name)
        case inspect.DictType(value_type=value):
            yield value
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item) if name.startswith("["):
            yield item
        case _:
            pass


def _members(one: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(one, inspect.UnionType):
        yield from one.types
    else:
        yield one


def _fields(types: tuple[inspect.Type, ...]) -> tuple[JsonValue, ...]:
    return tuple(field.encode_name for one in types if isinstance(one, inspect.StructType) for field in one.fields)


def _values(types: tuple[inspect.Type, ...]) -> tuple[JsonValue, ...]:
    return tuple(value for one in types if isinstance(one, inspect.LiteralType) for value in one.values)
