"""The drivers that exist, as names of places: nothing of a driver is imported before it is asked for.

The places are the entry points of group ``vitale_reader.drivers``. Another package adds a driver by declaring one,
``NAME = package.module:DriverClass``, and nothing else.
"""

from typing import TYPE_CHECKING

from vitale_drivers.base import Driver
from vitale_protocol.configuration.settings import refusal
from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.extras import EXTRAS, missing

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

__all__ = ["GROUP", "available", "is_simulator", "load"]

GROUP = "vitale_reader.drivers"
SIMULATORS = "vitale_firmware_sim."


def _places(name: str | None = None) -> "EntryPoints":
    # Processes that drive nothing, as the web gateway, load this module and name no driver.
    from importlib.metadata import entry_points  # noqa: PLC0415

    return entry_points(group=GROUP) if name is None else entry_points(group=GROUP, name=name)


def available() -> tuple[str, ...]:
    """The names of all drivers installed, sorted; whether they can be imported is another matter."""
    return tuple(sorted({place.name for place in _places()}))


def is_simulator(name: str) -> bool:
    """True if a driver is a simulated device of the house, which reads nothing of strangers and makes sockets."""
    return any(place.module.startswith(SIMULATORS) for place in _places(name))


def load(name: str) -> type[Driver]:
    """Imports the class of a driver.

    Raises:
        ConfigurationInvalid: no driver has this name, two packages claim it, or the place holds no driver.
        ToolMissing: the driver cannot be imported; the cause is chained. ``data.tool`` is the missing module where
            known, else the driver's name. ``data.extra`` is the extra that installs one of our own drivers.
    """
    place = _place(name)
    try:
        found: object = place.load()
    except ImportError as error:
        ours = place.module.startswith("vitale_drivers.")
        extra = next(filter(name.__eq__, EXTRAS), None) if ours else None
        raise missing(error, f"driver {name}", extra=extra, library=name) from error
    except AttributeError as error:
        raise ConfigurationInvalid(f"driver {name}: {place.value} does not exist", data={"path": name}) from error
    if not (isinstance(found, type) and issubclass(found, Driver)):
        raise ConfigurationInvalid(f"driver {name}: {place.value} is not a driver", data={"path": name})
    if found.name != name:
        raise ConfigurationInvalid(f"driver {name}: {place.value} calls itself {found.name}", data={"path": name})
    return found


def _place(name: str) -> "EntryPoint":
    # An editable install seen twice on the path declares the same place twice; that is one driver.
    places = {place.value: place for place in _places(name)}
    if not places:
        raise refusal("drivers.enabled", f"no driver is called {name}", name, available())
    if len(places) > 1:
        raise ConfigurationInvalid(f"driver {name} is claimed by several packages", data={"choices": [*sorted(places)]})
    return next(iter(places.values()))
