"""docs/reference/sdk.md: the public names of the SDK, with their signatures and docstrings."""

import inspect
import re
import types
import typing
from collections.abc import Iterator

import msgspec

import vitale_reader
from docs.generator.markdown import GENERATED, anchor, attributes, sentence, table
from vitale_protocol import records
from vitale_protocol.errors import VitaleError

__all__ = ["page"]

INTRODUCTION = """
`vitale_reader` is for blocking programs, `vitale_reader.aio` for asyncio. Both have the same classes, methods and
arguments; a page for both is enough:

| blocking | asyncio |
|---|---|
| `with vitale_reader.connect() as reader:` | `async with vitale_reader.aio.connect() as reader:` |
| `reader.read()` | `await reader.read()` |
| `with reader.reading() as read:` `read.result()` | `async with reader.reading() as read:` `await read.result()` |
| `for presentation in reader.subscribe():` | `async for presentation in reader.subscribe():` |
| `with reader.lease("…") as lease:` | `async with reader.lease("…") as lease:` |

What is told of threads is told of the blocking shape; in asyncio everything is called in the event loop.
"""

ERRORS = """
Every error that the SDK raises is a `vitale_reader.VitaleError`; the classes are in `vitale_reader.errors`, and
[errors and warnings](errors.md) tells each with its texts.
"""

TYPES = """
Values that are given and taken. Those of messages are told member by member in the [wire](wire.md), those of the record
in [the record](records.md).
"""

CLASSES = ("Presentation", "PendingRead", "Lease", "Pairing", "ReaderChange", "SeenTokens")
FUNCTIONS = ("verify",)


def public() -> dict[str, object]:
    """The public names and what they are."""
    return {name: getattr(vitale_reader, name) for name in vitale_reader.__all__}


def is_words(value: object) -> bool:
    """True if a public name stands for a choice of words."""
    return typing.get_origin(value) is typing.Literal


# ── signatures ───────────────────────────────────────────────────────────────────────────────────────────────────


def annotation(kind: object) -> str:
    """A type as a program writes it, with the public names."""
    if kind is None or kind is types.NoneType:
        return "None"
    if isinstance(kind, str):
        return kind.strip("'\"")
    named = next((name for name, value in public().items() if value == kind), None)
    if named is not None:
        return named
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        return " | ".join(map(annotation, parts))
    if origin is typing.Literal:
        return " | ".join(f'"{part}"' for part in parts)
    if getattr(origin, "__name__", "") == "Callable":
        taken = typing.cast("list[object]", parts[0])
        return f"Callable[[{', '.join(map(annotation, taken))}], {annotation(parts[1])}]"
    if origin is not None:
        inside = ", ".join("..." if part is Ellipsis else annotation(part) for part in parts)
        return f"{origin.__name__}[{inside}]"
    return getattr(kind, "__name__", str(kind).removeprefix("typing."))


def signature(name: str, function: object) -> str:
    """A call as a reader of the page would write its definition."""
    told = inspect.signature(typing.cast("typing.Callable[..., object]", function))
    parts = list[str]()
    keywords = False
    for parameter in told.parameters.values():
        if parameter.name in {"self", "cls"}:
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keywords:
            parts.append("*")
            keywords = True
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        keywords = keywords or bool(star)
        default = "" if parameter.default is parameter.empty else f" = {default_of(parameter.default)}"
        parts.append(f"{star}{parameter.name}: {annotation(parameter.annotation)}{default}")
    returns = annotation(told.return_annotation)
    one = f"def {name}({', '.join(parts)}) -> {returns}: ..."
    if len(one) <= 100:
        return one
    return f"def {name}(\n" + "".join(f"    {part},\n" for part in parts) + f") -> {returns}: ..."


def default_of(value: object) -> str:
    """A default as it is written."""
    return f'"{value}"' if isinstance(value, str) else repr(value).replace("'", '"')


# ── docstrings ───────────────────────────────────────────────────────────────────────────────────────────────────


def sections(documented: object) -> tuple[str, dict[str, list[tuple[str, str]]]]:
    """The description of a docstring, and its sections of named entries."""
    text = inspect.getdoc(documented) or ""
    description, *rest = re.split(r"^(Args|Raises|Attributes|Example):\n", text, flags=re.MULTILINE)
    found: dict[str, list[tuple[str, str]]] = {}
    for head, body in zip(rest[::2], rest[1::2], strict=True):
        if head != "Example":
            entries = re.findall(r"^ {4}([\w, *]+): ((?:.*)(?:\n {5,}.*)*)", body, flags=re.MULTILINE)
            found[head] = [(name, " ".join(said.split())) for name, said in entries]
    return code(description.strip()), found


def code(text: str) -> str:
    """Converts a docstring to Markdown."""
    return text.replace("``", "`")


def documented(function: object) -> str:
    """The description, the arguments and the errors."""
    description, told = sections(function)
    parts = [description]
    for head, title in (("Args", "Arguments"), ("Raises", "Raises")):
        if head in told:
            entries = "\n".join(f"- `{name}`: {code(said)}" for name, said in told[head])
            parts.append(f"{title}:\n\n{entries}")
    return "\n\n".join(parts)


def call(level: str, name: str, function: object) -> str:
    """The section of a function or a method."""
    return f"{level} `{name}`\n\n```python\n{signature(name, function)}\n```\n\n{documented(function)}"


# ── classes ──────────────────────────────────────────────────────────────────────────────────────────────────────


def members(owner: type[typing.Any]) -> Iterator[tuple[str, object]]:
    """The public members that a class of ours defines or inherits, in the order of the code."""
    seen = dict[str, object]()
    for base in owner.__mro__:
        if base.__module__.startswith(("vitale_reader", "vitale_protocol")):
            seen |= {name: vars(base)[name] for name in vars(base) if name not in seen and not name.startswith("_")}
    yield from seen.items()


def values(owner: type[typing.Any]) -> list[tuple[str, str, str]]:
    """The attributes and properties of a class: name, type, meaning."""
    told = attributes(owner)
    rows = list[tuple[str, str, str]]()
    if issubclass(owner, msgspec.Struct) or hasattr(owner, "__dataclass_fields__"):
        hints = {name: hint for base in reversed(owner.__mro__) for name, hint in inspect.get_annotations(base).items()}
        told = {name: said for base in reversed(owner.__mro__) for name, said in attributes(base).items()} | told
        rows += [(name, annotation(hint), told.get(name, "")) for name, hint in hints.items() if name[0] != "_"]
    for name, member in members(owner):
        if isinstance(member, property):
            getter = typing.cast("types.FunctionType", member.fget)
            rows.append((name, annotation(inspect.signature(getter).return_annotation), sentence(member)))
    return rows


def section(name: str, owner: type[typing.Any]) -> str:
    """The section of a class."""
    given, owner = typing.get_args(owner), typing.get_origin(owner) or owner
    parts = [f"## {name}", sections(owner)[0]]
    if rows := values(owner):
        parts.append(table(("attribute", "type", ""), ((f"`{key}`", f"`{kind}`", said) for key, kind, said in rows)))
    for key, member in members(owner):
        function: object = getattr(member, "__func__", member)  # of a class method, what it calls
        if isinstance(function, types.FunctionType):
            parts.append(call("###", key, function))
    text = "\n\n".join(parts)
    for parameter, kind in zip(getattr(owner, "__parameters__", ()), given, strict=False):
        text = text.replace(f"-> {parameter.__name__}: ...", f"-> {annotation(kind)}: ...")
    return text


def type_rows() -> Iterator[tuple[str, str]]:
    """The names that are types alone."""
    for name, value in public().items():
        if is_words(value):
            yield f"`{name}`", ", ".join(f"`{word}`" for word in typing.get_args(value))
        elif inspect.isclass(value) and name not in {*CLASSES, "Connection", "VitaleError"}:
            told_there = issubclass(value, records.RecordPart) and name != "Record"
            link = f" ([the record](records.md#{anchor(name)}))" if told_there else ""
            yield f"`{name}`", (sentence(value) or "A value.") + link


def page() -> str:
    """Renders the page docs/reference/sdk.md."""
    names = public()
    kind = VitaleError
    errors = table(("attribute", ""), ((f"`{key}`", said) for key, said in [*attributes(kind).items(), *words(kind)]))
    parts = [GENERATED, "# The SDK", INTRODUCTION.strip(), call("##", "connect", names["connect"])]
    parts += [section("Connection", vitale_reader.Connection)]
    parts += [section(name, typing.cast("type", names[name])) for name in CLASSES]
    parts += [call("##", name, names[name]) for name in FUNCTIONS]
    parts += ["## Errors", ERRORS.strip(), errors, "## Types", TYPES.strip(), table(("name", ""), type_rows())]
    return "\n\n".join(parts) + "\n"


def words(error: type[VitaleError]) -> Iterator[tuple[str, str]]:
    """The properties of an error."""
    yield from ((name, sentence(member)) for name, member in members(error) if isinstance(member, property))
