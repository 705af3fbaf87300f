"""Plug-ins by name, as names of places: nothing of a resolver is imported before it is asked for.

Another package adds one by an entry point, ``NAME = package.module:Class``. The group is ``vitale_reader.resolvers``,
``vitale_reader.assertions`` (the sender's identity) or ``vitale_reader.rights`` (the rights of a context).
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from vitale_protocol.configuration.settings import refusal
from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.extras import Extra, missing
from vitale_reader.resolvers.base import Resolver
from vitale_reader.resolvers.none import NoResolver

__all__ = ["RESOLVERS", "available", "load_class", "load_resolver"]

RESOLVERS = "vitale_reader.resolvers"


def available(group: str) -> tuple[str, ...]:
    """The names of a group, sorted; whether they can be imported is another matter."""
    return tuple(sorted({place.name for place in entry_points(group=group)}))


def load_resolver(name: str) -> type[Resolver]:
    """Imports the class of a resolver.

    Raises:
        ConfigurationInvalid: as ``load_class``, or it is not a resolver.
        ToolMissing: as ``load_class``.
    """
    if name == NoResolver.name:
        return NoResolver  # the default does not depend on what is installed
    found = load_class(RESOLVERS, name, "apcv.resolver")
    if not issubclass(found, Resolver):
        raise ConfigurationInvalid(f"{name} is not a resolver", data={"path": "apcv.resolver"})
    return found


def load_class(group: str, name: str, path: str) -> type[Any]:
    """Imports the class of a plug-in.

    Args:
        group: the entry-point group.
        name: the plug-in's name in it.
        path: the setting that named it, for the error.

    Raises:
        ConfigurationInvalid: no plug-in has this name, two packages claim it, or the place holds no class.
        ToolMissing: it cannot be imported; the cause is chained, and ``data.tool`` is the missing module.
    """
    place = _place(group, name, path)
    try:
        found: object = place.load()
    except ImportError as error:
        extra: Extra | None = "daemon" if place.module.startswith("vitale_reader.") else None
        raise missing(error, name, extra=extra) from error
    except AttributeError as error:
        raise ConfigurationInvalid(f"{name}: {place.value} does not exist", data={"path": path}) from error
    if not isinstance(found, type):
        raise ConfigurationInvalid(f"{name}: {place.value} is not a class", data={"path": path})
    return found


def _place(group: str, name: str, path: str) -> EntryPoint:
    # An editable install seen twice on the path declares the same place twice; that is one plug-in.
    places = {place.value: place for place in entry_points(group=group, name=name)}
    if not places:
        choices = available(group)
        raise refusal(path, f"nothing is called {name} in {group}", name, choices)
    if len(places) > 1:
        raise ConfigurationInvalid(f"{name} is claimed by several packages", data={"path": path})
    return next(iter(places.values()))
