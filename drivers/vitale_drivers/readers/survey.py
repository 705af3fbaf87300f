"""Devices of a driver as they are found without opening them, for ``doctor``.

Both those that are there and those that are not are listed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from vitale_drivers.base import Sighting
from vitale_drivers.readers.lifecycle import ReaderPlace
from vitale_protocol.errors import NoReader
from vitale_protocol.problems import Problem

__all__ = ["Finder", "first_place", "surveyed"]

AddressT = TypeVar("AddressT")
PlaceT = TypeVar("PlaceT", bound=ReaderPlace[Any])
AddressT_contra = TypeVar("AddressT_contra", contravariant=True)
PlaceT_co = TypeVar("PlaceT_co", bound=ReaderPlace[Any], covariant=True)


class Finder(Protocol[AddressT_contra, PlaceT_co]):
    """The part of a bus that finds devices."""

    def places(self, address: AddressT_contra, /) -> Sequence[PlaceT_co]:
        """The devices at an address now."""
        ...


def surveyed(
    bus: Finder[AddressT, PlaceT],
    addresses: Sequence[AddressT],
    texts: Sequence[str],
    obstacle: Callable[[PlaceT], Problem | None],
) -> Iterator[Sighting]:
    """The devices at the addresses of a configuration.

    Args:
        bus: finds them.
        addresses: of the configuration.
        texts: how each is written there.
        obstacle: what keeps a device from being opened.
    """
    told = set[str]()
    for address, text in zip(addresses, texts, strict=True):
        places = bus.places(address)
        if not places:
            yield Sighting(kind="absent", name=text)
        for place in places:
            if place.id not in told:
                told.add(place.id)
                yield Sighting(
                    kind="reader",
                    name=place.name,
                    device=place.where,
                    simulated=place.simulated,
                    problem=obstacle(place),
                )


def first_place(bus: Finder[AddressT, PlaceT], addresses: Sequence[AddressT], name: str) -> PlaceT:
    """The first device at the addresses of a configuration, with these characters in its name.

    Raises:
        NoReader: there is none.
    """
    for address in addresses:
        for place in bus.places(address):
            if name.lower() in place.name.lower():
                return place
    if name:
        raise NoReader(f"no device has {name} in its name", variant="named")
    raise NoReader("no device is at the configured addresses")
