"""The process of the dashboard: ``python -P -m vitale_reader.web.dashboard.process dashboard``.

It is started as the gateway for web pages is (``vitale_reader.web.gateway``), and like it opens nothing. The daemon
leaves it the sockets that listen, and a line. It carries what the page says; what the page may, the daemon knows.
"""

import sys
from typing import NoReturn

from vitale_drivers.host.attendance import begun, inherited
from vitale_drivers.host.worker_process import Pipe, run_and_end
from vitale_protocol.extras import missing

__all__ = ["main"]


def main(arguments: list[str]) -> NoReturn:  # noqa: ARG001
    """Runs the dashboard until it is ordered to stop, and ends the process."""
    run_and_end(_run)


def _run(pipe: Pipe) -> None:
    if (start := begun(pipe)) is None:
        return

    import asyncio  # noqa: PLC0415  after the confinement

    try:
        from vitale_reader.web.dashboard.page_server import InheritedName, dashboard_server  # noqa: PLC0415
        from vitale_reader.web.serving import serve  # noqa: PLC0415
    except ImportError as error:
        raise missing(error, "the dashboard", extra="web") from error
    given = inherited(start, InheritedName)
    asyncio.run(serve(pipe, given, lambda line, port: dashboard_server(line, port, given.name), driver="dashboard"))


if __name__ == "__main__":
    main(sys.argv[1:])
