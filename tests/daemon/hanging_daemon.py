"""A daemon with a resolver that hangs, as the arguments say: ``python -m tests.daemon.hanging_daemon HOW HOME``."""

import asyncio
import sys
import time
from pathlib import Path
from typing import NoReturn
from unittest import mock

from vitale_reader.daemon import app, lifecycle
from vitale_reader.daemon.composition import issuing
from vitale_reader.daemon.config import load
from vitale_reader.home import Endpoints, Home
from vitale_reader.resolvers.base import Resolution, Resolver

FOREVER = 100_000.0


class Hanging(Resolver):
    """It answers nothing, and does not end."""

    name = "hanging"

    async def open(self) -> None:
        """There is nothing to make ready."""

    async def resolve(self, string: bytes, *, nonce: str) -> Resolution:
        print("asked", flush=True)
        return await self._hang()

    async def restore(self, identifiant: str) -> Resolution:
        return await self._hang()

    async def release(self, identifiant: str) -> None:
        await self._hang()

    async def close(self) -> None:
        match HOW:
            case "in the loop":
                time.sleep(FOREVER)  # noqa: ASYNC251  as a plug-in of others may do
            case "in a thread":
                await asyncio.to_thread(time.sleep, FOREVER)
            case _:
                await self._hang()

    async def _hang(self) -> NoReturn:
        while True:  # whoever wants to be rid of it
            try:
                await asyncio.sleep(FOREVER)
            except asyncio.CancelledError:
                if HOW == "for ever":
                    continue
                raise


def serving(_: Endpoints) -> None:
    print("serves", flush=True)


def load_hanging(_: str) -> type[Resolver]:
    return Hanging


if __name__ == "__main__":
    HOW, place = sys.argv[1], Home.under(Path(sys.argv[2]))
    # What comes in the end is the same; that it comes is to be seen. Parts that are left in their time need it not,
    # however long the busy machine takes for all of them.
    lifecycle.LAST = 60.0 if HOW == "until it is cancelled" else 1.0
    with mock.patch.object(issuing, "load_resolver", load_hanging):
        app.run(place, load(place.config), on_ready=serving)
