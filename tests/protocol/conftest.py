"""Sessions made ready for the tests of the wire."""

from collections.abc import Callable

import pytest

from vitale_protocol.methods import Identity, SessionOpen, SessionOpened, Station
from vitale_protocol.methods import Limits as StationLimits
from vitale_protocol.session.framing import LineFraming
from vitale_protocol.session.session import Returned, Session, SessionLimits, State


@pytest.fixture(scope="session")
def opened() -> SessionOpened:
    """An answer to ``session.open``."""
    return SessionOpened(
        protocol=1,
        session="s-1",
        client_id="c-1",
        scopes=("identity",),
        station=Station(id="00000000-0000-4000-8000-000000000000", name="comptoir", version="0.1.0", mode="test"),
        jwks={"keys": []},
        limits=StationLimits(message_bytes=1_048_576, depth=32, batch=50, sessions=64, requests=64, open_seconds=10),
    )


@pytest.fixture(scope="session")
def make_pair(opened: SessionOpened) -> Callable[..., tuple[Session, Session]]:
    """Makes a client and a server that have opened their session."""

    def make(limits: SessionLimits | None = None, language: str = "en") -> tuple[Session, Session]:
        limits = limits or SessionLimits()
        client = Session("client", LineFraming(), limits)
        server = Session("server", LineFraming(limits.message_bytes), limits)
        request = client.call(
            "session.open",
            SessionOpen(protocol=(1,), client=Identity(name="essai"), language="en" if language == "en" else "fr"),
        )
        server.receive_data(client.data_to_send())
        server.reply(request, opened)
        assert client.receive_data(server.data_to_send()) == [Returned(request, opened)]
        assert (client.state, server.state) == (State.OPEN, State.OPEN)
        return client, server

    return make


@pytest.fixture
def pair(make_pair: Callable[..., tuple[Session, Session]]) -> tuple[Session, Session]:
    """A client and a server that have opened their session."""
    return make_pair()


@pytest.fixture
def server(pair: tuple[Session, Session]) -> Session:
    """The server of an open session."""
    return pair[1]
