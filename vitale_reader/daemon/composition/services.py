"""The services that answer calls, and the news of what others have written that they hear."""

import asyncio
import time
from typing import TYPE_CHECKING

from vitale_protocol.methods import Limits as WireLimits
from vitale_protocol.signing import public_jwk
from vitale_reader.daemon.composition.issuing import Issuing
from vitale_reader.daemon.composition.station import OpenStation
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.conversation import Conversations
from vitale_reader.daemon.dashboard.desk_view import DeskView
from vitale_reader.daemon.dashboard.entrance import Entrance
from vitale_reader.daemon.dashboard.simulators import Simulators
from vitale_reader.daemon.desk.coordinator import Coordinator
from vitale_reader.daemon.diagnostics import Diagnostics
from vitale_reader.daemon.fairness.processor_shares import Shares
from vitale_reader.daemon.handlers.page_rate_limits import PageRateLimits
from vitale_reader.daemon.handlers.services import Services
from vitale_reader.daemon.site.external_changes import ExternalChanges
from vitale_reader.daemon.site.open_store import spool_file
from vitale_reader.daemon.transports.listening import stream_limits
from vitale_reader.daemon.web.pairing_desk import PairingDesk

if TYPE_CHECKING:
    from vitale_reader.daemon.site.remote_desks import RemoteDesks


__all__ = ["make_external_changes", "make_services"]


def make_services(
    station: OpenStation,
    issuing: Issuing,
    desk: Coordinator,
    remote_desks: "RemoteDesks | None",
    conversations: Conversations,
    shares: Shares,
) -> Services:
    """Makes what the handlers of the calls work with."""
    simulators = Simulators(station.config.station.mode)
    return Services(
        station=station.info,
        limits=_wire_limits(station.config),
        desk=desk,
        client_registry=station.client_registry,
        outbox=issuing.outbox,
        contexts=issuing.contexts,
        resolver=issuing.resolver,
        notes=station.notes,
        keys=station.keys,
        certificates=station.certificates,
        remote_desks=remote_desks,
        conversations=conversations,
        page_limits=PageRateLimits(conversations, desk.load),
        shares=shares,
        pairing=PairingDesk(public_jwk(station.keys.identity).thumbprint),
        clock=station.clock.now,
        clock_offset=lambda: station.clock.offset,
        started_at=time.time(),
        diagnostics=Diagnostics(station.home),
        entrance=Entrance(time.monotonic),
        desk_view=DeskView(desk, lambda: station.client_registry.clients, simulators),
        simulators=simulators,
        apcv_formats=issuing.profiles.formats,
    )


def _wire_limits(config: Config) -> WireLimits:
    session = stream_limits(config).session
    return WireLimits(
        message_bytes=session.message_bytes,
        depth=session.depth,
        batch=session.batch,
        sessions=config.limits.sessions,
        requests=config.limits.requests,
        open_seconds=config.limits.open_seconds,
        items=session.items,
        opening_bytes=session.opening_bytes,
    )


def make_external_changes(
    station: OpenStation, issuing: Issuing, services: Services, written_elsewhere: asyncio.Event
) -> ExternalChanges:
    """Makes the look at what others have written: other desks, and the command line."""
    remote_desks = services.remote_desks
    return ExternalChanges(
        station.store,
        station.client_registry,
        issuing.opposition,
        station.stations,
        clock=station.clock,
        revoked=services.revoked,
        # At a desk that is alone only the command line writes beside the daemon.
        called=lambda: remote_desks is None or remote_desks.listens,
        due=written_elsewhere,
        remembered=station.remembered,
        file=spool_file(station.home) if station.store.shared else station.home.state / "store.db",
    )
