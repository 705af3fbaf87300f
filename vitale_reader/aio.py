"""The SDK for asyncio.

Example:
    ::

        async with vitale_reader.aio.connect() as reader:
            presentation = await reader.read(scopes=["identity", "nir"])
            print(presentation.proof.method, presentation.token)
"""

from pathlib import Path
from typing import Literal

from vitale_reader.client.connection import Connection, Presentation, Settings
from vitale_reader.client.leasing import Lease
from vitale_reader.client.pairing import Pairing
from vitale_reader.client.session_transport import OnExpiring
from vitale_reader.home import Home

__all__ = ["Connection", "Lease", "Presentation", "connect"]


def connect(
    *,
    home: Path | None = None,
    address: str | None = None,
    pairing: Pairing | Path | None = None,
    language: Literal["fr", "en"] = "fr",
    name: str = "vitale-reader-sdk",
    version: str = "",
    connect_timeout: float = 5.0,
    call_timeout: float = 10.0,
    on_context_expiring: OnExpiring | None = None,
) -> Connection:
    """A connection to the daemon, opened by ``async with``.

    Args:
        home: the daemon's home; ``VITALE_READER_HOME`` or the platform's own folders by default.
        address: ``unix:///path`` or ``tls://host:port``; by default the daemon's home tells.
        pairing: the material of ``vitale-reader clients add``, or the path of its file; needed for TLS.
        language: of the messages of progress and errors.
        name: what this client calls itself in the audit trail.
        version: its version.
        connect_timeout: seconds to go on trying where no daemon answers, the first time and after a loss.
        call_timeout: seconds for the daemon to answer a call that does not wait for a medium.
        on_context_expiring: told once of each apCV context that ends soon, in time to act; called in the event loop.

    Raises:
        LocalMisuse: the pairing file cannot be used.
    """
    return Connection(
        Settings(
            home=Home.locate() if home is None else Home.under(home),
            address=address,
            pairing=Pairing.load(pairing) if isinstance(pairing, Path) else pairing,
            language=language,
            name=name,
            version=version,
            connect_timeout=connect_timeout,
            call_timeout=call_timeout,
            on_context_expiring=on_context_expiring,
        )
    )
