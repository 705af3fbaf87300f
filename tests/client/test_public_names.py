"""What `import vitale_reader` gives."""

import inspect
import types
import typing
from collections.abc import Iterator

import msgspec
import pytest

import vitale_reader
import vitale_reader.errors
from vitale_protocol import claims, errors, events, methods, records
from vitale_reader import aio

OURS = ("vitale_reader.", "vitale_protocol.")
# What the SDK hands out is made by itself; programs neither make nor name these.
INNER = {"Settings", "LeaseState", "BlockingPendingRead"}


def test_every_public_name_is_there() -> None:
    for name in vitale_reader.__all__:
        assert getattr(vitale_reader, name) is not None
    assert set(vitale_reader.__all__) <= set(dir(vitale_reader))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    name = "nothing"
    with pytest.raises(AttributeError):
        getattr(vitale_reader, name)


def test_the_errors_are_those_of_the_protocol() -> None:
    assert set(vitale_reader.errors.__all__) == set(errors.__all__)
    for name in errors.__all__:
        assert getattr(vitale_reader.errors, name) is getattr(errors, name)


def mentioned(annotation: object) -> Iterator[type]:
    """Our classes in an annotation."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        if annotation.__module__.startswith(OURS):
            yield annotation
        return
    origin = typing.get_origin(annotation)
    for part in (origin, *typing.get_args(annotation)):
        if isinstance(part, list):  # the parameters of a Callable
            for each in typing.cast("list[object]", part):
                yield from mentioned(each)
        elif part is not None and not isinstance(part, str | int):
            yield from mentioned(part)


def touched(owner: object) -> Iterator[type]:
    """Our classes in the signatures, properties and members of a public class or function."""
    if not inspect.isclass(owner):
        functions: list[object] = [owner]
    else:
        functions = [value for name, value in inspect.getmembers(owner) if not name.startswith("_")]
        if issubclass(owner, msgspec.Struct) or "__dataclass_fields__" in vars(owner):
            for annotation in typing.get_type_hints(owner).values():
                yield from mentioned(annotation)
    for function in functions:
        called = function.fget if isinstance(function, property) else function
        if isinstance(called, types.FunctionType | types.MethodType):
            for annotation in typing.get_type_hints(inspect.unwrap(called), localns=vars(methods)).values():
                yield from mentioned(annotation)


@pytest.mark.parametrize("module", [vitale_reader, aio], ids=lambda module: module.__name__)
def test_every_type_that_a_program_touches_is_public(module: types.ModuleType) -> None:
    public = {id(getattr(vitale_reader, name)) for name in vitale_reader.__all__}
    public |= {id(getattr(aio, name)) for name in aio.__all__} | {id(getattr(errors, name)) for name in errors.__all__}
    touches = {each for name in module.__all__ for each in touched(getattr(module, name))}
    assert set() == {each.__qualname__ for each in touches if id(each) not in public} - INNER
    assert {vitale_reader.StationInfo, vitale_reader.OutboxToken, vitale_reader.Claims} <= touches


@pytest.mark.parametrize("room", [claims, events, methods, records], ids=lambda room: room.__name__)
def test_public_names_of_the_protocol_are_its_own(room: types.ModuleType) -> None:
    shared = set(vitale_reader.__all__) & set(room.__all__)
    assert shared
    assert all(getattr(vitale_reader, name) is getattr(room, name) for name in shared)
