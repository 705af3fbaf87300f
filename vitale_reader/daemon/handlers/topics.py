"""The calls of all topics as one table."""

from vitale_protocol.methods import METHODS
from vitale_reader.daemon.handlers.administration import AdministrationCalls
from vitale_reader.daemon.handlers.codes import CodeCalls
from vitale_reader.daemon.handlers.dashboard import DashboardCalls
from vitale_reader.daemon.handlers.leases import LeaseCalls
from vitale_reader.daemon.handlers.pairing import PairingCalls
from vitale_reader.daemon.handlers.presentations import PresentationCalls
from vitale_reader.daemon.handlers.readers import ReaderCalls
from vitale_reader.daemon.handlers.services import Handler, Services
from vitale_reader.daemon.handlers.sessions import SessionCalls
from vitale_reader.daemon.handlers.simulators import SimulatorCalls
from vitale_reader.daemon.handlers.station import StationCalls
from vitale_reader.daemon.handlers.tokens import TokenCalls

__all__ = ["handlers"]

TOPICS = (
    SessionCalls,
    StationCalls,
    ReaderCalls,
    PresentationCalls,
    CodeCalls,
    TokenCalls,
    LeaseCalls,
    AdministrationCalls,
    PairingCalls,
    DashboardCalls,
    SimulatorCalls,
)


def handlers(services: Services) -> dict[str, Handler]:
    """The handler of each method of the wire."""
    found: dict[str, Handler] = {}
    for topic in TOPICS:
        found.update(topic(services).handlers)
    if found.keys() != METHODS.keys():
        raise RuntimeError(f"methods without handler: {sorted(METHODS.keys() ^ found.keys())}")
    return found
