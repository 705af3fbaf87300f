"""Settings as structs: converted from what a file says, or refused with the place, its choices and the nearest name."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec
from msgspec import inspect

from vitale_protocol.errors import ConfigurationInvalid, JsonValue

__all__ = ["convert_settings", "nearest", "refusal"]

T = TypeVar("T")

_PLACE = re.compile(r" - at `\$(?P<place>[^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_VALUE = re.compile(r"Invalid enum value (?:'(?P<text>.*)'|(?P<number>-?\d+))", re.DOTALL)


def convert_settings(settings: Mapping[str, object], kind: type[T], *, table: str = "") -> T:
    """The settings of a table as a struct.

    Args:
        settings: what the file says.
        kind: the struct; it forbids unknown fields.
        table: the table's place in the file, such as ``drivers.options.pcsc``; empty for the whole file.

    Raises:
        ConfigurationInvalid: as ``refusal``.
    """
    try:
        return msgspec.convert(dict(settings), kind)
    except msgspec.ValidationError as error:
        raise _explained(error, kind, table) from error


def refusal(path: str, why: str, name: str | None = None, choices: tuple[JsonValue, ...] = ()) -> ConfigurationInvalid:
    """The error for one setting; its detail says all that ``data`` holds.

    Args:
        path: the setting's place in the file.
        why: the fault, as half a sentence.
        name: what was written there, where one of ``choices`` should be.
        choices: what may be written there.
    """
    data: dict[str, JsonValue] = {"path": path}
    detail = f"{path}: {why}"
    if choices:
        data["choices"] = [*choices]
    near = None if name is None else nearest(name, choices)
    if near is not None:
        data["nearest"] = near
        detail += f"; did you mean {near}?"
    elif choices:
        detail += f"; it is one of {', '.join(str(choice) for choice in choices)}"
    return ConfigurationInvalid(detail, data=data)


def nearest(name: str, choices: tuple[JsonValue, ...]) -> str | None:
    """The choice that a misspelt name most likely means; None where none is like it."""
    return next(iter(difflib.get_close_matches(name, [one for one in choices if isinstance(one, str)], n=1)), None)


def _explained(error: msgspec.ValidationError, kind: type[object], table: str) -> ConfigurationInvalid:
    text = str(error)
    found = _PLACE.search(text)
    place = found["place"].removeprefix(".") if found else ""
    why = _PLACE.sub("", text)
    if unknown := _UNKNOWN.match(why):
        path = _joined(table, place, unknown["name"])
        return refusal(path, "no such setting", unknown["name"], _fields(_at(kind, place)))
    if value := _VALUE.match(why):
        written = value["text"] if value["number"] is None else value["number"]
        return refusal(_joined(table, place), f"{written} cannot be used", written, _values(_at(kind, place)))
    return refusal(_joined(table, place), why[:1].lower() + why[1:])


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _at(kind: type[object], place: str) -> tuple[inspect.Type, ...]:
    """The types that a place may have, unions taken apart; none where it is inside what has no names of its own."""
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
