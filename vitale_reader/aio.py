"""The SDK for asyncio.

Example:
    ::

        async with vitale_reader.aio.connect() as reader:
            presentation = await reader.read(scopes=["identity", "nir"])
            print(presentation.proof.method, presentation.token)
"""

from vitale_reader.client.connection import Connection, PendingRead, Presentation
from vitale_reader.client.leasing import Lease
from vitale_reader.client.reconnecting import settings_of
from vitale_reader.client.sync_wrappers import factory

__all__ = ["Connection", "Lease", "PendingRead", "Presentation", "connect"]

connect = factory(settings_of, Connection, name="connect", returns=Connection)
