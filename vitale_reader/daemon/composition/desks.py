"""The desk with its drivers, and the other desks of its site."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from vitale_protocol.errors import VitaleError
from vitale_reader.daemon.composition.issuing import Issuing
from vitale_reader.daemon.composition.station import OpenStation
from vitale_reader.daemon.config import numbered_devices
from vitale_reader.daemon.desk.coordinator import Coordinator
from vitale_reader.daemon.fairness.processor_shares import Shares
from vitale_reader.daemon.observation.events import Observe
from vitale_reader.daemon.workers.heartbeat import Beat

if TYPE_CHECKING:
    from vitale_reader.daemon.site.remote_desks import RemoteDesks


__all__ = ["make_desk", "make_remote_desks"]

logger = logging.getLogger(__name__)


def make_desk(station: OpenStation, issuing: Issuing, beat: Beat, shares: Shares, observe: Observe) -> Coordinator:
    """Makes the desk, with the drivers that are enabled; nothing of it runs yet."""
    for address, driver in numbered_devices(station.config).items():
        logger.warning("driver %s opens whatever gets the name %s, another device or a terminal", driver, address)
    drivers = station.config.drivers
    options = {name: issuing.profiles.options(name, drivers.options.get(name, {})) for name in drivers.enabled}
    home = station.home
    hidden = tuple(str(each) for each in (home.state, home.run, home.config))
    return Coordinator(issuing.delivery, options, beat, shares=shares, hidden=hidden, observe=observe)


def make_remote_desks(
    station: OpenStation,
    desk: Coordinator,
    written_elsewhere: asyncio.Event,
    on_conflict: Callable[[VitaleError], None],
    shares: Shares,
) -> "RemoteDesks | None":
    """Makes the relations with the other desks; None where the station is alone."""
    if station.stations is None:
        return None
    from vitale_reader.daemon.site.remote_desks import RemoteDesks  # noqa: PLC0415  not needed where a desk is alone

    async def note(client_id: str, outcome: str) -> None:
        await station.notes.note("presentation.request", outcome, client_id=client_id)

    return RemoteDesks(
        url=station.config.store,
        store=station.store,
        vault=station.vault,
        station=station.info,
        groups=station.config.station.groups,
        desk=desk,
        client_registry=station.client_registry,
        keys=station.keys,
        stations=station.stations,
        note=note,
        on_external_change=written_elsewhere.set,
        on_conflict=on_conflict,
        clock_offset=lambda: station.clock.offset,
        now=station.clock.now,
        shares=shares,
    )
