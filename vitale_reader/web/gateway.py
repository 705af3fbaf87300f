"""The process of the web gateway: ``python -P -m vitale_reader.web.gateway gateway``.

The daemon starts it as it starts its drivers, and speaks with it likewise (``vitale_drivers.host.worker``). The sockets
it listens on and its line to the core are inherited: it opens nothing. What it does not need is given up before a
library that reads strangers' bytes is loaded.
"""

import logging
import sys
from typing import NoReturn

import msgspec

from vitale_drivers.base import Start
from vitale_drivers.host.attendance import start_of
from vitale_drivers.host.confinement import confine
from vitale_drivers.host.pipe import StreamError
from vitale_drivers.host.worker import Pipe, run_and_end
from vitale_protocol.extras import missing

__all__ = ["begun", "main"]


def main(arguments: list[str]) -> NoReturn:  # noqa: ARG001
    """Runs the gateway until it is ordered to stop, and ends the process."""
    run_and_end(_run)


def begun(pipe: Pipe) -> Start | None:
    """Waits for the first order, and gives up what a gateway does not need; None where there is nothing to do.

    Raises:
        StreamError: the supervisor says something else.
    """
    start = start_of(pipe)
    if start is None:
        return None
    confine(start.hidden)
    # It tells of each connection that ends.
    logging.getLogger("websockets").setLevel(logging.WARNING)
    return start


def _run(pipe: Pipe) -> None:
    if (start := begun(pipe)) is None:
        return

    import asyncio  # noqa: PLC0415  after the confinement

    try:
        from vitale_reader.web.serving import Given, serve  # noqa: PLC0415
    except ImportError as error:
        raise missing(error, "the web gateway", extra="web") from error
    try:
        given = msgspec.convert(start.options, Given)
    except msgspec.ValidationError as error:
        raise StreamError(f"not what a gateway inherits: {error}") from error
    asyncio.run(serve(pipe, given))


if __name__ == "__main__":
    main(sys.argv[1:])
