"""The process of the web gateway: ``python -P -m vitale_reader.web.gateway gateway``.

The daemon starts it as it starts its drivers, and speaks with it likewise (``vitale_drivers.host.worker_process``).
The sockets it listens on and its line to the core are inherited: it opens nothing. What it does not need is given up
before a library that reads strangers' bytes is loaded.
"""

import sys
from typing import NoReturn

from vitale_drivers.host.attendance import begun, inherited
from vitale_drivers.host.worker_process import Pipe, run_and_end
from vitale_protocol.extras import missing

__all__ = ["main"]


def main(arguments: list[str]) -> NoReturn:  # noqa: ARG001
    """Runs the gateway until it is ordered to stop, and ends the process."""
    run_and_end(_run)


def _run(pipe: Pipe) -> None:
    if (start := begun(pipe)) is None:
        return

    import asyncio  # noqa: PLC0415  after the confinement

    try:
        from vitale_reader.web.inherited import Inherited  # noqa: PLC0415
        from vitale_reader.web.serving import serve  # noqa: PLC0415
    except ImportError as error:
        raise missing(error, "the web gateway", extra="web") from error
    asyncio.run(serve(pipe, inherited(start, Inherited)))


if __name__ == "__main__":
    main(sys.argv[1:])
