"""The process of the exporter: ``python -P -m vitale_reader.metrics.exporter exporter``.

The daemon starts it as it starts its drivers, and speaks with it likewise (``vitale_drivers.host.worker``). The sockets
it listens on and its line to the core are inherited: it opens nothing. What it does not need is given up before a
library that reads strangers' bytes is loaded.
"""

import sys
from typing import NoReturn

import msgspec

from vitale_drivers.host.attendance import start_of
from vitale_drivers.host.confinement import confine
from vitale_drivers.host.pipe import StreamError
from vitale_drivers.host.worker import Pipe, run_and_end
from vitale_protocol.extras import missing

__all__ = ["main"]


def main(arguments: list[str]) -> NoReturn:  # noqa: ARG001
    """Runs the exporter until it is ordered to stop, and ends the process."""
    run_and_end(_run)


def _run(pipe: Pipe) -> None:
    start = start_of(pipe)
    if start is None:
        return
    confine(start.hidden)

    import asyncio  # noqa: PLC0415  after the confinement

    try:
        from vitale_reader.metrics.serving import Given, serve  # noqa: PLC0415
    except ImportError as error:
        raise missing(error, "the exporter of metrics", extra="metrics") from error

    try:
        given = msgspec.convert(start.options, Given)
    except msgspec.ValidationError as error:
        raise StreamError(f"not what an exporter inherits: {error}") from error
    asyncio.run(serve(pipe, given))


if __name__ == "__main__":
    main(sys.argv[1:])
