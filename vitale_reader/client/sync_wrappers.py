"""One signature and one text for both shapes of the SDK: blocking methods are made of those for asyncio.

``inspect.signature``, ``help()`` and type checkers say the same of a method and of its twin. ``twin`` adds the sentence
in which they differ.
"""

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

__all__ = ["Twin", "blocking", "factory", "twin"]

P = ParamSpec("P")
T = TypeVar("T")
InnerT = TypeVar("InnerT")
CallT = TypeVar("CallT", bound=Callable[..., object])

# All but the module: help() and pickle look for a method where its class is.
_SHARED = ("__name__", "__qualname__", "__doc__")


class Twin(Generic[InnerT]):
    """An object of the blocking SDK, with the one for asyncio behind it."""

    def _awaited(self, work: Callable[[InnerT], Coroutine[Any, Any, T]]) -> T:
        """The result of a coroutine of the object behind, run in the SDK's thread."""
        raise NotImplementedError


def blocking(
    method: Callable[Concatenate[InnerT, P], Coroutine[Any, Any, T]], *, says: str = ""
) -> Callable[Concatenate[Twin[InnerT], P], T]:
    """The blocking twin of a method: it returns what the coroutine returns.

    Args:
        method: the method for asyncio.
        says: the sentence in which the twin differs.
    """

    def call(self: Twin[InnerT], /, *args: P.args, **kwargs: P.kwargs) -> T:
        awaited = self._awaited  # pyright: ignore[reportPrivateUsage]  # this is a method of that class
        return awaited(lambda inner: method(inner, *args, **kwargs))

    return twin(method, says=says)(call)


def factory(
    settings_of: Callable[P, InnerT], make: Callable[[InnerT], T], *, name: str, returns: object
) -> Callable[P, T]:
    """A function with the arguments and the text of another, which makes something of what that one returns."""
    signature = inspect.signature(settings_of)

    @twin(settings_of, name=name, returns=returns)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        signature.bind(*args, **kwargs)  # an argument that it does not know is told without the other's name
        return make(settings_of(*args, **kwargs))

    return call


def twin(
    of: Callable[..., object], *, says: str = "", text: str = "", name: str = "", returns: object = None
) -> Callable[[CallT], CallT]:
    """Decorates a method with the name, the signature and the text of another.

    Args:
        of: the other method.
        says: the sentence in which they differ; it ends the description, before the arguments.
        text: a description in the place of the other's; what is said of arguments and errors stays.
        name: the name, where it is another.
        returns: the annotation of the result, where that differs.
    """

    def decorate(call: CallT) -> CallT:
        functools.update_wrapper(call, of, assigned=_SHARED)
        if name:
            owner, dot, _ = of.__qualname__.rpartition(".")
            call.__name__, call.__qualname__ = name, f"{owner}{dot}{name}"
        description, heading, rest = inspect.cleandoc(of.__doc__ or "").partition("\n\nArgs:")
        call.__doc__ = "\n\n".join(part for part in (text or description, says) if part) + heading + rest
        if returns is not None:
            signature = inspect.signature(of).replace(return_annotation=returns)
            call.__signature__ = signature  # type: ignore[attr-defined]  # inspect.signature looks for it
        return call

    return decorate
