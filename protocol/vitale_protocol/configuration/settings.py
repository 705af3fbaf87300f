"""Settings as structs: converted from a file's content, or refused with place, choices and nearest name."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from vitale_protocol.errors import ConfigurationInvalid, JsonValue

__all__ = ["convert_settings", "nearest", "refusal"]

T = TypeVar("T")


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
        from vitale_protocol.configuration import mistakes  # noqa: PLC0415  loaded where there is one

        raise refusal(*mistakes.find(error, kind, table)) from error


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
    import difflib  # noqa: PLC0415  likewise

    return next(iter(difflib.get_close_matches(name, [one for one in choices if isinstance(one, str)], n=1)), None)
