"""Elements shared by the pages: tables, docstrings as Markdown, and types in words."""

import inspect
import re
from collections.abc import Iterable, Sequence

import msgspec
import msgspec.inspect as mi

__all__ = ["GENERATED", "anchor", "attributes", "default", "members", "prose", "sentence", "table", "type_in_words"]

GENERATED = "<!-- Made by `python -m docs.generator` from the code: change the code, then run `make reference`. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; line breaks and bars inside cells are made harmless."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = (cell.replace("\n", " ").replace("|", "\\|") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def anchor(heading: str) -> str:
    """The anchor that forges and Sphinx give to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def prose(documented: object) -> str:
    """The docstring of a class or module as Markdown, without its ``Attributes:`` and ``Raises:`` sections."""
    text = inspect.cleandoc(getattr(documented, "__doc__", None) or "")
    text = re.split(r"^(?:Attributes|Raises|Args|Returns):$", text, flags=re.MULTILINE)[0]
    return text.replace("``", "`").strip()


def sentence(documented: object) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(prose(documented).split("\n\n")[0].split())


def attributes(documented: type) -> dict[str, str]:
    """The ``Attributes:`` section of a class's docstring, by name."""
    text = inspect.cleandoc(documented.__doc__ or "").replace("``", "`")
    section = re.search(r"^Attributes:\n((?:[ ]+.*\n?|\n)*)", text, flags=re.MULTILINE)
    found: dict[str, str] = {}
    name = ""
    for line in section[1].splitlines() if section else ():
        if start := re.fullmatch(r" {4}(\w+): (.*)", line):
            name = start[1]
            found[name] = start[2]
        elif name:
            found[name] += " " + line.strip()
    return found


def members(struct: type[msgspec.Struct]) -> tuple[mi.Field, ...]:
    """The members of a struct."""
    info = mi.type_info(struct)
    assert isinstance(info, mi.StructType)  # noqa: S101 - narrows for the type checker; a struct's info is nothing else
    return info.fields


def default(field: mi.Field) -> str:
    """The default of a member as JSON, which is also how it is written in TOML."""
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return f"`{msgspec.json.encode(value).decode()}`"


PLAIN = {mi.FloatType: "number", mi.BoolType: "boolean", mi.AnyType: "any", mi.DictType: "object"}


def type_in_words(kind: mi.Type) -> str:
    """A type as a reader of JSON sees it; structs are links to their heading on the same page."""
    match kind:
        case mi.LiteralType(values=values):
            return ", ".join(f"`{value}`" for value in values)
        case mi.UnionType(types=types):
            return " or ".join(type_in_words(part) for part in types if not isinstance(part, mi.NoneType))
        case mi.VarTupleType(item_type=item) | mi.ListType(item_type=item):
            return f"array{bounds(kind.min_length, kind.max_length, 'members')} of {type_in_words(item)}"
        case mi.TupleType(item_types=(item, *_) as items):
            return f"array{bounds(len(items), len(items), 'members')} of {type_in_words(item)}"
        case mi.StructType(cls=struct):
            return f"[{struct.__name__}](#{anchor(struct.__name__)})"
        case mi.StrType(pattern=str(pattern)):
            characters, least, most = repeated(pattern)
            limits = bounds(kind.min_length or least, kind.max_length or most, "characters")
            return f"string{limits} of `{characters}`"
        case mi.StrType():
            return f"string{bounds(kind.min_length, kind.max_length, 'characters')}"
        case mi.IntType():
            return f"integer{bounds(kind.ge, kind.le, '')}"
        case mi.FloatType() | mi.BoolType() | mi.AnyType() | mi.DictType():
            return PLAIN[type(kind)]
        case _:
            raise TypeError(f"no words for {kind!r}")


def repeated(pattern: str) -> tuple[str, int | None, int | None]:
    """The characters of a pattern that is anchored at both ends, and how many there are.

    The least and the most are None where the pattern gives no numbers.
    """
    # What cannot be seen in a pattern is written as what it is.
    seen = "".join(each if each.isascii() else f"\\u{{{ord(each):x}}}" for each in pattern)
    body = seen.removeprefix("^").removesuffix(r"(?![\s\S])")
    counted = re.fullmatch(r"(.+)\{(\d+),(\d+)\}", body)
    return (counted[1], int(counted[2]), int(counted[3])) if counted else (body.removesuffix("+"), None, None)


def bounds(least: int | None, most: int | None, unit: str) -> str:
    """The limits of a value in brackets, or nothing."""
    match least, most:
        case None, None:
            return ""
        case None, _:
            words = f"at most {most}"
        case _, None:
            words = f"at least {least}"
        case _:
            words = f"{least}" if least == most else f"{least}–{most}"
    return f" ({words} {unit}".rstrip() + ")"
