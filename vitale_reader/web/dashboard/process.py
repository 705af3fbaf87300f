"""The process of the dashboard: ``python -P -m vitale_reader.web.dashboard.process dashboard``.

It is started as the gateway for web pages is (``vitale_reader.web.gateway``), and like it opens nothing: the daemon
leaves it the sockets that listen, and a line. It carries what the page says; what the page may, the daemon knows.
"""

import sys
from typing import NoReturn

import msgspec

from vitale_drivers.host.pipe import StreamError
from vitale_drivers.host.worker import Pipe, run_and_end
from vitale_protocol.extras import missing
from vitale_reader.web.gateway import begun

__all__ = ["main"]


def main(arguments: list[str]) -> NoReturn:  # noqa: ARG001
    """Runs the dashboard until it is ordered to stop, and ends the process."""
    run_and_end(_run)


def _run(pipe: Pipe) -> None:
    if (start := begun(pipe)) is None:
        return

    import asyncio  # noqa: PLC0415  after the confinement

    try:
        from vitale_reader.web.dashboard.door import GivenName, dashboard_door  # noqa: PLC0415
        from vitale_reader.web.serving import serve  # noqa: PLC0415
    except ImportError as error:
        raise missing(error, "the dashboard", extra="web") from error
    try:
        given = msgspec.convert(start.options, GivenName)
    except msgspec.ValidationError as error:
        raise StreamError(f"not what the dashboard inherits: {error}") from error
    asyncio.run(serve(pipe, given, lambda line, port: dashboard_door(line, port, given.name), driver="dashboard"))


if __name__ == "__main__":
    main(sys.argv[1:])
